"""YAML and JSON: what is no data, or cannot be walked through."""

import pytest
import yaml

from sertk.core.documents import parse_json, parse_yaml

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdef", "bcdefg")
)


@pytest.mark.parametrize(
    "text, data", [("", None), ("a: &x [1]\nb: *x\n", {"a": [1], "b": [1]}), ("a: &x {b: 1}\nc: {<<: *x}\n", None)]
)
def test_yaml_is_read_with_aliases(text, data):
    assert parse_yaml(text)[0] == (data or yaml.safe_load(text))


@pytest.mark.parametrize(
    "text, problem",
    [
        ("&a [*a]", "an alias stands for what it is in"),
        ("a: &a {b: {c: *a}}", "an alias stands for what it is in"),
        ("&a {<<: *a}", "an alias stands for what it is in"),
        (BOMB, "more than 100000 values"),
        ("[" * 2000, "too deep in each other"),
        ("day: 2024-13-45", "no valid timestamp"),
        ("size: 0b_", "no valid int"),
        ("size: !!int ''", "no valid int"),
        ("flag: !!bool x", "no valid bool"),
        ("day: !!timestamp x", "no valid timestamp"),
        ("size: " + "9" * 5000, "no valid int"),
    ],
)
def test_yaml_that_is_no_data_is_refused_with_what_is_wrong(text, problem):
    with pytest.raises(yaml.YAMLError, match=problem):
        parse_yaml(text)


@pytest.mark.parametrize("text", ["", "{", "NaN", "[-Infinity]", "1e999", "[" * 100_000, "9" * 5000, b"\xff"])
def test_json_that_is_no_data_is_refused(text):
    with pytest.raises(ValueError):
        parse_json(text)


def test_numbers_of_json_are_as_python_has_them():
    assert parse_json('[1, 1.5, -1e-3, true, "a"]') == [1, 1.5, -1e-3, True, "a"]
