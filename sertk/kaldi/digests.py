"""Digests by which it is found out whether a data folder still has what it had."""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence

from sertk.core.files import PathLike
from sertk.kaldi.datadir import DataDir, read_table, require_all

SAMPLE = 1 << 16  # bytes of a matrix or a recording that are looked at

Place = tuple[str, int | None, int]  # a file or command, the byte offset in it (None: its middle), how much to look at


def table_digest(path: PathLike, keys: Iterable[str]) -> str:
    """The SHA-256 of the lines that a table has of `keys`."""
    table = read_table(path)
    return lines_digest(f"{key} {table[key]}" for key in keys if key in table)


def recordings_digest(data_dir: PathLike, utterances: Sequence[str]) -> str | None:
    """One SHA-256 of the recordings of `utterances`.

    It is made of their hashes in utt2hash. Without this table it is made of the segments and of 64 KiB from the
    middle of each recording; None: a recording is no longer there.
    """
    folder = DataDir(data_dir)
    if folder.has("utt2hash"):
        return table_digest(folder.path / "utt2hash", utterances)
    segments = folder.table("segments") if folder.has("segments") else {}
    recordings, needed = folder.table("wav.scp"), {utt: segments.get(utt, utt).split()[0] for utt in utterances}
    require_all(folder.path / "wav.scp", recordings, [*needed.values()], "add their lines", "recordings")
    places = {utt: place_of(recordings[recording]) for utt, recording in needed.items()}
    return samples_digest(places, segments)


def place_of(entry: str) -> Place:
    """The Place of an entry of wav.scp; `wav.ark:42` is in an archive of waves."""
    name, _, offset = entry.rpartition(":")
    in_archive = offset.isdecimal() and not os.path.exists(entry)
    return (name, int(offset), SAMPLE) if in_archive else (entry, None, SAMPLE)


def samples_digest(places: Mapping[str, Place], cuts: Mapping[str, str]) -> str | None:
    """One SHA-256 of what is in places {utterance: Place}, and how it is cut.

    None: a file is not there.
    """
    try:
        samples = {utt: sample(*place) for utt, place in places.items()}
    except OSError:
        return None
    return lines_digest(f"{utt} {found} {cuts.get(utt, '')}" for utt, found in samples.items())


def sample(name: str, offset: int | None, most: int) -> str:
    """A SHA-256 of `most` bytes of a file from `offset` on; from its middle on, and of its size, for None.

    Of a command it is its words.
    """
    if name.rstrip().endswith("|"):
        return name
    with open(name, "rb") as stream:
        size = stream.seek(0, os.SEEK_END) if offset is None else None
        stream.seek(size // 2 if size is not None else offset or 0)
        return hashlib.sha256(f"{size} ".encode() + stream.read(most)).hexdigest()


def lines_digest(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()
