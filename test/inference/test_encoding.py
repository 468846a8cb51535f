"""sertk-extract --encoder on recordings, with an encoder of a few random weights."""

import re

import numpy as np
import pytest
import soundfile
import torch
from small_experiments import CPU
from tiny_encoders import WHISPER, add_encoder, random_encoder, random_weights

from sertk.bin import extract
from sertk.core.errors import SertkError
from sertk.encoders import cache
from sertk.encoders.base import encode
from sertk.features.audio import resample
from sertk.features.log_mel import LogMel
from sertk.inference.encoding import LoadedEncoder, Statistics, load_encoder
from sertk.kaldi.archives import open_matrices

SECONDS = {"a": 1.0, "b-short": 0.02, "c-8kHz": 0.83, "d": 2.5, "e": 1.0}


@pytest.fixture(autouse=True)
def tiny(tmp_path, monkeypatch):
    monkeypatch.setenv("SERTK_ENCODERS", str(tmp_path / "encoders"))
    return add_encoder()


@pytest.fixture
def recordings(tmp_path):
    """{utterance: (samples, rate)} of tmp_path/wav.scp."""
    random, found = np.random.default_rng(0), {}
    for name, seconds in SECONDS.items():
        rate = 8000 if name == "c-8kHz" else 16000
        samples = (0.1 * random.standard_normal(int(seconds * rate))).astype(np.float32)
        soundfile.write(tmp_path / f"{name}.wav", samples, rate, subtype="FLOAT")
        found[name] = samples, rate
    (tmp_path / "wav.scp").write_text("".join(f"{name} {tmp_path}/{name}.wav\n" for name in found))
    return found


def by_hand(samples, rate, layers):
    """Of one recording by itself, each (frames, dims)."""
    features = torch.from_numpy(LogMel()(resample(samples, rate, 16000)))
    with torch.inference_mode():
        found, _ = encode(random_encoder(), features[None], torch.tensor([len(features)]), layers)
    return [layer[0].numpy() for layer in found]


def run(tmp_path, *options, encoder="tiny", out="{layer}"):
    """The exit status, with archives tmp_path/OUT."""
    archives = f"ark,scp:{tmp_path}/{out}.ark,{tmp_path}/{out}.scp"
    return extract.main(["--encoder", encoder, *options, *CPU, f"scp:{tmp_path}/wav.scp", archives])


def read(tmp_path, name):
    return dict(open_matrices(f"scp:{tmp_path}/{name}.scp"))


def test_all_layers_of_all_recordings_come_in_one_pass(recordings, tmp_path):
    assert run(tmp_path, "--layer", "all", "--uncompressed") == 0
    found = {layer: read(tmp_path, layer) for layer in range(4)}
    for layer in range(4):
        assert list(found[layer]) == list(recordings)
    for name, (samples, rate) in recordings.items():
        expected = by_hand(samples, rate, [0, 1, 2, 3])
        assert len(expected[0]) == -(-int(SECONDS[name] * 100) // 2)
        for layer in range(4):
            np.testing.assert_allclose(found[layer][name], expected[layer], atol=1e-5)


def test_compressed_values_are_within_a_step_of_16_bits(recordings, tmp_path):
    assert run(tmp_path, "--layer", "2,0") == 0
    for place, layer in enumerate((2, 0)):
        for name, matrix in read(tmp_path, layer).items():
            expected = by_hand(*recordings[name], [2, 0])[place]
            step = (expected.max() - expected.min()) / 65535
            difference = np.abs(matrix - expected).max()
            assert difference <= step + 1e-5 and (name == "b-short" or difference > 0)
    assert (tmp_path / "2.ark").stat().st_size < 0.6 * 4 * sum(each.size for each in read(tmp_path, 2).values())
    assert not (tmp_path / "1.ark").exists()


def test_meanstd_is_numpys_mean_and_deviation(recordings, tmp_path):
    assert run(tmp_path, "--layer", "1,3", "--pool", "meanstd") == 0
    for place, layer in enumerate((1, 3)):
        for name, matrix in read(tmp_path, layer).items():
            frames = by_hand(*recordings[name], [1, 3])[place].astype(np.float64)
            assert matrix.shape == (1, 16) and matrix.dtype == np.float32
            np.testing.assert_allclose(matrix[0], np.concatenate([frames.mean(0), frames.std(0)]), atol=1e-5)


def test_statistics_over_windows_are_those_of_the_whole():
    frames = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0)) + 100
    (statistics,) = Statistics.over([part] for part in frames.split(170))
    expected = torch.cat([frames.double().mean(0), frames.double().std(0, unbiased=False)])
    torch.testing.assert_close(statistics.pooled("meanstd")[0].double(), expected, atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize("pool", ["none", "mean", "meanstd"])
def test_two_minutes_are_heard_in_windows(tmp_path, pool):
    samples = (0.1 * np.random.default_rng(1).standard_normal(120 * 16000)).astype(np.float32)
    soundfile.write(tmp_path / "long.wav", samples, 16000, subtype="FLOAT")
    (tmp_path / "wav.scp").write_text(f"long {tmp_path}/long.wav\n")
    assert run(tmp_path, "--layer", "3", "--pool", pool, "--uncompressed") == 0
    found = read(tmp_path, 3)["long"]
    (expected,) = by_hand(samples, 16000, [3])
    assert len(expected) == 6000
    if pool != "none":
        pooled = {"mean": [expected.mean(0)], "meanstd": [expected.mean(0), expected.std(0)]}
        expected = np.concatenate(pooled[pool])[None]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_recordings_of_like_length_share_batches_and_keep_their_order(recordings):
    loaded = LoadedEncoder(random_encoder(), torch.device("cpu"))
    assert list(loaded.layers) == [0, 1, 2, 3]
    features = [loaded.features(*recording) for recording in recordings.values()]
    for items in loaded.batches([1600, 20, 700, 800, 1600, 100]):  # 16 s at a time
        assert max(1600 if item in (0, 4) else 800 for item in items) * len(items) <= 1600 or items == [1, 5]
    found = loaded.encode(features, [2])
    for (layer,), recording in zip(found, recordings.values()):
        np.testing.assert_allclose(layer, by_hand(*recording, [2])[0], atol=1e-5)


def test_segments_and_channels(tmp_path):
    samples = (0.1 * np.random.default_rng(2).standard_normal((16000, 2))).astype(np.float32)
    soundfile.write(tmp_path / "two.wav", samples, 16000, subtype="FLOAT")
    (tmp_path / "wav.scp").write_text(f"two {tmp_path}/two.wav\n")
    (tmp_path / "segments").write_text("u1 two 0.1 0.5\nu2 two 0.5 -1\n")
    options = ["--segments", f"{tmp_path}/segments", "--channel", "1", "--layer", "1", "--uncompressed"]
    assert run(tmp_path, *options) == 0
    found = read(tmp_path, 1)
    for name, piece in {"u1": samples[1600:8000, 1], "u2": samples[8000:, 1]}.items():
        np.testing.assert_allclose(found[name], by_hand(piece.copy(), 16000, [1])[0], atol=1e-5)


def test_layers_are_listed(capsys, recordings):
    assert extract.main(["--encoder", "tiny", "--list", *CPU]) == 0
    assert capsys.readouterr().out == "0\n1\n2\n3\n"


def said(capsys):
    """The one line that a command ends with."""
    lines = capsys.readouterr().err.splitlines()
    return lines[-1].removeprefix("sertk-extract: ")


@pytest.mark.parametrize("layer", ["4", "0,9", "-1", "1,1", "two", "", "1,", "1.5"])
def test_layers_that_are_not_there_are_named(recordings, tmp_path, capsys, layer):
    assert run(tmp_path, f"--layer={layer}" if layer else "--layer= ") == 1
    assert f"--layer {layer or ' '}: expected layers from 0 to 3, such as 2 or 2,3, or all" in said(capsys)
    assert not list(tmp_path.glob("*.ark"))


def test_wrong_calls(recordings, tmp_path, capsys):
    assert run(tmp_path, "--layer", "0,1", out="both") == 2
    assert said(capsys).endswith("2 layers need {layer} in the archive's name")
    assert run(tmp_path, "--layer", "1", out="one") == 0 and len(read(tmp_path, "one")) == 5
    assert run(tmp_path, "--split", "test") == 2
    assert "an --encoder takes recordings" in said(capsys)
    assert extract.main(["--encoder", "tiny", *CPU, f"scp:{tmp_path}/wav.scp"]) == 2
    assert "a WSPECIFIER says where the vectors go" in said(capsys)
    assert extract.main(["--encoder", "tiny", *CPU]) == 2
    assert "a WSPECIFIER says where the vectors go" in said(capsys)
    assert extract.main(["--list", *CPU]) == 2
    assert said(capsys) == "EXP says whose layers are meant, or --encoder NAME"
    assert extract.main(["--pool", "meanstd", *CPU, str(tmp_path), "ark:-"]) == 2
    assert "--pool, --segments, --utt2hash, --channel and --uncompressed are of an --encoder" in said(capsys)
    assert run(tmp_path, encoder="nobody") == 1
    assert "no encoder 'nobody' (there are: hubert_base" in said(capsys)
    assert run(tmp_path, encoder="whisper_base") == 1
    where = tmp_path / "encoders"
    assert said(capsys) == f"whisper_base is not in the cache {where}: run sertk-get-encoder whisper_base"
    assert run(tmp_path, encoder=str(tmp_path)) == 1
    assert str(tmp_path) in said(capsys)


@pytest.mark.parametrize(("samples", "reason"), [(80, "too short: 0.0050 s, a frame of its features needs 0.0100 s")])
def test_recordings_that_are_too_short_are_named(recordings, tmp_path, capsys, samples, reason):
    soundfile.write(tmp_path / "d.wav", np.full(samples, 0.1), 16000)
    assert run(tmp_path, "--layer", "1") == 1
    assert said(capsys) == f"d: {reason}"
    assert not (tmp_path / "1.scp").exists()


def test_damaged_recordings_are_named(recordings, tmp_path, capsys):
    (tmp_path / "d.wav").write_bytes(b"no wave")
    assert run(tmp_path, "--layer", "1") == 1
    assert said(capsys) == f"d: {tmp_path}/d.wav: not readable as audio"


def truncate(folder):
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


DAMAGE = {
    "truncated": (truncate, "weights.safetensors: damaged: its sha256 is"),
    "gone": (lambda folder: (folder / "weights.safetensors").unlink(), "weights.safetensors: No such file"),
    "no description": (
        lambda folder: (folder / "encoder.yaml").write_text("- 1\n"),
        "encoder.yaml: expected a mapping",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_cache_is_named(recordings, tiny, tmp_path, capsys, kind):
    change, message = DAMAGE[kind]
    change(tiny.folder)
    assert run(tmp_path, "--layer", "1") == 1
    line = said(capsys)
    assert message in line and f"remove the folder {tiny.folder} and run sertk-get-encoder tiny again" in line


def test_weights_that_are_not_finite_are_named(recordings, tmp_path, capsys):
    weights = random_weights()
    weights["blocks.1.out.weight"][2, 3] = np.nan
    cache.add("tiny", WHISPER, weights, "a test")
    assert run(tmp_path, "--layer", "1") == 1
    assert "weights.safetensors: blocks.1.out.weight is not finite everywhere" in said(capsys)


def test_an_encoder_is_loaded_by_its_name(tmp_path):
    assert load_encoder("tiny", torch.device("cpu")).source == {"kind": "whisper", "sizes": WHISPER.sizes}
    with pytest.raises(SertkError, match=re.escape("no encoder 'tin'")):
        load_encoder("tin", torch.device("cpu"))
