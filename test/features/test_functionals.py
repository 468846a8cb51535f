"""openSMILE's values as its own function for files gives them, and odd recordings."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sertk.bin.compute_feats import main
from sertk.core.errors import SertkError
from sertk.features import audio
from sertk.features.functionals import OpenSmile
from sertk.features.registry import load_extractor
from sertk.kaldi.archives import open_matrices

RATE = 16000
RAVDESS = Path(__file__).resolve().parents[2] / "../shared/data/ravdess"


def sounds():
    """{name: samples (samples,) float32 of whole 16-bit steps}."""
    random = np.random.default_rng(0)
    time = np.arange(RATE) / RATE
    pulses = np.sign(np.sin(2 * np.pi * 120 * time))
    glide = np.cumsum(2 * np.pi * (150 + 100 * time) / RATE)
    ringing = np.exp(-400 * time[:200]) * np.cos(2 * np.pi * 700 * time[:200])
    made = {
        "noise": 0.1 * random.standard_normal(RATE),
        "vowel": 0.2 * np.convolve(pulses, ringing)[:RATE],
        "glide": 0.1 * sum(np.sin(n * glide) / n for n in range(1, 12)) * np.hanning(RATE),
    }
    return {name: (np.rint(samples * 8192) / 32768).astype(np.float32) for name, samples in made.items()}


@pytest.fixture(scope="module")
def opensmile():
    return pytest.importorskip("opensmile", reason="openSMILE is not installed (extra egemaps)")


@pytest.fixture(scope="module")
def extractor(opensmile):
    return load_extractor("egemaps")


@pytest.fixture(scope="module")
def of_file(opensmile):
    """openSMILE's own values (88,) and their names of a WAV file."""
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    return lambda path: smile.process_file(str(path)).iloc[0]


def test_threads_take_turns(monkeypatch):
    inside = []

    def smile(samples, rate):
        inside.append(rate)
        time.sleep(0.01)
        assert len(inside) == 1
        return np.array([[inside.pop()]])

    monkeypatch.setattr("sertk.features.functionals.load_smile", lambda *settings: smile)
    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(OpenSmile(), [np.zeros(RATE)] * 8)] == [RATE] * 8


@pytest.mark.parametrize("name", ["noise", "vowel", "glide"])
def test_values_are_those_of_the_file(extractor, of_file, tmp_path, name):
    samples = sounds()[name]
    soundfile.write(tmp_path / "x.wav", np.rint(samples * 32768).astype(np.int16), RATE)
    features = extractor(samples)
    assert features.shape == (1, 88) == (1, extractor.dims)
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features[0], of_file(tmp_path / "x.wav").to_numpy(np.float32))


def test_columns_are_in_the_order_of_the_set(extractor):
    """What is known of a vowel of 120 Hz that fills a second, and of the level of noise."""
    vowel = extractor(sounds()["vowel"])[0]
    assert vowel[0] == pytest.approx(12 * np.log2(120 / 27.5), abs=0.1)  # mean F0, semitones from 27.5 Hz
    assert vowel[-6] * vowel[-5] == pytest.approx(1, abs=0.2)  # voiced segments a second, their mean length
    noise = sounds()["noise"]
    level = 10 * np.log10(np.mean(np.square(noise, dtype=np.float64)))
    assert extractor(noise)[0, -1] == pytest.approx(level, abs=1)  # dB


def test_recordings_are_resampled_first(extractor, of_file, tmp_path):
    time = np.arange(48000) / 48000
    samples = sum(np.sin(2 * np.pi * 130 * n * time) / n for n in range(1, 20)).astype(np.float32) * 0.1
    soundfile.write(tmp_path / "high.wav", samples, 48000)
    at_16k = audio.resample(soundfile.read(tmp_path / "high.wav", dtype="float32")[0], 48000, RATE)
    soundfile.write(tmp_path / "low.wav", np.rint(at_16k * 32768).astype(np.int16), RATE)
    (tmp_path / "wav.scp").write_text(f"u {tmp_path}/high.wav\n")
    assert main(["--type", "egemaps", f"scp:{tmp_path}/wav.scp", f"ark:{tmp_path}/f.ark"]) == 0
    [(utterance, features)] = open_matrices(f"ark:{tmp_path}/f.ark")
    assert utterance == "u"
    np.testing.assert_array_equal(features[0], of_file(tmp_path / "low.wav").to_numpy(np.float32))


@pytest.mark.skipif(not RAVDESS.is_dir(), reason="no RAVDESS beside the checkout")
@pytest.mark.parametrize("name", ["03-01-05-02-01-01-01", "03-01-01-01-02-01-08", "03-01-08-02-02-02-24"])
def test_real_recordings(extractor, of_file, tmp_path, name):
    samples, rate = audio.load_audio(str(next(RAVDESS.glob(f"Actor_*/{name}.*"))))
    samples = audio.resample(samples, rate, RATE)
    soundfile.write(tmp_path / "x.wav", np.rint(samples * 32768).clip(-32768, 32767).astype(np.int16), RATE)
    np.testing.assert_array_equal(extractor(samples)[0], of_file(tmp_path / "x.wav").to_numpy(np.float32))


ODD = {
    "silence": np.zeros(RATE),
    "constant": np.full(RATE, 0.3),
    "one step of 16 bits": np.random.default_rng(0).integers(-1, 2, RATE) / 32768,
    "clipped": np.clip(3 * np.random.default_rng(1).standard_normal(RATE), -1, 1),
    "square": np.sign(np.sin(np.arange(RATE) / 8)),
    "click": np.eye(1, RATE, 8000)[0],
    "0.1 s of noise": 0.1 * np.random.default_rng(2).standard_normal(1600),
    "the shortest noise": 0.1 * np.random.default_rng(3).standard_normal(960),
    "the shortest silence": np.zeros(960),
}


@pytest.mark.parametrize("samples", ODD.values(), ids=ODD)
def test_odd_recordings_have_finite_values(extractor, samples):
    features = extractor(samples.astype(np.float32))
    assert features.shape == (1, 88)
    assert np.isfinite(features).all()


def test_full_scale_does_not_wrap_around(extractor):
    """32768 as a 16-bit integer is -32768: a peak of 1.0, or above, would come out as a click."""
    vowel = sounds()["vowel"]
    loud = vowel / vowel.max()
    almost = np.minimum(loud, 32767 / 32768)
    assert (loud != almost).any()
    np.testing.assert_array_equal(extractor(loud), extractor(almost))
    np.testing.assert_array_equal(extractor(loud * 1e4), extractor(np.clip(loud * 1e4, -1, 32767 / 32768)))


def test_too_short_recordings_are_named(extractor, tmp_path, caplog):
    soundfile.write(tmp_path / "short.wav", 0.1 * np.random.default_rng(0).standard_normal(959), RATE)
    (tmp_path / "wav.scp").write_text(f"u {tmp_path}/short.wav\n")
    assert main(["--type", "egemaps", f"scp:{tmp_path}/wav.scp", f"ark:{tmp_path}/f.ark"]) == 1
    assert "u: too short: 0.0599 s, a frame of its features needs 0.0600 s" in caplog.text
    assert not (tmp_path / "f.ark").exists()


def test_compression_is_refused(extractor, tmp_path, capsys):
    command = ["--type", "egemaps", "--compress", f"scp:{tmp_path}/wav.scp", f"ark:{tmp_path}/f.ark"]
    assert main(command) == 2
    assert "--compress would flatten openSMILE's features" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:Segment too short")
def test_what_has_no_finite_values_is_named(extractor, tmp_path, caplog, monkeypatch):
    """No recording is known that does this; one shorter than a window stands for it."""
    monkeypatch.setattr(OpenSmile, "shortest", 100)
    for name, length in (("a", 200), ("b", RATE)):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(length), RATE)
    (tmp_path / "wav.scp").write_text(f"a {tmp_path}/a.wav\nb {tmp_path}/b.wav\n")
    command = ["--type", "egemaps", f"scp:{tmp_path}/wav.scp", f"ark:{tmp_path}/f.ark"]
    assert main(command) == 1
    assert "a: openSMILE's eGeMAPSv02 has no finite values for this recording" in caplog.text
    assert not (tmp_path / "f.ark").exists()
    assert main(["--max_bad", "1", *command]) == 0
    assert list(dict(open_matrices(f"ark:{tmp_path}/f.ark"))) == ["b"]


@pytest.mark.filterwarnings("ignore:Feature set .* is deprecated")
@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ("feature_set: eGeMAPSv01b", (1, 88)),
        ("feature_set: GeMAPSv01b", (1, 62)),
        ("feature_set: ComParE_2016", (1, 6373)),
        ("feature_level: lld", (96, 25)),
        ("sample_frequency: 11025", (1, 88)),
    ],
)
def test_other_sets_and_levels(opensmile, tmp_path, options, shape):
    (tmp_path / "own.yaml").write_text(f"extractor: opensmile\n{options}\n")
    extractor = load_extractor(config=tmp_path / "own.yaml")
    rate = int(extractor.sample_frequency)
    random = np.random.default_rng(0)
    features = extractor(0.1 * random.standard_normal(rate).astype(np.float32))
    assert features.shape == shape
    assert features.dtype == np.float32 and features.flags.c_contiguous
    shortest = extractor(0.1 * random.standard_normal(extractor.shortest).astype(np.float32))
    assert np.isfinite(shortest).all()


@pytest.mark.parametrize("rate", [11025, 16000, 22050])  # 110.25, 160 and 220.5 samples in 10 ms
def test_descriptors_lie_where_shift_says(opensmile, rate):
    """F0's windows of 60 ms, averaged with their neighbours, hear a click in 8 frames wherever rounding leads."""
    extractor = OpenSmile(float(rate), "ComParE_2016", "lld")
    noise = (0.1 * np.random.default_rng(0).standard_normal(10 * rate)).astype(np.float32)
    place = 9 * rate
    clicked = noise.copy()
    clicked[place] += 0.9
    before, after = extractor(noise), extractor(clicked)
    assert len(before) == (len(noise) - extractor.shortest) // extractor.shift + 2
    voicing = extractor._smile.feature_names.index("voicingFinalUnclipped_sma")
    heard = np.flatnonzero(before[:, voicing] != after[:, voicing])
    starts = np.arange(len(before)) * extractor.shift
    inside = np.flatnonzero((starts <= place) & (place < starts + extractor.shortest))
    assert [heard[0], heard[-1]] == [inside[0] - 1, inside[-1] + 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("feature_set: eGeMAPSv03", "feature_set is 'eGeMAPSv03', expected one of eGeMAPSv02, eGeMAPSv01b"),
        ("feature_level: frames", "feature_level is 'frames', expected one of functionals, lld"),
        ("sample_frequency: 4000", "sample_frequency is 4000.0, expected 8000 to 192000 Hz"),
    ],
)
def test_configs_that_are_refused(tmp_path, options, message):
    (tmp_path / "own.yaml").write_text(f"extractor: opensmile\n{options}\n")
    with pytest.raises(SertkError, match=rf"own\.yaml: {message}"):
        load_extractor(config=tmp_path / "own.yaml")


def test_missing_package_is_one_line(tmp_path):
    code = (
        "import sys; sys.modules['opensmile'] = None\n"
        "from sertk.bin.compute_feats import main; sys.exit(main(sys.argv[1:]))"
    )
    (tmp_path / "wav.scp").write_text("u nowhere.wav\n")
    command = ["--type", "egemaps", f"scp:{tmp_path}/wav.scp", f"ark:{tmp_path}/f.ark"]
    done = subprocess.run([sys.executable, "-c", code, *command], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'sertk[egemaps]'; its licence allows research" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_path_that_opensmile_cannot_take(opensmile, tmp_path, monkeypatch):
    (tmp_path / "päckages").symlink_to(Path(opensmile.__file__).parent / "core/config")
    monkeypatch.setattr(opensmile.Smile, "default_config_root", str(tmp_path / "päckages"))
    with pytest.raises(SertkError, match="openSMILE needs a path in plain ASCII"):
        OpenSmile()
