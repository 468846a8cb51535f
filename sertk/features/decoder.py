"""Files of recordings opened by libsndfile, or by ffmpeg for it, with what their headers get wrong put right."""

import contextlib
import io
import os
import re
from typing import IO

import soundfile

from sertk.core.errors import SertkError
from sertk.features import ffmpeg, mp3
from sertk.features.containers import Spliced, refuse_blocks, with_size
from sertk.features.ogg import check_pages

SPHERE_HEAD = 1024  # bytes
SPHERE_COUNT = re.compile(rb"\nsample_count -i (\d+)")
SPHERE_SHORTENED = re.compile(rb"\nsample_coding -s\d+ \S*shorten")
UNKNOWN = 1 << 62  # libsndfile's counts from here on stand for none

Source = str | bytes | IO[bytes]  # bytes, as names need not be UTF-8


class Decoder(soundfile.SoundFile):
    """A file that libsndfile decodes onwards alone.

    Where a file is said to be seekable soundfile asks for no more than the header speaks of, and seeks after each
    piece, which fails behind the last one of a recording whose length is not known.
    """

    def seekable(self) -> bool:
        return False


def open_decoder(source: Source, files: contextlib.ExitStack) -> tuple[Decoder, int | None, list[str]]:
    """(the decoder, how many samples there are where that can be known before they are decoded, warnings).

    `source` is a path, or an open file from its beginning; what is opened is left to `files`. Raises SertkError for
    what is unreadable, or ends before the end that it speaks of.
    """
    is_path = isinstance(source, (str, bytes))
    stream = files.enter_context(open(source, "rb")) if is_path else source
    count = sphere_count(stream)
    refuse_blocks(stream)
    mended, warning = with_size(stream)
    warnings = [each for each in (warning, check_pages(stream)) if each]
    try:
        decoder = files.enter_context(decoder_of(mended or (source if is_path else Spliced(b"", stream, 0))))
    except (RuntimeError, TypeError, ValueError, OSError) as error:
        if is_path and ffmpeg.takes(os.fsdecode(source)):
            decoded, fault = ffmpeg.decode(os.fsdecode(source))
            decoder, length, _ = open_decoder(files.enter_context(decoded), files)
            return decoder, length, [fault] if fault else []
        raise SertkError("not readable as audio" if stream.seek(0, io.SEEK_END) else "an empty file") from error
    if count is not None and decoder.frames < count:
        raise SertkError("cut off, its header says that it is longer")
    if decoder.format == "MP3":
        return whole_mp3(stream, decoder, files), None, warnings
    return decoder, decoder.frames if decoder.frames < UNKNOWN else None, warnings


def decoder_of(source: Source | Spliced) -> Decoder:
    return Decoder(source)  # pyright: ignore[reportArgumentType] (it does not say that it takes bytes and open files)


def sphere_count(stream: IO[bytes]) -> int | None:
    """How many samples a SPHERE file says it has; libsndfile goes by the file's size."""
    stream.seek(0)
    head = stream.read(SPHERE_HEAD)
    if not head.startswith(b"NIST_1A"):
        return None
    if SPHERE_SHORTENED.search(head):
        raise SertkError(
            "compressed with Shorten, which sph2pipe reads: put `sph2pipe -f wav FILE |` in its place in wav.scp, or "
            "convert it with `sph2pipe -f wav FILE OUT.wav`"
        )
    match = SPHERE_COUNT.search(head)
    return int(match[1]) if match else None


def whole_mp3(stream: IO[bytes], decoder: Decoder, files: contextlib.ExitStack) -> Decoder:
    """The decoder, or another one, that decodes an MP3 file to its end."""
    found = mp3.contents_of(stream)
    if found is None:
        return decoder
    if found.in_frame or found.said is not None and found.said > found.frames + 1:
        raise SertkError("cut off; `ffmpeg -i FILE OUT.wav` keeps what is there")
    if found.is_counted or decoder.frames == found.samples:
        return decoder
    return files.enter_context(decoder_of(Spliced(found.counting_frame(), stream, found.start)))
