"""Kaldi's statistics for mean and variance normalisation; batches/normalise.py applies them.

Statistics are a matrix (2, dims + 1) of float64: sums and the number of frames, then sums of squares and 0.
"""

import numpy as np

from sertk.core.errors import SertkError

# Relative to the mean square: what is left of a constant's variance after rounding, and more than that.
CONSTANT = 1e-10


def accumulate(features: np.ndarray, stats: np.ndarray | None = None) -> np.ndarray:
    """The statistics of features (frames, dims), added to `stats` if given; statistics add up with `+`."""
    if features.ndim != 2:
        raise SertkError(f"normalisation needs matrices (frames, dims), got the shape {features.shape}")
    new = np.zeros((2, features.shape[1] + 1))
    values = features.astype(np.float64)
    new[0, :-1] = values.sum(axis=0)
    new[0, -1] = len(values)
    new[1, :-1] = np.square(values).sum(axis=0)
    if stats is None:
        return new
    if stats.shape != new.shape:
        raise SertkError(f"features have {features.shape[1]} dimensions, those before had {stats.shape[1] - 1}")
    return stats + new


def mean_std(stats: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean (dims,) and standard deviation (dims,), both float64; the deviation of a constant is 1.

    A constant thus becomes 0 when it is normalised. Raises SertkError for what are no statistics.
    """
    if stats.ndim != 2 or len(stats) != 2 or stats.shape[1] < 2 or not stats[0, -1] > 0:
        raise SertkError(f"no CMVN statistics: expected (2, dims + 1) with a frame count above 0, got {stats.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        mean, square = stats[:, :-1] / stats[0, -1]
        variance = square - np.square(mean)
    if not np.isfinite(variance).all():
        raise SertkError("no CMVN statistics: the sums are beyond those of any features")
    return mean, np.sqrt(np.where(variance > CONSTANT * square, variance, 1.0))
