"""Files of recordings opened by libsndfile, or by ffmpeg for it, with what their headers get wrong put right."""

import contextlib
import io
import os
from typing import IO

import soundfile

from sertk.core.errors import SertkError
from sertk.features import ffmpeg
from sertk.features.containers import Spliced, Whole, with_size
from sertk.features.flac import whole_flac
from sertk.features.mp3 import whole_mp3
from sertk.features.ogg import whole_ogg

# The formats whose length is checked. What of another was cut off would be taken for the whole.
FORMATS = {"WAV", "WAVEX", "RF64", "W64", "FLAC", "MP3", "OGG", "AIFF", "AU", "CAF", "NIST", "VOC"}
UNPACKED = {"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"}
UNKNOWN = 1 << 62  # libsndfile's counts from here on stand for none
PIECE = 1 << 18  # samples

Source = str | bytes | IO[bytes]  # bytes, as names need not be UTF-8


class Decoder(soundfile.SoundFile):
    """A file that libsndfile decodes onwards alone.

    Where a file is said to be seekable soundfile asks for no more than the header speaks of, and seeks after each
    piece, which fails behind the last one of a recording whose length is not known.
    """

    def seekable(self) -> bool:
        return False

    def go_to(self, place: int) -> None:
        """Goes to a sample; what cannot be sought in, such as GSM 6.10, is decoded up to there."""
        if super().seekable():
            self.seek(place)
        else:
            for done in range(0, place, PIECE):
                self.read(min(PIECE, place - done))


def open_decoder(source: Source, files: contextlib.ExitStack) -> tuple[Decoder, int | None, list[str]]:
    """(the decoder, how many samples there are where that can be known before they are decoded, warnings).

    `source` is a path, or an open file from its beginning; what is opened is left to `files`. A path is taken for
    nothing but a file to be read, so that its bytes are decoded as they are from a command. Raises SertkError for
    what is unreadable, or ends before the end that it speaks of.
    """
    is_path = isinstance(source, (str, bytes))
    stream = files.enter_context(open(source, "rb")) if is_path else source
    if not stream.seek(0, io.SEEK_END):
        raise SertkError("an empty file")
    whole = whole_file(stream)
    try:
        decoder = files.enter_context(decoder_of(whole.file))
        if whole.counted and decoder.frames != whole.length:
            decoder = files.enter_context(decoder_of(whole.counted))
    except (RuntimeError, TypeError, ValueError, OSError) as error:
        if is_path and ffmpeg.takes(os.fsdecode(source)):
            decoded, fault = ffmpeg.decode(os.fsdecode(source))
            decoder, length, _ = open_decoder(files.enter_context(decoded), files)
            return decoder, length, [fault] if fault else []
        raise SertkError("not readable as audio") from error
    if decoder.format not in FORMATS:
        raise SertkError(f"{decoder.format_info}, whose end cannot be checked: convert it (`sox FILE OUT.wav`)")
    if whole.is_short and decoder.subtype not in UNPACKED:
        raise SertkError("cut off, its header says that it is longer")
    warnings = [whole.warning] if whole.warning else []
    if decoder.format == "MP3":  # whose frames overlap, so that the number of samples is not certain
        return decoder, None, warnings
    return decoder, decoder.frames if decoder.frames < UNKNOWN else whole.length, warnings


def decoder_of(file: Spliced) -> Decoder:
    return Decoder(file)  # pyright: ignore[reportArgumentType] (it does not say that it takes open files)


def whole_file(stream: IO[bytes]) -> Whole:
    """The Whole of a recording's file."""
    for find in (with_size, whole_flac, whole_ogg, whole_mp3):
        if whole := find(stream):
            return whole
    return Whole(Spliced(b"", stream, 0))
