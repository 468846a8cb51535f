"""Which epoch is the best, and the learning rate of the next one."""

from collections.abc import Mapping, Sequence
from typing import Any

from sertk.config.schema import Training
from sertk.config.selection import SELECTIONS


def is_best(metrics: Mapping[str, Any], select: str, best_value: float | None) -> bool:
    """Whether an epoch's metrics are better than `best_value` (None: the first epoch) by what `select` names."""
    if select == "last" or best_value is None:
        return True
    return metrics[select] > best_value if SELECTIONS[select].higher else metrics[select] < best_value


def learning_rate(initial: float, training: Training, history: Sequence[Mapping[str, Any]]) -> float:
    """The learning rate of the epoch that follows those in `history`, the lines of metrics.jsonl."""
    epoch = len(history) + 1
    reached = sum(drop <= epoch for drop in training.drops)
    return initial * 0.1**reached / training.anneal ** (epoch - 1) / 2 ** stalls(training, history)


def stalls(training: Training, history: Sequence[Mapping[str, Any]]) -> int:
    """How often `training.plateau` epochs in a row were no better than the best one before them."""
    best_value, waited, times = None, 0, 0
    for metrics in history if training.plateau else ():
        if is_best(metrics, training.select, best_value):
            best_value, waited = metrics.get(training.select), 0
        else:
            waited += 1
        if waited == training.plateau:
            times, waited = times + 1, 0
    return times
