"""The parts of a model: its YAML with bases, overlays and settings, and what the parts together need."""

from pathlib import Path

import yaml

from sertk.config.schema import Config, to_mapping
from sertk.core.errors import SertkError
from sertk.core.files import read_yaml
from sertk.core.typed import build
from sertk.models.asr_streams import is_asr
from sertk.models.registry import MODELS


def load_parts(path, settings=(), overlay=None):
    """The parts of a model's YAML, in order: {part name: Config}; one part named `train` without `steps:`.

    `overlay` is a second YAML file laid over the first; `settings` are `key.key=value` strings laid over both.
    Raises SertkError with file and key for anything unknown, of a wrong type, or impossible.
    """
    return parse_parts(load_mapping(path, settings, overlay), path)


def load_mapping(path, settings=(), overlay=None):
    """The mapping a model's YAML stands for, with `base:`, overlay and settings resolved."""
    data = inherit(path)
    if overlay:
        data = merge(data, inherit(overlay))
    for setting in settings:
        apply_setting(data, setting)
    return data


def inherit(path, heirs=()):
    """A YAML mapping with its `base:` file (relative to it) laid under it; `heirs` are the files on the way here."""
    data = read_yaml(path)
    if not isinstance(data, dict):
        raise SertkError(f"{path}: expected a mapping of keys to values")
    base = data.pop("base", None)
    if base is None:
        return data
    if not isinstance(base, str):
        raise SertkError(f"{path}: base is {base!r}, expected a file's name")
    base, heirs = Path(path).parent / base, (*heirs, Path(path).resolve())
    if base.resolve() in heirs:
        raise SertkError(f"{path}: base: {base} has this file among its own bases")
    return merge(inherit(base, heirs), data)


def merge(base, over):
    """Mappings are merged key by key, anything else is replaced; a model of another name is replaced whole."""
    renamed = "name" in over and over["name"] != base.get("name")
    merged = {} if renamed else dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def apply_setting(data, setting):
    """Lays one `key.key=value` string over nested mappings; the value is YAML."""
    keys, equals, value = setting.partition("=")
    if not equals or not all(keys.split(".")):
        raise SertkError(f"setting {setting!r}: expected key=value or key.key=value")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise SertkError(f"setting {setting!r}: the value is not valid YAML") from error
    *parents, last = keys.split(".")
    for key in parents:
        data = data.setdefault(key, {})
        if not isinstance(data, dict):
            raise SertkError(f"setting {setting!r}: {key} has a value of its own, no keys below it")
    data[last] = parsed


def parse_parts(data, path):
    """Turns a resolved mapping into {part name: Config}; `path` is named in errors."""
    shared = dict(data)
    parts = shared.pop("steps", None)
    if parts is None:
        config = build(Config, shared, path)
        if config.init is not None:
            raise SertkError(f"{path}: init: {config.init!r} is no earlier part, as there are no parts")
        return {"train": config}
    if not isinstance(parts, dict) or not parts:
        raise SertkError(f"{path}: steps: expected a mapping of part names to configs")
    if isinstance(shared.get("model"), dict) and "name" not in shared["model"]:
        key = f"model.{next(iter(shared['model']), 'name')}"
        raise SertkError(f"{path}: {key}: say of which part: {' or '.join(f'steps.{name}.{key}' for name in parts)}")
    configs = {}
    for name, part in parts.items():
        if not isinstance(part, dict):
            raise SertkError(f"{path}: steps.{name}: expected a mapping, got {part!r}")
        configs[name] = build(Config, merge(shared, part), path, f"steps.{name}.")
        init = configs[name].init
        if init is not None and (init == name or init not in configs):
            earlier = ", ".join(list(configs)[:-1]) or "there is none"
            raise SertkError(f"{path}: steps.{name}.init: {init!r} is no earlier part ({earlier})")
    check_extracted(configs, path)
    return configs


def check_extracted(parts, path):
    """Raises SertkError unless every extracted layer exists, has a name of its own, and is used by later parts."""
    makers = {}
    for number, (name, config) in enumerate(parts.items()):
        where, layer = f"{path}: steps.{name}", config.extract
        layers = MODELS[config.model.name].layers
        if layer is not None and layer not in layers:
            raise SertkError(f"{where}.extract: {config.model.name} has no layer {layer!r} ({', '.join(layers)})")
        if layer in makers:
            raise SertkError(f"{where}.extract: {layer} is extracted by the part {makers[layer]} already")
        for later, other in list(parts.items())[number:]:
            if other.extract in (*config.features, config.conditions) and other.extract not in {None, *makers}:
                raise SertkError(f"{where}.features: {other.extract} is extracted later, by the part {later}")
        if layer is not None:
            makers[layer] = name


def parts_mapping(parts):
    """The resolved mapping of all parts, which `parse_parts` reads again."""
    if list(parts) == ["train"]:
        return to_mapping(parts["train"])
    return {"steps": {name: to_mapping(config) for name, config in parts.items()}}


def feature_types(parts):
    """The sorted feature types that the parts take from the data folder, not from each other."""
    extracted = {config.extract for config in parts.values()}
    named = {name for config in parts.values() for name in config.taken}
    return sorted(named - extracted)


def data_needed(parts):
    """What the parts take from the data folder: `feats/TYPE` for archives, and the tables of `numbers`.

    Of a speech recogniser's layer, which comes last, it is `asr:LAYER=feats/TYPE`, and `asr:LAYER` where the
    recogniser is not known, or runs in the loop.
    """
    extracted, feats, layers = {config.extract for config in parts.values()}, set(), set()
    for config in parts.values():
        for name in {*config.taken} - extracted:
            if is_asr(name):
                known = config.asr.network and not config.asr.in_loop
                layers.add(f"{name}=feats/{config.archive_name(name)}" if known else name)
            elif not config.on_the_fly:
                feats.add(f"feats/{name}")
    tables = {config.numbers for config in parts.values() if config.numbers}
    return [*sorted(feats), *sorted(tables), *sorted(layers)]


def derive_tag(settings, overlay=None):
    """The name that settings and an overlay give an experiment, e.g. `max_epochs3_dropout0.2`; empty without any."""
    parts = [Path(overlay).stem] if overlay else []
    for setting in settings:
        keys, _, value = setting.partition("=")
        parts.append(keys.split(".")[-1] + value)
    name = "_".join(parts)
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in name)
