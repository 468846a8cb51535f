"""Figures of merit from confusion matrices: rows are the reference, columns the prediction."""

import numpy as np

from sertk.core.errors import SertkError

METRICS = ("uar", "accuracy", "macro_f1", "weighted_f1")


def confusion_matrix(reference: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts (classes, classes) of class indices `reference` and `predicted`, both (utterances,)."""
    return grouped_confusions(reference, predicted, np.zeros(len(reference), dtype=int), classes, 1)[0]


def grouped_confusions(
    reference: np.ndarray, predicted: np.ndarray, groups: np.ndarray, classes: int, group_count: int
) -> np.ndarray:
    """One matrix per group, as a speaker, (group_count, classes, classes), of indices (utterances,)."""
    cells = (np.asarray(groups) * classes + np.asarray(reference)) * classes + np.asarray(predicted)
    counts = np.bincount(cells, minlength=group_count * classes * classes)
    return counts.reshape(group_count, classes, classes)


def class_metrics(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Recall, precision, F1 and support, each (..., classes), of matrices (..., classes, classes).

    A ratio with nothing below the line (a class absent from the reference, or never predicted) is 0,
    as scikit-learn's `zero_division=0`.
    """
    confusion = np.asarray(confusion, dtype=np.float64)
    correct = np.diagonal(confusion, axis1=-2, axis2=-1)
    support, guesses = confusion.sum(-1), confusion.sum(-2)
    return {
        "recall": _ratio(correct, support),
        "precision": _ratio(correct, guesses),
        "f1": _ratio(2 * correct, support + guesses),
        "support": support,
    }


def scores(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Accuracy, UAR, macro-F1 and weighted-F1, each (...) in 0..1, of matrices (..., classes, classes).

    UAR is the mean recall of the classes in the reference; macro-F1 the mean F1 of the classes in the
    reference or the predictions; weighted-F1 weights by the reference. Raises SertkError for an empty matrix.
    """
    confusion = np.asarray(confusion, dtype=np.float64)
    total = confusion.sum((-2, -1))
    if not total.all():
        raise SertkError("a confusion matrix without utterances cannot be scored")
    by_class = class_metrics(confusion)
    support, f1 = by_class["support"], by_class["f1"]
    in_reference = support > 0
    seen = in_reference | (confusion.sum(-2) > 0)
    return {
        "uar": (by_class["recall"] * in_reference).sum(-1) / in_reference.sum(-1),
        "accuracy": np.trace(confusion, axis1=-2, axis2=-1) / total,
        "macro_f1": (f1 * seen).sum(-1) / seen.sum(-1),
        "weighted_f1": (f1 * support).sum(-1) / total,
    }


def _ratio(above, below):
    return np.divide(above, below, out=np.zeros_like(below), where=below > 0)
