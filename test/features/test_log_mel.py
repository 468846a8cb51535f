"""Whisper's log-mel features by a loop in float64, and waveforms as they are."""

import math

import numpy as np
import pytest
import torch

from sertk.batches.waves import WaveStream
from sertk.core.errors import SertkError
from sertk.features.extractor import Extractor, check_length
from sertk.features.log_mel import LogMel, Waveform
from sertk.features.registry import load_extractor


def noise(samples, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def mel(hertz):
    """Slaney's scale: linear below 1 kHz, then logarithmic, 27 steps to a factor of 6.4."""
    return hertz * 3 / 200 if hertz < 1000 else 15 + 27 * math.log(hertz / 1000) / math.log(6.4)


def hertz(mel):
    return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def by_hand(samples, bins):
    """(frames, bins) in float64."""
    edges = [hertz(mel(8000) * number / (bins + 1)) for number in range(bins + 2)]
    filters = np.zeros((201, bins))
    for number, (low, middle, high) in enumerate(zip(edges, edges[1:], edges[2:])):
        for place in range(201):
            frequency = 40 * place
            rising, falling = (frequency - low) / (middle - low), (high - frequency) / (high - middle)
            filters[place, number] = max(0, min(rising, falling)) * 2 / (high - low)
    window = [0.5 - 0.5 * math.cos(2 * math.pi * place / 400) for place in range(400)]
    wave = samples.astype(np.float64)
    wave = np.concatenate([wave[200:0:-1], wave, wave[-2:-202:-1]])
    rows = []
    for frame in range(len(samples) // 160):
        power = np.abs(np.fft.rfft(wave[160 * frame : 160 * frame + 400] * window)) ** 2
        rows.append([math.log10(max(1e-10, power @ filters[:, number])) for number in range(bins)])
    return np.array(rows)


@pytest.mark.parametrize("bins", [80, 128])
def test_values_are_those_of_a_loop(bins):
    samples = noise(16000)
    samples[6000:10000] = 0  # where energies are at the least one
    features, expected = LogMel(bins)(samples), by_hand(samples, bins)
    assert features.dtype == np.float32 and features.shape == (100, bins)
    assert (expected == -10).any() and expected.max() > -3
    np.testing.assert_allclose(features, expected, atol=1e-4)


@pytest.mark.parametrize("samples", [201, 319, 320, 8000, 8159, 20641])  # 20641: several blocks of frames
def test_there_is_a_frame_for_each_10_ms(samples):
    extractor = LogMel()
    assert isinstance(extractor, Extractor)
    assert extractor(noise(samples)).shape == (samples // 160, 80)


def test_what_is_shorter_than_a_frame_is_refused():
    extractor = LogMel()
    check_length(160, extractor)
    assert extractor(noise(160)).shape == (1, 80)
    with pytest.raises(SertkError, match=r"^too short: 0.0099 s, a frame of its features needs 0.0100 s$"):
        check_length(159, extractor)
    with pytest.raises(SertkError, match="^x: too short: 0.0099 s"):
        WaveStream({"x": noise(159)}, extractor)


def test_on_the_fly_they_are_those_of_the_whole():
    waves = {f"u{number}": noise(samples, number) for number, samples in enumerate([16000, 5000, 330, 160])}
    stream = WaveStream(waves, LogMel())
    assert stream.lengths.tolist() == [100, 31, 2, 1] and stream.dims == 80
    for item, wave in enumerate(waves.values()):
        torch.testing.assert_close(stream.rows(item), torch.from_numpy(LogMel()(wave)), atol=1e-5, rtol=0)


def test_waveforms_are_frames_of_one_sample():
    samples = noise(50)
    for extractor in (Waveform(), load_extractor("waveform")):
        np.testing.assert_array_equal(extractor(samples), samples[:, None])
    stream = WaveStream({"long": samples, "short": samples[:7]}, Waveform())
    assert stream.lengths.tolist() == [50, 7]
    np.testing.assert_array_equal(stream.rows(0)[:, 0], samples)
    np.testing.assert_array_equal(stream.rows(1)[:, 0], samples[:7])


def test_shipped_types():
    assert load_extractor("log_mel80") == LogMel(80) and load_extractor("log_mel128") == LogMel(128)
