"""What configs are put together from, YAML files with their bases and settings, and where each key was given."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sertk.config.schema import Optimiser
from sertk.core.documents import parse_yaml
from sertk.core.errors import SertkError
from sertk.core.files import PathLike, read_parsed
from sertk.core.typed import shorten

NAMED = {"model": None, "optimiser": Optimiser.name}  # mappings whose keys depend on their name, and its default


@dataclass(frozen=True)
class Source:
    """A mapping, and where its keys were given.

    `levels` are the files and settings that it was laid together from, the lowest first: of each {key path: place},
    such as {"training.drops": "conf/gru.yaml:7"}.
    """

    name: str  # which file it is, for errors where no key is known
    data: dict[str, Any]
    levels: tuple[dict[str, str], ...]

    def under(self, other: "Source") -> "Source":
        """This one with another Source laid over it."""
        return Source(self.name, merge(self.data, other.data), self.levels + other.levels)

    def rank(self, key: str) -> int:
        """The number of the highest level that gives a key itself; -1 where none does."""
        return max((number for number, places in enumerate(self.levels) if key in places), default=-1)

    def place(self, key: str) -> str:
        """Where a key was given, or what it is in: a file with the line, or a setting; of a part also what is shared.

        What follows a colon in a key, such as the number of a list's element, is left aside.
        """
        key = key.partition(":")[0]
        for name in enclosing(key):
            exact = [places.get(name) or (name == key and inside(places, name)) for places in self.levels]
            looser = [inside(places, name) for places in self.levels]
            for where in [*reversed(exact), *reversed(looser)]:
                if where:
                    return where
        return self.name


def inside(places: Mapping[str, str], name: str) -> str | None:
    """Where a setting gives something in the mapping `name`, as no level of settings has that by itself."""
    return next((where for key, where in places.items() if key.startswith(f"{name}.")), None)


def enclosing(key: str) -> Iterator[str]:
    """Yields a key path and those around it, each followed by its namesake among what the parts share."""
    while key:
        yield key
        if part := re.match(r"steps\.[^.]+\.(.+)", key):
            yield part[1]
        key = key.rpartition(".")[0]


def read_source(path: PathLike, heirs: tuple[Path, ...] = ()) -> Source:
    """The Source of a YAML file with its `base:` (relative to it) laid under it; `heirs` are the files on the way here.

    Raises SertkError for a file that holds no mapping, or is among its own bases.
    """
    data, lines = read_parsed(path, parse_with_lines, "YAML")
    if not isinstance(data, dict):
        raise SertkError(f"{path}: expected a mapping of keys to values")
    base = data.pop("base", None)
    own = Source(str(path), data, ({key: f"{path}:{line}" for key, line in lines.items()},))
    if base is None:
        return own
    if not isinstance(base, str):
        raise SertkError(f"{own.place('base')}: base is {base!r}, expected a file's name")
    base, heirs = Path(path).parent / base, (*heirs, Path(path).resolve())
    if base.resolve() in heirs:
        raise SertkError(f"{own.place('base')}: base: {base} has this file among its own bases")
    below = read_source(base, heirs)
    return Source(own.name, merge(below.data, own.data), below.levels + own.levels)


def read_names(path: PathLike) -> tuple[Any, dict[str, int]]:
    """What `parse_with_lines` gives of a YAML file in which all is names: `1`, `yes` or `1:30` are texts."""
    return read_parsed(path, lambda text: parse_with_lines(text, as_texts=True), "YAML")


def parse_with_lines(text: str, as_texts: bool = False) -> tuple[Any, dict[str, int]]:
    """The data of a YAML text, and the line of every key path: {"training.drops": 7}.

    Raises a YAMLError as `parse_yaml`, and for a key that a mapping has twice: YAML forbids it, and only the last
    would hold.
    """
    data, node = parse_yaml(text, as_texts)
    lines = {}
    for key, mark in key_marks(node):
        if key in lines:
            raise yaml.MarkedYAMLError(problem=f"{key} is there twice, first in line {lines[key]}", problem_mark=mark)
        lines[key] = mark.line + 1
    return data, lines


def key_marks(node: yaml.Node | None, prefix: str = "") -> Iterator[tuple[str, yaml.Mark]]:
    """Yields the key paths of nested mappings with their places."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield f"{prefix}{key.value}", key.start_mark
            yield from key_marks(value, f"{prefix}{key.value}.")


def merge(base: Mapping[str, Any], over: Mapping[str, Any], own: str | None = None) -> dict[str, Any]:
    """Mappings are merged key by key, anything else is replaced.

    A model or an optimiser whose `name` changes keeps nothing of what it had beside it; `own` is the key of the
    mappings themselves.
    """
    before, after = base.get("name", NAMED.get(own or "")), over.get("name")
    renamed = own in NAMED and before is not None and isinstance(after, str) and after != before
    merged = {} if renamed else dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value, key) if both else value
    return merged


def settings_source(settings: Iterable[str]) -> Source:
    """The Source of `key.key=value` strings, whose values are YAML, together: what they name holds in any order."""
    data, places = {}, {}
    for setting in settings:
        where = f"--set {shorten(setting)}"
        keys, equals, value = setting.partition("=")
        if not equals or not all(keys.split(".")):
            raise SertkError(f"{where}: expected key=value or key.key=value")
        try:
            nested, _ = parse_yaml(value)
        except yaml.YAMLError as error:
            problem = getattr(error, "problem", None) or error
            raise SertkError(f"{where}: the value is not valid YAML: {problem}") from error
        places.update(dict.fromkeys([keys, *leaves(nested, f"{keys}.")], where))
        for key in reversed(keys.split(".")):
            nested = {key: nested}
        data = joined(data, nested)
    return Source("--set", data, (places,))


def joined(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Two nested mappings as one; where both have a value, it is that of `other`."""
    both = {
        key: joined(one[key], other[key])
        for key in one.keys() & other.keys()
        if isinstance(one[key], dict) and isinstance(other[key], dict)
    }
    return one | other | both


def leaves(data: object, prefix: str = "") -> Iterator[str]:
    """Yields the key paths in nested mappings of what is no mapping."""
    for key, value in data.items() if isinstance(data, dict) else ():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"
