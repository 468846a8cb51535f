"""Frozen dataclasses from YAML's mappings, every mistake named with its file and key."""

import contextlib
import dataclasses
import datetime
import math
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from sertk.core.errors import SertkError
from sertk.core.files import PathLike


class Dataclass(Protocol):
    """What every dataclass is."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


D = TypeVar("D", bound=Dataclass)
LONGEST = 200  # characters of what is shown in an error
Where = PathLike | Callable[[str], str]  # of a file, or of a key

WORDS = {  # of one value, of several
    bool: ("true or false", "values true or false"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("text", "texts"),
    dict: ("a mapping", "mappings"),
}


class Impossible(Exception):
    """A value of the right type that makes no sense; `build` turns it into a message with file and key."""


def require(condition: object, key: str, expected: str) -> None:
    """Used by the dataclasses to refuse an impossible value; `key` may be one of a nested dataclass, `field.key`."""
    if not condition:
        raise Impossible(key, expected)


def mistake(path: Where, key: str, what: str) -> SertkError:
    """The SertkError that says `what` of a key is wrong.

    `path` is what errors begin with, a file's name, or a function that gives it for a key.
    """
    return SertkError(f"{place(path, key)}{': ' if key else ''}{key}{what}")


def place(path: Where, key: str) -> PathLike:
    """Where a key was given, as errors name it."""
    return path(key) if callable(path) else path


def build(cls: type[D], data: object, path: Where, prefix: str = "") -> D:
    """A frozen dataclass from a mapping; `prefix` is the key path so far, `path` as of `mistake`.

    A field may have a converter of its own, as metadata `convert`, which takes what `convert` takes.
    Raises SertkError with file and key for anything unknown, of a wrong type, or impossible.
    """
    if not isinstance(data, dict):
        raise mistake(path, prefix.rstrip("."), f": expected a mapping, got {show(data)}")
    fields = {item.name: item for item in dataclasses.fields(cls)}
    hints = typing.get_type_hints(cls)
    for key in data:
        if key not in fields:
            key = f"{prefix}{key}"
            raise SertkError(f"{place(path, key)}: unknown key {key} (known: {', '.join(fields)})")
    for key, item in fields.items():
        if key not in data and default_of(item) is dataclasses.MISSING:
            raise mistake(path, prefix + key, " is missing")
    values = {
        key: fields[key].metadata.get("convert", convert)(hints[key], value, path, prefix + key)
        for key, value in data.items()
    }
    try:
        return cls(**values)
    except Impossible as error:
        key, expected = error.args
        first, *rest = key.split(".")
        value = values[first] if first in values else default_of(fields[first])
        for name in rest:
            value = getattr(value, name)
        raise mistake(path, prefix + key, f" is {show(value)}, expected {expected}") from error


def default_of(item: dataclasses.Field[Any]) -> Any:
    """The default of a dataclass's field; MISSING where it has none."""
    return item.default if item.default_factory is dataclasses.MISSING else item.default_factory()


def convert(hint: Any, value: Any, path: Where, key: str) -> Any:
    """A YAML value as the type `hint` asks for; raises SertkError when it, or an element of it, is of another type."""
    expected = describe(hint)
    if is_union(hint):
        members = [member for member in typing.get_args(hint) if member is not type(None)]
        if value is None and len(members) < len(typing.get_args(hint)):
            return None
        *others, hint = members
        for member in others:
            with contextlib.suppress(SertkError):
                return convert(member, value, path, key)
    origin = typing.get_origin(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return build(hint, value, path, f"{key}.")
    if typing.is_typeddict(hint):
        return convert_keys(typing.get_type_hints(hint), value, path, key)
    if origin in (list, tuple):
        if not isinstance(value, (list, tuple)) or len(value) != (wanted_length(hint) or len(value)):
            raise mistake(path, key, f" is {show(value)}, expected {expected}")
        each = typing.get_args(hint)[0]
        return origin(convert(each, item, path, f"{key}: element {number}") for number, item in enumerate(value, 1))
    converted = as_float(value) if hint is float else value
    if not is_a(hint, converted):
        raise mistake(path, key, f" is {show(value)}, expected {expected}{quotes_for(value) if hint is str else ''}")
    return converted


def quotes_for(value: object) -> str:
    """What to do with a value in the place of a name where YAML has it in one word: `1`, `yes`, `null`, a date."""
    return "" if isinstance(value, (dict, list, tuple)) else " (in quotes, if that is its name)"


def is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def convert_keys(hints: Mapping[str, Any], value: object, path: Where, key: str) -> dict[str, Any]:
    """A mapping that has exactly the keys of `hints`, each of its type."""
    if not isinstance(value, dict) or set(value) != set(hints):
        raise mistake(path, key, f" is {show(value)}, expected a mapping with {' and '.join(hints)}")
    return {name: convert(hint, value[name], path, f"{key}: {name}") for name, hint in hints.items()}


def wanted_length(hint: Any) -> int | None:
    """How many elements a list is to have; None: any number."""
    arguments = typing.get_args(hint)
    return None if typing.get_origin(hint) is list or arguments[-1] is Ellipsis else len(arguments)


def as_float(value: Any) -> Any:
    """Whole numbers, and strings such as 1e-3 (which YAML 1.1 takes for text), as floats; others as they are."""
    if isinstance(value, bool):
        return value
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return value


def is_a(hint: Any, value: object) -> bool:
    """Whether a value that is no list is of a type."""
    if typing.get_origin(hint) is Literal:
        return value in typing.get_args(hint)
    if typing.get_origin(hint) is dict:
        return isinstance(value, dict)
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))  # Python's booleans are numbers


def describe(hint: Any, many: bool = False) -> str:
    """A type in words: "a list of whole numbers"; with `many` several of it, as they stand in a list."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if is_union(hint):
        return " or ".join("null" if argument is type(None) else describe(argument, many) for argument in arguments)
    if origin is Literal:
        return f"{'names, each ' if many else ''}one of {', '.join(map(str, arguments))}"
    if origin in (list, tuple):
        number = wanted_length(hint)
        if number is None:
            return f"{'lists' if many else 'a list'} of {describe(arguments[0], True)}"
        return f"{'lists of ' if many else ''}{'two' if number == 2 else number} {describe(arguments[0], True)}"
    return WORDS.get(hint, WORDS[dict])[many]


def shorten(text: str) -> str:
    """A text for an error, of a long one the beginning."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def show(value: object) -> str:
    """A value as YAML has it, of what is long the beginning."""
    return shorten(_in_full(value))


def _in_full(value):
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _in_full(dataclasses.asdict(value))
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_in_full(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_in_full, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value) if isinstance(value, datetime.date) else repr(value)
