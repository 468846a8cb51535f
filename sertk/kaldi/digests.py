"""Digests by which it is found out whether a data folder still has what it had."""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sertk.core.files import PathLike
from sertk.kaldi.archives import read_locations, split_location
from sertk.kaldi.datadir import DataDir, read_table

SAMPLE = 4096  # bytes of a matrix or a recording that are looked at


def table_digest(path: PathLike, keys: Iterable[str]) -> str:
    """The SHA-256 of the lines that a table has of `keys`."""
    table = read_table(path)
    return lines_digest(f"{key} {table[key]}" for key in keys if key in table)


def recordings_digest(data_dir: PathLike, utterances: Sequence[str]) -> str | None:
    """One SHA-256 of the recordings of `utterances`.

    It is made of their hashes in utt2hash. Without this table it is made of the segments and of 4096 bytes from the
    middle of each recording; None: a recording is no longer there.
    """
    folder = DataDir(data_dir)
    if folder.has("utt2hash"):
        return table_digest(folder.path / "utt2hash", utterances)
    segments = folder.table("segments") if folder.has("segments") else {}
    recordings = folder.table("wav.scp")
    places = {utt: (recordings[segments.get(utt, utt).split()[0]], None) for utt in utterances}
    return samples_digest(places, segments)


def archives_digest(scp: PathLike, utterances: Iterable[str]) -> str | None:
    """One SHA-256 of the first 4096 bytes of each utterance's matrix; None: the table or an archive is not there."""
    if not Path(scp).is_file():
        return None
    located = {utt: split_location(where) for utt, where in read_locations(scp).items()}
    there = [utt for utt in utterances if utt in located]
    places = {utt: (located[utt][0], located[utt][1] or 0) for utt in there}
    return samples_digest(places, {utt: located[utt][2] or "" for utt in there})


def samples_digest(places: Mapping[str, tuple[str, int | None]], cuts: Mapping[str, str]) -> str | None:
    """One SHA-256 of what is in files or commands, {utterance: (name, byte offset)}, and how it is cut.

    The offset None is the middle of the file. Of a command it is the words. None: a file is not there.
    """
    try:
        samples = {utt: name if name.rstrip().endswith("|") else sample(name, at) for utt, (name, at) in places.items()}
    except OSError:
        return None
    return lines_digest(f"{utt} {found} {cuts.get(utt, '')}" for utt, found in samples.items())


def sample(path: PathLike, offset: int | None) -> str:
    """A SHA-256 of 4096 bytes of a file from `offset` on; from its middle on, and of its size, for None."""
    with open(path, "rb") as stream:
        size = stream.seek(0, os.SEEK_END) if offset is None else None
        stream.seek(size // 2 if size is not None else offset or 0)
        return hashlib.sha256(f"{size} ".encode() + stream.read(SAMPLE)).hexdigest()


def lines_digest(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()
