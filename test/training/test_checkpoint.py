"""Checkpoints that are damaged: which one it is, and that what is said to do about it works."""

import shutil

import pytest
import torch
from small_experiments import CPU, train_run

from sertk.bin import decode, train


@pytest.fixture
def trained(small_corpus, toy_config, tmp_path):
    return train_run(small_corpus, toy_config, tmp_path / "exp", "training.max_epochs=1")


def wrong(run):
    return f"damaged, perhaps cut off; remove {run}/checkpoints and train anew (stage 3)"


def cut(path):
    path.write_bytes(path.read_bytes()[:1000])


def empty(path):
    path.write_bytes(b"")


def without(key):
    def remove(path):
        content = torch.load(path, weights_only=True)
        del content[key]
        torch.save(content, path)

    return remove


def other(*keys, value):
    def change(path):
        inner = content = torch.load(path, weights_only=True)
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = value
        torch.save(content, path)

    return change


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        empty,
        without("model"),
        without("task"),
        other("task", value={}),
        other("model", "blstm.bias", value=3),
        other("task", "normalisers", "toy", value=[]),
        other("task", "feature_options", "toy", value="x"),
        other("task", "classes", value=7),
    ],
)
def test_a_damaged_best_checkpoint_is_named_with_the_remedy(trained, capsys, damage):
    damage(trained / "checkpoints" / "best.pt")
    capsys.readouterr()
    assert decode.main([*CPU, str(trained)]) == 1
    assert capsys.readouterr().err == f"sertk-decode: {trained}/checkpoints/best.pt: {wrong(trained)}\n"


OPTIMISER = [
    other("optimiser", "param_groups", 0, "lr", value="0.1"),
    other("optimiser", "param_groups", 0, "betas", value=None),
    other("optimiser", "state", 0, "exp_avg", value=torch.zeros(1, 1, 1)),
]


@pytest.mark.parametrize("model", ["class_gmms", "svm", "linear"])
def test_what_a_fitted_model_learnt_is_not_all_there(small_corpus, tmp_path, capsys, model):
    config = tmp_path / "fitted.yaml"
    config.write_text(f"features: [toy]\nmodel: {{name: {model}}}\n")
    if model != "class_gmms":  # which takes vectors
        config.write_text(
            "features: [toy]\nsteps:\n  gmm: {model: {name: class_gmms, components: 2}, extract: supervector}\n"
            f"  last: {{features: [supervector], model: {{name: {model}}}}}\n"
        )
    run = train_run(small_corpus, config, tmp_path / "exp")
    path = run / "checkpoints" / "best.pt"
    content = torch.load(path, weights_only=True)
    content["model"].popitem()
    torch.save(content, path)
    capsys.readouterr()
    assert decode.main([*CPU, str(run)]) == 1
    assert capsys.readouterr().err == f"sertk-decode: {path}: {wrong(run)}\n"


@pytest.mark.parametrize("damage", [cut, without("progress"), other("progress", "epoch", value=None), *OPTIMISER])
def test_a_damaged_latest_checkpoint_is_named_and_the_remedy_helps(trained, capsys, damage):
    before = (trained / "checkpoints" / "best.pt").read_bytes()
    (trained / "trained.json").unlink()  # as where it was cut off
    damage(trained / "checkpoints" / "latest.pt")
    capsys.readouterr()
    assert train.main([*CPU, str(trained)]) == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert line == f"sertk-train: {trained}/checkpoints/latest.pt: {wrong(trained)}"
    shutil.rmtree(trained / "checkpoints")
    assert train.main([*CPU, str(trained)]) == 0
    assert (trained / "checkpoints" / "best.pt").read_bytes() == before
