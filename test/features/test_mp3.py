"""MP3 files whose length libsndfile guesses."""

import io

import numpy as np
import pytest
import soundfile
from open_lengths import mp3, noisy_tone
from scipy.signal import correlate

from sertk.core.errors import SertkError
from sertk.features.audio import load_audio, load_segment
from sertk.features.mp3 import contents_of

WAVE = noisy_tone()


@pytest.fixture
def write(tmp_path):
    def write(content):
        (tmp_path / "a.mp3").write_bytes(content)
        return str(tmp_path / "a.mp3")

    return write


def heard_at(samples):
    """Where in decoded samples WAVE begins; how alike its noise and theirs are there."""
    noise = WAVE[len(WAVE) // 2 :]
    place = int(np.argmax(correlate(samples, noise, "valid")))
    return place - len(WAVE) // 2, np.corrcoef(noise, samples[place : place + len(noise)])[0, 1]


@pytest.mark.parametrize("bitrate_mode", ["VARIABLE", "CONSTANT"])
def test_an_mp3_file_from_a_pipe_is_decoded_to_its_end(write, bitrate_mode):
    path = write(mp3(WAVE, False, bitrate_mode))
    if bitrate_mode == "VARIABLE":
        assert soundfile.info(path).frames < len(WAVE) / 2  # what libsndfile guesses from the first frame
    for entry in (path, f"cat {path} |"):
        samples, _ = load_audio(entry)
        start, alike = heard_at(samples)
        assert alike > 0.75 and len(samples) >= start + len(WAVE)
        np.testing.assert_array_equal(load_segment(entry, 1.5, 1.75)[0], samples[24000:28000])


def test_an_mp3_file_that_says_its_length_is_as_long_as_that(write):
    samples, _ = load_audio(write(mp3(WAVE)))
    assert len(samples) == len(WAVE)
    assert heard_at(samples)[0] == 0


def test_mp3_files_one_after_the_other_and_tags_between_them(write):
    one = mp3(WAVE)
    tag = b"ID3\x04\x00\x00\x00\x00\x00\x7f" + bytes(127)
    for content in (one + one, tag + one + tag + one, one + one + b"TAG" + bytes(125)):
        samples, _ = load_audio(write(content))
        assert 2 * len(WAVE) <= len(samples) <= 2 * len(WAVE) + 4000
        start, alike = heard_at(samples[len(WAVE) :])
        assert alike > 0.75 and len(samples) >= start + 2 * len(WAVE)


@pytest.mark.parametrize("said", [True, False])
def test_an_mp3_file_that_was_cut_off(write, said):
    content = mp3(WAVE, said)
    path = write(content[: len(content) // 2 + 20])
    with pytest.raises(SertkError, match=r"a\.mp3: cut off; `ffmpeg -i FILE OUT\.wav` keeps what is there"):
        load_audio(path)


@pytest.mark.parametrize("junk", [bytes(3000), b"\x12\x34" * 50, b"\xff\xfb" * 9])
@pytest.mark.parametrize("said", [True, False])
def test_what_lies_before_the_first_frame_is_not_read(write, junk, said):
    content = mp3(WAVE, said)
    expected, _ = load_audio(write(content))
    path = write(junk + content)
    for entry in (path, f"cat {path} |"):
        np.testing.assert_array_equal(load_audio(entry)[0], expected)


def test_a_recording_of_a_stream_begins_within_a_frame(write):
    path = write(mp3(WAVE, False)[500:])
    samples, _ = load_audio(path)
    assert heard_at(samples)[1] > 0.75
    np.testing.assert_array_equal(load_audio(f"cat {path} |")[0], samples)


def test_what_lies_behind_the_last_frame(write, caplog, capfd):
    content = mp3(WAVE)
    expected, _ = load_audio(write(content))
    assert not caplog.text
    for behind, warning in ((bytes(6000), "the last 6000 bytes are not read"), (b"TAG" + bytes(125), "")):
        caplog.clear()
        np.testing.assert_array_equal(load_audio(write(content + behind))[0], expected)
        assert warning in caplog.text and bool(warning) == bool(caplog.text)
    assert capfd.readouterr().err == ""  # libmpg123 would print that the size is not the one that it was told


@pytest.mark.parametrize("said", [True, False])
def test_damage_between_frames(write, caplog, said):
    content = bytearray(mp3(WAVE, said, "CONSTANT"))
    middle = len(content) // 2
    content[middle : middle + 700] = bytes(700)
    path = write(bytes(content))
    if said:
        with pytest.raises(SertkError, match=r"a\.mp3: damaged between its frames; `ffmpeg"):
            load_audio(path)
    else:
        load_audio(path)
        assert "bytes between its frames are not read: it may be damaged" in caplog.text


def test_frames_are_counted():
    content = mp3(WAVE)
    first, second = contents_of(io.BytesIO(content)), contents_of(io.BytesIO(mp3(WAVE, False)))
    assert first.said == first.frames == second.frames and second.said is None
    assert first.is_counted and not second.is_counted
    assert first.start == len(content) - len(mp3(WAVE, False)) and second.start == 0
    assert first.samples == first.frames * 576 >= len(WAVE)
    with_vbri = bytearray(content)
    at = content.index(b"Xing")
    with_vbri[at : at + 4] = bytes(4)
    with_vbri[36:54] = b"VBRI" + bytes(10) + first.frames.to_bytes(4, "big")
    assert contents_of(io.BytesIO(bytes(with_vbri))) == first
    counting = contents_of(io.BytesIO(second.counting_frame() + mp3(WAVE, False)))
    assert (counting.said, counting.frames) == (first.frames, first.frames)


@pytest.mark.parametrize("content", [b"", b"ID3", b"RIFF" * 9, b"\xff\xfb", b"\xff\xf1\x50\x80" * 9, bytes(999)])
def test_what_is_no_mp3(content):
    assert contents_of(io.BytesIO(content)) is None
