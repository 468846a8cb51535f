"""Cepstra with the fundamental frequency."""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from sertk.core.typed import require
from sertk.features.f0 import track_f0
from sertk.features.kaldi import Mfcc, add_differences


@dataclass(frozen=True)
class MfccPitch(Mfcc):
    """Log F0, cepstra and the cepstra's differences.

    Waveform (samples,) float32 in [-1, 1] -> (frames, 1 + num_ceps * (1 + delta_order)) float32.
    """

    delta_order: int = 2
    smooth: int = 1  # frames over which everything is averaged, those that are there at the edges
    f0_floor: float = 60.0  # Hz
    f0_ceil: float = 600.0  # Hz
    context = 0.5  # seconds, of differences, and of F0, whose track depends on more only in pauses
    margin = (0, 0)

    def __post_init__(self):
        super().__post_init__()
        require(0 <= self.delta_order <= 4, "delta_order", "0 to 4")
        require(self.smooth >= 1 and self.smooth % 2 == 1, "smooth", "an odd number of frames")
        require(20 <= self.f0_floor < self.f0_ceil, "f0_floor", "20 Hz or more, below f0_ceil")
        require(self.f0_ceil < self.sample_frequency / 2, "f0_ceil", "below half of sample_frequency")

    @property
    def dims(self) -> int:
        return 1 + self.num_ceps * (1 + self.delta_order)

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            cepstra = add_differences(self.cepstra(waveform), self.delta_order)
            f0 = torch.from_numpy(self.log_f0(waveform, len(cepstra)))
            values = torch.cat([f0.unsqueeze(1), cepstra], dim=1)
            return smoothed(values, self.smooth).numpy() if self.smooth > 1 else values.numpy()

    def log_f0(self, waveform: np.ndarray, frames: int) -> np.ndarray:
        """The natural log of F0 in Hz at the centres of the frames, (frames,) float32.

        Frames that `track_f0` finds unvoiced are interpolated linearly and the edges held. A recording
        without a voiced frame gets the middle of the range, (floor * ceil) ** 0.5.
        """
        # DIO looks at 0, shift, 2 * shift...; cut here, one of these is the centre of the first window.
        skipped, start = self.shortest // 2 % self.shift, self.shortest // 2 // self.shift
        rate = int(self.sample_frequency)
        period = 1000 * self.shift / rate
        f0 = track_f0(waveform[skipped:], rate, self.f0_floor, self.f0_ceil, period)[start : start + frames]
        voiced = np.flatnonzero(f0 > 0)
        if not len(voiced):
            return np.full(frames, 0.5 * math.log(self.f0_floor * self.f0_ceil), dtype=np.float32)
        return np.interp(np.arange(frames), voiced, np.log(f0[voiced])).astype(np.float32)


def smoothed(values: torch.Tensor, width: int) -> torch.Tensor:
    """Means of values (frames, dims) over `width` frames around each, or those of them that exist."""
    means = F.avg_pool1d(values.T[None], width, 1, width // 2, count_include_pad=False)
    return means[0].T.contiguous()
