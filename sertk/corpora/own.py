"""One's own recordings: a CSV or TSV with a line for each utterance."""

import csv
import io
import logging
import math
import os
import re
from collections import Counter
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.corpora.base import Audio, Utterance, listed, probe_audio, tables_of, write_tables
from sertk.kaldi.datadir import DataDir, read_table, read_text

log = logging.getLogger(__name__)

SEPARATORS = {",": "comma", "\t": "tab", ";": "semicolon"}
COLUMNS = ("path", "label", "speaker", "text", "start", "end", "group")
HEADER = "path,label[,speaker][,text][,start][,end][,group]"
MAIN_SET = "emotion"  # the label set of the column `label`; that of a column `label:NAME` is NAME
OTHER_SET = re.compile(r"label:([A-Za-z0-9_][A-Za-z0-9_-]*)")
ALL_OR_NONE = ("speaker", "group")  # columns that are filled in on all lines or on none
WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|\\\\")
# In ids: what sorts before the `-` between their fields would order utterances in another way than speakers.
ODD = re.compile(r"[^\w.]")
SLACK = 0.05  # seconds that a rounded `end` may lie behind the recording's
SOURCE = ".source"  # in a data folder: the file that it was made from
MAY_BE_STALE = re.compile(r"segments|text|utt2group|labels/.*")

T = TypeVar("T")


def prepare(root: PathLike, datadir: PathLike, partial: bool = False, threads: int | None = None) -> None:
    """Writes the data folder of the recordings that the CSV or TSV file `root` describes.

    The header has `path` (relative to the file), `label` or `label:NAME` (of a label set NAME), and of speaker,
    text, start, end (seconds) and group what is known. Raises SertkError with a line for each line that is
    wrong; those whose recording is missing or unreadable are left out if `partial`. A data folder of another file
    that is still there is refused, too.
    """
    check_source(root, datadir)
    table = Lines(Path(root))
    audio, errors = probe_audio(table.utterances, threads)
    table.check_audio(audio, errors)
    if wrong := table.faults | ({} if partial else table.gaps):
        remedy = "correct them (--partial leaves out recordings that are missing or unreadable)"
        raise SertkError(f"{root}: {len(wrong)} lines are wrong, {remedy}:{in_order(wrong)}")
    if table.gaps:
        what = "recordings are missing or unreadable and left out"
        log.info("%s: %d %s:%s", root, len(table.gaps), what, in_order(table.gaps))
    utterances = [utterance for utterance in table.utterances if table.number[utterance.utt] not in table.gaps]
    if not utterances:
        raise SertkError(f"{root}: no utterance in it; each line after the header names a recording and its label")
    tables = tables_of(utterances, audio)
    write_tables({**tables, SOURCE: {"csv": os.path.abspath(root)}}, datadir)
    for name in DataDir(datadir).table_names():
        if name not in tables and MAY_BE_STALE.fullmatch(name):
            (Path(datadir) / name).unlink()
    describe(root, utterances, audio, table.filled)


def check_source(root: PathLike, datadir: PathLike) -> None:
    """Raises SertkError where a data folder was made from another file than `root`, which is still there."""
    noted = Path(datadir) / SOURCE
    former = read_table(noted).get("csv", "") if noted.is_file() else ""
    if os.path.isfile(former) and os.path.isfile(root) and not os.path.samefile(former, root):
        raise SertkError(
            f"{datadir}: holds the recordings of {former}; name another data folder for those of {root} "
            "(egs/own/run.sh does so with --corpus NAME)"
        )


def in_order(messages: Mapping[int, str]) -> str:
    """{line number: message} for the end of a message."""
    return listed(messages[number] for number in sorted(messages))


def describe(
    root: PathLike, utterances: Collection[Utterance], audio: Mapping[str, Audio], filled: Container[str]
) -> None:
    """Logs what there is, and warns of what that makes impossible."""
    number = len({utterance.speaker for utterance in utterances})
    speakers = f"{number} speakers" if "speaker" in filled else "no speakers"
    hours = sum(audio[utterance.utt].duration for utterance in utterances) / 3600
    log.info("%s: %d utterances, %s, %.2f h", root, len(utterances), speakers, hours)
    rates = Counter(audio[utterance.utt].rate for utterance in utterances)
    if len(rates) > 1:
        counts = ", ".join(f"{number} at {rate} Hz" for rate, number in sorted(rates.items()))
        log.info("sampling rates: %s", counts)
    if "speaker" not in filled:
        log.warning(
            "%s: warning: no column `speaker`, so each recording counts as a speaker of its own: whether a "
            "system knows the speakers that it is tested on cannot be told, and no evaluation is speaker-disjoint",
            root,
        )


class Lines:
    """The utterances of the file; `faults` and `gaps` (in recordings) have a message for each line without one."""

    def __init__(self, path: Path):
        self.path = path
        self.faults: dict[int, str] = {}
        self.gaps: dict[int, str] = {}
        self.utterances: list[Utterance] = []
        self.number: dict[str, int] = {}  # the line of each utterance
        self.taken: dict[tuple[str, Any], tuple[Any, int]] = {}  # (kind, what must be told apart): (of what, line)
        rows = self._read()
        self.filled = {column for cells in rows.values() for column, cell in cells.items() if cell}
        for number, cells in rows.items():
            try:
                utterance = self._utterance(number, cells)
            except Gap as gap:
                self.gaps[number] = f"{path}:{number}: {gap}"
            except SertkError as fault:
                self.faults[number] = f"{path}:{number}: {fault}"
            else:
                self.utterances.append(utterance)
                self.number[utterance.utt] = number

    def check_audio(self, audio: Mapping[str, Audio], errors: Mapping[str, SertkError]) -> None:
        """Enters the lines whose audio is unreadable, ends too early, or is that of an earlier line."""
        for utterance in self.utterances:
            number = self.number[utterance.utt]
            where = f"{self.path}:{number}"
            if utterance.utt in errors:
                self.gaps[number] = f"{where}: {errors[utterance.utt]}"
                continue
            found = audio[utterance.utt]
            try:
                if utterance.segment:
                    _, start, end = utterance.segment
                    if found.duration < end - start - SLACK:
                        raise SertkError(f"end {end:g}: the recording ends at {start + found.duration:.2f} s")
                self._tell_apart(number, "audio", found.digest, utterance.utt, "it sounds exactly as")
            except SertkError as fault:
                self.faults[number] = f"{where}: {fault}"

    def _read(self) -> dict[int, dict[str, str]]:
        """{line number: {column: cell}} of all lines that are not blank."""
        text = read_text(self.path).removeprefix("\ufeff")
        if not text.strip():
            raise SertkError(f"{self.path}: the file is empty; its header is {HEADER}")
        separator = separator_of(self.path, text.splitlines()[0])
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        header, rows, number = None, {}, 1
        try:
            for fields in lines:
                if header is None:
                    header = [field.strip() for field in fields]
                    check_header(self.path, header)
                elif not any(field.strip() for field in fields):
                    pass
                elif len(fields) != len(header):
                    self.faults[number] = (
                        f"{self.path}:{number}: {len(fields)} fields, and {len(header)} in the header; put double "
                        f"quotes around a field with a {SEPARATORS[separator]} in it"
                    )
                else:
                    rows[number] = {
                        column: field.strip() if column == "path" else " ".join(field.split())
                        for column, field in zip(header, fields)
                    }
                number = lines.line_num + 1
        except csv.Error as error:
            raise SertkError(
                f"{self.path}:{number}: {error}; a field in double quotes ends with one, and has those in it doubled"
            ) from error
        return rows

    def _utterance(self, number: int, cells: dict[str, str]) -> Utterance:
        for column in ALL_OR_NONE:
            if column in self.filled and not cells[column]:
                raise SertkError(f"the {column} is empty; it is given on all lines or on none")
        labels = {
            name: self._label(number, cells[column], column)
            for column, name in label_columns(cells)
            if cells[column] or column == "label"
        }
        start, end = seconds(cells, "start", 0.0), seconds(cells, "end", -1)
        if end != -1 and start >= end:
            raise SertkError(f"start {start:g} is not before end {end:g}")
        path = find_recording(cells["path"], self.path.parent)
        self._tell_apart(number, "utterance", (path, start, end), None, "the same recording and times as")
        folders = Path(os.path.relpath(path, self.path.parent.absolute())).parts
        recording = "_".join(name for name in folders if name != "..")
        recording = self._tell_apart(number, "recording", ODD.sub("_", recording), path, "its name becomes that of")
        speaker, names = recording, [recording]
        if "speaker" in self.filled:
            clean, problem = ODD.sub("_", cells["speaker"]), "its speaker's name becomes that of"
            speaker = self._tell_apart(number, "speaker", clean, cells["speaker"], problem)
            names = [speaker, recording]
        segment = None
        if self.filled & {"start", "end"}:
            segment = (recording, start, end)
            names += [f"{round(1000 * start):08}", "end" if end == -1 else f"{round(1000 * end):08}"]
        return Utterance(
            utt="-".join(names),
            speaker=speaker,
            path=path,
            labels=labels,
            segment=segment,
            text=cells["text"] if "text" in self.filled else None,
            group=cells["group"] if "group" in self.filled else None,
        )

    def _label(self, number: int, label: str, column: str) -> str:
        if not label:
            raise SertkError("the label is empty")
        if " " in label:
            raise SertkError(f"the {column} '{label}' has a space in it; write {label.replace(' ', '_')}")
        self._tell_apart(number, column, label.casefold(), label, f"'{label}' differs in capitals alone from")
        return label

    def _tell_apart(self, number: int, kind: str, key: T, of: object, problem: str) -> T:
        """`key`; raises SertkError if something else than `of` has it, or with None anything."""
        other, line = self.taken.setdefault((kind, key), (of, number))
        if line != number and (of is None or other != of):
            raise SertkError(f"{problem} line {line}{f' ({other})' if other else ''}; change one of them")
        return key


class Gap(SertkError):
    """A recording that is not there."""


def separator_of(path: Path, header: str) -> str:
    """Which of SEPARATORS a header has; raises SertkError for one without a column `path`."""
    for separator in SEPARATORS:
        if "path" in [cell.strip() for cell in next(csv.reader([header], delimiter=separator))]:
            return separator
    raise SertkError(
        f"{path}:1: no column 'path' in the header '{header[:80]}'; it is {HEADER}, with one of these between: "
        f"{', '.join(SEPARATORS.values())}"
    )


def check_header(path: Path, header: Sequence[str]) -> None:
    """Raises SertkError for unknown columns, columns that are there twice, and a header without labels."""
    for place, column in enumerate(header, 1):
        if column not in COLUMNS and not OTHER_SET.fullmatch(column):
            known = ", ".join(COLUMNS)
            what = f"unknown column '{column}'" if column else f"column {place} has no name"
            more = "label:NAME of further label sets (letters, digits, _ -)"
            raise SertkError(f"{path}:1: {what}; there are {known}, and {more}")
    named = [name for _, name in label_columns(header)]
    named += [column for column in header if not column.startswith("label")]
    if twice := [column for column, times in Counter(named).items() if times > 1]:
        raise SertkError(f"{path}:1: the column of '{twice[0]}' is there twice; keep one")
    if not label_columns(header):
        raise SertkError(f"{path}:1: no column 'label'")


def label_columns(header: Iterable[str]) -> list[tuple[str, str]]:
    """(column, label set) of the columns with labels."""
    return [
        (column, MAIN_SET if column == "label" else column.removeprefix("label:"))
        for column in header
        if column.startswith("label")
    ]


def seconds(cells: Mapping[str, str], column: str, default: float) -> float:
    """A time in seconds, to four places, or `default` where the cell is empty; raises SertkError for anything else."""
    cell = cells.get(column)
    if not cell:
        return default
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise SertkError(f"{column} '{cell}': expected seconds from 0, such as 1.25")
    return round(value, 4)


def find_recording(cell: str, folder: Path) -> Path:
    """The path of a recording that a cell names, relative to `folder`; raises Gap if it is not there."""
    if not cell:
        raise SertkError("the path is empty")
    if cell.endswith("|"):
        raise SertkError(f"'{cell}' is a command; give the path of a recording")
    plain = cell.replace("\\", "/")
    for name in dict.fromkeys((cell, plain)):
        if (folder / name).is_file():
            return Path(os.path.abspath(folder / name))
    if WINDOWS_PATH.match(cell):
        raise Gap(f"'{cell}' is a path of a Windows machine; give paths relative to {folder.absolute()}")
    raise Gap(f"no such file: {folder / plain}")
