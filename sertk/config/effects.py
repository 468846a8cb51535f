"""Settings that change nothing, by what else a config says."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sertk.config.normalise import Normalise
from sertk.config.schema import Config, Optimiser
from sertk.config.sources import Source, leaves
from sertk.core.errors import SertkError
from sertk.core.typed import Dataclass, default_of, mistake, show
from sertk.models.encoder_streams import is_encoder
from sertk.models.registry import MODELS, ConditionalConfig

# What the registry says that a model `reads`, wholly or some keys of
READ = ("normalise", "segment", "optimiser", "training", "init", "numbers", "conditions")


class Idle(NamedTuple):
    """A setting that differs from its default and changes nothing."""

    key: str
    value: object
    expected: str
    causes: tuple[str, ...]  # the keys that make it so


def idle_settings(config: Config) -> dict[str, Idle]:
    """{key: Idle} of a Config."""
    found = [*of_model(config), *of_streams(config), *of_training(config), *of_optimiser(config), *unread(config)]
    return {setting.key: setting for setting in found}


def unread(config: Config) -> Iterator[Idle]:
    """What the model makes no use of."""
    name, reads = config.model.name, set(MODELS[config.model.name].reads)
    expected = f"nothing for {name}, which makes no use of it"
    for section in READ:
        for key, value in changed(config, section).items():
            drawn = key != "segment.jitter" or "training" in reads  # in epochs
            if not (reads & {section, key} and drawn):
                yield Idle(key, value, expected, ("model.name",))
    model = config.model
    if config.conditions and isinstance(model, ConditionalConfig) and model.condition != "predicted":
        expected = f"nothing, where model.condition is {model.condition}"
        yield Idle("conditions", config.conditions, expected, ("model.name", "model.condition"))


def of_model(config: Config) -> Iterator[Idle]:
    """What the model has no use for, by what else is said of it."""
    given = changed(config, "model")
    for key, cause in config.model.idle.items():
        full, name = f"model.{key}", f"model.{cause}"
        if full in given:
            expected = f"nothing, where {name} is {getattr(config.model, cause)}"
            yield Idle(full, given[full], expected, ("model.name", name))


def of_optimiser(config: Config) -> Iterator[Idle]:
    """What only one optimiser has."""
    name, given = config.optimiser.name, changed(config, "optimiser")
    for key, owner in {"momentum": "sgd", "nesterov": "sgd", "betas": "adam"}.items():
        full = f"optimiser.{key}"
        if full in given and name != owner:
            default = show(default_in(Optimiser, key)).removesuffix(".0")
            yield Idle(full, given[full], f"{default} for {name}: only {owner} has it", ("optimiser.name",))


def of_training(config: Config) -> Iterator[Idle]:
    """What no epoch or no learning rate depends on, and what the task has no use for."""
    given = changed(config, "training")
    if config.training.select == "last":
        for key in given.keys() & {"training.patience", "training.plateau"}:
            yield Idle(key, given[key], "nothing, where training.select is last", ("training.select",))
    lowering = ("training.drops", "training.anneal", "training.plateau")
    if "training.least_lr" in given and not given.keys() & lowering:
        expected = f"0, where none of {', '.join(lowering)} lowers the learning rate"
        yield Idle("training.least_lr", given["training.least_lr"], expected, lowering)
    if config.task == "asr":
        for key, value in (given | changed(config, "extract") | changed(config, "crossfit")).items():
            if key in ("training.imbalance", "extract", "crossfit"):
                yield Idle(key, value, "nothing for speech recognition", ("task", "model.name"))


def of_streams(config: Config) -> Iterator[Idle]:
    """What is done to no stream."""
    default = default_in(Normalise, "range")
    for transform in config.normalise:
        if transform.how != "minmax" and transform.range != default:
            expected = f"range {show(default)} for {transform.how}: only minmax has it"
            yield Idle("normalise", config.normalise, expected, ())
    if all(map(is_encoder, config.features)):
        for key, value in changed(config, "normalise").items():
            yield Idle(key, value, "nothing, as encoder.normalise is for an encoder's layers", ("features",))
        if config.on_the_fly:
            expected = "false, as encoder.in_loop=true computes an encoder's layers"
            yield Idle("on_the_fly", True, expected, ("features",))
    encoder = config.encoder
    if encoder and encoder.in_loop and encoder.normalise != default_of(encoder.__dataclass_fields__["normalise"]):
        expected = "nothing, where encoder.in_loop is true: layers of an encoder that learns stay as they are"
        yield Idle("encoder.normalise", encoder.normalise, expected, ("encoder.in_loop",))


def changed(config: Config, section: str) -> dict[str, Any]:
    """{key: value} of all that differs from its default in a section of a Config; none of a list is no difference."""
    value = getattr(config, section)
    if dataclasses.is_dataclass(value):
        own = {item: getattr(value, item.name) for item in dataclasses.fields(value)}
        return {f"{section}.{item.name}": each for item, each in own.items() if each != default_of(item)}
    return {} if value in ((), default_in(Config, section)) else {section: value}


def default_in(cls: type[Dataclass], key: str) -> Any:
    """The default of a dataclass's field."""
    return default_of(cls.__dataclass_fields__[key])


def check_effects(parts: Mapping[str, Config], source: Source, judged: int = 0) -> None:
    """Raises SertkError for a setting that was given, differs from its default, and changes nothing.

    Nothing is said where what makes it so was laid over it, as by `--set training.select=last` on a file that has
    `training.patience`, nor of the levels of the Source below the number `judged`.
    """
    idle = {name: idle_settings(config) for name, config in parts.items()}
    several = "steps" in source.data
    for name, settings in idle.items():
        prefix = f"steps.{name}." if several else ""
        for key, setting in settings.items():
            rank = source.rank(prefix + key)
            if rank >= max(0, judged, rank_of_causes(setting, prefix, source)):
                raise refusal(prefix + key, setting, source)
    if several:
        for key in leaves({key: value for key, value in source.data.items() if key != "steps"}):
            check_shared(key, idle, source, judged)


def check_shared(key: str, idle: Mapping[str, Mapping[str, Idle]], source: Source, judged: int) -> None:
    """Refuses what all parts share and none makes use of; `idle` is {part: {key: Idle}}."""
    rank = source.rank(key)
    for name, settings in idle.items():
        own = source.rank(f"steps.{name}.{key}")
        if own < 0 and key not in settings:
            return  # this part makes use of it
        if key in settings:
            own = max(own, rank_of_causes(settings[key], f"steps.{name}.", source))
        if own > rank:
            return
    if rank < judged:
        return
    for settings in idle.values():
        if key in settings:
            raise refusal(key, settings[key], source)
    names = " or ".join(f"steps.{name}.{key}" for name in idle)
    raise mistake(source.place, key, f" changes nothing, as every part has its own: say of which part: {names}")


def rank_of_causes(setting: Idle, prefix: str, source: Source) -> int:
    """The highest level that gives one of the keys that make a setting idle, of its part or shared."""
    return max((source.rank(name) for key in setting.causes for name in (prefix + key, key)), default=-1)


def refusal(key: str, setting: Idle, source: Source) -> SertkError:
    return mistake(source.place, key, f" is {show(setting.value)}, expected {setting.expected}")
