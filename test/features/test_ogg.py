"""Ogg files that were cut off, or joined."""

import io

import pytest
from open_lengths import encoded, noisy_tone

from sertk.core.errors import SertkError
from sertk.features.ogg import whole_ogg
from sertk.features.recording import open_sound

WAVE = noisy_tone(3.0)
OGG = {subtype: bytes(encoded(WAVE, "OGG", subtype=subtype)) for subtype in ("VORBIS", "OPUS")}


@pytest.mark.parametrize("subtype", OGG)
def test_a_whole_file(subtype):
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


@pytest.mark.parametrize("subtype", OGG)
@pytest.mark.parametrize("behind", ["another", "a tag"])
def test_what_lies_behind_a_recording_is_not_read(subtype, behind):
    content = OGG[subtype] + (OGG[subtype] if behind == "another" else b"TAG" + bytes(125))
    with open_sound(io.BytesIO(content), "it") as recording:
        assert len(recording.samples()) == len(WAVE)
    joined = "several recordings one after the other, and the first alone is read: cut them apart"
    expected = joined if behind == "another" else "128 bytes behind its last page are not read"
    assert recording.warnings == [f"it: {expected}"]


def pages_of(content):
    begin = [at for at in range(len(content)) if content.startswith(b"OggS", at)]
    return [content[at:end] for at, end in zip(begin, [*begin[1:], None], strict=True)]


@pytest.mark.parametrize("subtype", OGG)
def test_damage_within_a_file(subtype):
    pages = pages_of(OGG[subtype])
    middle = len(OGG[subtype]) // 2
    holed = OGG[subtype][:middle] + bytes(300) + OGG[subtype][middle + 300 :]
    flipped = bytearray(OGG[subtype])
    flipped[middle] ^= 1
    cases = [(holed, "not as it was written"), (bytes(flipped), "not as it was written")]
    cases += [(b"".join([*pages[:-1], bytes(99), pages[-1]]), "no page begins at byte")]
    if len(pages) > 4:
        cases += [(b"".join([*pages[:3], *pages[4:]]), "pages are missing")]
    for content, fault in cases:
        with pytest.raises(SertkError, match=f"it: damaged, .*{fault}"):
            with open_sound(io.BytesIO(content), "it"):
                pass


def test_what_is_no_page():
    assert whole_ogg(io.BytesIO(b"RIFF")) is None
    assert whole_ogg(io.BytesIO(b"")) is None
