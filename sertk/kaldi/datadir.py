"""Kaldi data folders: reading and writing their tables."""

import math
import os
import re
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from sertk.core.errors import SertkError
from sertk.core.files import PathLike, read_text, scratch_folder, write_text

Tables = Mapping[str, Mapping[str, Any]]  # to be written, by their names; a value is what its text is
Kind = Literal["utterance", "speaker", "recording"]

SPLITS = ("train", "valid", "test")
NAMED = 5  # of many names, in a message
BEGINS_WITH_BOM = "the file begins with an invisible mark (BOM); convert the file with dos2unix"
_SEPARATOR = re.compile("[ \t]+")


def by_bytes(key: str) -> bytes:
    """The sort key that orders strings as `LC_ALL=C sort` does."""
    return key.encode()


def read_lines(path: PathLike) -> list[str]:
    """The lines of a text file without their line ends.

    Raises SertkError with file and line for a missing file, bytes that are not UTF-8, a mark of their order (BOM) at
    the start, and Windows line ends.
    """
    text = read_text(path)
    if text.startswith("\ufeff"):
        raise SertkError(f"{path}:1: {BEGINS_WITH_BOM}")
    if "\r" in text:
        line = text.count("\n", 0, text.index("\r")) + 1
        raise SertkError(f"{path}:{line}: Windows line end (CR LF); convert the file with dos2unix")
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def split_line(line: str) -> tuple[str, str]:
    """The key and the value of a table's line; only spaces and tabs separate them."""
    key, *value = _SEPARATOR.split(line.rstrip(" \t"), maxsplit=1)
    return key, "".join(value)


def read_table(path: PathLike, allow_empty: bool = False) -> dict[str, str]:
    """A table `key value...` as a dict from key to the rest of its line.

    Raises SertkError with file, line and key for an unreadable file, a line without key or value (values may
    be missing with `allow_empty`), and keys that repeat or are not sorted under LC_ALL=C.
    """
    table = {}
    previous = ""
    for number, line in enumerate(read_lines(path), start=1):
        key, value = split_line(line)
        if not key:
            raise SertkError(f"{path}:{number}: the line is blank or starts with white space; remove that")
        if not (value or allow_empty):
            raise SertkError(f"{path}:{number}: no value after the key '{key}'; add it or remove the line")
        if key in table:
            raise SertkError(f"{path}:{number}: the key '{key}' is there twice; keep one line")
        if by_bytes(key) < by_bytes(previous):
            raise SertkError(
                f"{path}:{number}: '{key}' comes after '{previous}' but sorts before it; sort with LC_ALL=C"
            )
        table[key] = value
        previous = key
    return table


def is_count(text: str) -> bool:
    """Whether a table's value is a positive whole number."""
    return text.isascii() and text.isdecimal() and int(text) > 0


def first_of(names: Sequence[str], separator: str = " ") -> str:
    """The first few of many names, for a message."""
    return separator.join(names[:NAMED]) + (" ..." if len(names) > NAMED else "")


def require_all(
    path: PathLike,
    found: Container[str],
    wanted: Collection[str],
    remedy: str = "run fix_data_dir.sh, or remove the file",
    kind: str = "utterances",
) -> None:
    """Raises SertkError, naming the first few, where `found`, which was read from `path`, lacks some of `wanted`.

    `remedy` is what to do about it, `kind` what they are.
    """
    if missing := [name for name in wanted if name not in found]:
        some = first_of(missing, ", ")
        raise SertkError(f"{path}: lacks {len(missing)} of {len(wanted)} {kind}: {some}; {remedy}")


def read_counts(path: PathLike, utterances: Collection[str]) -> dict[str, int]:
    """{utterance: count} of the `utterances` from a table of positive whole numbers, as utt2num_words.

    Raises SertkError naming an utterance that is missing, or has something else.
    """
    table = read_table(path)
    require_all(path, table, utterances)
    for utterance in utterances:
        if not is_count(table[utterance]):
            raise SertkError(
                f"{path}: '{utterance}' needs a positive whole number, not '{table[utterance]}'; remove the file"
            )
    return {utterance: int(table[utterance]) for utterance in utterances}


def read_positive(path: PathLike, utterances: Collection[str]) -> dict[str, float]:
    """{utterance: number} of the `utterances` from a table of positive numbers, as utt2dur.

    Raises SertkError naming an utterance that is missing, or has something else.
    """
    table = read_table(path)
    require_all(path, table, utterances)
    numbers = {utterance: _as_number(table[utterance]) for utterance in utterances}
    for utterance, number in numbers.items():
        if not 0 < number < math.inf:
            raise SertkError(f"{path}: '{utterance}' needs a positive number, not '{table[utterance]}'; correct it")
    return numbers


def _as_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def write_table(path: PathLike, mapping: Mapping[str, Any]) -> None:
    """Writes a dict from key to value as sorted lines, whole or not at all."""
    write_text(path, _format_table(path, mapping))


def _format_table(path: PathLike, mapping: Mapping[str, Any]) -> str:
    for key, value in mapping.items():
        if not key or _SEPARATOR.search(key) or re.search("[\r\n]", f"{key}{value}"):
            raise SertkError(f"{path}: a line cannot hold the key {key!r} with the value {value!r}")
    lines = (f"{key} {mapping[key]}".rstrip(" ") for key in sorted(mapping, key=by_bytes))
    return "".join(f"{line}\n" for line in lines)


def invert_utt2spk(utt2spk: Mapping[str, str]) -> dict[str, str]:
    """spk2utt, a dict from speaker to its sorted utterances separated by spaces."""
    speakers = {}
    for utterance in sorted(utt2spk, key=by_bytes):
        speakers.setdefault(utt2spk[utterance], []).append(utterance)
    return {speaker: " ".join(utterances) for speaker, utterances in speakers.items()}


def named_speakers(utt2spk: Mapping[str, str], segments: Mapping[str, str]) -> dict[str, str]:
    """utt2spk without the utterances whose speaker is not known, and called as their recording."""
    return {utt: speaker for utt, speaker in utt2spk.items() if speaker != segments.get(utt, utt).split()[0]}


class DataDir:
    """A data folder; raises SertkError if it is not there."""

    def __init__(self, path: PathLike):
        self.path = Path(path)
        if not self.path.is_dir():
            raise SertkError(f"{path}: no such data folder")

    def has(self, name: str) -> bool:
        return (self.path / name).is_file()

    def table(self, name: str) -> dict[str, str]:
        """The table `name` (for example "utt2spk" or "feats/fbank40.scp") as a dict; see read_table."""
        if not self.has(name):
            raise SertkError(f"{self.path / name}: the data folder has no such table")
        return read_table(self.path / name, allow_empty=name == "text")

    def labels(self, label_set: str) -> dict[str, str]:
        """The label of each utterance that has one in `labels/LABEL_SET`."""
        if not self.has(f"labels/{label_set}"):
            known = ", ".join(name.removeprefix("labels/") for name in self.table_names("labels/")) or "none"
            raise SertkError(f"{self.path}: no label set '{label_set}'; there are: {known}")
        return self.table(f"labels/{label_set}")

    def feats_path(self, feature_type: str) -> Path:
        """Where the feature archive index of `feature_type` belongs; it may not exist yet."""
        return self.path / "feats" / f"{feature_type}.scp"

    @property
    def utterances(self) -> list[str]:
        return list(self.table("utt2spk"))

    def hours(self, utterances: Iterable[str]) -> float:
        """How long these utterances are together, by utt2dur."""
        return sum(read_positive(self.path / "utt2dur", list(utterances)).values()) / 3600

    def table_names(self, prefix: str = "") -> list[str]:
        """The sorted names, relative to the folder, of the tables it has that begin with `prefix`."""
        files = [*self.path.glob("*"), *self.path.glob("labels/*"), *self.path.glob("feats/*.scp")]
        names = [path.relative_to(self.path).as_posix() for path in files if path.is_file()]
        return sorted((name for name in names if is_table(name) and name.startswith(prefix)), key=by_bytes)

    def split_lists(self) -> list[Path]:
        """The paths of the utterance lists of all protocols and folds."""
        return sorted(path for split in SPLITS for path in self.path.glob(f"splits/*/fold*/{split}"))


def is_table(name: str) -> bool:
    """Whether a file, of a name relative to the data folder, is one of its tables."""
    base = name.rpartition("/")[2]
    if base.startswith(".") or base.endswith(("~", ".bak", ".tmp")):
        return False
    if name.startswith(("labels/", "utt2", "spk2", "reco2")) or (name.startswith("feats/") and base.endswith(".scp")):
        return True
    return name in ("text", "segments", "feats.scp", "vad.scp", "cmvn.scp", "wav.scp")


def table_kind(name: str) -> Kind:
    """What the keys of a table are."""
    if name == "cmvn.scp" or name.startswith("spk2"):
        return "speaker"
    if name == "wav.scp" or name.startswith("reco2"):
        return "recording"
    return "utterance"


def write_data_dir(path: PathLike, tables: Tables) -> None:
    """Writes tables, a dict from name ("utt2spk", "labels/8", ...) to dict, and spk2utt with utt2spk.

    A new folder appears whole. In an existing folder each of these tables is replaced whole, the rest kept.
    """
    path = Path(os.path.abspath(path))
    if "utt2spk" in tables:
        tables = {**tables, "spk2utt": invert_utt2spk(tables["utt2spk"])}
    with scratch_folder(path) as aside:
        for name, table in tables.items():
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            (aside / name).write_text(_format_table(path / name, table), encoding="utf-8")
        if path.exists():
            for name in tables:
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(aside / name, path / name)
        elif tables:
            os.rename(aside, path)
