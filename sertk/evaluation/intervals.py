"""How sure a figure is: bootstrap intervals by speaker, and tests between two systems."""

import math
from typing import Any

import numpy as np

from sertk.core.errors import SertkError
from sertk.evaluation.metrics import scores

FEW_SPEAKERS = 10  # below this an interval over speakers only describes them
LEVEL = 0.95


def resample_speakers(confusions: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Confusion matrices (draws, classes, classes), each summed over as many speakers drawn with replacement.

    `confusions` (speakers, classes, classes) holds one matrix per speaker. The same seed and number of
    speakers draw the same speakers, which pairs two systems. Raises SertkError without any draw.
    """
    if draws < 1:
        raise SertkError(f"{draws} draws: a bootstrap has at least one, and better some thousand")
    speakers, classes, _ = confusions.shape
    generator = np.random.default_rng(seed)
    times_drawn = generator.multinomial(speakers, np.full(speakers, 1 / speakers), size=draws)
    return (times_drawn @ confusions.reshape(speakers, -1)).reshape(draws, classes, classes)


def speaker_intervals(confusions: np.ndarray, draws: int = 2000, seed: int = 0) -> dict[str, Any]:
    """95 % percentile bootstrap intervals by speaker of all metrics (Efron & Tibshirani 1993, chapter 13).

    `confusions` (speakers, classes, classes) holds one matrix per speaker. The result maps each metric to
    [low, high] in 0..1, or to None where there is only one speaker, and tells `speakers`, `draws`, `seed`,
    `level` and `descriptive` (fewer than ten speakers).
    """
    speakers = len(confusions)
    facts = {
        "level": LEVEL,
        "draws": draws,
        "seed": seed,
        "speakers": speakers,
        "descriptive": speakers < FEW_SPEAKERS,
    }
    drawn = scores(resample_speakers(confusions, draws, seed))
    return facts | {name: percentile_interval(values) if speakers > 1 else None for name, values in drawn.items()}


def percentile_interval(values: np.ndarray) -> list[float]:
    """[low, high]: the middle 95 % of `values` (draws,)."""
    tail = (1 - LEVEL) / 2
    return [float(bound) for bound in np.quantile(values, [tail, 1 - tail])]


def z_test(better: float, better_count: int, worse: float, worse_count: int) -> tuple[float, float]:
    """One-tailed z-test that the proportion `better` of `better_count` exceeds `worse` of `worse_count`.

    Returns (z, p) with the pooled variance; p is the chance of a z this large if both were equal.
    """
    for proportion, count in ((better, better_count), (worse, worse_count)):
        if not (0 <= proportion <= 1 and count > 0):
            raise SertkError(f"z-test: {proportion} of {count} is not a proportion of at least one utterance")
    pooled = (better * better_count + worse * worse_count) / (better_count + worse_count)
    variance = pooled * (1 - pooled) * (1 / better_count + 1 / worse_count)
    z = (better - worse) / math.sqrt(variance) if variance > 0 else 0.0
    return z, 0.5 * math.erfc(z / math.sqrt(2))


def paired_bootstrap(
    better: np.ndarray, worse: np.ndarray, draws: int = 2000, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Paired bootstrap by speaker of the difference `better` - `worse`, both (speakers, classes, classes).

    The result maps each metric to a dict of `difference`, `interval` (95 %) and one-tailed `p`: the share
    of draws in which `better` is not ahead, (1 + count) / (1 + draws) (Davison & Hinkley 1997, 4.2).
    Raises SertkError unless both have the same speakers and classes.
    """
    better, worse = np.asarray(better), np.asarray(worse)
    if better.shape != worse.shape:
        raise SertkError(f"paired bootstrap: {better.shape} and {worse.shape} differ in speakers or classes")
    point_better, point_worse = scores(better.sum(0)), scores(worse.sum(0))
    drawn_better = scores(resample_speakers(better, draws, seed))
    drawn_worse = scores(resample_speakers(worse, draws, seed))
    result = {}
    for name in drawn_better:
        differences = drawn_better[name] - drawn_worse[name]
        result[name] = {
            "difference": float(point_better[name] - point_worse[name]),
            "interval": percentile_interval(differences),
            "p": float((1 + np.count_nonzero(differences <= 0)) / (1 + draws)),
        }
    return result
