"""Log-mel and cepstral features as Kaldi computes them, without dither.

torchaudio's Kaldi-compatible functions give the constant matrices, which are made once here; its own
`fbank` and `mfcc` make them anew for each recording and cannot pad the FFT beyond the next power of two.
"""

import functools
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torchaudio.compliance import kaldi

from sertk.core.typed import require
from sertk.features.extractor import MOST_POINTS, require_rate, require_window

WINDOWS = (kaldi.POVEY, kaldi.HAMMING, kaldi.HANNING, kaldi.BLACKMAN, kaldi.RECTANGULAR)
SAMPLE_SCALE = 32768.0  # Kaldi's samples are 16-bit integers
BLOCK = 128  # frames that are worked on at a time, which stay in the cache of a processor
BANDS = 4
MOST_MEL_BINS = 1000
EPSILON = torch.finfo(torch.float32).eps
REACH = 2  # frames before and behind one that its first difference depends on


@dataclass(frozen=True)
class MelFrames:
    """Overlapping windows of a waveform and their mel energies; the base of the extractors here.

    Raises typed.Impossible for settings that cannot work, such as mel filters that fall
    between FFT bins.
    """

    sample_frequency: float = 16000.0  # Hz
    frame_length: float = 25.0  # ms
    frame_shift: float = 10.0  # ms
    fft_size: int = 0  # points, zero-padded; 0 is the next power of two
    window_type: str = kaldi.POVEY
    preemphasis: float = 0.97
    low_freq: float = 20.0  # Hz
    high_freq: float = 0.0  # Hz; 0 and below count from the Nyquist frequency
    num_mel_bins: int = 40
    context = 0.0
    margin = (0, 0)
    of_frames = None

    def __post_init__(self):
        nyquist = self.sample_frequency / 2
        require_rate(self.sample_frequency)
        require_window(self.shortest)
        require(1 <= self.shift <= self.shortest, "frame_shift", "at most frame_length, above 0")
        require(self.window_type in WINDOWS, "window_type", f"one of {', '.join(WINDOWS)}")
        require(0 <= self.preemphasis <= 1, "preemphasis", "0 to 1")
        require(
            self.shortest <= self.padded <= MOST_POINTS and self.padded % 2 == 0,
            "fft_size",
            f"an even number from {self.shortest}, the samples of a window, to {MOST_POINTS}",
        )
        require(-nyquist < self.high_freq <= nyquist, "high_freq", f"at most {nyquist} Hz, or below 0 from there")
        high = self.high_freq + nyquist * (self.high_freq <= 0)
        require(0 <= self.low_freq < high, "low_freq", f"0 to {high} Hz")
        require(4 <= self.num_mel_bins <= MOST_MEL_BINS, "num_mel_bins", f"4 to {MOST_MEL_BINS}")
        empty = (self._filters.sum(dim=0) == 0).sum().item()
        require(
            not empty,
            "num_mel_bins",
            f"fewer ({empty} hold no bin of {self.padded} FFT points), or set fft_size: {2 * self.padded}",
        )

    @property
    def shortest(self) -> int:
        """The samples of one window, the least that a recording needs."""
        return int(self.sample_frequency * self.frame_length * 0.001)

    @property
    def shift(self) -> int:
        """The samples from one window to the next."""
        return int(self.sample_frequency * self.frame_shift * 0.001)

    @property
    def padded(self) -> int:
        return self.fft_size or kaldi._next_power_of_2(self.shortest)

    @functools.cached_property
    def _window(self) -> torch.Tensor:
        make, cpu = kaldi._feature_window_function, torch.device("cpu")
        return make(self.window_type, self.shortest, 0.42, cpu, torch.float32)  # pyright: ignore[reportArgumentType] (says int)

    @functools.cached_property
    def _filters(self) -> torch.Tensor:
        """Mel filters (FFT bins, mel bins)."""
        banks, _ = kaldi.get_mel_banks(
            self.num_mel_bins, self.padded, self.sample_frequency, self.low_freq, self.high_freq, 100.0, -500.0, 1.0
        )
        return F.pad(banks, (0, 1)).float().T

    @functools.cached_property
    def _bands(self) -> list[tuple[slice, torch.Tensor]]:
        """Neighbouring filters as `(slice of FFT bins, filters)`, which leaves most of their zeros out."""
        bands = []
        for filters in self._filters.chunk(BANDS, dim=1):
            used = filters.any(dim=1).nonzero()
            bins = slice(used.min().item(), used.max().item() + 1)
            bands.append((bins, filters[bins].contiguous()))
        return bands

    def log_mel(self, waveform: np.ndarray, with_energy: bool = False) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Log mel energies (frames, mel bins), and log energies (frames,) or None, of samples in [-1, 1]."""
        frames = (torch.from_numpy(waveform) * SAMPLE_SCALE).unfold(0, self.shortest, self.shift)
        mels, energies = zip(*(self._log_mel_of(block, with_energy) for block in frames.split(BLOCK)))
        return torch.cat(mels), torch.cat(energies) if with_energy else None

    def _log_mel_of(self, frames: torch.Tensor, with_energy: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
        frames = frames - frames.mean(dim=1, keepdim=True)
        energy = frames.square().sum(dim=1).clamp_(min=EPSILON).log_() if with_energy else None
        emphasised = frames.clone()
        emphasised[:, 1:].sub_(frames[:, :-1], alpha=self.preemphasis)
        emphasised[:, 0].mul_(1 - self.preemphasis)
        spectrum = torch.view_as_real(torch.fft.rfft(emphasised.mul_(self._window), n=self.padded))
        real, imaginary = spectrum.unbind(dim=-1)
        power = (real * real).addcmul_(imaginary, imaginary)
        mel = torch.cat([power[:, bins] @ filters for bins, filters in self._bands], dim=1)
        return mel.clamp_(min=EPSILON).log_(), energy


@dataclass(frozen=True)
class Fbank(MelFrames):
    """Log mel filterbank: waveform (samples,) float32 in [-1, 1] -> (frames, num_mel_bins) float32."""

    @property
    def dims(self) -> int:
        return self.num_mel_bins

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return self.log_mel(waveform)[0].numpy()


@dataclass(frozen=True)
class Mfcc(MelFrames):
    """Mel cepstra: waveform (samples,) float32 in [-1, 1] -> (frames, num_ceps) float32."""

    num_ceps: int = 13
    use_energy: bool = True  # the log energy of the window before pre-emphasis replaces C0
    cepstral_lifter: float = 22.0

    def __post_init__(self):
        super().__post_init__()
        require(1 <= self.num_ceps <= self.num_mel_bins, "num_ceps", f"1 to num_mel_bins, {self.num_mel_bins}")
        require(self.cepstral_lifter >= 0, "cepstral_lifter", "0 or more")

    @property
    def dims(self) -> int:
        return self.num_ceps

    @functools.cached_property
    def _liftered_cosines(self):
        cosines = kaldi._get_dct_matrix(self.num_ceps, self.num_mel_bins)
        if self.cepstral_lifter:
            cosines = cosines * kaldi._get_lifter_coeffs(self.num_ceps, self.cepstral_lifter)
        return cosines

    def cepstra(self, waveform: np.ndarray) -> torch.Tensor:
        """Cepstra (frames, num_ceps) as a tensor."""
        log_mel, energy = self.log_mel(waveform, self.use_energy)
        cepstra = log_mel @ self._liftered_cosines
        if energy is not None:
            cepstra[:, 0] = energy
        return cepstra

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return self.cepstra(waveform).numpy()


def add_differences(features: torch.Tensor, order: int = 2) -> torch.Tensor:
    """Features (frames, dims) with their differences, (frames, dims * (order + 1)), as Kaldi's add-deltas.

    The kernel of order n is that of order n-1 convolved with the regression weights j / sum(j^2),
    -REACH <= j <= REACH, and is applied to the static features, whose first and last frame are repeated.
    """
    reach = order * REACH
    kernels = _difference_kernels(order)
    edges = torch.arange(-reach, len(features) + reach).clamp_(0, len(features) - 1)
    around = features[edges].unfold(0, 2 * reach + 1, 1)
    return (around @ kernels).transpose(1, 2).reshape(len(features), -1)


@functools.lru_cache
def _difference_kernels(order: int) -> torch.Tensor:
    """(2 * order * REACH + 1, order + 1): column n is the centred kernel of order n."""
    offsets = torch.arange(-REACH, REACH + 1, dtype=torch.float64)
    weights = offsets / offsets.square().sum()
    size = 2 * order * REACH + 1
    kernel = torch.ones(1, dtype=torch.float64)
    kernels = torch.zeros(size, order + 1, dtype=torch.float64)
    for column in range(order + 1):
        start = (size - len(kernel)) // 2
        kernels[start : start + len(kernel), column] = kernel
        # conv1d correlates, and the weights are odd: flipping them makes it the convolution.
        kernel = F.conv1d(kernel.view(1, 1, -1), weights.flip(0).view(1, 1, -1), padding=2 * REACH).flatten()
    return kernels.float()
