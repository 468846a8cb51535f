"""Recordings that libsndfile does not read, of telephones and video, decoded by ffmpeg where that is installed."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import IO

from sertk.core.errors import SertkError
from sertk.core.files import PathLike

SUFFIXES = frozenset(
    ".3g2 .3gp .aac .ac3 .amr .ape .asf .avi .awb .flv .m4a .m4b .m4v .mka .mkv .mov .mp4 .mpeg .mpg .mts .spx .tta "
    ".webm .wma .wmv .wv".split()
)
# What ffmpeg may take such a file for, so that none is a list of other files.
DEMUXERS = "aac,ac3,amr,amrnb,amrwb,ape,asf,avi,caf,eac3,flac,flv,matroska,mov,mp3,mpeg,mpegts,ogg,tta,w64,wav,wv"


PLACE = re.compile(r"^\[[^]]* @ \w+\] *", re.MULTILINE)  # of ffmpeg's memory, before a message


def takes(path: PathLike) -> bool:
    """Whether a file's suffix is one of those that are given to ffmpeg."""
    return Path(path).suffix.lower() in SUFFIXES


def decode(path: PathLike) -> tuple[IO[bytes], str | None]:
    """(a temporary file with the first audio track in W64, what ffmpeg found fault with or None).

    Raises SertkError where ffmpeg is not installed or cannot decode the file.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        suffix = Path(path).suffix
        raise SertkError(f"{suffix} files need ffmpeg: install it (apt-get install ffmpeg), or convert them to FLAC")
    source = f"file:{os.path.abspath(path)}"
    options = ["-nostdin", "-hide_banner", "-loglevel", "error"]
    limits = ["-protocol_whitelist", "file", "-format_whitelist", DEMUXERS]
    track = ["-map", "0:a:0", "-c:a", "pcm_f32le", "-f", "w64", "pipe:1"]
    output = tempfile.TemporaryFile()
    done = subprocess.run(
        [program, *options, *limits, "-i", source, *track],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.PIPE,
    )
    said = PLACE.sub("", done.stderr.decode("utf-8", "replace")).strip().splitlines()
    if done.returncode:
        output.close()
        raise SertkError(f"ffmpeg cannot decode it: {said[0] if said else f'status {done.returncode}'}")
    return output, f"ffmpeg finds fault with it: {said[0]}" if said else None
