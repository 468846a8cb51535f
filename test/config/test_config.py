"""Configs: every shipped one builds; every mistake is named with its file and key."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sertk.config.loading import derive_tag, load_parts, parse_parts, parts_mapping
from sertk.config.schema import Normalise, differing_keys
from sertk.core.errors import SertkError
from sertk.models.base import Batch, FittedModel, Padded, Shape
from sertk.models.build import build_model, build_network
from sertk.models.registry import BlstmConfig

EGS = Path(__file__).resolve().parents[2] / "egs"
SHIPPED = sorted(path for path in EGS.glob("*/conf/*.yaml") if path.stem not in ("protocols", "published"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_every_shipped_config_builds_its_model(path):
    for config in load_parts(path).values():
        dims = 161 if config.task == "asr" else 70  # a recogniser needs enough for its convolutions
        if config.encoder:  # recipes fill in how many layers it has
            config = dataclasses.replace(config, encoder=dataclasses.replace(config.encoder, count=5))
        with torch.device("meta"):
            model = build_model(config, dict.fromkeys(config.streams, dims), 8)
        assert isinstance(model, FittedModel) or sum(weights.numel() for weights in model.parameters()) > 0


def test_the_attention_pooling_network_has_the_papers_sizes():
    config = load_parts(EGS / "common/conf/cnn_attpool.yaml")["train"]
    model = build_network(config.model, Shape({"spectrogram400": 400}, 4, config.segment.frames))
    assert sum(weights.numel() for weights in model.parameters()) == 93_573
    window = Padded(torch.zeros(1, 200, 400), torch.tensor([200]))
    with torch.no_grad():
        assert model.eval().maps(Batch(torch.arange(1), {"spectrogram400": window})).shape == (1, 80, 99, 49)
    rates = [config.optimiser.lr, *config.training.drops, config.training.max_epochs, config.training.batch_size]
    assert rates == [0.05, 21, 31, 41, 50, 64]


def test_the_shipped_network_has_the_papers_sizes():
    config = load_parts(EGS / "common/conf/blstm_capsule.yaml")["train"]
    assert (config.segment.frames, config.segment.decode_hop) == (91, 10)
    assert (config.model.lstm_units, config.model.lstm_layers, config.model.filters) == (256, 2, 90)
    assert (config.optimiser.name, config.optimiser.lr, config.training.batch_size) == ("adam", 1e-3, 128)
    assert config.training.max_epochs == 30


def test_base_overlay_and_settings_are_laid_over_each_other(tmp_path):
    (tmp_path / "base.yaml").write_text(
        "features: [fbank40]\nmodel: {name: blstm, lstm_units: 8}\ntraining: {max_epochs: 9, patience: 2}\n"
    )
    (tmp_path / "own.yaml").write_text("base: base.yaml\ntraining: {max_epochs: 8}\n")
    (tmp_path / "over.yaml").write_text("training: {patience: 3}\noptimiser: {lr: 1e-2}\n")
    config = load_parts(tmp_path / "own.yaml", ["model.lstm_units=16", "normalise=speaker"], tmp_path / "over.yaml")[
        "train"
    ]
    assert (config.training.max_epochs, config.training.patience) == (8, 3)
    assert config.model.lstm_units == 16
    assert config.optimiser.lr == 0.01  # which YAML 1.1 alone would read as text
    assert config.normalise == (Normalise(how="meanvar", scope="speaker"),)


def test_a_model_of_another_name_does_not_inherit_keys(tmp_path):
    (tmp_path / "base.yaml").write_text(
        "features: [x]\nmodel: {name: blstm_capsule, filters: 3}\nsegment: {frames: 91}\n"
    )
    (tmp_path / "own.yaml").write_text("base: base.yaml\nmodel: {name: blstm}\n")
    assert load_parts(tmp_path / "own.yaml")["train"].model == BlstmConfig("blstm")


def test_the_stored_mapping_reads_back_as_the_same_config(toy_config, tmp_path):
    parts = load_parts(toy_config)
    assert parse_parts(parts_mapping(parts), "stored") == parts


def test_steps_inherit_what_is_shared_and_keep_their_order(tmp_path):
    path = tmp_path / "steps.yaml"
    path.write_text(
        "features: [toy]\ntraining: {max_epochs: 2}\nsteps:\n"
        "  warm_up: {model: {name: blstm, lstm_units: 8}, training: {max_epochs: 1}}\n"
        "  classify: {init: warm_up, model: {name: blstm, lstm_units: 8}}\n"
    )
    parts = load_parts(path, ["steps.classify.training.patience=7"])
    assert list(parts) == ["warm_up", "classify"]
    assert [part.training.max_epochs for part in parts.values()] == [1, 2]
    assert parts["classify"].training.patience == 7
    assert parse_parts(parts_mapping(parts), "stored") == parts


MISTAKES = {
    "colour: red": "unknown key colour",
    "model: {name: blstm, colour: red}": "unknown key model.colour",
    "model: {name: perceptron}": "no model 'perceptron' (known: ae, blstm, blstm_capsule",
    "model: {lstm_units: 8}": "model.name is missing",
    "model: blstm": "model.yaml:1: model: expected a mapping with a name, got 'blstm'",
    "training: {max_epochs: many}": "training.max_epochs is 'many', expected a whole number",
    "training: {max_epochs: 0}": "training.max_epochs is 0, expected 1 or more",
    "training: {select: test_uar}": "expected one of valid_uar, valid_loss, valid_reconstruction, valid_cer, last",
    "training: 3": "training: expected a mapping",
    "optimiser: {lr: -1}": "optimiser.lr is -1.0, expected above 0",
    "optimiser: {betas: [0.9]}": "optimiser.betas",
    "normalise: [{scope: corpus}]": "normalise.scope is 'corpus', expected one of window, utterance, speaker, global",
    "normalise: [{scope: window}, {scope: global}]": "normalise",
    "normalise: window": "expected no scope window without segment",
    "optimiser: {lr: .inf}": "optimiser.lr is inf, expected a number",
    "optimiser: {name: sgd, nesterov: true}": "optimiser.nesterov is true, expected false without momentum",
    "steps: {a: b}": "steps.a: expected a mapping",
    "steps: {1: {}}": "steps.1: the part's name 1 is not text; put it in quotes",
    "steps: {null: {}}": "steps.None: the part's name null is not text; put it in quotes",
    "steps: {'': {}}": "steps.: '' names no folder",
    "steps: {../../other: {}}": "steps.../../other: '../../other' names no folder",
    "steps: {a/b: {}}": "steps.a/b: 'a/b' names no folder",
    "base: 3": "base is 3, expected a file's name",
    "model: {name: [a]}": "no model ['a']",
    "normalise: [{how: minmax, range: [1, 0]}]": "normalise.range",
    "features: []": "features is [], expected at least one feature type",
    "segment: {train_hop: 3}": "segment.frames is missing",
    "segment: {frames: true}": "segment.frames is true, expected a whole number",
    "model: {name: blstm, dropout: 1.0}": "model.dropout is 1.0, expected between 0 and 1",
    "base: nowhere.yaml": "nowhere.yaml: No such file",
    "base: model.yaml": "has this file among its own bases",
    "model: [": "not valid YAML",
    "init: nothing": "init",
}


@pytest.mark.parametrize("text, message", MISTAKES.items())
def test_mistakes_are_named(text, message, tmp_path):
    path = tmp_path / "model.yaml"
    own_keys = {line.partition(":")[0] for line in text.splitlines()}
    whole = {"features": "[toy]", "model": "{name: blstm}"}
    path.write_text(text + "\n" + "".join(f"{key}: {value}\n" for key, value in whole.items() if key not in own_keys))
    with pytest.raises(SertkError) as error:
        load_parts(path)
    assert message in str(error.value)
    assert str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("setting", ["max_epochs", "=3", "model..x=3", "features.x=1", "model.name=[", "base=x"])
def test_settings_that_are_none_are_refused(setting, toy_config):
    with pytest.raises(SertkError, match=re.escape(f"--set {setting}: ")):
        load_parts(toy_config, [setting])


def test_tags_are_file_names():
    assert derive_tag([]) == ""
    assert derive_tag(["training.max_epochs=3", "model.dropout=0.2"], "conf/fast.yaml") == "fast_max_epochs3_dropout0.2"
    assert "/" not in derive_tag(["x=../../etc"])


def test_reading_a_config_alone_needs_no_torch():
    code = "import sys, sertk.core.typed, sertk.config.loading; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_differing_keys_are_given_with_their_path():
    assert differing_keys({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4}) == ["a.c", "d"]
    assert differing_keys({None: 1, "a": 2}, {3: 4, "a": 2}) == ["3", "None"]


TWO_STEPS = """features: [toy]
steps:
  gmm: {model: {name: class_gmms}, extract: supervector}
  classifier: {features: [supervector], model: {name: svm}}
"""


@pytest.mark.parametrize(
    "old, new, message",
    [
        (
            "features: [toy]",
            "features: [toy]\nmodel: {cost: 2}",
            "model.cost: say of which part: steps.gmm.model.cost or",
        ),
        (
            "extract: supervector",
            "extract: vectors",
            "steps.gmm.extract: class_gmms has no layer 'vectors' (supervector,",
        ),
        (
            "gmm: {",
            "gmm: {features: [supervector], ",
            "steps.gmm.features: supervector is extracted later, by the part gmm",
        ),
        ("name: svm}", "name: class_gmms}, extract: supervector", "extracted by the part gmm already"),
    ],
)
def test_steps_that_do_not_fit_together_are_named(tmp_path, old, new, message):
    path = tmp_path / "steps.yaml"
    path.write_text(TWO_STEPS)
    assert list(load_parts(path)) == ["gmm", "classifier"]
    path.write_text(TWO_STEPS.replace(old, new))
    with pytest.raises(SertkError) as error:
        load_parts(path)
    assert message in str(error.value)


def test_a_config_holds_that_of_the_recogniser_in_its_loop():
    own = {"model": {"name": "deepspeech", "gru_units": 7}, "features": ["spectrogram161"], "task": "asr"}
    own["training"] = {"select": "valid_loss"}
    encoder = {"layer": 2, "in_loop": True, "digest": "0123", "source": own, "tokens": 29}
    data = {"model": {"name": "mean_pool"}, "features": ["encoder"], "encoder": encoder}
    config = parse_parts(data, "x.yaml")["train"]
    assert config.recogniser.model.gru_units == 7 and config.computed_type("encoder") == "spectrogram161"
    with pytest.raises(SertkError, match="x.yaml: encoder.source is 3, expected a mapping or null"):
        parse_parts({**data, "encoder": {**encoder, "source": 3}}, "x.yaml")
