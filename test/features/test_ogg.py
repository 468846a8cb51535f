"""Ogg files that were cut off, or joined."""

import io

import numpy as np
import pytest
from open_lengths import encoded, noisy_tone

from sertk.core.errors import SertkError
from sertk.features.ogg import check_pages
from sertk.features.recording import open_sound

WAVE = noisy_tone(3.0)
OGG = {subtype: bytes(encoded(WAVE, "OGG", subtype=subtype)) for subtype in ("VORBIS", "OPUS")}


@pytest.mark.parametrize("subtype", OGG)
def test_a_whole_file(subtype):
    assert check_pages(io.BytesIO(OGG[subtype])) is None
    with open_sound(io.BytesIO(OGG[subtype]), "it") as recording:
        assert len(recording.samples()) == len(WAVE) and not recording.warnings


@pytest.mark.parametrize("subtype", OGG)
@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_a_file_that_ends_within_a_page(subtype, part):
    content = OGG[subtype]
    with pytest.raises(SertkError, match="it: cut off, it ends within a page"):
        with open_sound(io.BytesIO(content[: int(part * len(content))]), "it"):
            pass


def test_a_file_that_ends_with_a_page_that_is_not_the_last():
    content = OGG["OPUS"]
    with open_sound(io.BytesIO(content[: content.rindex(b"OggS")]), "it") as recording:
        samples = recording.samples()
    assert 16000 < len(samples) < len(WAVE)
    assert recording.warnings == ["it: no mark of its end: its recording may have been cut off"]


def test_recordings_one_after_the_other():
    content = OGG["VORBIS"] + OGG["VORBIS"]
    with open_sound(io.BytesIO(content), "it") as recording:
        assert len(recording.samples()) == len(WAVE)
    (warning,) = recording.warnings
    assert warning == "it: 2 recordings one after the other, and the first alone is read: cut them apart"


def test_what_is_no_page():
    assert check_pages(io.BytesIO(b"RIFF")) is None
    assert check_pages(io.BytesIO(OGG["OPUS"] + b"TAG" + bytes(125))) == "128 bytes behind its last page are not read"
    np.testing.assert_equal(check_pages(io.BytesIO(b"")), None)
