"""The section `encoder` of a config: which layers it takes, and what of it is impossible or changes nothing."""

import re

import pytest

from sertk.config.encoder import EncoderLayers
from sertk.config.loading import data_needed, encoder_of, feature_types, load_parts, parse_parts
from sertk.config.normalise import Normalise
from sertk.core.errors import SertkError
from sertk.core.files import write_text, write_yaml
from sertk.experiments.card import describe_normalisation

WHISPER = {"kind": "whisper", "sizes": {"dims": 8, "layers": 3, "heads": 2}}


def config_of(encoder, model="linear", features=("encoder",), **more):
    data = {"features": list(features), "encoder": encoder, "model": {"name": model}, **more}
    return parse_parts(data, "x.yaml")["train"]


@pytest.mark.parametrize(
    ("layer", "layers", "streams", "label"),
    [
        (0, (0,), ("encoder:0",), "tiny:0"),
        (3, (3,), ("encoder:3",), "tiny:3"),
        ([1, 3], (1, 3), ("encoder:1", "encoder:3"), "tiny:1+3"),
        ([3, 0], (3, 0), ("encoder:3", "encoder:0"), "tiny:3+0"),
        ("all", (0, 1, 2, 3), ("encoder:0", "encoder:1", "encoder:2", "encoder:3"), "tiny:all"),
        ("auto", (0, 1, 2, 3), ("encoder:0", "encoder:1", "encoder:2", "encoder:3"), "tiny:auto"),
    ],
)
def test_layers_are_numbers_lists_and_all_of_them(layer, layers, streams, label):
    config = config_of({"name": "tiny", "layer": layer, "count": 3, "digest": "0123"})
    assert config.encoder.layers == layers and config.streams == streams and config.taken == streams
    assert config.encoder.label == label
    assert config.features == ("encoder",)
    names = [config.archive_name(stream) for stream in config.streams]
    assert names == [f"tiny_{number}_0123" for number in layers]
    assert parse_parts(
        {"features": ["encoder"], "encoder": {"name": "tiny", "layer": layer}, "model": {"name": "linear"}}, "x"
    )


def test_another_encoder_is_taken_as_the_one_before_it(tmp_path):
    text = "features: [encoder]\nencoder: {name: tiny, layer: auto, pool: meanstd}\nmodel: {name: linear}\n"
    write_text(tmp_path / "x.yaml", text)
    encoder = load_parts(tmp_path / "x.yaml", ["encoder.name=whisper_base"])["train"].encoder
    assert encoder == EncoderLayers("whisper_base", "auto", "meanstd")


@pytest.mark.parametrize("layer", ["all", "auto"])
def test_how_many_all_layers_are_must_be_known(layer):
    config = config_of({"name": "whisper_base", "layer": layer})
    message = f"encoder.layer: {layer}: how many layers whisper_base has is not known yet"
    for owner, key in ((config, "streams"), (config.encoder, "layers")):
        with pytest.raises(SertkError, match=f"^{message}$"):
            getattr(owner, key)


def test_layers_of_a_recogniser_are_counted_from_1():
    assert config_of({"layer": "all", "count": 2}).encoder.layers == (1, 2)
    assert EncoderLayers().label == "recogniser:1"


def test_streams_stand_where_the_encoder_stands_among_the_features():
    config = config_of({"name": "tiny", "layer": [0, 2]}, features=["toy", "encoder", "own"])
    assert config.streams == ("toy", "encoder:0", "encoder:2", "own")
    assert config.archive_name("toy") == "toy"
    parts = {"train": config}
    assert feature_types(parts) == ["own", "tiny:0+2", "toy"]
    assert data_needed(parts) == ["feats/own", "feats/toy"] and encoder_of(parts) == config.encoder
    assert config.computed_type("encoder:0") is None and config.computed_type("toy") is None


def test_pooled_archives_are_called_so():
    config = config_of({"name": "tiny", "layer": 2, "pool": "meanstd", "digest": "abc"})
    assert config.archive_name("encoder:2") == "tiny_2_meanstd_abc"
    assert config.encoder.archive_name("{layer}") == "tiny_{layer}_meanstd_abc"


def test_layers_are_normalised_by_their_own_section():
    toy = {"features": ["toy", "encoder"], "normalise": "speaker"}
    assert config_of({"name": "tiny"}, **toy).normalise_of("encoder:1") == (Normalise("meanvar", "global"),)
    config = config_of({"name": "tiny", "normalise": "utterance"}, **toy)
    assert config.normalise_of("encoder:1") == (Normalise("meanvar", "utterance"),)
    assert config.normalise_of("toy") == (Normalise("meanvar", "speaker"),)
    assert config_of({"name": "tiny", "normalise": []}, **toy).normalise_of("encoder:1") == ()


@pytest.mark.parametrize(
    ("encoder", "features", "words"),
    [
        ({"name": "tiny"}, ["encoder"], "meanvar global"),
        ({"name": "tiny", "normalise": []}, ["encoder"], "none"),
        ({"name": "tiny"}, ["toy", "encoder"], "meanvar global"),
        (
            {"name": "tiny", "layer": "all", "normalise": []},
            ["toy", "encoder"],
            "toy meanvar global, tiny:all as it is",
        ),
        (
            {"name": "tiny", "layer": [1, 3], "normalise": [{"how": "mean", "scope": "speaker"}]},
            ["encoder", "toy"],
            "tiny:1+3 mean per speaker, toy meanvar global",
        ),
    ],
)
def test_cards_say_how_each_is_normalised(encoder, features, words):
    assert describe_normalisation(config_of(encoder, features=features)) == words


LAYERS = "a layer's number, a list of them, all (weighted by what is learnt) or auto (the model chooses)"
LOOP = {"name": "tiny", "layer": 2, "in_loop": True}


@pytest.mark.parametrize(
    ("encoder", "model", "message"),
    [
        ({"layer": -1}, "linear", f"encoder.layer is -1, expected {LAYERS}"),
        ({"layer": "best"}, "linear", f"encoder.layer is 'best', expected {LAYERS}"),
        ({"layer": 1.5}, "linear", f"encoder.layer is 1.5, expected {LAYERS}"),
        ({"layer": True}, "linear", f"encoder.layer is true, expected {LAYERS}"),
        ({"layer": None}, "linear", f"encoder.layer is null, expected {LAYERS}"),
        ({"layer": []}, "linear", f"encoder.layer is [], expected {LAYERS}"),
        ({"layer": [1, 1]}, "linear", f"encoder.layer is [1, 1], expected {LAYERS}"),
        ({"layer": [1, "all"]}, "linear", f"encoder.layer is [1, 'all'], expected {LAYERS}"),
        ({"layer": {}}, "linear", f"encoder.layer is {{}}, expected {LAYERS}"),
        ({"layer": 0}, "linear", "encoder.layer is 0, expected 1 or more, of a recogniser"),
        ({"layer": [2, 0]}, "linear", "encoder.layer is [2, 0], expected 1 or more, of a recogniser"),
        ({"name": ""}, "linear", "encoder.name is '', expected the name of an encoder"),
        ({"name": 3}, "linear", "encoder.name is 3, expected text"),
        ({"pool": "max"}, "linear", "encoder.pool is 'max', expected one of none, mean, meanstd"),
        ({"colour": 1}, "linear", "unknown key encoder.colour"),
        ({"normalise": [{"scope": "corpus"}]}, "linear", "encoder.normalise.scope is 'corpus', expected one of"),
        ({"layer": "auto"}, "mean_pool", "encoder.layer is 'auto', expected no auto, for mean_pool"),
        ({"layer": "auto"}, "progressive_lateral", "expected no auto, for progressive_lateral"),
        ({"unfreeze": [1]}, "mean_pool", "encoder.unfreeze is [1], expected none, unless in_loop is true"),
        (LOOP | {"unfreeze": [3]}, "mean_pool", "encoder.unfreeze is [3], expected layers from 1 to 2, the last one"),
        (LOOP | {"unfreeze": [0]}, "mean_pool", "encoder.unfreeze is [0], expected layers from 1 to 2, the last one"),
        (LOOP | {"pool": "meanstd"}, "mean_pool", "encoder.pool is 'meanstd', expected none, with in_loop"),
        (LOOP | {"layer": "auto"}, "linear", "encoder.layer is 'auto', expected no auto, with in_loop"),
        (LOOP, "linear", "encoder.in_loop is true, expected false, with linear"),
        (LOOP | {"normalise": "speaker"}, "mean_pool", "layers of an encoder that learns stay as they are"),
        (3, "linear", "encoder: expected a mapping, got 3"),
    ],
)
def test_what_is_impossible_is_refused(tmp_path, encoder, model, message):
    path = tmp_path / "x.yaml"
    write_yaml(path, {"features": ["encoder"], "encoder": encoder, "model": {"name": model}})
    with pytest.raises(SertkError, match=re.escape(message)) as error:
        load_parts(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_an_encoder_in_the_loop_is_one_stream_of_what_it_takes():
    config = config_of(LOOP | {"layer": "all", "source": WHISPER, "digest": "0", "count": 3}, "mean_pool")
    assert config.streams == ("encoder",) and config.encoder.layers == (0, 1, 2, 3)
    assert config.computed_type("encoder") == "log_mel80" and config.normalise_of("encoder") == ()
    assert config.recogniser is None
    wide = {"kind": "whisper", "sizes": WHISPER["sizes"] | {"mel_bins": 128}}
    assert config_of(LOOP | {"source": wide}, "mean_pool").computed_type("encoder") == "log_mel128"
    assert (
        config_of(LOOP | {"source": {"kind": "wavlm", "sizes": {}}}, "mean_pool").computed_type("encoder") == "waveform"
    )
    assert data_needed({"train": config}) == []


@pytest.mark.parametrize(
    "text",
    [
        "features: [asr]\nasr: {layer: 2}\nmodel: {name: mean_pool}\n",
        "features: [toy]\nsteps:\n  one: {features: [asr], asr: {layer: 2}, model: {name: mean_pool}}\n",
    ],
)
def test_the_section_asr_says_what_it_is_called_now(tmp_path, text):
    path = tmp_path / "old.yaml"
    write_text(path, text)
    key = "steps.one.asr" if "steps" in text else "asr"
    line = 3 if "steps" in text else 2
    said = f"{path}:{line}: {key} is called encoder now, and asr among the features encoder: "
    with pytest.raises(SertkError, match=re.escape(said + "`encoder: {name: recogniser, layer: 2}`") + "$"):
        load_parts(path)


def test_so_does_a_setting(tmp_path):
    write_text(tmp_path / "x.yaml", "features: [encoder]\nencoder: {layer: 2}\nmodel: {name: mean_pool}\n")
    with pytest.raises(SertkError, match="^--set asr.layer=3: asr is called encoder now"):
        load_parts(tmp_path / "x.yaml", ["asr.layer=3"])
