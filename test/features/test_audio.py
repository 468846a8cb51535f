"""Odd recordings, each made here."""

import hashlib
import struct

import numpy as np
import pytest
import soundfile

from sertk.core.errors import SertkError
from sertk.features.audio import (
    audio_hash,
    load_audio,
    load_segment,
    locate_utterances,
    read_utterances,
    read_wave_archive,
    resample,
)
from sertk.features.recording import open_recording

TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)).astype(np.float32)


def tone_at(rate):
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)).astype(np.float32)


@pytest.mark.parametrize(
    ("suffix", "subtype", "accuracy"),
    [
        ("wav", "PCM_U8", 1 / 128),
        ("wav", "PCM_16", 1 / 32768),
        ("wav", "PCM_24", 1e-6),
        ("wav", "PCM_32", 1e-6),
        ("wav", "FLOAT", 0),
        ("wav", "DOUBLE", 0),
        ("wav", "ULAW", 0.02),
        ("flac", "PCM_16", 1 / 32768),
        ("aiff", "PCM_16", 1 / 32768),
        ("au", "PCM_16", 1 / 32768),
        ("ogg", "VORBIS", 0.05),
    ],
)
def test_formats(tmp_path, suffix, subtype, accuracy):
    path = tmp_path / f"with a space.{suffix}"
    soundfile.write(path, TONE, 16000, subtype=subtype)
    samples, rate = load_audio(str(path))
    assert rate == 16000
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, TONE, atol=accuracy)


def test_six_channels_are_averaged_or_chosen(tmp_path):
    path = str(tmp_path / "six.wav")
    channels = np.tile(np.arange(6, dtype=np.float32) / 8, (100, 1))
    soundfile.write(path, channels, 8000, subtype="FLOAT")
    np.testing.assert_allclose(load_audio(path)[0], 2.5 / 8)
    np.testing.assert_array_equal(load_audio(path, channel=3)[0], 3 / 8)
    for channel in (6, -1):
        with pytest.raises(SertkError, match=f"there is no channel {channel}, it has 6"):
            load_audio(path, channel=channel)


@pytest.mark.parametrize("rate", [8000, 11025, 15999, 22050, 44100, 48000])
def test_resampled_tone(rate):
    samples = resample(tone_at(rate), rate, 16000)
    assert len(samples) == 16000
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples[500:-500], TONE[500:-500], atol=2e-3)


def test_resampling_to_the_same_rate_changes_nothing():
    assert resample(TONE, 16000, 16000) is TONE


def write_bytes(tmp_path, content, name="x.wav"):
    path = tmp_path / name
    path.write_bytes(content)
    return str(path)


def wav_bytes(tmp_path, samples=TONE, suffix="wav", **options):
    path = tmp_path / f"whole.{suffix}"
    soundfile.write(path, samples, 16000, **options)
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "FLAC", "AIFF", "AU", "NIST", "W64", "RF64", "MP3", "CAF", "OGG"])
def test_cut_off_files(tmp_path, kind):
    content = wav_bytes(tmp_path, format=kind)
    assert len(load_audio(write_bytes(tmp_path, content))[0]) == 16000
    path = write_bytes(tmp_path, content[: len(content) * 2 // 3])
    for entry in (path, f"cat {path} |"):
        with pytest.raises(SertkError, match="cut off"):
            load_audio(entry)


@pytest.mark.filterwarnings("error")
def test_channels_whose_mean_is_beyond_all_numbers(tmp_path):
    samples = np.full((100, 2), np.finfo(np.float32).max)
    samples[1] = np.inf, -np.inf
    soundfile.write(tmp_path / "x.wav", samples, 16000, subtype="FLOAT")
    with pytest.raises(SertkError, match="x.wav: NaN or infinite samples"):
        load_audio(f"{tmp_path}/x.wav")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_samples_that_are_no_sound(tmp_path, bad):
    samples = TONE.copy()
    samples[77] = bad
    soundfile.write(tmp_path / "x.wav", samples, 16000, subtype="FLOAT")
    with pytest.raises(SertkError, match="NaN or infinite samples"):
        load_audio(str(tmp_path / "x.wav"))


def test_recordings_are_found_in_another_unicode_form(tmp_path):
    there = tmp_path / "fu\u0308r.wav"
    soundfile.write(there, TONE, 16000)
    written = str(tmp_path / "f\u00fcr.wav")
    assert len(load_audio(written)[0]) == len(TONE)
    with open_recording(written) as recording:
        assert recording.rate == 16000


def test_unreadable_files(tmp_path):
    cases = {
        b"": "an empty file",
        b"hello, this is text\n" * 10: "not readable as audio",
        wav_bytes(tmp_path)[:20]: "not readable as audio",
        wav_bytes(tmp_path, TONE[:0]): "no samples",
    }
    for content, message in cases.items():
        with pytest.raises(SertkError, match=message):
            load_audio(write_bytes(tmp_path, content))
    with pytest.raises(SertkError, match="gone.wav: no such file"):
        load_audio(str(tmp_path / "gone.wav"))
    with pytest.raises(SertkError, match="no such file"):
        load_audio(str(tmp_path))
    with pytest.raises(SertkError, match=r"x\.raw: not readable as audio"):
        load_audio(write_bytes(tmp_path, TONE.tobytes(), "x.raw"))


@pytest.mark.parametrize("size", [0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_commands_that_stream_a_header_without_a_length(tmp_path, size):
    content = bytearray(wav_bytes(tmp_path))
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", size)
    content[4:8] = struct.pack("<I", size)
    path = write_bytes(tmp_path, bytes(content), "streamed.wav")
    samples, _ = load_audio(f"cat '{path}' |")
    assert len(samples) == 16000


def test_commands(tmp_path):
    path = write_bytes(tmp_path, wav_bytes(tmp_path), "a b.wav")
    np.testing.assert_allclose(load_audio(f"cat '{path}' | cat |")[0], TONE, atol=1e-4)
    with pytest.raises(SertkError, match="failed with status 3"):
        load_audio(f"cat '{path}'; exit 3 |")
    with pytest.raises(SertkError, match="'true' gave no output"):
        load_audio("true |")
    with pytest.raises(SertkError, match="not readable as audio"):
        load_audio("echo hello |")
    with pytest.raises(SertkError, match="cut off"):
        load_audio(f"head -c 5000 '{path}' |")


@pytest.fixture
def recordings(tmp_path):
    soundfile.write(tmp_path / "a.wav", TONE, 16000, subtype="FLOAT")
    (tmp_path / "broken.wav").write_text("no sound")
    (tmp_path / "wav.scp").write_text(f"rec1 {tmp_path}/a.wav\nrec2 {tmp_path}/broken.wav\nrec3 {tmp_path}/a.wav\n")
    return tmp_path


def test_utterances_of_recordings(recordings):
    bad = {}
    read = list(read_utterances(recordings / "wav.scp", on_error=bad.__setitem__))
    assert [utterance for utterance, _, _ in read] == ["rec1", "rec3"]
    assert list(bad) == ["rec2"]
    with pytest.raises(SertkError, match=r"rec2: .*broken.wav: not readable"):
        list(read_utterances(recordings / "wav.scp"))


def test_segments(recordings):
    (recordings / "segments").write_text(
        "u1 rec1 0.25 0.5\nu2 rec1 0.5 -1\nu3 rec1 0.9 1.4\nu4 rec1 0.9 1.6\nu5 rec2 0 1\nu6 rec1 1.2 1.3\n"
    )
    bad = {}
    read = {
        utterance: samples
        for utterance, samples, _ in read_utterances(
            recordings / "wav.scp", recordings / "segments", on_error=bad.__setitem__
        )
    }
    np.testing.assert_array_equal(read["u1"], TONE[4000:8000])
    np.testing.assert_array_equal(read["u2"], TONE[8000:])
    np.testing.assert_array_equal(read["u3"], TONE[14400:])  # up to half a second too long is forgiven
    assert list(bad) == ["u4", "u5", "u6"]
    assert "ends at 1.6 s, the recording at 1.00 s" in str(bad["u4"])
    assert "starts at 1.2 s" in str(bad["u6"])


def test_a_segment_read_alone_is_that_of_the_whole_recording(recordings):
    (recordings / "segments").write_text("u1 rec1 0.25 0.5\nu2 rec1 0.5 -1\nu3 rec1 0.9 1.4\nu4 rec1 0 1\n")
    places = locate_utterances(recordings)
    for utterance, samples, rate in read_utterances(recordings / "wav.scp", recordings / "segments"):
        alone, own_rate = load_segment(*places[utterance])
        np.testing.assert_array_equal(alone, samples)
        assert own_rate == rate
    soundfile.write(recordings / "two.flac", np.stack([TONE, 0 * TONE], 1), 16000)
    np.testing.assert_allclose(load_segment(f"{recordings}/two.flac", 0.5, 0.75)[0], TONE[8000:12000] / 2, atol=1e-4)
    (recordings / "segments").unlink()
    assert locate_utterances(recordings)["rec3"] == (f"{recordings}/a.wav", 0, -1)
    np.testing.assert_array_equal(load_segment(*locate_utterances(recordings)["rec3"])[0], TONE)
    for place, message in (((0.9, 1.6), "ends at 1.6 s, the recording at 1.00 s"), ((1.2, 1.3), "starts at 1.2 s")):
        with pytest.raises(SertkError, match=message):
            load_segment(f"{recordings}/a.wav", *place)
    broken = TONE.copy()
    broken[12000] = np.nan
    soundfile.write(recordings / "a.wav", broken, 16000, subtype="FLOAT")
    assert len(load_segment(f"{recordings}/a.wav", 0.2, 0.5)[0]) == 4800  # nothing else is read
    with pytest.raises(SertkError, match=r"a\.wav: NaN or infinite samples"):
        load_segment(f"{recordings}/a.wav", 0.7, 0.8)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("u rec1 0", "expected 'recording start end'"),
        ("u rec1 zero 1", "expected 'recording start end'"),
        ("u rec1 1 1", "expected 0 <= start < end"),
        ("u rec1 -2 1", "expected 0 <= start < end"),
        ("u rec1 nan 1", "expected 0 <= start < end"),
        ("u rec9 0 1", "the recording rec9 is not in wav.scp"),
    ],
)
def test_broken_segments(recordings, line, message):
    (recordings / "segments").write_text(line + "\n")
    with pytest.raises(SertkError, match=message):
        list(read_utterances(recordings / "wav.scp", recordings / "segments"))


def test_archives_of_waves(tmp_path):
    whole = wav_bytes(tmp_path, subtype="PCM_16")
    empty = wav_bytes(tmp_path, TONE[:0])
    ark = tmp_path / "wav.ark"
    ark.write_bytes(b"a " + whole + b"b " + empty + b"c " + whole)
    bad = {}
    read = list(read_wave_archive(str(ark), on_error=bad.__setitem__))
    assert [utterance for utterance, _, _ in read] == ["a", "c"]
    np.testing.assert_allclose(read[1][1], TONE, atol=1e-4)
    assert list(bad) == ["b"]
    with pytest.raises(SertkError, match="b: .*no samples"):
        list(read_wave_archive(str(ark)))
    np.testing.assert_allclose(load_audio(f"{ark}:{len(whole) + len(empty) + 6}")[0], TONE, atol=1e-4)
    ark.write_bytes(b"a " + whole + b"b " + whole[:9000])
    with pytest.raises(SertkError, match=r"b in .*wav\.ark: the archive is cut off"):
        list(read_wave_archive(str(ark)))


def test_hash_is_of_samples_and_rate():
    samples = np.array([1, -1], np.float32) / 32768
    assert audio_hash(samples, 16000) == hashlib.sha1(b"\x01\x00\xff\xff16000").hexdigest()
    assert audio_hash(samples, 16000) != audio_hash(samples, 8000)
    assert audio_hash(np.array([2.0, -2.0]), 1) == hashlib.sha1(b"\xff\x7f\x00\x801").hexdigest()
