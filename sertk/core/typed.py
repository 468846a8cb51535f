"""Frozen dataclasses from YAML's mappings, every mistake named with its file and key."""

import dataclasses
import typing
from typing import Literal

import typeguard

from sertk.core.errors import SertkError


class Impossible(Exception):
    """A value of the right type that makes no sense; `build` turns it into a message with file and key."""


def require(condition, key, expected):
    """Used by the dataclasses to refuse an impossible value."""
    if not condition:
        raise Impossible(key, expected)


def build(cls, data, path, prefix=""):
    """A frozen dataclass from a mapping; `prefix` is the key path so far, for errors.

    A field may have a converter of its own, as metadata `convert`, which takes what `convert` takes.
    Raises SertkError with file and key for anything unknown, of a wrong type, or impossible.
    """
    if not isinstance(data, dict):
        raise SertkError(f"{path}: {prefix.rstrip('.')}: expected a mapping, got {data!r}")
    fields = {item.name: item for item in dataclasses.fields(cls)}
    hints = typing.get_type_hints(cls)
    for key in data:
        if key not in fields:
            raise SertkError(f"{path}: unknown key {prefix}{key} (known: {', '.join(fields)})")
    for key, item in fields.items():
        has_default = (item.default, item.default_factory) != (dataclasses.MISSING,) * 2
        if key not in data and not has_default:
            raise SertkError(f"{path}: {prefix}{key} is missing")
    values = {
        key: fields[key].metadata.get("convert", convert)(hints[key], value, path, prefix + key)
        for key, value in data.items()
    }
    try:
        return cls(**values)
    except Impossible as error:
        key, expected = error.args
        raise SertkError(f"{path}: {prefix}{key} is {values.get(key)!r}, expected {expected}") from error


def convert(hint, value, path, key):
    """A YAML value as the type `hint` asks for; raises SertkError when it is of another type."""
    nested = [arg for arg in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(arg)]
    if nested and value is not None:
        return build(nested[0], value, path, f"{key}.")
    value = as_float(hint, value)
    if typing.get_origin(hint) is tuple and isinstance(value, list):
        item_hint = typing.get_args(hint)[0]
        value = tuple(as_float(item_hint, item) for item in value)
    try:
        if isinstance(value, bool) and hint is not bool:  # which Python counts among the whole numbers
            raise typeguard.TypeCheckError("a boolean")
        return typeguard.check_type(value, hint)
    except typeguard.TypeCheckError as error:
        raise SertkError(f"{path}: {key} is {value!r}, expected {describe(hint)}") from error


def as_float(hint, value):
    """Whole numbers, and strings such as 1e-3 (which YAML 1.1 takes for text), as floats where floats are asked."""
    if hint is not float or isinstance(value, bool):
        return value
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def describe(hint):
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(str(name) for name in typing.get_args(hint))
    return getattr(hint, "__name__", str(hint)) if not typing.get_args(hint) else str(hint)
