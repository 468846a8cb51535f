"""F0 against signals whose F0 is known."""

import numpy as np
import pytest
import torch

from sertk.features.kaldi import add_differences
from sertk.features.pitch import MfccPitch, smoothed
from sertk.features.registry import load_extractor


def voice(f0, rate=16000):
    """Harmonics below 3 kHz of a fundamental frequency (samples,) in Hz."""
    phase = 2 * np.pi * np.cumsum(f0) / rate
    return (0.1 * sum(np.sin(n * phase) / n for n in range(1, int(3000 / f0.max()) + 1))).astype(np.float32)


@pytest.fixture(scope="module")
def extractor():
    return load_extractor("mfcc_pitch")


def centres(frames):
    return 200 + 160 * np.arange(frames)


@pytest.mark.parametrize("samples", [32000, 31999, 31880, 31881])
def test_glide_is_followed_at_the_frame_centres(extractor, samples):
    """200 Hz a second is 2 Hz a frame: half a frame's shift would show."""
    f0 = 150 + 200 * np.arange(samples) / 16000
    features = extractor(voice(f0))
    assert features.shape == (1 + (samples - 400) // 160, 70)
    middle = slice(15, -15)
    expected = f0[centres(len(features))]
    error = np.exp(features[middle, 0]) - expected[middle]
    assert abs(np.median(error)) < 0.3
    assert np.abs(error).max() < 2


def test_other_columns_are_cepstra_and_differences(extractor):
    samples = voice(np.full(16000, 200.0))
    cepstra = load_extractor("mfcc23")(samples)
    np.testing.assert_allclose(extractor(samples)[:, 1:24], cepstra, atol=1e-4)
    expected = add_differences(extractor.cepstra(samples)).numpy()
    np.testing.assert_allclose(extractor(samples)[:, 1:], expected, atol=1e-4)


def test_unvoiced_frames_are_interpolated_in_the_log_domain(extractor):
    silence = np.zeros(8000, dtype=np.float32)
    parts = [silence, voice(np.full(8000, 120.0)), silence, voice(np.full(8000, 240.0)), silence]
    log_f0 = extractor(np.concatenate(parts))[:, 0]
    np.testing.assert_allclose(np.exp(log_f0[:35]), np.exp(log_f0[35]), rtol=0.1)  # held at the edge
    np.testing.assert_allclose(np.exp(log_f0[5]), 120, rtol=0.05)
    np.testing.assert_allclose(np.exp(log_f0[-5]), 240, rtol=0.05)
    gap = log_f0[110:140]
    steps = np.diff(gap)
    assert (steps > 0).all()
    np.testing.assert_allclose(steps, steps[0], rtol=1e-3)


@pytest.mark.parametrize("samples", [np.zeros(16000), np.zeros(400), np.full(800, 0.3)])
def test_nothing_voiced_gives_the_middle_of_the_range(extractor, samples):
    features = extractor(samples.astype(np.float32))
    assert np.isfinite(features).all()
    np.testing.assert_allclose(np.exp(features[:, 0]), (60 * 600) ** 0.5, rtol=1e-5)


def test_the_shortest_recording(extractor):
    noise = np.random.default_rng(0).standard_normal(400).astype(np.float32) * 0.1
    assert np.isfinite(extractor(noise)).all()


def test_other_framing():
    extractor = MfccPitch(num_ceps=13, delta_order=1, frame_length=32.0, frame_shift=8.0)
    f0 = 150 + 200 * np.arange(32000) / 16000
    features = extractor(voice(f0))
    assert features.shape == (1 + (32000 - 512) // 128, extractor.dims) == (247, 27)
    expected = f0[256 + 128 * np.arange(247)]
    assert np.abs(np.exp(features[20:-20, 0]) - expected[20:-20]).max() < 2


def test_everything_is_averaged_over_the_frames_around():
    values = torch.arange(12.0).view(6, 2) ** 2
    means = smoothed(values, 3)
    assert means.shape == (6, 2)
    torch.testing.assert_close(means[2], values[1:4].mean(0))
    torch.testing.assert_close(means[0], values[:2].mean(0))
    extractor = load_extractor("mfcc13_pitch")
    waveform = 0.3 * np.sin(2 * np.pi * 150 * np.arange(8000) / 16000).astype(np.float32)
    assert extractor(waveform).shape == (49, 27) and extractor.dims == 27
