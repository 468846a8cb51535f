"""Files with their bases, overlays and settings: what holds, and which of them an error names."""

from pathlib import Path

import pytest
import yaml

from sertk.config.loading import load_parts
from sertk.config.schema import Optimiser
from sertk.config.sources import merge, parse_with_lines, read_source, settings_source
from sertk.core.errors import SertkError

EGS = Path(__file__).resolve().parents[2] / "egs"
MODEL = """features: [toy]
model: {name: blstm}
optimiser: {name: sgd, lr: 0.05, momentum: 0.9, nesterov: true}
"""
PARTS = """features: [toy]
optimiser: {name: sgd, lr: 0.05, momentum: 0.9}
steps:
  first: {model: {name: blstm}}
  second:
    model: {name: blstm, lstm_units: 8}
    init: first
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "model.yaml"
    path.write_text(MODEL)
    return path


def optimisers(path, *settings, overlay=None):
    return [config.optimiser for config in load_parts(path, settings, overlay).values()]


@pytest.mark.parametrize(
    "given, expected",
    [
        ({"name": "adam"}, Optimiser()),
        ({"name": "adam", "lr": 0.5}, Optimiser(lr=0.5)),
        ({"lr": 0.5, "name": "adam"}, Optimiser(lr=0.5)),
        ({"name": "sgd"}, Optimiser("sgd", 0.05, momentum=0.9, nesterov=True)),
        ({"lr": 0.5}, Optimiser("sgd", 0.5, momentum=0.9, nesterov=True)),
    ],
)
def test_another_name_resets_its_siblings_wherever_it_is_given(config, tmp_path, given, expected):
    settings = [f"optimiser.{key}={value}" for key, value in given.items()]
    assert optimisers(config, *settings) == [expected]
    assert optimisers(config, f"optimiser={given}") == [expected]
    over, heir = tmp_path / "over.yaml", tmp_path / "heir.yaml"
    over.write_text(yaml.safe_dump({"optimiser": given}))
    assert optimisers(config, overlay=over) == [expected]
    heir.write_text(yaml.safe_dump({"base": config.name, "optimiser": given}))
    assert optimisers(heir) == [expected]


def test_the_optimiser_that_is_meant_without_a_name_is_adam(config):
    config.write_text("features: [toy]\nmodel: {name: blstm}\noptimiser: {lr: 0.5}\n")
    assert optimisers(config, "optimiser.name=adam") == [Optimiser(lr=0.5)]
    assert optimisers(config, "optimiser.name=sgd") == [Optimiser("sgd")]


def test_a_model_of_another_name_keeps_nothing_of_a_setting_before(config):
    config.write_text("features: [toy]\nmodel: {name: blstm_capsule, filters: 3}\nsegment: {frames: 91}\n")
    model = load_parts(config, ["model.lstm_units=4", "model.name=blstm"])["train"].model
    assert (model.name, model.lstm_units) == ("blstm", 4)


def test_names_within_and_above_the_parts(config):
    config.write_text(PARTS)
    sgd = Optimiser("sgd", 0.05, momentum=0.9)
    assert optimisers(config) == [sgd, sgd]
    assert optimisers(config, "optimiser.name=rmsprop") == [Optimiser("rmsprop")] * 2
    assert optimisers(config, "steps.second.optimiser.name=rmsprop") == [sgd, Optimiser("rmsprop")]
    assert optimisers(config, "steps.second.optimiser.lr=0.5") == [sgd, Optimiser("sgd", 0.5, momentum=0.9)]
    parts = load_parts(config, ["steps.second.model.name=lstm"])
    assert (parts["first"].model.name, parts["second"].model.lstm_units) == ("blstm", 128)


def test_lists_are_replaced_and_a_key_called_name_need_not_be_one():
    assert merge({"a": [1, 2], "name": {"x": 1}, "b": 2}, {"a": [3], "name": {"y": 2}}) == {
        "a": [3],
        "name": {"x": 1, "y": 2},
        "b": 2,
    }


def test_settings_of_one_call_hold_together():
    settings = ["model.dropout=0.2", "model={name: blstm}", "features=[a]", "features=[b, c]"]
    assert settings_source(settings).data == {"model": {"dropout": 0.2, "name": "blstm"}, "features": ["b", "c"]}


def named(path, settings=(), overlay=None):
    with pytest.raises(SertkError) as error:
        load_parts(path, settings, overlay)
    return str(error.value)


def test_an_error_names_the_setting_the_overlay_or_the_base(config, tmp_path):
    heir, over = tmp_path / "heir.yaml", tmp_path / "over.yaml"
    heir.write_text(f"base: {config.name}\ntraining:\n  max_epochs: 9\n")
    over.write_text("# mine\ntraining:\n  patience: 7\n\n  drops: 5\n")
    wrong = "training.drops is {}, expected a list of whole numbers"
    assert named(heir, overlay=over) == f"{over}:5: {wrong.format(5)}"
    assert named(heir, ["training.drops=3"], over) == f"--set training.drops=3: {wrong.format(3)}"
    assert named(heir, ["training={drops: 3}"]) == "--set training={drops: 3}: " + wrong.format(3)
    element = "training.drops: element 2 is 'x', expected a whole number"
    assert named(heir, ["training.drops=[21,x]"]) == f"--set training.drops=[21,x]: {element}"
    config.write_text(MODEL + "training: {drops: [3, x]}\n")
    assert named(heir) == f"{config}:4: {element}"
    heir.write_text(f"base: {config.name}\ntraining:\n  epochs: 9\n")
    assert named(heir).startswith(f"{heir}:3: unknown key training.epochs (known: batch_size,")
    heir.write_text("base: heir.yaml\n")
    assert named(heir) == f"{heir}:1: base: {heir} has this file among its own bases"


def test_what_is_missing_is_missing_where_the_rest_is(config):
    assert named(config, ["segment.train_hop=3"]) == "--set segment.train_hop=3: segment.frames is missing"
    config.write_text(MODEL + "segment:\n  jitter: false\n")
    assert named(config, ["segment.train_hop=3"]) == f"{config}:4: segment.frames is missing"
    config.write_text("model: {name: blstm}\n")
    assert named(config) == f"{config}: features is missing"


def test_a_model_that_is_no_mapping_is_named_by_the_setting(config):
    with pytest.raises(SertkError, match="^--set model=gru: model: expected a mapping with a name, got 'gru'"):
        load_parts(config, ["model=gru"])


def test_a_part_names_its_own_key_or_the_one_it_shares(config):
    config.write_text(PARTS + "    training: {max_epochs: 0}\n")
    wrong = "training.max_epochs is 0, expected 1 or more"
    assert named(config) == f"{config}:8: steps.second.{wrong}"
    config.write_text(PARTS)
    assert named(config, ["training.max_epochs=0"]) == f"--set training.max_epochs=0: steps.first.{wrong}"


@pytest.mark.parametrize("path", sorted(EGS.glob("*/conf/*.yaml")), ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_reading_with_lines_reads_what_yaml_does(path):
    text = path.read_text()
    data, lines = parse_with_lines(text)
    assert data == yaml.safe_load(text)
    for key, line in lines.items():
        assert key.rpartition(".")[2] in text.splitlines()[line - 1]


def test_a_key_that_is_there_twice_is_refused(tmp_path):
    path = tmp_path / "twice.yaml"
    path.write_text("model:\n  name: blstm\n  hidden: 8\n  hidden: 16\n")
    with pytest.raises(SertkError, match=r"twice.yaml: .*model.hidden is there twice, first in line 3 .*line 4"):
        read_source(path)


def test_a_yaml_file_may_neither_refer_to_itself_nor_be_code(tmp_path):
    path = tmp_path / "odd.yaml"
    path.write_text("a: &a\n  b: *a\n  c: 1\n")
    assert named(path).startswith(f"{path}: not valid YAML: an alias stands for what it is in")
    path.write_text("a: !!python/name:os.system\n")
    assert "not valid YAML" in named(path)


@pytest.mark.parametrize("value", ["&a [*a]", "{x: &a {y: *a}}"])
def test_a_setting_may_not_refer_to_itself(config, value):
    wrong = f"--set features={value}: the value is not valid YAML: an alias stands for what it is in"
    assert named(config, [f"features={value}"]) == wrong


def test_a_long_setting_is_not_said_in_full(config):
    said = named(config, ["training.max_epochs=" + 3000 * "x"])
    assert said.startswith("--set training.max_epochs=xxx") and len(said) < 600


@pytest.mark.parametrize("steps", ["steps=[1]", "steps=3"])
def test_steps_that_are_no_mapping_are_refused(config, steps):
    assert named(config, [steps]).endswith("steps: expected a mapping of part names to configs")
