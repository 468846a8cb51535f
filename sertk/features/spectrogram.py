"""Magnitude spectrograms, linear in frequency."""

from dataclasses import dataclass

import numpy as np
import torch

from sertk.core.typed import require
from sertk.features.extractor import MOST_POINTS, require_rate, require_window

BLOCK = 128  # frames that a CPU works on at a time, which stay in its cache


@dataclass(frozen=True)
class Spectrogram:
    """Magnitudes of Hamming windows' Fourier transforms: waveform (samples,) -> (frames, bins) float32.

    A window is padded with zeros to `fft_size`, and of its bins the first `bins` are kept, from 0 Hz on.
    """

    sample_frequency: float = 16000.0  # Hz
    frame_length: float = 40.0  # ms
    frame_shift: float = 10.0  # ms
    fft_size: int = 1600  # points
    bins: int = 400
    log1p: float = 0.0  # log(1 + log1p * magnitude) takes the magnitude's place; 0: it stays
    context = 0.0
    margin = (0, 0)

    def __post_init__(self):
        require_rate(self.sample_frequency)
        require_window(self.shortest)
        require(1 <= self.shift <= self.shortest, "frame_shift", "at most frame_length, above 0")
        points = f"{self.shortest}, the samples of a window, to {MOST_POINTS}"
        require(self.shortest <= self.fft_size <= MOST_POINTS, "fft_size", points)
        require(
            1 <= self.bins <= self.fft_size // 2 + 1, "bins", f"1 to {self.fft_size // 2 + 1}, half of fft_size and one"
        )
        require(self.log1p >= 0, "log1p", "0 or more")

    @property
    def shortest(self) -> int:
        """The samples of one window, the least that a recording needs."""
        return round(self.sample_frequency * self.frame_length / 1000)

    @property
    def shift(self) -> int:
        """The samples from one window to the next."""
        return round(self.sample_frequency * self.frame_shift / 1000)

    @property
    def bin_hertz(self) -> float:
        """The distance of two bins, in Hz."""
        return self.sample_frequency / self.fft_size

    @property
    def dims(self) -> int:
        return self.bins

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        return self.of_frames(torch.from_numpy(waveform).unfold(0, self.shortest, self.shift)).numpy()

    def of_frames(self, frames: torch.Tensor) -> torch.Tensor:
        """Frames (frames, samples) as they lie `frame_shift` apart in a waveform, on any device: (frames, bins)."""
        window = torch.hamming_window(self.shortest, periodic=False, device=frames.device)
        blocks = frames.split(BLOCK if frames.device.type == "cpu" else len(frames))
        magnitudes = torch.cat(
            [torch.fft.rfft(block * window, n=self.fft_size)[:, : self.bins].abs() for block in blocks]
        )
        return magnitudes.mul_(self.log1p).log1p_() if self.log1p else magnitudes
