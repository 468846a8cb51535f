"""Log-mel features as Whisper computes them, and waveforms as they are, for encoders that take those."""

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torchaudio.functional import melscale_fbanks

from sertk.core.typed import require
from sertk.features.extractor import require_rate

BLOCK = 128  # frames that a CPU works on at a time, which stay in its cache
LEAST = 1e-10  # of an energy


@dataclass(frozen=True)
class LogMel:
    """Logarithms of mel energies to the base 10: waveform (samples,) float32 -> (samples // 160, bins) float32.

    Windows of 25 ms lie 10 ms apart; the first is centred on the first sample, and what lies outside the waveform is
    its reflection. Filters are those of Slaney's Auditory Toolbox, of equal area (Radford et al. 2023, Section 2.2).
    What Whisper does to the whole recording, the limit 8 below its largest value and the scaling, is the encoder's.
    """

    bins: int = 80
    sample_frequency = 16000.0  # Hz
    shortest = 400  # samples of a window
    shift = 160
    margin = (200, 40)  # samples by which the waveform is continued before and behind
    context = None

    def __post_init__(self):
        require(self.bins in (80, 128), "bins", "80 or 128")

    @property
    def dims(self) -> int:
        return self.bins

    @functools.cached_property
    def _filters(self) -> torch.Tensor:
        """(FFT bins, mel bins)."""
        nyquist = self.sample_frequency / 2
        return melscale_fbanks(
            self.shortest // 2 + 1, 0.0, nyquist, self.bins, int(self.sample_frequency), "slaney", "slaney"
        )

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        waveform = np.pad(waveform, self.margin, mode="reflect")
        with torch.inference_mode():
            return self.of_frames(torch.from_numpy(waveform).unfold(0, self.shortest, self.shift)).numpy()

    def of_frames(self, frames: torch.Tensor) -> torch.Tensor:
        """Windows (frames, samples) on any device: (frames, bins)."""
        window = torch.hann_window(self.shortest, device=frames.device)
        filters = self._filters.to(frames.device)
        blocks = frames.split(BLOCK if frames.device.type == "cpu" else len(frames))
        mels = [torch.fft.rfft(block * window).abs().square() @ filters for block in blocks]
        return torch.cat(mels).clamp_(min=LEAST).log10_()


@dataclass(frozen=True)
class Waveform:
    """The samples themselves, (samples, 1), each a frame."""

    sample_frequency: float = 16000.0  # Hz
    shortest = 1
    shift = 1
    dims = 1
    margin = (0, 0)
    context = 0.0

    def __post_init__(self):
        require_rate(self.sample_frequency)

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        return waveform[:, None]

    def of_frames(self, frames: torch.Tensor) -> torch.Tensor:
        return frames
