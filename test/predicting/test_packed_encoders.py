"""Packed systems on layers of an encoder: its weights come from the cache, or lie in the package."""

import hashlib
import io
import json
import zipfile

import numpy as np
import pytest
import torch
from tiny_encoders import WHISPER, add_encoder, random_weights

from sertk import load_recognizer
from sertk.bin import pack, predict
from sertk.core.files import read_yaml

KINDS = ["whisper_linear", "whisper_weighted", "whisper_lateral"]


def packed(systems, kind, folder, *options):
    path = folder / "model.zip"
    assert pack.main([*options, str(systems.run(kind)), str(path)]) == 0
    return path


def rows(recognizer, systems):
    return [result.rows for _, result in recognizer.recognize(list(systems.wavs.values())[:3])]


def contents_of(path):
    with zipfile.ZipFile(path) as package:
        return {name: package.read(name) for name in package.namelist()}


def rewritten(path, change, **replaced):
    """A package with `change(manifest)` made and other files, whose checksums are right."""
    contents = contents_of(path) | replaced
    manifest = json.loads(contents["model.json"])
    change(manifest)
    manifest["files"] |= {name: hashlib.sha256(content).hexdigest() for name, content in replaced.items()}
    other = path.with_name("other.zip")
    with zipfile.ZipFile(other, "w") as package:
        for name, content in {**contents, "model.json": json.dumps(manifest).encode()}.items():
            package.writestr(name, content)
    return other


def refusal(path, systems, capsys):
    """The one line that sertk-predict ends with."""
    capsys.readouterr()
    assert predict.main(["--device", "cpu", str(path), str(next(iter(systems.wavs.values())))]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("sertk-predict: ")


@pytest.fixture
def no_cache(tmp_path, monkeypatch):
    """A function after whose call the cache is an empty folder; returns that."""

    def leave():
        monkeypatch.setenv("SERTK_ENCODERS", str(tmp_path / "none"))
        return tmp_path / "none"

    return leave


@pytest.mark.parametrize("kind", KINDS)
def test_without_the_encoder_the_cache_has_it_or_the_command_is_said(systems, kind, tmp_path, no_cache, capsys):
    path = packed(systems, kind, tmp_path)
    assert list(contents_of(path)) == ["model.json", "model.pt"]
    for own, expected in zip(
        rows(load_recognizer(path, "cpu"), systems), rows(load_recognizer(systems.run(kind), "cpu"), systems)
    ):
        np.testing.assert_array_equal(own, expected)
    shipped = rewritten(
        path, lambda manifest: manifest["steps"]["model"]["config"]["encoder"].update(name="whisper_base")
    )
    cache = no_cache()
    assert "no encoder 'tiny' (there are: hubert_base" in refusal(path, systems, capsys)
    said = f"whisper_base is not in the cache {cache}: run sertk-get-encoder whisper_base"
    assert refusal(shipped, systems, capsys) == said
    assert "no encoder 'tiny'" in refusal(systems.run(kind), systems, capsys)


def test_other_weights_in_the_cache_are_refused(systems, tmp_path, no_cache, capsys):
    path = packed(systems, "whisper_linear", tmp_path)
    own = json.loads(contents_of(path)["model.json"])["steps"]["model"]["config"]["encoder"]["digest"]
    no_cache()
    other = add_encoder(seed=7)
    said = (
        f"trained on tiny with the weights {own}, {other.folder} has {other.digest[:12]}; sertk-get-encoder tiny --from"
    )
    for where in (path, systems.run("whisper_linear")):
        assert refusal(where, systems, capsys).startswith(f"{where}: {said}")


@pytest.mark.parametrize("kind", KINDS)
def test_with_the_encoder_a_package_needs_no_cache(systems, kind, tmp_path, no_cache):
    path = packed(systems, kind, tmp_path, "--with_encoder")
    assert list(contents_of(path)) == ["model.json", "model.pt", "encoder.pt"]
    expected = rows(load_recognizer(systems.run(kind), "cpu"), systems)
    no_cache()
    for own, each in zip(rows(load_recognizer(path, "cpu"), systems), expected):
        np.testing.assert_array_equal(own, each)
    again = tmp_path / "again.zip"
    assert pack.main(["--with_encoder", str(path), str(again)]) == 0
    assert again.read_bytes() == path.read_bytes()
    assert pack.main([str(path), str(again)]) == 0
    assert "encoder.pt" not in contents_of(again) and again.stat().st_size < path.stat().st_size


def test_an_encoder_in_the_loop_is_a_part_of_the_model(systems, tmp_path, no_cache, capsys):
    path = packed(systems, "whisper_in_loop", tmp_path)
    expected = rows(load_recognizer(systems.run("whisper_in_loop"), "cpu"), systems)
    no_cache()
    for own, each in zip(rows(load_recognizer(path, "cpu"), systems), expected):
        np.testing.assert_array_equal(own, each)


@pytest.mark.parametrize("kind", ["svm", "progressive", "whisper_in_loop"])
def test_there_may_be_no_encoder_to_pack(systems, kind, tmp_path, capsys):
    path = tmp_path / "model.zip"
    capsys.readouterr()
    assert pack.main(["--with_encoder", str(systems.run(kind)), str(path)]) == 1
    said = f"sertk-pack: {path}: the system has no encoder of the cache: leave --with_encoder out"
    assert capsys.readouterr().err.splitlines()[-1] == said
    assert not path.exists()


def saved(weights):
    stream = io.BytesIO()
    torch.save(weights, stream)
    return stream.getvalue()


WIDER = {**WHISPER.sizes, "dims": 16}
WRONG = {
    "fewer weights": (lambda weights: dict(list(weights.items())[:-1]), "not of the sizes that the manifest says"),
    "other sizes": (lambda weights: weights | {"norm.bias": torch.zeros(9)}, "not of the sizes that the manifest says"),
    "no numbers": (lambda weights: weights | {"norm.bias": torch.full((8,), np.nan)}, "not finite"),
    "no mapping": (lambda weights: 3, "do not fit|no attribute"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_weights_that_do_not_fit_are_refused(systems, kind, tmp_path, capsys):
    change, message = WRONG[kind]
    path = packed(systems, "whisper_linear", tmp_path, "--with_encoder")
    weights = torch.load(io.BytesIO(contents_of(path)["encoder.pt"]), weights_only=True)
    assert set(weights) == set(random_weights())
    bad = rewritten(path, lambda manifest: None, **{"encoder.pt": saved(change(weights))})
    line = refusal(bad, systems, capsys)
    assert line.startswith(f"{bad}: encoder.pt: ") and any(each in line for each in message.split("|"))


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest["encoder"].update(sizes=WIDER),
        lambda manifest: manifest["encoder"].update(kind="os.system"),
        lambda manifest: manifest["encoder"].pop("sizes"),
        lambda manifest: manifest.update(encoder=[]),
        lambda manifest: manifest["encoder"].update(sizes={**WHISPER.sizes, "layers": 10**9}),
    ],
)
def test_sizes_that_are_none_are_refused(systems, change, tmp_path, capsys):
    bad = rewritten(packed(systems, "whisper_linear", tmp_path, "--with_encoder"), change)
    assert refusal(bad, systems, capsys).startswith(f"{bad}: ")


def test_a_changed_byte_and_a_left_over_file_are_refused(systems, tmp_path, capsys):
    path = packed(systems, "whisper_linear", tmp_path, "--with_encoder")
    weights = contents_of(path)["encoder.pt"]
    damaged = bytearray(path.read_bytes())
    damaged[path.read_bytes().index(weights) + len(weights) // 2] ^= 255
    bad = tmp_path / "bad.zip"
    bad.write_bytes(damaged)
    assert "damaged" in refusal(bad, systems, capsys)
    other = rewritten(path, lambda manifest: manifest.pop("encoder"))
    assert "'encoder.pt' does not belong there" in refusal(other, systems, capsys)


def test_what_was_chosen_is_on_the_card(systems, tmp_path, capsys):
    path, run = packed(systems, "whisper_linear", tmp_path), systems.run("whisper_linear")
    chosen = read_yaml(run / "chosen.yaml")
    assert set(chosen) == {"layer", "shrinkage"} and chosen["layer"] in ("0", "1", "2", "3")
    card = load_recognizer(path, "cpu").card
    assert card["trained"]["chosen"] == chosen and card["features"] == ["tiny:auto"]
    weights = read_yaml(systems.run("whisper_weighted") / "chosen.yaml")
    assert list(weights) == [f"weight of layer {layer}" for layer in range(4)]
    assert sum(weights.values()) == pytest.approx(1)
