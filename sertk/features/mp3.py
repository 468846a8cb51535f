"""How many frames an MP3 file holds, which its beginning need not say: libsndfile guesses it from the first of them."""

import io
import re
import struct
from dataclasses import dataclass
from typing import IO

from sertk.core.errors import SertkError
from sertk.features.containers import STRAY, Spliced, Whole

# ISO 11172-3 and 13818-3: kbit/s of layer III by the index in a frame's header, Hz by its version and index.
MPEG1, MPEG2, MPEG25 = 3, 2, 0
KILOBITS = {
    MPEG1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    MPEG2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
SYNC = re.compile(b"\xff(?=[\xe2-\xff])")
RATES = {MPEG1: (44100, 48000, 32000), MPEG2: (22050, 24000, 16000), MPEG25: (11025, 12000, 8000)}


@dataclass(frozen=True)
class Frame:
    """The header of a frame of layer III."""

    header: bytes  # 4 bytes

    @classmethod
    def of(cls, header: bytes) -> "Frame | None":
        """The Frame whose header these bytes begin with, or None."""
        if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2 or header[1] & 0x18 == 0x08:
            return None
        if header[2] >> 4 in (0, 15) or header[2] >> 2 & 3 == 3:
            return None
        return cls(header[:4])

    @property
    def version(self) -> int:
        return self.header[1] >> 3 & 3

    @property
    def length(self) -> int:
        """Bytes of the frame, with its header."""
        kilobits = KILOBITS[MPEG1 if self.version == MPEG1 else MPEG2][(self.header[2] >> 4) - 1]
        rate = RATES[self.version][self.header[2] >> 2 & 3]
        return (144 if self.version == MPEG1 else 72) * 1000 * kilobits // rate + (self.header[2] >> 1 & 1)

    @property
    def count_at(self) -> int:
        """Where in the frame `Xing` stands, if the frame is one that says how many follow."""
        side = (17, 32) if self.version == MPEG1 else (9, 17)
        return 4 + side[self.header[3] >> 6 != 3]

    def same_stream(self, other: "Frame") -> bool:
        """Whether version and rate are the same, as in all frames of a file."""
        return self.version == other.version and self.header[2] & 0x0C == other.header[2] & 0x0C


@dataclass(frozen=True)
class Contents:
    """What an MP3 file is found to hold: where its frames with sound begin and end, and how many whole ones there are.

    They begin at `start`; `begin` is the place of a frame before them that says how many they are, if there is one.
    """

    begin: int
    start: int
    end: int
    skipped: int  # bytes between them that are neither frames nor tags
    first: Frame
    frames: int
    said: int | None  # by a frame before them that is there for that
    in_frame: bool  # whether the file ends within a frame

    @property
    def is_counted(self) -> bool:
        """Whether the file itself says how many frames it has (some encoders count the one that says it)."""
        return self.said is not None and self.said - self.frames in (0, 1)

    @property
    def samples(self) -> int:
        return self.frames * (1152 if self.first.version == MPEG1 else 576)

    def counting_frame(self) -> bytes:
        """A frame that says how many follow, to be put before them: without one decoders guess."""
        header = bytearray(self.first.header)
        for index in range(1, 15):  # the shortest with room for it
            header[1], header[2] = self.first.header[1] | 1, index << 4 | self.first.header[2] & 0x0C
            frame = Frame(bytes(header))
            if frame.length >= frame.count_at + 12:
                break
        body = bytes(header) + bytes(frame.count_at - 4) + b"Xing" + struct.pack(">II", 1, self.frames)
        return body.ljust(frame.length, b"\0")


def whole_mp3(stream: IO[bytes]) -> Whole | None:
    """The Whole of an MP3 file, from its first frame to its last; None for any other.

    Raises SertkError for a file that ends within a frame, or has fewer frames than it says.
    """
    found = contents_of(stream)
    if found is None:
        return None
    if found.said is not None and found.said > found.frames + 1 and found.skipped:
        raise SertkError("damaged between its frames; `ffmpeg -i FILE OUT.wav` keeps what is there")
    if found.in_frame or found.said is not None and found.said > found.frames + 1:
        raise SertkError("cut off; `ffmpeg -i FILE OUT.wav` keeps what is there")
    behind, warning = stream.seek(0, io.SEEK_END) - found.end, None
    if found.skipped:
        warning = f"{found.skipped} bytes between its frames are not read: it may be damaged"
    elif behind > STRAY:
        warning = f"the last {behind} bytes are not read, as no frames are there"
    file, counted = Spliced(b"", stream, found.begin, found.end), None
    if not found.is_counted:
        counted = Spliced(found.counting_frame(), stream, found.start, found.end)
    return Whole(file, warning, found.samples, counted=counted)


def contents_of(stream: IO[bytes]) -> Contents | None:
    """The Contents of an MP3 file, gone through from frame to frame; None for anything else."""
    size = stream.seek(0, io.SEEK_END)
    begin = first_frame(stream)
    if begin is None:
        return None
    stream.seek(begin)
    first = Frame.of(stream.read(4))
    assert first is not None
    said = said_by(stream, begin, first)
    start = place = begin if said is None else begin + first.length
    frames, skipped, in_frame = 0, 0, False
    while place < size:
        stream.seek(place)
        frame = Frame.of(stream.read(4))
        if frame and frame.same_stream(first):
            place += frame.length
            in_frame = place > size
            frames += not in_frame
        elif (tagged := after_tag(stream, place)) > place:
            place = tagged
        elif (following := next_frame(stream, place, first)) is not None:
            skipped += following - place
            place = following
        else:
            break
    return Contents(begin, start, min(place, size), skipped, first, frames, said, in_frame)


def first_frame(stream: IO[bytes]) -> int | None:
    """Where the first frame lies: at the beginning, or behind tags and a little that is none, if others follow it."""
    place = 0
    while (tagged := after_tag(stream, place)) > place:
        place = tagged
    stream.seek(place)
    content = stream.read(1 << 14)
    if in_a_row(content, 0, 1):
        return place
    starts = (match.start() for match in SYNC.finditer(content[:STRAY]))
    return next((place + start for start in starts if in_a_row(content, start, 3)), None)


def in_a_row(content: bytes, place: int, count: int, like: Frame | None = None) -> bool:
    """Whether so many frames of one stream, that of `like` if it is given, follow each other from `place` on."""
    for _ in range(count):
        frame = Frame.of(content[place : place + 4])
        if not frame or like and not frame.same_stream(like):
            return False
        like, place = frame, place + frame.length
    return True


def after_tag(stream: IO[bytes], place: int) -> int:
    """Where an ID3 tag at `place` ends; `place` itself if none is there."""
    stream.seek(place)
    head = stream.read(10)
    if head[:3] != b"ID3" or len(head) < 10:
        return place
    high, *rest = head[6:10]
    for byte in rest:
        high = high << 7 | byte
    return place + 10 + high + 10 * (head[5] >> 4 & 1)


def said_by(stream: IO[bytes], start: int, first: Frame) -> int | None:
    """How many frames follow, by the first one; None if that does not say it."""
    stream.seek(start)
    frame = stream.read(first.length)
    xing, vbri = frame[first.count_at :], frame[36:]
    if xing[:4] in (b"Xing", b"Info") and len(xing) >= 12 and xing[7] & 1:
        return int.from_bytes(xing[8:12], "big")
    if vbri[:4] == b"VBRI" and len(vbri) >= 18:
        return int.from_bytes(vbri[14:18], "big")
    return None


def next_frame(stream: IO[bytes], place: int, first: Frame) -> int | None:
    """Where two frames follow each other behind what is none at `place`; None where they have ended."""
    stream.seek(place + 1)
    junk = stream.read(1 << 16)
    starts = (match.start() for match in SYNC.finditer(junk))
    return next((place + 1 + start for start in starts if in_a_row(junk, start, 2, first)), None)
