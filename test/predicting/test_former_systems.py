"""Systems on a speech recogniser's layers as they were stored before version 0.3 give what they gave."""

import hashlib
import io
import json
import shutil
import zipfile

import numpy as np
import pytest
import torch
from former_words import former_card, former_checkpoint, former_config, former_task, former_weights
from small_experiments import CPU, decode_run, make_experiment_of
from tone_systems import OF_RECOGNISER

from sertk import load_recognizer
from sertk.bin import pack, score, train
from sertk.core.files import file_digest, read_yaml, write_json, write_yaml
from sertk.kaldi.archives import open_matrices

KINDS = ["progressive", "in_loop"]


def rewrite_checkpoint(path, change):
    content = torch.load(path, weights_only=True)
    torch.save(change(content), path)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def former(systems, kind, tmp_path):
    """An experiment as it was, with the recogniser that it keeps, and archives by their former names."""
    exp, data = tmp_path / "exp" / kind, tmp_path / "data"
    shutil.copytree(systems.run(kind).parents[1], exp)
    shutil.copytree(systems.data, data, ignore=shutil.ignore_patterns("tiny_*"))
    kept = exp / "asr/checkpoints/best.pt"
    rewrite_checkpoint(kept, former_checkpoint)
    digest = file_digest(kept, "sha256")[:12]  # of other bytes than those it had
    for path in (exp / "config.yaml", exp / "fold1/seed1/config.yaml"):
        config = former_config(read_yaml(path))
        config["asr"]["network"] = digest
        config.get("run", {}).pop("data", None)
        write_yaml(path, config)
    write_json(exp / "fold1/seed1/trained.json", {"ended": "2026-11-01 12:00:00 +0000"})
    write_yaml(exp / "card.yaml", former_card(read_yaml(exp / "card.yaml")))
    stored = read_yaml(exp / "data.yaml")
    write_yaml(exp / "data.yaml", {**stored, "data": str(data), "splits": str(data / "splits/toy")})

    def older(checkpoint):
        checkpoint = former_checkpoint(checkpoint)
        checkpoint["task"]["config"]["asr"]["network"] = digest
        return checkpoint

    for path in (exp / "fold1/seed1/checkpoints").glob("*.pt"):
        rewrite_checkpoint(path, older)
    for path in (data / "feats").glob("recogniser_*"):
        path.unlink()
    for path in (systems.data / "feats").glob("recogniser_2_*.ark"):
        shutil.copy(path, data / "feats" / f"recogniser_2_{digest}.ark")
        table = path.with_suffix(".scp").read_text().replace(str(path), f"{data}/feats/recogniser_2_{digest}.ark")
        (data / "feats" / f"recogniser_2_{digest}.scp").write_text(table)
    shutil.rmtree(exp / "fold1/seed1/decode_test")
    return exp


def test_a_run_recognises_and_decodes_as_it_did(systems, kind, former):
    run, expected = former / "fold1/seed1", systems.decoded(kind)
    assert read_yaml(former / "config.yaml")["features"] == ["own", "asr:2"]
    recognizer = load_recognizer(run, "cpu")
    paths = [systems.wavs[utterance] for utterance in expected]
    for (_, result), posteriors in zip(recognizer.recognize(paths), expected.values()):
        np.testing.assert_allclose(list(result.posteriors.values()), posteriors, atol=1e-6)
    decoded = dict(open_matrices(f"scp:{decode_run(run)}/posteriors.scp"))
    assert list(decoded) == list(expected)
    for utterance, posteriors in expected.items():
        np.testing.assert_array_equal(decoded[utterance], posteriors)
    assert score.main([str(former)]) == 0
    page = (former / "RESULTS.md").read_text()
    assert "recogniser:2" in page and "experiment recogniser" in page and "asr:2" not in page


def test_a_training_that_was_cut_off_goes_on(systems, kind, former):
    run = former / "fold1/seed1"
    (run / "trained.json").unlink()
    (run / "checkpoints/best.pt").unlink()
    for path in (run / "checkpoints").glob("*.pt"):
        assert "asr" in torch.load(path, weights_only=True)["task"]["config"]
    assert train.main(["--fold", "1", "--seed", "1", *CPU, str(former)]) == 0
    decoded = dict(open_matrices(f"scp:{decode_run(run)}/posteriors.scp"))
    for utterance, posteriors in systems.decoded(kind).items():
        np.testing.assert_allclose(decoded[utterance], posteriors, atol=1e-6)


def test_the_experiment_is_the_one_that_todays_config_makes(systems, kind, former, capsys):
    config, options = former.parents[1] / f"{kind}.yaml", ["--asr_exp", str(former / "asr")]
    config.write_text(OF_RECOGNISER[kind])
    shutil.copy(systems.recogniser() / "config.yaml", former / "asr")
    shutil.copy(systems.recogniser() / "card.yaml", former / "asr")
    data = former.parents[1] / "data"
    assert make_experiment_of(data, config, former, options=options) == 0, capsys.readouterr().err
    assert make_experiment_of(data, config, former, "model.gru_units=4", options=options) == 1
    assert "other settings (model.gru_units)" in capsys.readouterr().err
    assert train.main(["--fold", "1", "--seed", "1", *CPU, str(former)]) == 0


def test_a_package_recognises_as_it_did(systems, kind, tmp_path):
    packed, old = tmp_path / "model.zip", tmp_path / "old.zip"
    assert pack.main([str(systems.run(kind)), str(packed)]) == 0
    with zipfile.ZipFile(packed) as package:
        contents = {name: package.read(name) for name in package.namelist()}
    manifest = json.loads(contents.pop("model.json"))
    manifest["steps"] = {name: former_task(each) for name, each in manifest["steps"].items()}
    if kind == "progressive":
        assert list(manifest["steps"]) == ["asr", "model"]
        manifest["steps"]["asr"]["config"]["extract"] = "asr:2"  # the layer that it was for
    for name, content in contents.items():
        weights = torch.load(io.BytesIO(content), weights_only=True)
        streams = {
            ("asr:2" if each.startswith("encoder") else each): state for each, state in weights["normalisers"].items()
        }
        stream = io.BytesIO()
        torch.save({"model": former_weights(weights["model"]), "normalisers": streams}, stream)
        contents[name], manifest["files"][name] = stream.getvalue(), hashlib.sha256(stream.getvalue()).hexdigest()
    with zipfile.ZipFile(old, "w") as package:
        for name, content in {"model.json": json.dumps(manifest).encode(), **contents}.items():
            package.writestr(name, content)
    paths = list(systems.wavs.values())[:4]
    results = dict(load_recognizer(packed, "cpu").recognize(paths))
    for path, result in load_recognizer(old, "cpu").recognize(paths):
        np.testing.assert_array_equal(result.rows, results[path].rows)
