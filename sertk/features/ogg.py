"""What the pages of an Ogg file tell of its end and of damage (RFC 3533)."""

import io
import zlib
from typing import IO

from sertk.core.errors import SertkError
from sertk.features.containers import Spliced, Whole

MAGIC = b"OggS"
FIRST, LAST = 2, 4  # flags of a page
CHECKSUM = slice(22, 26)  # its place in a page
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))  # bytes with their bits in the other order


def whole_ogg(stream: IO[bytes]) -> Whole | None:
    """The Whole of an Ogg file, up to the end of its first recording; None for any other file.

    Raises SertkError for a file that ends within a page, or with a page that is damaged or missing.
    """
    stream.seek(0)
    if stream.read(4) != MAGIC:
        return None
    size = stream.seek(0, io.SEEK_END)
    place, flags, begun, warning = 0, 0, False, None
    numbers: dict[bytes, int] = {}  # by stream, of its latest page
    while place < size and not warning:
        page = read_page(stream, place)
        if page is None:
            warning = f"{size - place} bytes behind its last page are not read"
            if not flags & LAST and MAGIC in stream.read():
                raise SertkError(f"damaged, no page begins at byte {place}")
        elif begun and page[5] & FIRST:
            warning = "several recordings one after the other, and the first alone is read: cut them apart"
        else:
            check_page(page, place, numbers)
            place, flags, begun = place + len(page), page[5], not page[5] & FIRST
    if not flags & LAST and not warning:
        warning = "no mark of its end: its recording may have been cut off"
    return Whole(Spliced(b"", stream, 0, place), warning)


def read_page(stream: IO[bytes], place: int) -> bytes | None:
    """The page at `place`, or None where none begins; raises SertkError where the file ends within it."""
    stream.seek(place)
    head = stream.read(27)
    if head[:4] != MAGIC:
        return None
    lengths = stream.read(head[26]) if len(head) == 27 else b""
    body = stream.read(sum(lengths))
    if len(head) < 27 or len(lengths) < head[26] or len(body) < sum(lengths):
        raise SertkError("cut off, it ends within a page")
    return head + lengths + body


def check_page(page: bytes, place: int, numbers: dict[bytes, int]) -> None:
    """Raises SertkError for a page that is not as it was written, or not the next one by `numbers`, and notes it."""
    if checksum(page) != int.from_bytes(page[CHECKSUM], "little"):
        raise SertkError(f"damaged, its page at byte {place} is not as it was written")
    serial, number = page[14:18], int.from_bytes(page[18:22], "little")
    if number > numbers.get(serial, number) + 1 and numbers[serial] > 1:  # recordings of radio begin anywhere
        raise SertkError(f"damaged, pages are missing before the one at byte {place}")
    numbers[serial] = number


def checksum(page: bytes) -> int:
    """A page's checksum: zlib's has the bits of bytes in the other order, and other values before and behind it."""
    content = (page[: CHECKSUM.start] + bytes(4) + page[CHECKSUM.stop :]).translate(REVERSED)
    value = zlib.crc32(content, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{value:032b}"[::-1], 2)
