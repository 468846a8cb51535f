"""Experiments on layers of an encoder: what the config resolves to, and which encoder or recogniser it is."""

import re
from pathlib import Path

import pytest
import torch
from test_experiment import make
from tiny_encoders import add_encoder

from sertk.bin import make_experiment
from sertk.config.loading import load_parts, parts_mapping
from sertk.config.normalise import Normalise
from sertk.core.errors import SertkError
from sertk.core.files import file_digest, read_yaml, write_json, write_text, write_yaml
from sertk.experiments.encoders import checkpoint, with_encoder
from sertk.inference.encoding import load_encoder_of

CONFIG = """features: [toy, encoder]
encoder: {layer: 2}
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
    (step,) = load_parts(config, ["encoder.layer=3"]).values()
    assert step.features == ("toy", "encoder") and step.streams == ("toy", "encoder:3")
    assert step.normalise_of("encoder:3") == (Normalise("meanvar", "global"),)
    assert step.normalise_of("toy") == (Normalise("meanvar", "utterance"),)
    (plain,) = load_parts(config, ["encoder.normalise=[]"]).values()
    assert plain.normalise_of("encoder:2") == () and plain.normalise_of("toy") == step.normalise
    stored = config.with_name("stored.yaml")
    write_yaml(stored, parts_mapping({"train": step}))
    assert load_parts(stored)["train"] == step


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("encoder: {layer: 2}\n", ""),
            "encoder is null, expected given, if and only if encoder is among the features",
        ),
        (("[toy, encoder]", "[toy]"), "expected given, if and only if"),
        (("layer: 2", "layer: 0"), "encoder.layer is 0, expected 1 or more, of a recogniser"),
        (("layer: 2", "layer: 2, unfreeze: [2]"), "encoder.unfreeze is .2., expected none, unless in_loop is true"),
        (("layer: 2", "layer: 2, in_loop: true, unfreeze: [3]"), "expected layers from 1 to 2"),
        (
            ("layer: 2}", "layer: 2, in_loop: true}\nsegment: {frames: 9}"),
            "encoder.in_loop is true, expected false, with segment",
        ),
        (
            (
                "layer: 2}\nnormalise: utterance\nmodel: {name: progressive}",
                "layer: 2, in_loop: true}\nmodel: {name: svm}",
            ),
            "encoder.in_loop is true, expected false, with svm",
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


@pytest.mark.parametrize("name, option", [("recogniser", r" \(--asr_exp DIR\)"), ("whisper_base", "")])
def test_a_config_without_its_encoder_says_what_fills_it_in(config, name, option):
    (step,) = load_parts(config, [f"encoder.name={name}"]).values()
    with pytest.raises(
        SertkError, match=f"which {name} is meant is not known; sertk-make-experiment fills it in{option}$"
    ):
        step.archive_name("encoder:2")


def test_what_is_needed_names_layer_and_recogniser(config, recogniser, capsys):
    ask = ["--config", str(config), "--plan"]
    assert make_experiment.main(ask) == 0
    planned = "tag \ndata feats/toy\nencoder recogniser\n"
    assert capsys.readouterr().out == planned
    assert make_experiment.main([*ask, "--with_encoder", "--asr_exp", str(recogniser)]) == 0
    digest = file_digest(checkpoint(recogniser), "sha256")[:12]
    assert capsys.readouterr().out == f"{planned}layers 2 none recogniser_{{layer}}_{digest}\n"
    several = [*ask, "--with_encoder", "--asr_exp", str(recogniser), "--set", "encoder.layer=all encoder.pool=meanstd"]
    assert make_experiment.main(several) == 0
    assert capsys.readouterr().out.endswith(f"layers 1,2,3 meanstd recogniser_{{layer}}_meanstd_{digest}\n")


def test_in_the_loop_no_archives_are_needed_and_the_config_says_what_the_recogniser_is(config, recogniser, capsys):
    write_text(config, CONFIG.replace("layer: 2", "layer: 2, in_loop: true"))
    assert (
        make_experiment.main(["--config", str(config), "--plan", "--with_encoder", "--asr_exp", str(recogniser)]) == 0
    )
    assert capsys.readouterr().out == "tag \ndata feats/toy\nencoder recogniser\n"
    (step,) = with_encoder(load_parts(config), recogniser).values()
    assert step.encoder.tokens == 28 and step.recogniser.model.gru_layers == 3
    assert step.streams == ("toy", "encoder")
    assert step.computed_type("encoder") == "spectrogram161" and step.computed_type("toy") is None
    assert step.normalise_of("encoder") == step.recogniser.normalise


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"normalise": "speaker"}, "not normalised per utterance alone: it cannot run with encoder.in_loop=true"),
        ({"task": "emotion", "model": {"name": "gru"}, "training": {}}, "gru is no speech recogniser"),
    ],
)
def test_what_cannot_run_in_the_loop_is_refused(config, recogniser, change, message):
    write_yaml(recogniser / "config.yaml", RECOGNISER | change)
    with pytest.raises(SertkError, match=message):
        with_encoder(load_parts(config, ["encoder.in_loop=true"]), recogniser)


def test_a_recogniser_that_is_normalised_per_speaker_has_no_layers(config, recogniser):
    write_yaml(recogniser / "config.yaml", RECOGNISER | {"normalise": "speaker"})
    with pytest.raises(SertkError, match="small_char: normalised per speaker, whom nobody knows"):
        with_encoder(load_parts(config), recogniser)


def test_the_experiment_keeps_the_recogniser_and_says_what_it_is(small_corpus, config, recogniser, tmp_path, capsys):
    exp = tmp_path / "exp"
    assert make(small_corpus, config, exp, "--asr_exp", str(recogniser)) == 0
    card = read_yaml(exp / "card.yaml")
    assert card["features"] == ["recogniser:2", "toy"]
    assert card["normalisation"] == "toy meanvar per utterance, recogniser:2 meanvar global"
    known = {"name": "recogniser", "experiment": "small_char", "train_hours": 0.41, "cer": {"test": 0.0235}}
    assert card["encoder"] == known
    assert checkpoint(exp / "asr").read_bytes() == b"weights"
    write_json(recogniser / "decode_other" / "results.json", {"cer": 0.5, "wer": 0.7})
    assert make(small_corpus, config, exp, "--asr_exp", str(recogniser)) == 0
    assert read_yaml(exp / "card.yaml")["encoder"]["cer"] == {"other": 0.5, "test": 0.0235}
    write_text(checkpoint(recogniser), "others")
    assert make(small_corpus, config, exp, "--asr_exp", str(recogniser)) == 1
    assert "other settings (encoder.digest)" in capsys.readouterr().err
    assert checkpoint(exp / "asr").read_bytes() == b"weights"


def test_another_recogniser_than_that_of_the_training_is_refused(small_corpus, config, recogniser, tmp_path):
    exp = tmp_path / "exp"
    assert make(small_corpus, config, exp, "--asr_exp", str(recogniser)) == 0
    encoder = load_parts(exp / "config.yaml")["train"].encoder
    for damage in (lambda path: write_text(path, "others"), Path.unlink):
        damage(checkpoint(exp / "asr"))
        with pytest.raises(
            SertkError, match="asr/checkpoints/best.pt: not the recogniser that .* was trained with; copy"
        ):
            load_encoder_of(encoder, exp / "fold1" / "seed1", "cpu")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--asr_exp names its experiment folder"),
        (["--asr_exp", "nowhere"], "nowhere/checkpoints/best.pt: no trained speech recogniser there"),
        (
            ["--asr_exp", "RECOGNISER", "--set", "encoder.layer=4"],
            "small_char: its last layer is 3: no encoder.layer 4",
        ),
    ],
)
def test_what_is_missing_is_said(small_corpus, config, recogniser, tmp_path, capsys, options, message):
    given = [str(recogniser) if option == "RECOGNISER" else option for option in options]
    assert make(small_corpus, config, tmp_path / "exp", *given) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "exp").exists()


LINEAR = """features: [encoder]
encoder: {name: tiny, layer: auto, pool: meanstd}
model: {name: linear}
"""


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """An encoder of three blocks in a cache of its own."""
    monkeypatch.setenv("SERTK_ENCODERS", str(tmp_path / "encoders"))
    return add_encoder()


@pytest.fixture
def linear(tmp_path):
    write_text(tmp_path / "linear.yaml", LINEAR)
    return tmp_path / "linear.yaml"


def planned(capsys, config, *settings):
    assert make_experiment.main(["--config", str(config), "--plan", "--with_encoder", "--set", " ".join(settings)]) == 0
    return capsys.readouterr().out.splitlines()[1:]


def test_the_plan_names_the_layers_of_an_encoder_of_the_cache(tiny, linear, config, capsys):
    digest = tiny.digest[:12]
    assert planned(capsys, linear) == ["encoder tiny", f"layers 0,1,2,3 meanstd tiny_{{layer}}_meanstd_{digest}"]
    frames = ("encoder.layer=[3,0]", "encoder.pool=none")
    assert planned(capsys, linear, *frames)[1] == f"layers 3,0 none tiny_{{layer}}_{digest}"
    loop = ("encoder.name=tiny", "encoder.layer=3", "encoder.in_loop=true")
    assert planned(capsys, config, *loop) == ["data feats/toy", "encoder tiny"]


def test_an_encoder_that_is_not_there_is_said_where_it_is_needed(linear, config, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SERTK_ENCODERS", str(tmp_path / "none"))
    ask = ["--config", str(linear), "--plan", "--set", "encoder.name=whisper_base"]
    assert make_experiment.main(ask) == 0
    assert capsys.readouterr().out == "tag namewhisper_base\nencoder whisper_base\n"
    assert make_experiment.main([*ask, "--with_encoder"]) == 1
    said = f"whisper_base is not in the cache {tmp_path}/none: run sertk-get-encoder whisper_base"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("settings", [["encoder.layer=4"], ["encoder.layer=[0, 4]"]])
def test_a_layer_that_an_encoder_has_not_is_refused(tiny, linear, settings):
    with pytest.raises(SertkError, match="^tiny: its last layer is 3: no encoder.layer 4$"):
        with_encoder(load_parts(linear, settings), None)


def test_what_is_known_of_an_encoder_is_filled_in(tiny, linear, config):
    (step,) = with_encoder(load_parts(linear), None).values()
    assert (step.encoder.digest, step.encoder.count, step.encoder.source) == (tiny.digest[:12], 3, None)
    assert step.streams == ("encoder:0", "encoder:1", "encoder:2", "encoder:3")
    assert step.archive_name("encoder:2") == f"tiny_2_meanstd_{tiny.digest[:12]}"
    loop = ["encoder={name: tiny, layer: 2, in_loop: true}"]
    (step,) = with_encoder(load_parts(config, loop), None).values()
    assert step.encoder.source == {"kind": "whisper", "sizes": {"dims": 8, "layers": 3, "heads": 2}}
    assert step.computed_type("encoder") == "log_mel80" and step.normalise_of("encoder") == ()


def test_the_card_names_the_encoder_and_its_licence(tiny, small_corpus, linear, tmp_path, capsys):
    exp = tmp_path / "exp"
    assert make(small_corpus, linear, exp) == 0
    card = read_yaml(exp / "card.yaml")
    assert card["features"] == ["tiny:auto"] and card["normalisation"] == "meanvar global"
    assert card["encoder"] == {"name": "tiny", "licence": "MIT"}
    assert card["selection"] == "none: fitted once"
    assert not (exp / "asr").exists()
    assert make(small_corpus, linear, exp) == 0
    add_encoder(seed=1)
    assert make(small_corpus, linear, exp) == 1
    assert "other settings (encoder.digest)" in capsys.readouterr().err


def test_other_weights_than_those_of_the_training_are_refused(tiny, small_corpus, linear, tmp_path):
    exp = tmp_path / "exp"
    assert make(small_corpus, linear, exp) == 0
    encoder, run = load_parts(exp / "config.yaml")["train"].encoder, exp / "fold1" / "seed1"
    assert load_encoder_of(encoder, run, torch.device("cpu")).layers == range(4)
    other = add_encoder(seed=1)
    message = (
        f"{run}: trained on tiny with the weights {tiny.digest[:12]}, {other.folder} has {other.digest[:12]}; "
        "sertk-get-encoder tiny --from PATH --force takes others"
    )
    with pytest.raises(SertkError, match=f"^{re.escape(message)}$"):
        load_encoder_of(encoder, run, torch.device("cpu"))
