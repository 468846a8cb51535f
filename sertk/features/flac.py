"""FLAC files, which may hold other samples than their header says."""

import struct
from typing import IO

from sertk.features.containers import Spliced, Whole

FIELD = 18  # the place of the last 8 bytes of STREAMINFO that are no checksum (RFC 9639)
COUNT = (1 << 36) - 1  # the bits of them that count the samples


def whole_flac(stream: IO[bytes]) -> Whole | None:
    """The Whole of a FLAC file, whose header says no length, so that all frames are decoded; None for any other."""
    stream.seek(0)
    head = stream.read(FIELD + 8)
    if head[:4] != b"fLaC" or len(head) < FIELD + 8:
        return None
    (field,) = struct.unpack_from(">Q", head, FIELD)
    file = Spliced(head[:FIELD] + struct.pack(">Q", field & ~COUNT), stream, len(head))
    return Whole(file, length=field & COUNT or None)
