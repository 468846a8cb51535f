"""Experiments on a speech recogniser's layer: what the config resolves to, and which recogniser is kept."""

from pathlib import Path

import pytest
from test_experiment import make

from sertk.bin import make_experiment
from sertk.config.loading import load_parts, parts_mapping
from sertk.core.errors import SertkError
from sertk.core.files import file_digest, read_yaml, write_json, write_text, write_yaml
from sertk.experiments.pretrained import checkpoint, with_pretrained
from sertk.inference.trained import load_pretrained

CONFIG = """features: [toy, asr]
asr: {layer: 2}
normalise: utterance
model: {name: progressive}
"""
RECOGNISER = {
    "task": "asr",
    "features": ["spectrogram161"],
    "normalise": "utterance",
    "model": {"name": "deepspeech", "gru_layers": 3},
    "training": {"select": "valid_cer"},
    "run": {"seed": 1},
}


@pytest.fixture
def config(tmp_path):
    write_text(tmp_path / "progressive.yaml", CONFIG)
    return tmp_path / "progressive.yaml"


@pytest.fixture
def recogniser(tmp_path):
    """A recogniser's experiment folder, with something else in the place of weights."""
    folder = tmp_path / "asr" / "small_char"
    write_text(folder / "checkpoints" / "best.pt", "weights")
    write_yaml(folder / "config.yaml", RECOGNISER)
    write_yaml(folder / "card.yaml", {"train": {"hours": 0.41, "utterances": 462}, "tokens": 28})
    write_json(folder / "decode_test" / "results.json", {"cer": 0.023456, "wer": 0.07})
    return folder


def test_the_stream_has_its_layer_in_its_name(config):
    (step,) = load_parts(config, ["asr.layer=3"]).values()
    assert step.features == ("toy", "asr:3")
    assert step.normalise_of("asr:3") == () and step.normalise_of("toy") == step.normalise
    stored = config.with_name("stored.yaml")
    write_yaml(stored, parts_mapping({"train": step}))
    assert load_parts(stored)["train"] == step


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("asr: {layer: 2}\n", ""), "asr is null, expected given, if and only if asr is among the features"),
        (("[toy, asr]", "[toy]"), "expected given, if and only if"),
        (("layer: 2", "layer: 0"), "asr.layer is 0, expected 1 or more"),
        (("layer: 2", "layer: 2, unfreeze: [2]"), "asr.unfreeze is .2., expected none, unless in_loop is true"),
        (("layer: 2", "layer: 2, in_loop: true, unfreeze: [3]"), "expected layers from 1 to 2"),
        (
            ("layer: 2}", "layer: 2, in_loop: true}\nsegment: {frames: 9}"),
            "asr.in_loop is true, expected false, with segment",
        ),
        (
            (
                "layer: 2}\nnormalise: utterance\nmodel: {name: progressive}",
                "layer: 2, in_loop: true}\nmodel: {name: svm}",
            ),
            "asr.in_loop is true, expected false, with svm",
        ),
        (
            ("normalise", "training: {gain: [-3, 6]}\nnormalise"),
            "training.gain is .-3.0, 6.0., expected .0, 0., unless features of whole utterances",
        ),
    ],
)
def test_impossible_configs_are_refused(config, change, message):
    write_text(config, CONFIG.replace(*change))
    with pytest.raises(SertkError, match=message):
        load_parts(config)


@pytest.mark.parametrize("settings", [[], ["asr.in_loop=true"]])
def test_a_config_without_its_recogniser_says_what_fills_it_in(config, settings):
    (step,) = load_parts(config, settings).values()
    with pytest.raises(SertkError, match="which recogniser it is is not known; sertk-make-experiment --asr_exp DIR"):
        step.computed_type("asr:2") or step.archive_name("asr:2")


def test_what_is_needed_names_layer_and_recogniser(config, recogniser, capsys):
    ask = ["--config", str(config), "--plan"]
    assert make_experiment.main(ask) == 0
    assert capsys.readouterr().out == "tag \ndata feats/toy\ndata asr:2\n"
    assert make_experiment.main([*ask, "--asr_exp", str(recogniser)]) == 0
    archive = "asr2_" + file_digest(checkpoint(recogniser), "sha256")[:12]
    needed = ["feats/spectrogram161", "feats/toy", f"asr:2=feats/{archive}"]
    assert capsys.readouterr().out == "tag \n" + "".join(f"data {name}\n" for name in needed)


def test_in_the_loop_no_archives_are_needed_and_the_config_says_what_the_recogniser_is(config, recogniser, capsys):
    write_text(config, CONFIG.replace("layer: 2", "layer: 2, in_loop: true"))
    assert make_experiment.main(["--config", str(config), "--plan", "--asr_exp", str(recogniser)]) == 0
    assert capsys.readouterr().out == "tag \ndata feats/toy\ndata asr:2\n"
    (step,) = with_pretrained(load_parts(config), recogniser).values()
    assert step.asr.tokens == 28 and step.asr.pretrained.model.gru_layers == 3
    assert step.computed_type("asr:2") == "spectrogram161" and step.computed_type("toy") is None
    assert step.normalise_of("asr:2") == step.asr.pretrained.normalise


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"normalise": "speaker"}, "not normalised per utterance alone: it cannot run with asr.in_loop=true"),
        ({"task": "emotion", "model": {"name": "gru"}, "training": {}}, "gru is no speech recogniser"),
    ],
)
def test_what_cannot_run_in_the_loop_is_refused(config, recogniser, change, message):
    write_yaml(recogniser / "config.yaml", RECOGNISER | change)
    with pytest.raises(SertkError, match=message):
        with_pretrained(load_parts(config, ["asr.in_loop=true"]), recogniser)


def test_the_experiment_keeps_the_recogniser_and_says_what_it_is(small_corpus, config, recogniser, tmp_path, capsys):
    exp = tmp_path / "exp"
    assert make(small_corpus, config, exp, "--asr_exp", str(recogniser)) == 0
    card = read_yaml(exp / "card.yaml")
    assert card["features"] == ["asr:2", "toy"]
    assert card["normalisation"] == "meanvar per utterance, asr:2 as it is"
    assert card["asr"] == {"experiment": "small_char", "train_hours": 0.41, "cer": {"test": 0.0235}}
    assert checkpoint(exp / "asr").read_bytes() == b"weights"
    write_json(recogniser / "decode_other" / "results.json", {"cer": 0.5, "wer": 0.7})
    assert make(small_corpus, config, exp, "--asr_exp", str(recogniser)) == 0
    assert read_yaml(exp / "card.yaml")["asr"]["cer"] == {"other": 0.5, "test": 0.0235}
    write_text(checkpoint(recogniser), "others")
    assert make(small_corpus, config, exp, "--asr_exp", str(recogniser)) == 1
    assert "other settings (asr.network)" in capsys.readouterr().err
    assert checkpoint(exp / "asr").read_bytes() == b"weights"


def test_another_recogniser_than_that_of_the_training_is_refused(small_corpus, config, recogniser, tmp_path):
    exp = tmp_path / "exp"
    assert make(small_corpus, config, exp, "--asr_exp", str(recogniser)) == 0
    asr = load_parts(exp / "config.yaml")["train"].asr
    for damage in (lambda path: write_text(path, "others"), Path.unlink):
        damage(checkpoint(exp / "asr"))
        with pytest.raises(
            SertkError, match="asr/checkpoints/best.pt: not the recogniser that .* was trained with; copy"
        ):
            load_pretrained(exp / "fold1" / "seed1", asr, "cpu")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--asr_exp names its experiment folder"),
        (["--asr_exp", "nowhere"], "nowhere/checkpoints/best.pt: no trained speech recogniser there"),
        (["--asr_exp", "RECOGNISER", "--set", "asr.layer=4"], "3 recurrent layers: no asr.layer 4"),
    ],
)
def test_what_is_missing_is_said(small_corpus, config, recogniser, tmp_path, capsys, options, message):
    given = [str(recogniser) if option == "RECOGNISER" else option for option in options]
    assert make(small_corpus, config, tmp_path / "exp", *given) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "exp").exists()
