"""What the epoch that is kept can be chosen by: one line each."""

from typing import NamedTuple


class Selection(NamedTuple):
    """One way to choose an epoch: a figure of its validation, or none."""

    words: str  # on the protocol card
    task: str | None = None  # the one task whose validation has it; None: all
    higher: bool = False  # whether a higher figure is a better one


SELECTIONS: dict[str, Selection] = {
    "valid_uar": Selection("validation UAR", "emotion", higher=True),
    "valid_loss": Selection("validation loss"),
    "valid_reconstruction": Selection("validation reconstruction", "autoencoder"),
    "valid_cer": Selection("validation character error rate", "asr"),
    "last": Selection("none: the last epoch"),
}


def selections_of(task: str) -> list[str]:
    """The names of those that a task has."""
    return [name for name, selection in SELECTIONS.items() if selection.task in (None, task)]
