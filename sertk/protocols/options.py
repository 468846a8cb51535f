"""protocols.yaml: which rule a protocol has, and the options that it gives the rule."""

import inspect
from typing import Any

from sertk.config.sources import Source, read_source
from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.core.typed import convert, show
from sertk.protocols.rules import RULES


def protocol_names(config: PathLike) -> list[str]:
    """The sorted names of the protocols in a protocols.yaml."""
    return sorted(read_protocols(config).data)


def read_protocols(config: PathLike) -> Source:
    """The Source of a protocols.yaml; raises SertkError for a name that YAML does not take for text."""
    protocols = read_source(config)
    for name in protocols.data:
        if not isinstance(name, str):
            raise SertkError(f"{protocols.place(str(name))}: the protocol name {name!r} is not text; put it in quotes")
    return protocols


def load_protocol(config: PathLike, name: str, **overrides: int | None) -> tuple[str, dict[str, Any], str | None]:
    """The (rule, options, source) of the protocol `name` in a protocols.yaml.

    `overrides` (repeats, seed) replace options that the rule has; the others are left out. Raises
    SertkError for an unknown protocol, rule or option and for options of a wrong type.
    """
    protocols = read_protocols(config)
    if name not in protocols.data:
        there = ", ".join(sorted(protocols.data)) or "none"
        raise SertkError(f"{config}: no protocol '{name}'; there are: {there}")
    options, where = protocols.data[name], protocols.place(name)
    if not isinstance(options, dict):
        raise SertkError(f"{where}: {name}: expected a rule and its options, got {show(options)}")
    options = dict(options)
    rule, source = options.pop("rule", None), options.pop("source", None)
    if not isinstance(rule, str) or rule not in RULES:
        raise SertkError(f"{where}: {name}: no rule {show(rule)}; there are: {', '.join(RULES)}")
    known = {
        key: item.annotation
        for key, item in inspect.signature(RULES[rule][0]).parameters.items()
        if item.kind is item.KEYWORD_ONLY
    }
    options.update({key: value for key, value in overrides.items() if key in known and value is not None})
    for key in [*options, *known]:
        if key not in known:
            where = protocols.place(f"{name}.{key}")
            raise SertkError(f"{where}: {name}: unknown option '{key}'; {rule} has: {', '.join(known)}")
        if key not in options:
            raise SertkError(f"{where}: {name}: the option '{key}' is missing")
    given = {key: convert(known[key], value, protocols.place, f"{name}.{key}") for key, value in options.items()}
    return rule, given, source
