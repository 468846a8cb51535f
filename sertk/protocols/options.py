"""protocols.yaml: which rule a protocol has, and the options that it gives the rule."""

import inspect

import typeguard

from sertk.config.loading import inherit
from sertk.core.errors import SertkError
from sertk.protocols.rules import RULES


def protocol_names(config):
    """The sorted names of the protocols in a protocols.yaml."""
    return sorted(read_protocols(config))


def read_protocols(config):
    """The mapping of a protocols.yaml; raises SertkError for a name that YAML does not take for text."""
    protocols = inherit(config)
    for name in protocols:
        if not isinstance(name, str):
            raise SertkError(f"{config}: the protocol name {name!r} is not text; put it in quotes")
    return protocols


def load_protocol(config, name, **overrides):
    """The (rule, options, source) of the protocol `name` in a protocols.yaml.

    `overrides` (repeats, seed) replace options that the rule has; the others are left out. Raises
    SertkError for an unknown protocol, rule or option and for options of a wrong type.
    """
    protocols = read_protocols(config)
    if name not in protocols:
        there = ", ".join(sorted(protocols)) or "none"
        raise SertkError(f"{config}: no protocol '{name}'; there are: {there}")
    options = protocols[name]
    if not isinstance(options, dict):
        raise SertkError(f"{config}: {name}: expected a rule and its options, got {options!r}")
    options = dict(options)
    rule, source = options.pop("rule", None), options.pop("source", None)
    if not isinstance(rule, str) or rule not in RULES:
        raise SertkError(f"{config}: {name}: no rule {rule!r}; there are: {', '.join(RULES)}")
    known = {
        key: item.annotation
        for key, item in inspect.signature(RULES[rule][0]).parameters.items()
        if item.kind is item.KEYWORD_ONLY
    }
    options.update({key: value for key, value in overrides.items() if key in known and value is not None})
    for key in [*options, *known]:
        if key not in known:
            raise SertkError(f"{config}: {name}: unknown option '{key}'; {rule} has: {', '.join(known)}")
        if key not in options:
            raise SertkError(f"{config}: {name}: the option '{key}' is missing")
        try:
            if isinstance(options[key], bool):  # which Python counts among the whole numbers
                raise typeguard.TypeCheckError("no rule takes a boolean")
            every_item = typeguard.CollectionCheckStrategy.ALL_ITEMS
            typeguard.check_type(options[key], known[key], collection_check_strategy=every_item)
        except typeguard.TypeCheckError as error:
            raise SertkError(f"{config}: {name}: {key} is {options[key]!r}: {error}") from error
    return rule, options, source
