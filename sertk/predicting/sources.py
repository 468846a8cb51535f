"""Which recordings a command's arguments stand for, and whose they are."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from sertk.core.errors import SertkError
from sertk.core.names import find_path, require_names
from sertk.features import ffmpeg
from sertk.kaldi.datadir import read_lines, require_all

SUFFIXES = ffmpeg.SUFFIXES | frozenset(
    ".aif .aifc .aiff .au .caf .flac .mp1 .mp2 .mp3 .nist .oga .ogg .opus .rf64 .snd .sph .voc .w64 .wav .wave".split()
)


def find_recordings(arguments: Iterable[str]) -> tuple[dict[str, str | None], list[SertkError], Counter[str]]:
    """({path: folder or None}, [error], {suffix: number}) of the files and folders named.

    They are the files named, and those with a suffix of audio in the folders named; the last one tells what else lies
    there. Folders are gone through in sorted order, links to folders in them are not followed, and hidden files are
    left out.
    """
    found, errors, others = {}, [], Counter()
    for argument in arguments:
        if not os.path.isdir(argument):
            found.setdefault(argument, None)
            continue
        own = []
        for path in files_below(argument, errors):
            suffix = Path(path).suffix
            if suffix.lower() in SUFFIXES:
                own.append(path)
            else:
                others[suffix or "without suffix"] += 1
        if not own:
            errors.append(SertkError(f"{argument}: no recording in this folder ({' '.join(sorted(SUFFIXES))})"))
        for path in sorted(own):
            found.setdefault(path, os.path.dirname(path))
    return found, errors, others


def files_below(folder: str, errors: list[SertkError]) -> Iterator[str]:
    """Yields the files in a folder, at any depth; folders that cannot be read are entered in `errors`."""

    def note(error):
        errors.append(SertkError(f"{error.filename}: {error.strerror}"))

    for where, _, names in os.walk(folder, onerror=note):
        for name in names:
            if not name.startswith("."):
                yield os.path.join(where, name)


def require_own_names(paths: Iterable[str], name_of: Callable[[str], str]) -> None:
    """Raises SertkError where two of `paths` have the same name for what is written of them."""
    first = {}
    for path in paths:
        other = first.setdefault(name_of(path), path)
        if other != path:
            raise SertkError(f"{other} and {path} would both be written as {name_of(path)}; rename one of them")


def find_speakers(paths: Collection[str], spk: str | None) -> dict[str, str]:
    """{path: speaker} of `--spk`: `all` (one speaker), `folder` (one for each folder), or a table of `path speaker`.

    The table's speakers are the last words of its lines; raises SertkError for a path that is not in it.
    """
    if spk is None:
        return {}
    if spk == "all":
        return dict.fromkeys(paths, spk)
    if spk == "folder":
        return {path: os.path.dirname(os.path.abspath(path)) for path in paths}
    table = {}
    for number, line in enumerate(read_lines(spk), 1):
        fields = line.rsplit(None, 1)
        if len(fields) != 2:
            raise SertkError(f"{spk}:{number}: expected a file and its speaker, got '{line}'")
        table[os.path.abspath(find_path(fields[0]))] = fields[1]
    require_names(table.values(), spk, "speakers")
    speakers = {path: table[os.path.abspath(path)] for path in paths if os.path.abspath(path) in table}
    require_all(spk, speakers, paths, "add lines with their speakers", "recordings")
    return speakers
