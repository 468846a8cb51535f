"""What the pages of an Ogg file tell of its end (RFC 3533)."""

import io
from typing import IO

from sertk.core.errors import SertkError

FIRST, LAST = 2, 4  # flags of a page


def check_pages(stream: IO[bytes]) -> str | None:
    """A warning where an Ogg file lacks its end, or holds several recordings, of which the first alone is read.

    None for any other file. Raises SertkError for a file that ends within a page.
    """
    stream.seek(0)
    if stream.read(4) != b"OggS":
        return None
    size = stream.seek(0, io.SEEK_END)
    place, flags, begun, recordings = 0, 0, False, 1
    while place < size:
        stream.seek(place)
        head = stream.read(27 + 255)  # of a page, with the lengths of what is on it
        if head[:4] != b"OggS":
            return f"{size - place} bytes behind its last page are not read"
        lengths = head[27 : 27 + head[26]] if len(head) > 26 else b""
        place += 27 + len(lengths) + sum(lengths)
        if place > size:
            raise SertkError("cut off, it ends within a page")
        flags = head[5]
        recordings += begun and bool(flags & FIRST)
        begun = not flags & FIRST
    if recordings > 1:
        return f"{recordings} recordings one after the other, and the first alone is read: cut them apart"
    return None if flags & LAST else "no mark of its end: its recording may have been cut off"
