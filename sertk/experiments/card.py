"""The protocol card of an experiment: what a result cannot do without, in words that go into every table."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sertk.config.former import current_card
from sertk.config.loading import feature_types
from sertk.config.normalise import Normalise
from sertk.config.schema import Config
from sertk.config.selection import SELECTIONS
from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.core.forms import check_form
from sertk.core.names import require_names
from sertk.core.typed import show
from sertk.experiments.layout import CARD, read_mapping
from sertk.kaldi.labels import Labels
from sertk.models.encoder_streams import is_encoder
from sertk.models.registry import MODELS
from sertk.protocols import read_card, without_repeats
from sertk.text.phones import counted_from

CARD_KEYS = ("corpus", "label_set", "classes", "protocol", "speaker_disjoint", "normalisation", "selection")
REMEDY = "put back the card that the experiment was made with, or remove the folder, and run stage 3"
CARD_FORM = {
    **dict.fromkeys(CARD_KEYS, str),
    **dict.fromkeys(("subset?", "rule?", "model?"), (str, None)),
    "classes": [str],
    "speaker_disjoint": (bool, str),
    "class_counts?": {str: int},
    "options?": {},
    "features?": [str],
}


def make_card(
    parts: Mapping[str, Config], data_dir: PathLike, splits_dir: PathLike, label_set: str, names: Mapping[str, str]
) -> dict[str, Any]:
    """The protocol's card with what the experiment adds: `names`, labels, counts, methods."""
    final = list(parts.values())[-1]
    fitted = MODELS[final.model.name].fitted
    labels = Labels.read(data_dir, label_set)
    require_names(labels.classes, f"{data_dir}/labels/{label_set}", "classes")
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
        **({"learns_from": list(final.model.learns_from)} if len(final.model.learns_from) > 1 else {}),
        "features": feature_types(parts),
        **{key: value for key, value in read_card(splits_dir).items() if key != "corpus"},
    }


def describe_normalisation(config: Config) -> str:
    """How each stream is normalised; what is said of all of them once, where it is the same."""
    of_encoder = config.encoder.label if config.encoder else ""
    named = {name: of_encoder if is_encoder(name) else name for name in config.features}
    words = {named[name]: in_words(config.normalise_of(name)) for name in config.features}
    first, *others = words.values()
    if all(each == first for each in others):
        return first or "none"
    return ", ".join(f"{name} {each or 'as it is'}" for name, each in words.items())


def in_words(transforms: Sequence[Normalise]) -> str:
    described = []
    for transform in transforms:
        scaled = transform.how == "minmax" and transform.range != Normalise.range
        how = f"{transform.how} to {transform.range[0]:g}..{transform.range[1]:g}" if scaled else transform.how
        described.append(f"{how} global" if transform.scope == "global" else f"{how} per {transform.scope}")
    return ", then ".join(described)


def describe_numbers(tables: Sequence[str], data_dir: PathLike) -> str:
    """The tables, and what they were counted from where that is known."""
    source = counted_from(data_dir)
    return ", ".join(tables) + (f", from {source}" if source else "")


def essence_of_card(card: Mapping[str, Any]) -> dict[str, Any]:
    """A card without repeats, what is known of its encoder by now, and the words that config.yaml says in full."""
    return {**without_repeats(current_card(card)), "encoder": None, "normalisation": None}


def read_experiment_card(experiment: PathLike) -> dict[str, Any]:
    """The protocol card of an experiment folder; raises SertkError for what a result cannot do without."""
    path = Path(experiment) / CARD
    if not path.is_file():
        raise SertkError(f"{path}: no such file; stage 3 makes the experiment with its protocol card")
    card = current_card(read_mapping(path, remedy=REMEDY))
    check_form(card, CARD_FORM, path, REMEDY)
    classes = card["classes"]
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise SertkError(f"{path}: classes: expected two or more different names, found {show(classes)}")
    try:
        json.dumps(card, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SertkError(f"{path}: only text, numbers, lists and mappings can be stored: {error}") from error
    return card
