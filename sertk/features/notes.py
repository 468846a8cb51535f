"""The notes beside archives: with which options their features were made."""

import os
from collections.abc import Mapping
from typing import Any

from sertk.core.files import PathLike, read_yaml, write_yaml
from sertk.kaldi.archives import read_locations, split_location, split_rspecifier


def note_options(archive: PathLike, options: Mapping[str, Any]) -> None:
    """Writes how the features in an archive were made into ARCHIVE.yaml beside it."""
    write_yaml(f"{archive}.yaml", options)


def noted_options(scp: PathLike) -> dict[str, Any] | None:
    """How the features in a table's archives were made, a mapping, or None where that is not noted or not one way."""
    notes = {f"{split_location(location)[0]}.yaml" for location in read_locations(scp).values()}
    if not all(map(os.path.isfile, notes)):
        return None
    first, *others = (read_yaml(note) for note in sorted(notes))
    return first if all(other == first for other in others) else None


def options_of(rspecifier: str) -> dict[str, Any] | None:
    """What `noted_options` gives, of the table or the archive that a reading specifier names, where that is a file."""
    kind, location, _ = split_rspecifier(rspecifier)
    if kind == "scp":
        return noted_options(location) if os.path.isfile(location) else None
    note = f"{location}.yaml"
    return read_yaml(note) if os.path.isfile(note) else None
