"""What the extractors of registry.py have in common, which all that uses features relies on."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from sertk.core.errors import SertkError
from sertk.core.typed import Dataclass, require

HIGHEST_RATE = 1e6  # Hz
MOST_POINTS = 1 << 18  # of an FFT: beyond any analysis of speech, and within any memory


def require_rate(rate: float) -> None:
    """Raises typed.Impossible for a sampling rate in Hz that no recording has."""
    require(100 <= rate <= HIGHEST_RATE, "sample_frequency", f"100 to {HIGHEST_RATE:.0f} Hz")


def require_window(samples: int) -> None:
    """Raises typed.Impossible for a window of so many samples that it is none, or fits into no FFT."""
    require(2 <= samples <= MOST_POINTS, "frame_length", f"a window of 2 to {MOST_POINTS} samples, in ms")


@runtime_checkable
class Extractor(Dataclass, Protocol):
    """Turns a waveform into features; a frozen dataclass, whose fields are the options of a feature type.

    Frame k is what the samples from `k * shift` to `k * shift + shortest` sound like, and up to `context` around
    them. Equal options give equal features.
    """

    @property
    def sample_frequency(self) -> float:
        """The rate of the waveforms, in Hz; a whole number."""
        ...

    @property
    def shortest(self) -> int:
        """The samples of one frame's window, with `margin` the least that a waveform needs."""
        ...

    @property
    def shift(self) -> int | None:
        """Samples from the beginning of one frame's window to that of the next; None: one vector for all of it."""
        ...

    @property
    def dims(self) -> int:
        """Values of a frame."""
        ...

    @property
    def margin(self) -> tuple[int, int]:
        """Samples by which a waveform is continued, by its reflection, before its first and behind its last one."""
        ...

    @property
    def context(self) -> float | None:
        """Seconds on either side of its window that a frame depends on; None: on the whole waveform."""
        ...

    @property
    def of_frames(self) -> Callable[[torch.Tensor], torch.Tensor] | None:
        """Windows (frames, shortest) on any device -> (frames, dims) there, each by itself; None: not to be had so.

        Where there is one, features can be computed on the fly, in the place of archives.
        """
        ...

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        """Waveform (samples,) float32 in [-1, 1], `shortest` or more -> features (frames, dims) float32.

        Raises SertkError for a waveform whose features are not finite.
        """
        ...


def least_seconds(extractor: Extractor) -> float:
    """How long a recording has to be for one frame."""
    return (extractor.shortest - sum(extractor.margin)) / extractor.sample_frequency


def check_length(samples: int, extractor: Extractor) -> None:
    """Raises SertkError for fewer samples, at the extractor's rate, than one frame is made of."""
    seconds, least = samples / extractor.sample_frequency, least_seconds(extractor)
    if seconds < least:
        raise SertkError(f"too short: {seconds:.4f} s, a frame of its features needs {least:.4f} s")
