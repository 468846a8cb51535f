"""The protocol card of an experiment: what a result cannot do without, in words that go into every table."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sertk.config.loading import feature_types
from sertk.config.schema import Config, Normalise
from sertk.config.selection import SELECTIONS
from sertk.core.errors import SertkError
from sertk.core.files import PathLike, read_yaml
from sertk.experiments.layout import CARD
from sertk.kaldi.labels import Labels
from sertk.models.registry import MODELS
from sertk.protocols import read_card, without_repeats
from sertk.text.phones import counted_from

CARD_KEYS = ("corpus", "label_set", "classes", "protocol", "speaker_disjoint", "normalisation", "selection")


def make_card(
    parts: Mapping[str, Config], data_dir: PathLike, splits_dir: PathLike, label_set: str, names: Mapping[str, str]
) -> dict[str, Any]:
    """The protocol's card with what the experiment adds: `names`, labels, counts, methods."""
    final = list(parts.values())[-1]
    fitted = MODELS[final.model.name].fitted
    labels = Labels.read(data_dir, label_set)
    numbers = sorted({config.numbers for config in parts.values() if config.numbers})
    told = any(config.model.needs_labels for config in parts.values())
    return {
        **names,
        **({"test_labels": "given to the model as its condition"} if told else {}),
        **({"numbers": describe_numbers(numbers, data_dir)} if numbers else {}),
        "label_set": label_set,
        "classes": labels.classes,
        "class_counts": labels.counts(),
        "normalisation": "; ".join(dict.fromkeys(map(describe_normalisation, parts.values()))),
        "imbalance": final.training.imbalance,
        "selection": "none: fitted once" if fitted else SELECTIONS[final.training.select].words,
        "features": feature_types(parts),
        **{key: value for key, value in read_card(splits_dir).items() if key != "corpus"},
    }


def describe_normalisation(config: Config) -> str:
    as_they_are = [name for name in config.features if not config.normalise_of(name)]
    if len(as_they_are) == len(config.features):
        return "none"
    transforms = []
    for transform in config.normalise:
        scaled = transform.how == "minmax" and transform.range != Normalise.range
        how = f"{transform.how} to {transform.range[0]:g}..{transform.range[1]:g}" if scaled else transform.how
        transforms.append(f"{how} global" if transform.scope == "global" else f"{how} per {transform.scope}")
    return ", then ".join(transforms) + "".join(f", {name} as it is" for name in as_they_are)


def describe_numbers(tables: Sequence[str], data_dir: PathLike) -> str:
    """The tables, and what they were counted from where that is known."""
    source = counted_from(data_dir)
    return ", ".join(tables) + (f", from {source}" if source else "")


def essence_of_card(card: Mapping[str, Any]) -> dict[str, Any]:
    """A card without repeats, and without what is known of its recogniser by now: config.yaml says which that is."""
    return {**without_repeats(card), "asr": None}


def read_experiment_card(experiment: PathLike) -> dict[str, Any]:
    """The protocol card of an experiment folder; raises SertkError for what a result cannot do without."""
    path = Path(experiment) / CARD
    if not path.is_file():
        raise SertkError(f"{path}: no such file; stage 3 makes the experiment with its protocol card")
    card = read_yaml(path)
    if not isinstance(card, dict):
        raise SertkError(f"{path}: a protocol card is a mapping of keys to values")
    missing = [key for key in CARD_KEYS if key not in card]
    if missing:
        raise SertkError(f"{path}: the card lacks {', '.join(missing)}")
    classes = card["classes"]
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise SertkError(f"{path}: classes: expected a list of names, found {classes!r}")
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise SertkError(f"{path}: classes: expected two or more different names, found {classes!r}")
    try:
        json.dumps(card, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SertkError(f"{path}: only text, numbers, lists and mappings can be stored: {error}") from error
    return card
