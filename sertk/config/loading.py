"""The parts of a model: its YAML with bases, overlays and settings, and what the parts together need."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sertk.config.effects import check_effects
from sertk.config.encoder import EncoderLayers
from sertk.config.former import FORMER, current_config
from sertk.config.schema import Config, to_mapping
from sertk.config.sources import Source, merge, read_source, settings_source
from sertk.core.files import PathLike
from sertk.core.typed import Where, build, mistake, show
from sertk.models.encoder_streams import ENCODER, is_encoder
from sertk.models.registry import MODELS


def load_parts(path: PathLike, settings: Sequence[str] = (), overlay: PathLike | None = None) -> dict[str, Config]:
    """The parts of a model's YAML, in order: {part name: Config}; one part named `train` without `steps:`.

    `overlay` is a second YAML file laid over the first; `settings` are `key.key=value` strings laid over both, all at
    once. A mapping whose own `name` changes keeps nothing of what stood beside it (see `merge`). Raises SertkError,
    which names the setting, or the file with the line, for anything unknown, of a wrong type, impossible, or without
    effect; an experiment's own config may hold what has none.
    """
    source = read_source(path)
    judged = len(source.levels) if is_stored(path) else 0
    if judged:
        source = replace(source, data=current_config(source.data))
    if overlay:
        source = source.under(read_source(overlay))
    source = source.under(settings_source(settings))
    refuse_former(source)
    parts = parse_parts(source.data, source.place)
    check_effects(parts, source, judged)
    return parts


def refuse_former(source: Source) -> None:
    """Raises SertkError for a section of the time when a speech recogniser was the only encoder."""
    parts = source.data.get("steps")
    named = parts.items() if isinstance(parts, dict) else ()
    sections = {"": source.data, **{f"steps.{name}.": part for name, part in named}}
    for prefix, section in sections.items():
        if isinstance(section, dict) and FORMER in section:
            now = "is called encoder now, and asr among the features encoder: `encoder: {name: recogniser, layer: 2}`"
            raise mistake(source.place, prefix + FORMER, f" {now}")


def is_stored(path: PathLike) -> bool:
    """Whether a YAML file is the config of an experiment, which has a protocol card: every default is written out."""
    return Path(path).with_name("card.yaml").exists()


def parse_parts(data: Mapping[str, Any], path: Where) -> dict[str, Config]:
    """Turns a resolved mapping into {part name: Config}; `path` is named in errors, or gives what is (`mistake`)."""
    shared = dict(data)
    parts = shared.pop("steps", None)
    if parts is None:
        config = build(Config, shared, path)
        if config.init is not None:
            raise mistake(path, "init", f": {show(config.init)} is no earlier part, as there are no parts")
        return {"train": config}
    if not isinstance(parts, dict) or not parts:
        raise mistake(path, "steps", ": expected a mapping of part names to configs")
    if isinstance(shared.get("model"), dict) and "name" not in shared["model"]:
        key = f"model.{next(iter(shared['model']), 'name')}"
        raise mistake(path, key, f": say of which part: {' or '.join(f'steps.{name}.{key}' for name in parts)}")
    configs = {}
    for name, part in parts.items():
        if not isinstance(name, str):
            raise mistake(path, f"steps.{name}", f": the part's name {show(name)} is not text; put it in quotes")
        if not re.fullmatch(r"\w[^/]*", name):
            raise mistake(path, f"steps.{name}", f": {show(name)} names no folder: begin with a letter or digit, no /")
        if not isinstance(part, dict):
            raise mistake(path, f"steps.{name}", f": expected a mapping, got {show(part)}")
        configs[name] = build(Config, merge(shared, part), path, f"steps.{name}.")
        init = configs[name].init
        if init is not None and (init == name or init not in configs):
            earlier = ", ".join(list(configs)[:-1]) or "there is none"
            raise mistake(path, f"steps.{name}.init", f": {show(init)} is no earlier part ({earlier})")
    check_extracted(configs, path)
    return configs


def check_extracted(parts: Mapping[str, Config], path: Where) -> None:
    """Raises SertkError unless every extracted layer exists, has a name of its own, and is used by later parts."""
    makers = {}
    for number, (name, config) in enumerate(parts.items()):
        where, layer = f"steps.{name}", config.extract
        layers = MODELS[config.model.name].layers
        if layer is not None and layer not in layers:
            known = ", ".join(layers)
            raise mistake(path, f"{where}.extract", f": {config.model.name} has no layer {layer!r} ({known})")
        if layer in makers:
            raise mistake(path, f"{where}.extract", f": {layer} is extracted by the part {makers[layer]} already")
        for later, other in list(parts.items())[number:]:
            if other.extract in (*config.features, config.conditions) and other.extract not in {None, *makers}:
                raise mistake(path, f"{where}.features", f": {other.extract} is extracted later, by the part {later}")
        if layer is not None:
            makers[layer] = name


def parts_mapping(parts: Mapping[str, Config]) -> dict[str, Any]:
    """The resolved mapping of all parts, which `parse_parts` reads again."""
    if list(parts) == ["train"]:
        return to_mapping(parts["train"])
    return {"steps": {name: to_mapping(config) for name, config in parts.items()}}


def feature_types(parts: Mapping[str, Config]) -> list[str]:
    """The sorted feature types that the parts take, not from each other; of an encoder its name and layers."""
    extracted = {config.extract for config in parts.values()} | {None}
    named = {name for config in parts.values() for name in (*config.features, config.conditions)}
    encoder = encoder_of(parts)
    return sorted(encoder.label if name == ENCODER and encoder else str(name) for name in named - extracted)


def data_needed(parts: Mapping[str, Config]) -> list[str]:
    """What the parts take from the data folder: `feats/TYPE` for archives, and the tables of `numbers`."""
    extracted, feats = {config.extract for config in parts.values()}, set()
    for config in parts.values():
        if not config.on_the_fly:
            named = {*config.features, config.conditions} - {None, *extracted}
            feats |= {f"feats/{name}" for name in named if not is_encoder(str(name))}
    tables = {config.numbers for config in parts.values() if config.numbers}
    return [*sorted(tables), *sorted(feats)]


def encoder_of(parts: Mapping[str, Config]) -> EncoderLayers | None:
    """The encoder whose layers a model's parts take; all parts take the same."""
    return next((config.encoder for config in parts.values() if config.encoder), None)


def derive_tag(settings: Sequence[str], overlay: PathLike | None = None) -> str:
    """The name that settings and an overlay give an experiment, e.g. `max_epochs3_dropout0.2`; empty without any."""
    names = [Path(overlay).stem] if overlay else []
    for setting in settings:
        keys, _, value = setting.partition("=")
        names.append(keys.split(".")[-1] + value)
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in "_".join(names))
