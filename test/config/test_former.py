"""What was stored before version 0.3, read in today's words."""

import pytest
from former_words import former_card, former_config, former_task

from sertk.config.former import current_card, current_config, current_export, current_stream
from sertk.config.loading import load_parts, parse_parts, parts_mapping
from sertk.config.schema import to_mapping
from sertk.core.errors import SertkError
from sertk.core.files import write_yaml

OLD = {
    "features": ["own", "asr:2"],
    "asr": {"layer": 2, "in_loop": False, "unfreeze": [], "network": "0123", "source": None, "tokens": None},
    "model": {"name": "progressive"},
    "normalise": [{"how": "meanvar", "scope": "utterance"}],
}
OWN = {
    "task": "asr",
    "asr": None,
    "features": ["spectrogram161"],
    "model": {"name": "deepspeech"},
    "training": {"select": "valid_cer"},
}


def test_a_layer_of_a_recogniser_stays_as_it_is():
    config = parse_parts(current_config(OLD), "x")["train"]
    assert config.features == ("own", "encoder") and config.streams == ("own", "encoder:2")
    assert (config.encoder.name, config.encoder.layer, config.encoder.digest) == ("recogniser", 2, "0123")
    assert config.normalise_of("encoder:2") == () and config.normalise_of("own") == config.normalise
    assert OLD["features"] == ["own", "asr:2"]  # what is given is left alone


def test_a_recogniser_in_the_loop_keeps_its_config():
    loop = {"layer": 3, "in_loop": True, "unfreeze": [2, 3], "network": "0123", "source": OWN, "tokens": 29}
    config = parse_parts(current_config({**OLD, "features": ["asr:3", "own"], "asr": loop}), "x")["train"]
    assert config.features == config.streams == ("encoder", "own")
    assert (config.encoder.unfreeze, config.encoder.tokens) == ((2, 3), 29)
    assert config.recogniser.model.name == "deepspeech" and config.computed_type("encoder") == "spectrogram161"


def test_configs_without_a_recogniser_are_what_they_were():
    plain = {"features": ["own"], "asr": None, "model": {"name": "blstm"}, "normalise": [{"scope": "speaker"}]}
    current = current_config(plain)
    assert current == {key: value for key, value in plain.items() if key != "asr"}
    steps = {"steps": {"one": plain, "two": OLD}}
    assert current_config(steps) == {"steps": {"one": current, "two": current_config(OLD)}}


def test_there_and_back_is_the_same():
    config = parse_parts(current_config(OLD), "x")["train"]
    assert parse_parts(current_config(former_config(to_mapping(config))), "x")["train"] == config
    assert current_config(to_mapping(config)) == to_mapping(config)  # today's is left alone


def test_a_stored_config_is_read_and_one_of_a_user_is_not(tmp_path):
    parts = parse_parts(current_config(OLD), "x")
    write_yaml(tmp_path / "config.yaml", former_config(parts_mapping(parts)))
    with pytest.raises(SertkError, match=r"config.yaml:\d+: asr is called encoder now"):
        load_parts(tmp_path / "config.yaml")
    write_yaml(tmp_path / "card.yaml", {"corpus": "toy"})
    assert load_parts(tmp_path / "config.yaml") == parts
    assert load_parts(tmp_path / "config.yaml", ["training.max_epochs=3"])["train"].training.max_epochs == 3


@pytest.mark.parametrize(
    ("old", "new", "in_loop"),
    [
        ("asr", "encoder", False),
        ("asr:2", "encoder:2", False),
        ("asr:2", "encoder", True),
        ("own", "own", True),
        ("asr_like", "asr_like", False),
        ("encoder:1", "encoder:1", False),
    ],
)
def test_streams(old, new, in_loop):
    assert current_stream(old, in_loop) == new


def test_cards():
    old = {
        "corpus": "toy",
        "features": ["asr:2", "mfcc13_pitch"],
        "normalisation": "meanvar per speaker, asr:2 as it is",
        "asr": {"experiment": "small_char", "train_hours": 0.41, "cer": {"test": 0.0235}},
    }
    new = current_card(old)
    assert new["features"] == ["mfcc13_pitch", "recogniser:2"]
    assert new["normalisation"] == "meanvar per speaker, recogniser:2 as it is"
    assert new["encoder"] == {
        "name": "recogniser",
        "experiment": "small_char",
        "train_hours": 0.41,
        "cer": {"test": 0.0235},
    }
    assert "asr" not in new and "asr" in old
    assert current_card(new) == new and former_card(new) == old
    plain = {"corpus": "asr", "features": ["asr_like", "fbank40"], "normalisation": "none"}
    assert current_card(plain) == plain


@pytest.mark.parametrize("in_loop", [False, True])
def test_what_a_checkpoint_says_of_its_model(in_loop):
    encoder = {"layer": 2, "in_loop": in_loop, "normalise": [], "digest": "0123"}
    if in_loop:
        encoder |= {"source": to_mapping(parse_parts(current_config(OWN), "x")["train"]), "tokens": 29}
        del encoder["normalise"]
    config = parse_parts({**current_config(OLD), "encoder": encoder}, "x")["train"]
    stream = "encoder" if in_loop else "encoder:2"
    task = {
        "config": to_mapping(config),
        "classes": ["a", "b"],
        "dims": {"own": 12, stream: 5},
        "normalisers": {"own": {0: {}}, stream: {}},
        "feature_options": {"own": None, **({stream: {"extractor": "spectrogram"}} if in_loop else {})},
    }
    old = former_task(task)
    assert set(old["dims"]) == {"own", "asr:2"} and old["config"]["features"] == ["own", "asr:2"]
    current = current_export(old)
    for key in ("classes", "dims", "normalisers", "feature_options"):
        assert current[key] == task[key]
    assert parse_parts(current["config"], "x")["train"].streams == ("own", stream)
    assert current_export(task) == task
