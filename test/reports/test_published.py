from pathlib import Path

import pytest
import yaml

from sertk.core.errors import SertkError
from sertk.reports.published import PublishedFigure, read_published

RECIPES = Path(__file__).resolve().parents[2] / "egs"
TABLE = {
    "source": "Doe 2019, Table 3",
    "corpus": "ravdess",
    "label_set": "8",
    "protocol": "random75",
    "metric": "UA",
    "taken_for": "accuracy",
}
CARD = {
    "corpus": "ravdess",
    "label_set": "8",
    "protocol": "random75",
    "model": "blstm_capsule",
    "features": ["fbank128"],
}


def figure(**changes):
    return PublishedFigure(**{**TABLE, "system": "Proposed", "value": 69.4, "model": "blstm_capsule"} | changes)


def test_matching():
    assert figure().matches(CARD)
    assert figure(features=("fbank128",)).matches(CARD)
    assert not figure(features=("mfcc_pitch",)).matches(CARD)
    assert not figure(features=("fbank128", "mfcc_pitch")).matches(CARD)
    assert figure().matches(CARD | {"normalisation": "meanvar per speaker"})
    for key, value in {"corpus": "mini", "label_set": "2", "protocol": "si", "model": "blstm"}.items():
        assert not figure().matches(CARD | {key: value}), key
    assert not figure().matches(CARD | {"subset": "improvised"})
    assert figure(subset="improvised").matches(CARD | {"subset": "improvised"})


def test_a_reference_matches_nothing():
    without = {key: value for key, value in CARD.items() if key != "model"}
    assert not figure(model=None).matches(CARD)
    assert not figure(model=None).matches(without)


def read(tmp_path, content):
    path = tmp_path / "published.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return read_published(path)


def test_a_table_speaks_for_its_rows(tmp_path):
    rows = [
        {"system": "A", "value": 60},
        {"system": "B", "value": 61.5, "sd": 0.2, "model": "blstm", "features": ["mfcc_pitch"], "metric": "WA"},
    ]
    first, second = read(tmp_path, [TABLE | {"rows": rows}])
    assert first == figure(system="A", value=60.0, model=None)
    changes = {"system": "B", "value": 61.5, "sd": 0.2, "model": "blstm", "features": ("mfcc_pitch",)}
    assert second == figure(**changes, metric="WA")


A = {"system": "A", "value": 60}
BAD = [
    ({}, "expected a list of tables, got dict"),
    ([TABLE], "table 1: expected a mapping with `rows`, a list"),
    (["rows"], "table 1: expected a mapping with `rows`, a list"),
    ([TABLE | {"rows": [A, "B"]}], "table 1, row 2: expected a mapping, got 'B'"),
    ([TABLE | {"rows": [A, A | {"sytem": "B"}]}], r"table 1, row 2: unknown key sytem \(known: system, "),
    (
        [TABLE | {"rows": [], "matric": "UA"}, TABLE | {"rows": [A], "matric": "UA"}],
        "table 2, row 1: unknown key matric",
    ),
    ([TABLE | {"rows": [{"system": "A"}]}], "table 1, row 1: value is missing"),
    ([TABLE | {"rows": [A | {"value": "60 %"}]}], "table 1, row 1: value is '60 %', expected a number"),
    ([TABLE | {"rows": [A | {"value": 101}]}], "table 1, row 1: value is 101.0, expected percent, 0 to 100"),
    ([TABLE | {"rows": [A | {"value": float("nan")}]}], "table 1, row 1: value is nan, expected a number"),
    ([TABLE | {"rows": [A | {"sd": -1.0}]}], "table 1, row 1: sd is -1.0, expected 0 or more"),
    ([TABLE | {"rows": [A | {"label_set": 8}]}], "table 1, row 1: label_set is 8, expected text"),
    ([TABLE | {"rows": [A | {"taken_for": "UA"}]}], "taken_for is 'UA', expected one of uar, accuracy, macro_f1"),
    ([TABLE | {"rows": [A | {"features": "mfcc"}]}], "features is 'mfcc', expected a list of texts"),
    ([TABLE | {"rows": [A | {"features": ["mfcc"]}]}], "features is .*, expected none without a model"),
    ([TABLE | {"rows": [A]}, TABLE | {"rows": [A]}], "table 2, row 1: A is there already: table 1, row 1"),
    ("- [", "published.yaml: not valid YAML"),
]


@pytest.mark.parametrize("content, message", BAD)
def test_bad_files(tmp_path, content, message):
    with pytest.raises(SertkError, match=message) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(str(tmp_path / "published.yaml"))


def test_one_system_in_several_tasks(tmp_path):
    assert len(read(tmp_path, [TABLE | {"rows": [A, A | {"label_set": "2"}, A | {"source": "Roe 2020"}]}])) == 3


def values(recipe, source, **task):
    figures = read_published(RECIPES / recipe / "conf/published.yaml")
    found = [each for each in figures if source in each.source]
    assert found
    return {
        each.system: each.value for each in found if all(getattr(each, key) == value for key, value in task.items())
    }


def test_shipped_figures_of_ravdess():
    eight = values("ravdess", "Jalal et al. 2019, Table 3", protocol="random75", label_set="8")
    two = values("ravdess", "Jalal et al. 2019, Table 3", protocol="random75", label_set="2")
    assert list(eight) == list(two) and len(eight) == 9
    assert (sum(eight.values()), sum(two.values())) == pytest.approx((417.5, 632.6))
    assert (eight["Feature* + Proposed"], two["FB128 + Proposed"]) == (69.4, 73.9)
    assert values("ravdess", "Table 2", protocol="si", label_set="8") == {
        "Feature* + Proposed": 56.2,
        "FB128 + Proposed": 50.1,
        "COVAREP + LSTM": 41.2,
    }
    assert list(values("ravdess", "Table 2", protocol="si", label_set="2").values()) == [70.4, 66.3]
    assert len(values("ravdess", "EmoBox", protocol="emobox", taken_for="uar", model=None)) == 6


def test_shipped_figures_of_fau_aibo():
    sums = {("2", "mont_ohm"): 551.7, ("2", "ohm_mont"): 558.4, ("5", "mont_ohm"): 395.9, ("5", "ohm_mont"): 447.6}
    for (labels, protocol), total in sums.items():
        column = values("fau_aibo", "Table 1", label_set=labels, protocol=protocol)
        assert len(column) == 8 and sum(column.values()) == pytest.approx(total), (labels, protocol)
    assert values("fau_aibo", "Table 4", protocol="random75", label_set="2", sd=0.2) == {"Feature* + Proposed": 77.6}


@pytest.mark.parametrize("recipe", ["ravdess", "fau_aibo"])
def test_shipped_figures_are_of_the_recipe(recipe):
    figures = read_published(RECIPES / recipe / "conf/published.yaml")
    assert {each.corpus for each in figures} == {recipe}
    assert {each.taken_for for each in figures if each.source.startswith("Jalal")} == {"accuracy"}
    protocols = yaml.safe_load((RECIPES / recipe / "conf/protocols.yaml").read_text())
    shared = yaml.safe_load((RECIPES / "common/conf/protocols.yaml").read_text())
    assert {each.protocol for each in figures} <= set(protocols) | set(shared)


def test_names_that_yaml_takes_for_numbers_are_to_be_put_in_quotes(tmp_path):
    with pytest.raises(SertkError) as caught:
        read(tmp_path, [TABLE | {"label_set": 8, "rows": [{"system": "A", "value": 60}]}])
    place = f"{tmp_path}/published.yaml: table 1, row 1"
    assert str(caught.value) == f"{place}: label_set is 8, expected text (in quotes, if that is its name)"
