"""Log-mel and cepstra against Kaldi's own output and against kaldi-native-fbank."""

import kaldi_native_fbank
import numpy as np
import pytest
import torch
from kaldi_reference import FOLDER, reference

from sertk.features.audio import load_audio
from sertk.features.kaldi import BLOCK, Fbank, Mfcc, add_differences
from sertk.features.registry import load_extractor
from sertk.kaldi.archives import read_scp


@pytest.fixture(scope="module")
def waveform():
    """2 s of noise with a rising loudness, a tone and a stretch of digital silence."""
    random = np.random.default_rng(1)
    times = np.arange(32000) / 16000
    noise = 0.1 * times * random.standard_normal(32000) + 0.2 * np.sin(2 * np.pi * 300 * times) + 0.01
    noise[8000:12000] = 0
    return noise.astype(np.float32)


def reference_waves():
    return {utterance: load_audio(str(FOLDER / path))[0] for utterance, path in read_scp(FOLDER / "wav.scp").items()}


@pytest.mark.parametrize("feature_type", ["fbank40", "mfcc23"])
def test_agrees_with_kaldi(feature_type):
    extractor = load_extractor(feature_type)
    expected = reference(feature_type)
    for utterance, samples in reference_waves().items():
        np.testing.assert_allclose(extractor(samples), expected[utterance], atol=0.01)


def test_differences_agree_with_kaldi():
    expected = reference("mfcc23_deltas")
    for utterance, static in reference("mfcc23").items():
        ours = add_differences(torch.from_numpy(static)).numpy()
        np.testing.assert_allclose(ours, expected[utterance], atol=1e-4)


def native(waveform, options, computer):
    options.frame_opts.dither = 0
    options.frame_opts.samp_freq = 16000
    online = computer(options)
    online.accept_waveform(16000, (waveform * 32768).tolist())
    online.input_finished()
    return np.stack([online.get_frame(frame) for frame in range(online.num_frames_ready)])


@pytest.mark.parametrize("bins", [23, 40, 80])
@pytest.mark.parametrize("window", ["povey", "hamming"])
def test_fbank_agrees_with_native_fbank(waveform, bins, window):
    options = kaldi_native_fbank.FbankOptions()
    options.mel_opts.num_bins = bins
    options.frame_opts.window_type = window
    options.use_energy = False
    expected = native(waveform, options, kaldi_native_fbank.OnlineFbank)
    ours = Fbank(num_mel_bins=bins, window_type=window)(waveform)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, expected, atol=0.01)


@pytest.mark.parametrize("energy", [True, False])
def test_mfcc_agrees_with_native_fbank(waveform, energy):
    options = kaldi_native_fbank.MfccOptions()
    options.mel_opts.num_bins = 40
    options.num_ceps = 23
    options.use_energy = energy
    expected = native(waveform, options, kaldi_native_fbank.OnlineMfcc)
    ours = Mfcc(num_mel_bins=40, num_ceps=23, use_energy=energy)(waveform)
    np.testing.assert_allclose(ours, expected, atol=0.01)


def test_fbank128_from_the_formulas(waveform):
    """What Kaldi does, one thing after the other, in float64, with an FFT of 1024 points."""
    frame = 120
    samples = waveform[frame * 160 : frame * 160 + 400].astype(np.float64) * 32768
    samples -= samples.mean()
    samples -= 0.97 * np.concatenate([samples[:1], samples[:-1]])
    samples *= (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)) ** 0.85
    power = np.abs(np.fft.rfft(samples, 1024)) ** 2

    def mel(hertz):
        return 1127 * np.log(1 + hertz / 700)

    corners = np.linspace(mel(20), mel(8000), 130)
    positions = mel(np.arange(513) * 16000 / 1024)
    expected = [np.log(np.interp(positions, corners[band : band + 3], [0, 1, 0]) @ power) for band in range(128)]
    np.testing.assert_allclose(load_extractor("fbank128")(waveform)[frame], expected, atol=0.01)


@pytest.mark.parametrize("samples", [400, 559, 560, 16000])
def test_number_of_frames(waveform, samples):
    expected = 1 + (samples - 400) // 160
    assert Fbank()(waveform[:samples]).shape == (expected, 40)


def test_frames_do_not_depend_on_the_block_they_are_in(waveform):
    long = np.tile(waveform, 3)
    whole = Mfcc()(long)
    assert len(whole) > 2 * BLOCK
    first = BLOCK + 20
    np.testing.assert_allclose(Mfcc()(long[first * 160 :]), whole[first:], atol=1e-3)


def test_digital_silence_is_finite():
    features = Mfcc(num_ceps=13)(np.zeros(1600, dtype=np.float32))
    assert np.isfinite(features).all()
    np.testing.assert_allclose(features[:, 0], np.log(np.finfo(np.float32).eps), rtol=1e-6)


def slow_differences(features, order, window=2):
    """Kaldi's definition in loops: scales by repeated convolution, frames clamped at the edges."""
    scales = [1.0]
    result = []
    for current in range(order + 1):
        reach = current * window
        rows = []
        for frame in range(len(features)):
            row = 0.0
            for offset in range(-reach, reach + 1):
                row = row + scales[offset + reach] * features[min(max(frame + offset, 0), len(features) - 1)]
            rows.append(row)
        result.append(rows)
        longer = [0.0] * (len(scales) + 2 * window)
        for index, scale in enumerate(scales):
            for offset in range(-window, window + 1):
                longer[index + offset + window] += scale * offset / sum(j * j for j in range(-window, window + 1))
        scales = longer
    return np.concatenate(result, axis=1)


@pytest.mark.parametrize("frames", [1, 2, 5, 30])
@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_differences_from_the_definition(frames, order):
    features = np.random.default_rng(frames).standard_normal((frames, 4))
    ours = add_differences(torch.from_numpy(features).float(), order).numpy()
    np.testing.assert_allclose(ours, slow_differences(features, order), atol=1e-5)
