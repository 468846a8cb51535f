import dataclasses

import numpy as np
import pytest
import soundfile

from sertk.bin import compute_feats
from sertk.core.errors import SertkError
from sertk.features.extractor import Extractor
from sertk.features.notes import noted_options
from sertk.features.registry import EXTRACTORS, describe_extractor, feature_types, load_extractor, make_extractor

DIMS = {
    "egemaps": 88,
    "fbank40": 40,
    "fbank80": 80,
    "fbank128": 128,
    "log_mel80": 80,
    "log_mel128": 128,
    "mfcc13_pitch": 27,
    "mfcc23": 23,
    "mfcc_pitch": 70,
    "spectrogram161": 161,
    "spectrogram400": 400,
    "waveform": 1,
}


@pytest.mark.parametrize("name", feature_types())
def test_every_shipped_type_keeps_the_contract(name):
    if name == "egemaps":
        pytest.importorskip("opensmile")
    extractor = load_extractor(name)
    assert isinstance(extractor, Extractor) and extractor.dims == DIMS.get(name, extractor.dims)
    noise = np.random.default_rng(0).standard_normal(8000).astype(np.float32) * 0.1
    features = extractor(noise)
    samples = 8000 + sum(extractor.margin)
    frames = 1 if extractor.shift is None else 1 + (samples - extractor.shortest) // extractor.shift
    assert features.shape == (frames, extractor.dims) and features.dtype == np.float32
    assert np.isfinite(features).all()
    assert make_extractor(describe_extractor(extractor), "x") == extractor


@pytest.mark.parametrize("name", [name for name in DIMS if name.startswith(("fbank", "mfcc2"))])
def test_no_filter_is_empty(name):
    noise = np.random.default_rng(0).standard_normal(4000).astype(np.float32) * 0.1
    # One that is would sit at the floor in every frame
    assert (load_extractor(name)(noise).std(axis=0) > 0).all()


def test_a_type_of_ones_own(tmp_path):
    config = tmp_path / "wide.yaml"
    config.write_text("extractor: mfcc\nnum_ceps: 5\nframe_length: 50\nsample_frequency: 8000\n")
    extractor = load_extractor(config=config)
    assert (extractor.dims, extractor.shortest, extractor.sample_frequency) == (5, 400, 8000.0)
    assert extractor(np.ones(800, dtype=np.float32)).shape == (6, 5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "extractor: mfc\n",
            "extractor: expected one of .*fbank, log_mel, mfcc, mfcc_pitch, opensmile, spectrogram, waveform",
        ),
        ("num_mel_bins: 40\n", "extractor: expected one of"),
        ("- a\n", "extractor: expected one of"),
        ("extractor: [fbank]\n", "extractor: expected one of"),
        ("extractor: fbank\nnum_bins: 40\n", "unknown key num_bins .*num_mel_bins"),
        ("extractor: fbank\nnum_mel_bins: many\n", "num_mel_bins is 'many', expected a whole number"),
        ("extractor: fbank\nnum_mel_bins: 128\n", "num_mel_bins is 128, .* or set fft_size: 1024"),
        ("extractor: fbank\nfft_size: 256\n", "fft_size is 256, expected an even number from 400"),
        ("extractor: fbank\nwindow_type: round\n", "window_type is 'round', expected one of povey"),
        ("extractor: fbank\nframe_shift: 0\n", "frame_shift is 0.0, expected"),
        ("extractor: fbank\nhigh_freq: 9000\n", "high_freq is 9000.0, expected at most 8000.0 Hz"),
        ("extractor: fbank\nlow_freq: 9000\n", "low_freq is 9000.0, expected"),
        ("extractor: mfcc\nnum_ceps: 41\n", "num_ceps is 41, expected 1 to num_mel_bins, 40"),
        ("extractor: mfcc_pitch\nf0_floor: 700\n", "f0_floor is 700.0, expected"),
        ("extractor: mfcc_pitch\nf0_ceil: 9000\n", "f0_ceil is 9000.0, expected"),
    ],
)
def test_configs_that_are_refused(tmp_path, content, message):
    config = tmp_path / "x.yaml"
    config.write_text(content)
    with pytest.raises(SertkError, match=rf"x\.yaml: {message}"):
        load_extractor(config=config)


def test_unknown_type():
    with pytest.raises(SertkError, match="no feature type 'fbank41': there are egemaps, fbank128, fbank40"):
        load_extractor("fbank41")


def test_how_archives_were_made_is_noted_beside_them(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).uniform(-0.1, 0.1, (4000, 2)), 16000)
    (tmp_path / "wav.scp").write_text(f"a {tmp_path}/a.wav\n")
    own = tmp_path / "own.yaml"
    own.write_text("extractor: fbank\nnum_mel_bins: 12\n")
    for name, options in (("one", ["--channel", "1"]), ("two", [])):
        specifiers = f"scp:{tmp_path}/wav.scp", f"ark,scp:{tmp_path}/{name}.ark,{tmp_path}/{name}.scp"
        assert compute_feats.main(["--config", str(own), *options, *specifiers]) == 0
    noted = noted_options(tmp_path / "one.scp")
    assert noted.pop("channel") == 1
    assert make_extractor(noted, "noted") == load_extractor(config=own)
    assert noted_options(tmp_path / "two.scp") == noted
    assert own.read_text().startswith("extractor")  # which an archive beside it does not overwrite
    both = tmp_path / "both.scp"
    both.write_text(f"a {tmp_path}/one.ark:2\nb {tmp_path}/two.ark:2\n")
    assert noted_options(both) is None
    (tmp_path / "two.ark.yaml").unlink()
    assert noted_options(tmp_path / "two.scp") is None


@pytest.mark.parametrize("extractor", ["fbank", "mfcc", "mfcc_pitch", "spectrogram", "waveform"])
@pytest.mark.parametrize("value", [0, 10**9, 10**30])
def test_sizes_that_no_analysis_has_are_refused_by_name(extractor, value):
    sizes = {"sample_frequency", "frame_length", "fft_size", "num_mel_bins"}
    for key in sizes & {field.name for field in dataclasses.fields(EXTRACTORS[extractor])}:
        if (key, value) != ("fft_size", 0) or extractor == "spectrogram":  # 0 is the next power of two
            with pytest.raises(SertkError, match=f"mine.yaml: {key} is .*, expected "):
                make_extractor({"extractor": extractor, key: value}, "mine.yaml")
