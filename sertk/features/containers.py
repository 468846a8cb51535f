"""Sizes that a recording's file says of itself: unknown ones are put right, those of a file that was cut off refused.

Recorders and programs that write to a pipe fill in the size of the samples at the end, or never. libsndfile goes by
the file's size in some formats, and takes what follows the samples for samples too.
"""

import io
import re
import string
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO

from sertk.core.errors import SertkError

PRINTABLE = frozenset(string.printable.encode())
VOC, VOC_SOUND = b"Creative Voice File\x1a", (1, 2, 9)  # the types of blocks with samples
SPHERE_FIELD = re.compile(rb"\n(sample_count|sample_n_bytes|channel_count) -i (\d+)")
SPHERE_SHORTENED = re.compile(rb"\nsample_coding -s\d+ \S*shorten")
TAGS = re.compile(b"LIST|id3 |bext")  # chunks that are written behind samples
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
    needs_rest: bool = False  # whether chunks behind the samples may say how these are to be read

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
    b"FORM": Layout(12, ">I", b"SSND", needs_rest=True),
    b"caff": Layout(8, ">q", b"data", align=1, needs_rest=True),
    b"riff": Layout(40, "<q", b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a", align=8, counted=24),
}
AU = {b".snd": Layout(0, ">I", b""), b"dns.": Layout(0, "<I", b"")}  # has no chunks
PLAIN = Layout(0, "<q", b"")  # likewise
MAGIC = {*LAYOUTS, *AU, b"NIST", VOC[:4]}


@dataclass(frozen=True)
class Samples:
    """Where the samples lie, and how many bytes of them there are: `said` by the field at `field`, and `held`."""

    field: int | None  # None where libsndfile does not go by it
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


@dataclass(frozen=True)
class Whole:
    """A recording's file as it is to be decoded, with what its header gets wrong put right."""

    file: Spliced
    warning: str | None = None
    length: int | None = None  # samples that it says it has, where libsndfile is not to go by that
    counted: Spliced | None = None  # to be decoded in its place where libsndfile finds another length in it
    is_short: bool = False  # whether it is a little shorter than it says, as if its header were counted too


def with_size(stream: IO[bytes]) -> Whole | None:
    """The Whole of a file whose header says how many bytes of samples follow; None for any other.

    Raises SertkError for a file that ends before the samples that it says it has.
    """
    found = find_samples(stream)
    if found is None:
        return None
    stray, size, warning = found.held - found.said, found.held, None
    if found.said >= 0 and stray >= 0 and needs_no_word(stream, found):
        end = None if found.layout.needs_rest else found.start + found.said
        return Whole(Spliced(b"", stream, 0, end))
    if 0 < found.said < found.layout.largest:
        if stray < (-MISCOUNTED if found.field else 0):
            raise SertkError("cut off, its header says that it is longer")
        if stray > 0:
            size, warning = found.said, f"the last {stray} bytes are not read, as its header knows nothing of them"
    elif found.packed[1] == "I" and size > LARGEST:
        warning = f"the last {size - LARGEST} bytes are not read, as it has more than 4 GB: cut it in two"
        size = LARGEST
    else:
        size -= tags_behind(stream, found)
    head = bytearray(_read_at(stream, 0, found.start))
    if found.field:
        struct.pack_into(found.packed, head, found.field, size + found.layout.counted)
    file = Spliced(bytes(head), stream, found.start, found.start + size)
    return Whole(file, warning, is_short=0 < found.said < found.layout.largest and stray < 0)


def find_samples(stream: IO[bytes]) -> Samples | None:
    """Where the samples of a WAV, RF64, W64, AIFF, CAF, AU, SPHERE or VOC file lie; None for anything else."""
    end = stream.seek(0, io.SEEK_END)
    head = _read_at(stream, 0, 48)
    magic = head[:4]
    if head.startswith(b"NIST_1A"):
        return sphere_samples(stream, end)
    if head.startswith(VOC) and len(head) > 26:
        return voc_samples(stream, end)
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


def needs_no_word(stream: IO[bytes], found: Samples) -> bool:
    """Whether what lies behind the samples, by their size, is nothing, whole chunks, or little and no recording."""
    if is_chunked(stream, found):
        return True
    is_little = 0 < found.said and found.held - found.said <= STRAY
    return is_little and _read_at(stream, found.start + found.said, 4) not in MAGIC


def is_chunked(stream: IO[bytes], found: Samples) -> bool:
    """Whether the file ends with its samples, by their size, or with whole chunks behind them."""
    layout, place, end = found.layout, found.start + found.said, found.start + found.held
    if not layout.samples:
        return place == end
    place += -place % layout.align
    for name, at, size in chunks(stream, layout, place):
        place = at + layout.head + size
        if size < 0 or place > end or name[:4] in LAYOUTS:
            return False
    return place >= end - layout.head


def tags_behind(stream: IO[bytes], found: Samples) -> int:
    """Bytes of the chunks with tags that end a WAV file whose samples' size is not known."""
    end = found.start + found.held
    begin = max(found.start, end - STRAY)
    for match in TAGS.finditer(_read_at(stream, begin, end - begin)):
        said = begin + match.start() - found.start
        if found.layout is WAVE and said % WAVE.align == 0 and is_chunked(stream, replace(found, said=said)):
            return found.held - said
    return 0


def sphere_samples(stream: IO[bytes], end: int) -> Samples:
    """Where the samples of a SPHERE file lie; raises SertkError for one that is compressed with Shorten."""
    start = _read_at(stream, 8, 8).strip()
    start = int(start) if start.isdigit() else 1024
    head = _read_at(stream, 0, start)
    if SPHERE_SHORTENED.search(head):
        raise SertkError(
            "compressed with Shorten, which sph2pipe reads: put `sph2pipe -f wav FILE |` in its place in wav.scp, or "
            "convert it with `sph2pipe -f wav FILE OUT.wav`"
        )
    fields = {match[1]: int(match[2]) for match in SPHERE_FIELD.finditer(head)}
    count, size = fields.get(b"sample_count", 0), fields.get(b"sample_n_bytes", 0)
    return Samples(None, PLAIN.size, count * size * fields.get(b"channel_count", 1), len(head), end - len(head), PLAIN)


def voc_samples(stream: IO[bytes], end: int) -> Samples | None:
    """Where the block with the samples of a VOC file lies.

    Raises SertkError for a file with several of them: libsndfile takes their heads for samples too.
    """
    place, found = int.from_bytes(_read_at(stream, 20, 2), "little"), []
    while len(head := _read_at(stream, place, 4)) == 4 and head[0]:
        size = int.from_bytes(head[1:], "little")
        place += 4
        if head[0] in VOC_SOUND:
            found.append(Samples(None, PLAIN.size, size, place, end - place, PLAIN))
        place += size
    if len(found) > 1:
        raise SertkError("a VOC file in several blocks, which libsndfile does not read: `ffmpeg -i FILE OUT.wav` does")
    return found[0] if found else None


def _read_at(stream: IO[bytes], place: int, size: int) -> bytes:
    stream.seek(place)
    return stream.read(size)
