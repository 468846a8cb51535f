"""Sizes in headers that are right, nearly right, or wrong."""

import io
import re
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
        whole = with_size(stream)
    assert whole.warning == "the last 10000 bytes are not read, as it has more than 4 GB: cut it in two"
    for size in (2**31 + 10, 2**32 - 100):  # a size from which on none is meant, but there it is right
        path.write_bytes(open_wav(WAVE, size)[:44])
        with open(path, "r+b") as stream:
            stream.truncate(44 + size)
            whole = with_size(stream)
            assert (whole.file.size, whole.warning) == (44 + size, None)


def test_chunks_behind_samples_of_unknown_size():
    for size in (0, 0x7FFFF000, 0xFFFFFFFF):
        np.testing.assert_array_equal(read(open_wav(WAVE, size) + LIST + b"id3 \x02\x00\x00\x00ab")[0], WAVE)
    np.testing.assert_array_equal(read(open_wav(WAVE, 0) + b"LIST\xff\x00")[0][: len(WAVE)], WAVE)  # is no chunk


@pytest.mark.parametrize("size", [16, 5000])
def test_chunks_behind_the_samples_of_a_w64_file(size):
    content = bytes(encoded(WAVE, "W64", subtype="PCM_16"))
    name = b"list" + bytes.fromhex("f3acd3118cd100c04f8edb8a")
    samples, warnings = read(content + name + struct.pack("<q", 24 + size) + bytes([0x55]) * size)
    np.testing.assert_array_equal(samples, WAVE)
    assert not warnings


ALONE = {
    kind: bytes(encoded(WAVE, kind, subtype="PCM_16")) for kind in ("WAV", "W64", "NIST", "VOC", "AIFF", "CAF", "AU")
}


@pytest.mark.parametrize("kind", ALONE)
@pytest.mark.parametrize("behind", ["itself", "noise"])
def test_what_lies_behind_the_samples_is_named_and_not_read(kind, behind):
    more = ALONE[kind] if behind == "itself" else bytes(range(128, 256)) * 40
    samples, warnings = read(ALONE[kind] + more)
    np.testing.assert_array_equal(samples, WAVE)
    (warning,) = warnings
    assert re.fullmatch(r"it: the last \d+ bytes are not read, as its header knows nothing of them", warning)


@pytest.mark.parametrize("kind", ALONE)
def test_what_was_cut_off_is_refused(kind):
    with pytest.raises(SertkError, match="it: cut off, its header says that it is longer"):
        read(ALONE[kind][: len(ALONE[kind]) * 6 // 10])


def test_short_recordings_one_after_the_other():
    for kind in ("WAV", "NIST", "VOC"):
        one = bytes(encoded(WAVE[-500:], kind, subtype="PCM_16"))
        samples, warnings = read(one + one)
        np.testing.assert_array_equal(samples, WAVE[-500:])
        assert len(warnings) == (kind != "VOC")  # of which one ends with a mark, and the rest is little


@pytest.mark.parametrize(
    "kind, subtype", [("WAV", "MS_ADPCM"), ("WAV", "IMA_ADPCM"), ("WAV", "GSM610"), ("CAF", "ALAC_16")]
)
def test_compressed_samples_that_end_a_little_early(kind, subtype):
    content = bytes(encoded(WAVE, kind, subtype=subtype))
    assert len(read(content)[0]) >= len(WAVE)
    with pytest.raises(SertkError, match="it: cut off, its header says that it is longer"):
        read(content[:-3])


def test_sphere_files_whose_count_is_not_that_of_their_size():
    content = ALONE["NIST"]
    samples, warnings = read(content.replace(b"sample_count -i 8000", b"sample_count -i 3000"))
    np.testing.assert_array_equal(samples, WAVE[:3000])
    assert warnings == ["it: the last 10000 bytes are not read, as its header knows nothing of them"]
    with pytest.raises(SertkError, match="it: cut off"):
        read(content.replace(b"sample_count -i 8000", b"sample_count -i 8001"))
    for unknown in (b"sample_count -i 0   ", b"sample_count -i -1  "):
        np.testing.assert_array_equal(read(content.replace(b"sample_count -i 8000", unknown))[0], WAVE)


def test_voc_files_in_several_blocks():
    more = ALONE["VOC"][:-1] + b"\x02" + SIZE.to_bytes(3, "little") + bytes(SIZE) + b"\x00"
    with pytest.raises(SertkError, match="it: a VOC file in several blocks"):
        read(more)


def test_anything_else_is_left_alone():
    for content in (b"", b"RIFF", b"RIFF" + bytes(5000), b".snd\x00", b"fLaC" + bytes(50), b"hello, world" * 9):
        assert with_size(io.BytesIO(content)) is None


def test_a_file_with_another_beginning():
    spliced = Spliced(b"ABC", io.BytesIO(b"0123456789"), 4)
    assert spliced.read() == b"ABC456789" and spliced.tell() == 9
    assert spliced.seek(2) == 2 and spliced.read(3) == b"C45"
    assert spliced.seek(-2, io.SEEK_END) == 7 and spliced.read(5) == b"89"
    assert spliced.seek(4) == 4 and spliced.seek(1, io.SEEK_CUR) == 5 and spliced.read(1) == b"6"
