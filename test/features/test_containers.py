"""Sizes in headers that are right, nearly right, or wrong."""

import io
import struct

import numpy as np
import pytest
from open_lengths import encoded, noisy_tone, open_wav, with_fields

from sertk.core.errors import SertkError
from sertk.features.containers import Spliced, with_size
from sertk.features.recording import open_sound

WAVE = noisy_tone(0.5)
WAV = encoded(WAVE, "WAV", subtype="PCM_16")
SIZE = 2 * len(WAVE)
LIST = b"LIST" + struct.pack("<I", 4) + b"INFO"


def read(content):
    with open_sound(io.BytesIO(content), "it") as recording:
        return recording.samples(), recording.warnings


def said(content, size):
    return with_fields(bytearray(content), (content.index(b"data") + 4, "<I", size))


def test_chunks_behind_the_samples_are_none_of_them():
    for content in (bytes(WAV) + LIST, said(WAV, SIZE) + LIST * 500, bytes(WAV) + bytes(1000)):
        samples, warnings = read(content)
        np.testing.assert_array_equal(samples, WAVE)
        assert not warnings


@pytest.mark.parametrize("behind", [bytes(range(256)) * 40, bytes(WAV)])
def test_samples_that_the_header_does_not_know_of_are_named(behind):
    samples, warnings = read(bytes(WAV) + behind)
    np.testing.assert_array_equal(samples, WAVE)
    assert warnings == [f"it: the last {len(behind)} bytes are not read, as its header knows nothing of them"]


def test_a_header_that_was_not_written_again_while_the_recorder_ran_on():
    _, warnings = read(said(WAV, SIZE // 4))
    assert warnings == [f"it: the last {SIZE - SIZE // 4} bytes are not read, as its header knows nothing of them"]


@pytest.mark.parametrize("more", [8, 36, 44])
def test_a_size_that_counts_the_header_too_is_no_loss(more):
    samples, warnings = read(said(WAV, SIZE + more))
    np.testing.assert_array_equal(samples, WAVE)
    assert not warnings


def test_a_file_that_ends_before_its_samples():
    for size in (SIZE + 1000, 0x7EFFFFFF):
        with pytest.raises(SertkError, match="it: cut off, its header says that it is longer"):
            read(said(WAV, size))


def test_an_empty_file_is_empty():
    empty = bytes(encoded(WAVE[:0], "WAV", subtype="PCM_16"))
    for content in (empty, empty + LIST):
        with pytest.raises(SertkError, match="it: no samples"):
            read(content)


def test_other_chunks_before_samples_of_unknown_size():
    content = open_wav(WAVE, 0)
    at = content.index(b"data")
    np.testing.assert_array_equal(read(content[:at] + LIST + content[at:])[0], WAVE)


def test_a_wav_file_of_more_than_it_can_say(tmp_path):
    path = tmp_path / "long.wav"
    path.write_bytes(open_wav(WAVE, 0xFFFFFFFF))
    with open(path, "r+b") as stream:
        stream.truncate(44 + 2**32 + 9999)  # a file with a hole, which takes no space
        _, warning = with_size(stream)
    assert warning == "the last 10000 bytes are not read, as it has more than 4 GB: cut it in two"
    for size in (2**31 + 10, 2**32 - 100):  # a size from which on none is meant, but there it is right
        path.write_bytes(open_wav(WAVE, size)[:44])
        with open(path, "r+b") as stream:
            stream.truncate(44 + size)
            assert with_size(stream) == (None, None)


def test_voc_files(tmp_path):
    content = bytes(encoded(WAVE, "VOC", subtype="PCM_16"))
    assert len(read(content)[0]) == len(WAVE)
    more = content[:-1] + b"\x02" + (SIZE).to_bytes(3, "little") + WAVE.tobytes()[:SIZE] + b"\x00"
    with pytest.raises(SertkError, match="it: a VOC file in several blocks"):
        read(more)


def test_anything_else_is_left_alone():
    for content in (b"", b"RIFF", b"RIFF" + bytes(5000), b".snd\x00", b"fLaC" + bytes(50), b"hello, world" * 9):
        assert with_size(io.BytesIO(content)) == (None, None)


def test_a_file_with_another_beginning():
    spliced = Spliced(b"ABC", io.BytesIO(b"0123456789"), 4)
    assert spliced.read() == b"ABC456789" and spliced.tell() == 9
    assert spliced.seek(2) == 2 and spliced.read(3) == b"C45"
    assert spliced.seek(-2, io.SEEK_END) == 7 and spliced.read(5) == b"89"
    assert spliced.seek(4) == 4 and spliced.seek(1, io.SEEK_CUR) == 5 and spliced.read(1) == b"6"
