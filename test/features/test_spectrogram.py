"""The linear spectrogram against discrete Fourier sums written out, and against tones."""

import numpy as np
import pytest
import torch

from sertk.batches.normalise import Normaliser
from sertk.config.schema import Normalise
from sertk.core.typed import Impossible
from sertk.features.registry import load_extractor
from sertk.features.spectrogram import Spectrogram
from sertk.kaldi.archives import MatrixWriter, open_matrices


def test_a_frame_is_the_fourier_sum_of_its_windowed_samples():
    random = np.random.default_rng(0)
    samples = random.uniform(-1, 1, 900).astype(np.float32)
    got = load_extractor("spectrogram400")(samples)
    assert got.shape == (2, 400) and got.dtype == np.float32  # (900 - 640) // 160 + 1 frames
    nth = np.arange(640)
    window = 0.54 - 0.46 * np.cos(2 * np.pi * nth / 639)
    for frame, bin in [(0, 0), (0, 57), (1, 1), (1, 399)]:
        terms = samples[160 * frame + nth] * window * np.exp(-2j * np.pi * bin * nth / 1600)
        assert got[frame, bin] == pytest.approx(abs(terms.sum()), rel=1e-4)


def test_all_bins_of_short_windows_with_logarithms():
    samples = np.random.default_rng(0).uniform(-1, 1, 480).astype(np.float32)
    got = load_extractor("spectrogram161")(samples)
    assert got.shape == (2, 161)
    windowed = samples[160:480] * np.hamming(320)
    np.testing.assert_allclose(got[1], np.log1p(32768 * abs(np.fft.rfft(windowed))), rtol=1e-4)


@pytest.mark.parametrize("hertz", [100, 1230, 3990])
def test_a_tone_peaks_in_its_bin_of_10_hz(hertz):
    tone = np.sin(2 * np.pi * hertz * np.arange(16000) / 16000).astype(np.float32)
    spectrogram = load_extractor("spectrogram400")(tone)
    assert spectrogram.shape == (97, 400)
    assert (spectrogram.argmax(1) == hertz // 10).all()


@pytest.mark.parametrize(
    "options, key",
    [
        ({"fft_size": 600}, "fft_size"),
        ({"bins": 802}, "bins"),
        ({"bins": 0}, "bins"),
        ({"log1p": -1.0}, "log1p"),
        ({"frame_shift": 50.0}, "frame_shift"),
        ({"frame_length": 0.01}, "frame_length"),
    ],
)
def test_settings_that_cannot_work(options, key):
    with pytest.raises(Impossible) as error:
        Spectrogram(**options)
    assert error.value.args[0] == key


def test_compressed_archives_keep_what_the_network_sees(tmp_path):
    seconds = np.arange(16000) / 16000
    vowel = sum(np.sin(2 * np.pi * 120 * h * seconds) / h for h in range(1, 30)) * np.exp(-3 * seconds)
    noise = 1e-3 * np.random.default_rng(0).standard_normal(16000)
    spectrum = load_extractor("spectrogram400")((0.2 * vowel + noise).astype(np.float32))
    with MatrixWriter(f"ark:{tmp_path}/packed.ark", compression=1) as writer:
        writer.write("vowel", spectrum)
    packed = dict(open_matrices(f"ark:{tmp_path}/packed.ark"))["vowel"]
    assert (tmp_path / "packed.ark").stat().st_size < 0.3 * spectrum.nbytes
    normaliser = Normaliser((Normalise("minmax", "window", (0.0, 1.0)), Normalise("mulaw", "window")))
    seen, other = (normaliser.apply_windows(torch.from_numpy(np.array(each))[None]) for each in (spectrum, packed))
    assert 0 < float((seen - other).abs().mean()) < 0.02 * float(seen.std())
