"""The card of a result on another corpus than a system was trained on."""

from collections.abc import Sequence
from typing import Any

from sertk.core.errors import SertkError
from sertk.core.files import PathLike, read_yaml

OF_TRAINING = ("model", "test_labels", "numbers", "classes", "normalisation", "imbalance", "selection", "features")
PROTOCOL = "cross-corpus"


def cross_card(card: dict[str, Any], paths: Sequence[PathLike]) -> dict[str, Any]:
    """The card of a result on another corpus, of the experiment's `card` and those of its runs (`paths`).

    Raises SertkError unless all runs were decoded with the same labels, map and data.
    """
    cards = [read_yaml(path) for path in paths]
    for path, other in zip(paths, cards):
        if other != cards[0]:
            raise SertkError(f"{path}: other data, labels or another map than {paths[0]}; decode all runs again")
    subset = f" {card['subset']}" if card.get("subset") else ""
    made = {
        **cards[0],
        "protocol": PROTOCOL,
        "trained_on": f"{card['corpus']}{subset}, labels {card['label_set']}, protocol {card['protocol']}",
        "speaker_disjoint": "not checked: another corpus",
        **{key: card[key] for key in OF_TRAINING if key in card},
    }
    counts = cards[0]["class_counts"]
    absent, there = ([name for name, number in counts.items() if bool(number) == known] for known in (False, True))
    if absent:
        made["warning"] = (
            f"{made['corpus']} has no utterance of {', '.join(absent)}: UAR is over the other classes "
            f"alone ({', '.join(there)}), and each prediction of a class that is not there is an error"
        )
    return made
