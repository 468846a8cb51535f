"""FLAC files whose header says another length than they have."""

import io
import struct

import numpy as np
import pytest
from open_lengths import RATE, encoded, noisy_tone, with_fields

from sertk.core.errors import SertkError
from sertk.features.audio import load_segment
from sertk.features.flac import whole_flac
from sertk.features.recording import open_sound

WAVE = noisy_tone(0.5)
FLAC = bytes(encoded(WAVE, "FLAC", subtype="PCM_16"))
BEHIND = "it: what follows its last frame is not read"


def read(content):
    with open_sound(io.BytesIO(content), "it") as recording:
        return recording.samples(), recording.warnings


def said(count):
    (field,) = struct.unpack_from(">Q", FLAC, 18)
    return with_fields(bytearray(FLAC), (18, ">Q", field - len(WAVE) + count))


def test_more_samples_than_the_header_says_are_read(tmp_path):
    samples, warnings = read(said(3000))
    np.testing.assert_array_equal(samples, WAVE)
    assert not warnings
    path = tmp_path / "a.flac"
    path.write_bytes(said(3000))
    for start, end in ((0.1, 0.15), (0.1, 0.3), (0.4, -1)):
        own = WAVE[int(start * RATE) : None if end == -1 else int(end * RATE)]
        np.testing.assert_array_equal(load_segment(str(path), start, end)[0], own)


def test_fewer_samples_than_the_header_says_are_an_error():
    for count in (len(WAVE) + 1, 2**36 - 1):
        with pytest.raises(SertkError, match="it: cut off, its header says that it is longer"):
            read(said(count))


@pytest.mark.parametrize("behind", [FLAC, b"TAG" + bytes(125), bytes(range(256)) * 20])
def test_what_lies_behind_the_last_frame_is_named(behind):
    samples, warnings = read(FLAC + behind)
    np.testing.assert_array_equal(samples, WAVE)
    assert warnings == [BEHIND]


def test_damage_before_the_last_frame_is_an_error():
    middle = len(FLAC) // 2
    for content in (FLAC[:middle], FLAC[:middle] + bytes(300) + FLAC[middle + 300 :]):
        with pytest.raises(SertkError, match="it: cut off or damaged"):
            read(content)


def test_what_is_no_flac():
    for content in (b"", b"fLaC", b"RIFF" + bytes(99)):
        assert whole_flac(io.BytesIO(content)) is None
