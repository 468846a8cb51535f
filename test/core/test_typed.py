"""Values from YAML as the types that dataclasses ask for, and how types and values are named in errors."""

from dataclasses import dataclass, field
from typing import Literal, TypedDict

import pytest

from sertk.core.errors import SertkError
from sertk.core.typed import build, convert, describe, require, show


class Pair(TypedDict):
    left: list[str]
    right: int


@dataclass(frozen=True)
class Inner:
    size: int = 2


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner = field(default_factory=Inner)
    optional: Inner | None = None
    share: float = 0.5

    def __post_init__(self):
        require(self.inner.size < 5, "inner.size", "below 5")


@pytest.mark.parametrize(
    "hint, words",
    [
        (bool, "true or false"),
        (int, "a whole number"),
        (float, "a number"),
        (str, "text"),
        (dict, "a mapping"),
        (Inner, "a mapping"),
        (Literal["a", "b"], "one of a, b"),
        (tuple[int, ...], "a list of whole numbers"),
        (tuple[float, float], "two numbers"),
        (tuple[float, float, float], "3 numbers"),
        (list[list[str]], "a list of lists of texts"),
        (tuple[Literal["a", "b"], ...], "a list of names, each one of a, b"),
        (list[Pair], "a list of mappings"),
        (float | None, "a number or null"),
    ],
)
def test_types_are_said_in_words(hint, words):
    assert describe(hint) == words


@pytest.mark.parametrize(
    "hint, value, converted",
    [
        (float, 3, 3.0),
        (float, "1e-3", 0.001),  # which YAML 1.1 takes for text
        (float | None, None, None),
        (tuple[float, float], [1, "2e1"], (1.0, 20.0)),
        (tuple[int, ...], [], ()),
        (list[Pair], [{"left": ["x"], "right": 1}], [{"left": ["x"], "right": 1}]),
        (Inner | None, {"size": 3}, Inner(3)),
    ],
)
def test_values_are_converted(hint, value, converted):
    result = convert(hint, value, "file", "key")
    assert (result, type(result)) == (converted, type(converted))


@pytest.mark.parametrize(
    "hint, value, message",
    [
        (int, True, "key is true, expected a whole number"),
        (float, False, "key is false, expected a number"),
        (float, None, "key is null, expected a number"),
        (float, float("nan"), "key is nan, expected a number"),
        (float, float("inf"), "key is inf, expected a number"),
        (float, "1e999", "key is '1e999', expected a number"),
        (float, 10**400, f"key is 1{199 * '0'} ..., expected a number"),
        (int, 2.5, "key is 2.5, expected a whole number"),
        (bool, 1, "key is 1, expected true or false"),
        (int | None, "x", "key is 'x', expected a whole number or null"),
        (tuple[int, ...], 3, "key is 3, expected a list of whole numbers"),
        (tuple[int, ...], [21, "x"], "key: element 2 is 'x', expected a whole number"),
        (tuple[float, float], [1], "key is [1], expected two numbers"),
        (tuple[float, float], [1, True], "key: element 2 is true, expected a number"),
        (tuple[str, ...], ["a", "b", 7], "key: element 3 is 7, expected text (in quotes, if that is its name)"),
        (
            list[list[str]],
            [["a"], ["b", 3]],
            "key: element 2: element 2 is 3, expected text (in quotes, if that is its name)",
        ),
        (Literal["a", "b"], ["a"], "key is ['a'], expected one of a, b"),
        (list[Pair], [{"left": []}], "key: element 1 is {left: []}, expected a mapping with left and right"),
        (Pair, {"left": [], "right": "x"}, "key: right is 'x', expected a whole number"),
        (Inner, 3, "key: expected a mapping, got 3"),
        (Inner | None, {"size": "x"}, "key.size is 'x', expected a whole number"),
    ],
)
def test_values_of_other_types_are_refused(hint, value, message):
    with pytest.raises(SertkError) as error:
        convert(hint, value, "file", "key")
    assert str(error.value) == f"file: {message}"


@pytest.mark.parametrize(
    "data, message",
    [
        ({"name": "x", "inner": {"size": 7}}, "inner.size is 7, expected below 5"),
        ({"name": "x", "inner": {"weight": 7}}, "unknown key inner.weight (known: size)"),
        ({"share": 1}, "name is missing"),
    ],
)
def test_mistakes_name_the_place_of_their_key(data, message):
    with pytest.raises(SertkError) as error:
        build(Outer, data, lambda key: f"<{key}>")
    key = "name" if "missing" in message else "inner.weight" if "unknown" in message else "inner.size"
    assert str(error.value) == f"<{key}>: {message}"


def test_an_impossible_default_is_named_too():
    @dataclass(frozen=True)
    class Never:
        inner: Inner = field(default_factory=Inner)

        def __post_init__(self):
            require(False, "inner.size", "3")

    with pytest.raises(SertkError, match="^file: inner.size is 2, expected 3$"):
        build(Never, {}, "file")


def test_values_are_shown_as_yaml_has_them():
    value = {"a": (1, None), "b": [True, "x"], "c": Inner()}
    assert show(value) == "{a: [1, null], b: [true, 'x'], c: {size: 2}}"
