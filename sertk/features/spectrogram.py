"""Magnitude spectrograms, linear in frequency and in amplitude."""

from dataclasses import dataclass

import torch

from sertk.config import require

BLOCK = 128  # frames that a CPU works on at a time, which stay in its cache


@dataclass(frozen=True)
class Spectrogram:
    """Magnitudes of Hamming windows' Fourier transforms: waveform (samples,) -> (frames, bins) float32.

    A window is padded with zeros to `fft_size`. Bins begin at 0 Hz and end below `high_freq`.
    """

    sample_frequency: float = 16000.0  # Hz
    frame_length: float = 40.0  # ms
    frame_shift: float = 10.0  # ms
    fft_size: int = 1600  # points
    high_freq: float = 4000.0  # Hz

    def __post_init__(self):
        require(self.sample_frequency >= 100, "sample_frequency", "100 Hz or more")
        require(self.shortest >= 2, "frame_length", "a window of 2 samples or more, in ms")
        require(1 <= self.shift <= self.shortest, "frame_shift", "at most frame_length, above 0")
        require(self.fft_size >= self.shortest, "fft_size", f"{self.shortest} or more, the samples of a window")
        nyquist = self.sample_frequency / 2
        require(0 < self.high_freq <= nyquist and self.dims >= 1, "high_freq", f"above the first bin, to {nyquist} Hz")

    @property
    def shortest(self):
        """The samples of one window, the least that a recording needs."""
        return round(self.sample_frequency * self.frame_length / 1000)

    @property
    def shift(self):
        return round(self.sample_frequency * self.frame_shift / 1000)

    @property
    def bin_hertz(self):
        """The distance of two bins, in Hz."""
        return self.sample_frequency / self.fft_size

    @property
    def dims(self):
        return round(self.high_freq / self.bin_hertz)

    def __call__(self, waveform):
        return self.of_frames(torch.from_numpy(waveform).unfold(0, self.shortest, self.shift)).numpy()

    def of_frames(self, frames):
        """Frames (frames, samples) as they lie `frame_shift` apart in a waveform, on any device: (frames, bins)."""
        window = torch.hamming_window(self.shortest, periodic=False, device=frames.device)
        blocks = frames.split(BLOCK if frames.device.type == "cpu" else len(frames))
        return torch.cat([torch.fft.rfft(block * window, n=self.fft_size)[:, : self.dims].abs() for block in blocks])
