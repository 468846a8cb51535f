"""Packed models: the same bytes each time, and everything that is not one is refused in one line."""

import io
import json
import zipfile

import pytest
import torch

from sertk import load_recognizer
from sertk.bin import pack, predict
from sertk.core.errors import SertkError
from sertk.evaluation.results import score


@pytest.fixture(scope="module")
def packed(systems, tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "svm.zip"
    assert pack.main([str(systems.run("svm")), str(path)]) == 0
    return path


def test_the_bytes_are_always_the_same(systems, packed, tmp_path):
    assert pack.main([str(systems.run("svm").parents[1]), str(tmp_path / "again.zip")]) == 0
    assert pack.main([str(packed), str(tmp_path / "repacked.zip")]) == 0
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "repacked.zip").read_bytes() == packed.read_bytes()
    assert zipfile.ZipFile(packed).namelist() == ["model.json", "steps/gmm.pt", "model.pt"]


def test_card_and_scores_are_inside(systems, tmp_path, capsys):
    experiment = systems.run("windows").parents[1]
    results = score(experiment, draws=100)
    results["uar"] = 0.5
    results["folds"][0]["accuracy"] = 0.6
    (experiment / "results.json").write_text(json.dumps(results))
    (experiment / "card.yaml").write_text("corpus: tönes\nclasses: [angry, calm, sad]\n")
    assert pack.main([str(experiment), str(tmp_path / "model.zip")]) == 0
    (experiment / "results.json").unlink()
    (experiment / "card.yaml").unlink()
    card = load_recognizer(tmp_path / "model.zip", "cpu").card
    assert card["corpus"] == "tönes" and card["scores"]["uar"] == 0.5 and card["trained"]["accuracy"] == 0.6
    capsys.readouterr()
    assert predict.main(["--card", "--device", "cpu", str(tmp_path / "model.zip")]) == 0
    assert "corpus: tönes\n" in capsys.readouterr().out


def contents_of(packed):
    with zipfile.ZipFile(packed) as package:
        return {name: package.read(name) for name in package.namelist()}


def zipped(contents, **options):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", **options) as package:
        for name, content in contents.items():
            package.writestr(name, content)
    return stream.getvalue()


def changed(contents, change, weights=None):
    """The zip with `change(manifest)` made and, if given, other weights of the last part with their checksum."""
    import hashlib

    contents, manifest = dict(contents), json.loads(contents["model.json"])
    if weights is not None:
        stream = io.BytesIO()
        torch.save(weights, stream)
        contents["model.pt"] = stream.getvalue()
        manifest["files"]["model.pt"] = hashlib.sha256(stream.getvalue()).hexdigest()
    change(manifest)
    return zipped({**contents, "model.json": json.dumps(manifest).encode()})


class Evil:
    def __reduce__(self):
        return print, ("executed",)


def bad_packages(packed):
    """(what is wrong, bytes, part of the message)."""
    whole, contents = packed.read_bytes(), contents_of(packed)
    own = torch.load(io.BytesIO(contents["model.pt"]), weights_only=True)
    halved = {**own, "model": {**own["model"], "support": own["model"]["support"][:, :2]}}
    nothing = {**own, "model": {**own["model"], "support": own["model"]["support"] * float("nan")}}
    middle = whole.index(b"model.pt") + len(contents["model.pt"]) // 2

    def set_model(key, value):
        return lambda manifest: manifest["steps"]["steps/gmm"]["config"]["model"].update({key: value})

    return [
        ("empty", b"", "not a packed model"),
        ("text", b"hello", "not a packed model"),
        ("cut off", whole[:-100], "made, or cut off; copy it again, or pack it again (sertk-pack)"),
        ("cut off early", whole[:100], "perhaps cut off (File is not a zip file); copy it again, or pack it again"),
        ("a long name", whole[:26] + b"\xff\x1f" + whole[28:], "File name in directory"),
        ("a byte changed", whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :], "damaged"),
        ("another zip", zipped({"a.txt": b"a"}), "no model.json"),
        ("another file", zipped({**contents, "setup.py": b""}), "'setup.py' does not belong there"),
        ("a path out", zipped({**contents, "../../evil.pt": b""}), "'../../evil.pt' does not belong there"),
        ("compressed", zipped(contents, compression=zipfile.ZIP_DEFLATED), "is compressed"),
        ("weights missing", zipped({"model.json": contents["model.json"]}), "not the weights of exactly"),
        ("no JSON", zipped({**contents, "model.json": b"{"}), "no JSON"),
        ("a list", zipped({**contents, "model.json": b"[]"}), "of the format null"),
        ("a long format", zipped({**contents, "model.json": b'{"format": "%s"}' % (b"x" * 3000)}), "'xxx"),
        ("of the future", changed(contents, lambda manifest: manifest.update(format=2)), "of the format 2"),
        ("without parts", changed(contents, lambda manifest: manifest.pop("steps")), "lacks card, parts"),
        (
            "another checksum",
            changed(contents, lambda manifest: manifest["files"].update({"model.pt": "0"})),
            "checksum",
        ),
        ("an unknown model", changed(contents, set_model("name", "os.system")), "no model 'os.system'"),
        ("an unknown key", changed(contents, set_model("command", "ls")), "unknown key model.command"),
        ("no classes", changed(contents, lambda manifest: manifest["steps"]["model"].update(classes=[])), "classes"),
        (
            "other dims",
            changed(contents, lambda manifest: manifest["steps"]["model"].update(dims={"supervector": 5})),
            "do not fit",
        ),
        ("weights that run", changed(contents, lambda manifest: None, Evil()), "not readable weights"),
        ("no weights", changed(contents, lambda manifest: None, {"a": 1}), "parts do not fit"),
        ("half of the weights", changed(contents, lambda manifest: None, halved), "do not fit"),
        ("no numbers", changed(contents, lambda manifest: None, nothing), "not finite"),
        (
            "a path as a part",
            changed(contents, lambda manifest: manifest["steps"].update({"../x": {}})),
            "not the weights|impossible",
        ),
    ]


def test_everything_else_is_refused(packed, tmp_path, capsys):
    path = tmp_path / "bad.zip"
    for what, content, message in bad_packages(packed):
        path.write_bytes(content)
        with pytest.raises(SertkError) as caught:
            load_recognizer(path, "cpu")
        text = str(caught.value)
        assert any(part in text for part in message.split("|")) and "\n" not in text, (what, text)
        assert str(path) in text and len(text) < 1000, what
    assert "executed" not in capsys.readouterr().out


def test_weights_of_other_sizes_are_refused_before_they_take_memory(systems, tmp_path):
    path = tmp_path / "model.zip"
    assert pack.main([str(systems.run("windows")), str(path)]) == 0
    contents = contents_of(path)
    for units in (5, 10**7):
        path.write_bytes(
            changed(
                contents,
                lambda manifest, units=units: manifest["steps"]["model"]["config"]["model"].update(lstm_units=units),
            )
        )
        with pytest.raises(SertkError, match="not of the sizes"):
            load_recognizer(path, "cpu")
