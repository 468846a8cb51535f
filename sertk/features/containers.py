"""Sizes that a recording's file says of itself: unknown ones are put right, those of a file that was cut off refused.

Recorders and programs that write to a pipe fill in the size of the samples at the end, or never.
"""

import io
import string
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from sertk.core.errors import SertkError

PRINTABLE = frozenset(string.printable.encode())
VOC, VOC_SOUND = b"Creative Voice File\x1a", (1, 2, 9)  # the types of blocks with samples
AU_HEAD = 24  # bytes, at least
STRAY = 4096  # bytes behind the samples that need no word: odd tags, padding
MISCOUNTED = 64  # bytes too many that are a writer's mistake, as of one who counts the header too
LARGEST = 0xFFFFFFFF  # bytes that a field of 32 bits can say


@dataclass(frozen=True)
class Layout:
    """A format of chunks, each with a name and a size before it."""

    first: int  # where the first chunk begins
    size: str  # how a size is packed
    samples: bytes  # the name of the chunk with the samples
    align: int = 2
    counted: int = 0  # bytes of a chunk's head that its size counts

    @property
    def head(self) -> int:
        """Bytes of a chunk's name and size."""
        return len(self.samples) + struct.calcsize(self.size)

    @property
    def largest(self) -> int:
        """The size from which on none is meant: 2 GB, less what SoX takes off it, or half of what 64 bits hold."""
        return 0x7F000000 if struct.calcsize(self.size) == 4 else 1 << 62


WAVE = Layout(12, "<I", b"data")
LAYOUTS = {
    b"RIFF": WAVE,
    b"RF64": WAVE,
    b"BW64": WAVE,
    b"RIFX": Layout(12, ">I", b"data"),
    b"FORM": Layout(12, ">I", b"SSND"),
    b"caff": Layout(8, ">q", b"data", align=1),
    b"riff": Layout(40, "<q", b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a", align=8, counted=24),
}
AU = {b".snd": Layout(0, ">I", b""), b"dns.": Layout(0, "<I", b"")}  # has no chunks


@dataclass(frozen=True)
class Samples:
    """Where the samples lie, and how many bytes of them there are: `said` by the field at `field`, and `held`."""

    field: int
    packed: str
    said: int
    start: int
    held: int
    layout: Layout


class Spliced(io.RawIOBase):
    """A file as it would be with another beginning: `head`, and what `rest` holds from `begin` to `end`.

    It has a place of its own, so that `rest` may be read beside it, and no place before its beginning, where
    libsndfile looks in damaged files.
    """

    def __init__(self, head: bytes, rest: IO[bytes], begin: int, end: int | None = None):
        super().__init__()
        self.head, self.rest, self.begin = head, rest, begin
        self.size = len(head) + (rest.seek(0, io.SEEK_END) if end is None else end) - begin
        self.place = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.place = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.size}[whence])
        return self.place

    def tell(self) -> int:
        return self.place

    def readinto(self, buffer) -> int:
        wanted = max(0, min(len(buffer), self.size - self.place))
        content = self.head[self.place : self.place + wanted]
        if len(content) < wanted:
            self.rest.seek(self.begin + max(0, self.place - len(self.head)))
            content += self.rest.read(wanted - len(content))
        buffer[: len(content)] = content
        self.place += len(content)
        return len(content)


def with_size(stream: IO[bytes]) -> tuple[Spliced | None, str | None]:
    """(the file with the right size in the place of a wrong one, or None where it is right; a warning or None).

    Raises SertkError for a file that ends before the samples that it says it has.
    """
    found = find_samples(stream)
    if found is None:
        return None, None
    stray = found.held - found.said
    if found.said >= 0 and 0 <= stray and (0 < found.said and stray <= STRAY or is_chunked(stream, found)):
        return None, None
    size, warning = found.held, None
    if 0 < found.said < found.layout.largest:
        if stray < -MISCOUNTED:
            raise SertkError("cut off, its header says that it is longer")
        if stray > 0:
            size, warning = found.said, f"the last {stray} bytes are not read, as its header knows nothing of them"
    elif found.packed[1] == "I" and size > LARGEST:
        warning = f"the last {size - LARGEST} bytes are not read, as it has more than 4 GB: cut it in two"
        size = LARGEST
    head = bytearray(_read_at(stream, 0, found.start))
    struct.pack_into(found.packed, head, found.field, size + found.layout.counted)
    return Spliced(bytes(head), stream, found.start, found.start + size), warning


def find_samples(stream: IO[bytes]) -> Samples | None:
    """Where the samples of a WAV, RF64, W64, AIFF, CAF or AU file lie; None for anything else."""
    end = stream.seek(0, io.SEEK_END)
    head = _read_at(stream, 0, 48)
    magic = head[:4]
    if magic in AU and len(head) >= AU_HEAD:
        start, said = struct.unpack_from(AU[magic].size[0] + "II", head, 4)
        return Samples(8, AU[magic].size, said, start, end - start, AU[magic]) if AU_HEAD <= start <= end else None
    layout = LAYOUTS.get(magic)
    if layout is None:
        return None
    for name, place, said in chunks(stream, layout, layout.first):
        if name == layout.samples:
            start = place + layout.head
            field, packed = place + len(name), layout.size
            if magic in (b"RF64", b"BW64") and said == LARGEST and head[12:16] == b"ds64" and place > 28:
                field, packed, said = 28, "<Q", struct.unpack_from("<Q", head, 28)[0]
            return Samples(field, packed, said, start, end - start, layout)
    return None


def chunks(stream: IO[bytes], layout: Layout, place: int) -> Iterator[tuple[bytes, int, int]]:
    """Yields (name, place, bytes that follow its head) of the chunks from `place` on."""
    end = stream.seek(0, io.SEEK_END)
    while place + layout.head <= end:
        head = _read_at(stream, place, layout.head)
        name = head[: len(layout.samples)]
        if not PRINTABLE.issuperset(name[:4]):
            return
        size = struct.unpack_from(layout.size, head, len(name))[0] - layout.counted
        yield name, place, size
        place += layout.head + max(0, size)
        place += -place % layout.align


def is_chunked(stream: IO[bytes], found: Samples) -> bool:
    """Whether the file ends with its samples, by their size, or with whole chunks behind them."""
    layout, place, end = found.layout, found.start + found.said, found.start + found.held
    if not layout.samples:
        return place == end
    place += -place % layout.align
    for name, at, size in chunks(stream, layout, place):
        place = at + layout.head + size
        if size < 0 or place > end or name in LAYOUTS:
            return False
    return place >= end - layout.head


def refuse_blocks(stream: IO[bytes]) -> None:
    """Raises SertkError for a VOC file of several blocks of samples: libsndfile takes their heads for samples too."""
    head = _read_at(stream, 0, 26)
    if head[:20] != VOC or len(head) < 26:
        return
    place, found = int.from_bytes(head[20:22], "little"), 0
    while len(head := _read_at(stream, place, 4)) == 4 and head[0]:
        found += head[0] in VOC_SOUND
        place += 4 + int.from_bytes(head[1:], "little")
    if found > 1:
        raise SertkError("a VOC file in several blocks, which libsndfile does not read: `ffmpeg -i FILE OUT.wav` does")


def _read_at(stream: IO[bytes], place: int, size: int) -> bytes:
    stream.seek(place)
    return stream.read(size)
