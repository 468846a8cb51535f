"""One's own recordings: a CSV or TSV with a line for each utterance."""

import csv
import io
import logging
import math
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sertk.core.errors import SertkError
from sertk.core.files import PathLike, read_text
from sertk.core.messages import counted
from sertk.core.names import (
    compared_form,
    difference,
    find_path,
    hidden_in,
    is_missing,
    may_be_missing,
    says_missing,
    seen_form,
    visible,
)
from sertk.corpora.base import NEEDS, Audio, Utterance, listed, probe_audio, tables_of, write_tables
from sertk.corpora.columns import HEADER, SEPARATORS, label_sets, parse_columns, places_of_roles, separator_of
from sertk.kaldi.datadir import DataDir, read_table

log = logging.getLogger(__name__)

ALL_OR_NONE = ("speaker", "group")  # are filled in on all lines or on none; words for "missing" are empty fields
WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|\\\\")
SLACK = 0.05  # seconds that a rounded `end` may lie behind the recording's
SOURCE = ".source"  # in a data folder: the file that it was made from
MAY_BE_STALE = re.compile(r"segments|text|utt2group|labels/.*")


def prepare(
    root: PathLike,
    datadir: PathLike,
    partial: bool = False,
    threads: int | None = None,
    columns: Iterable[str] = (),
    needs: Mapping[str, float] = NEEDS,
) -> None:
    """Writes the data folder of the recordings that the CSV or TSV file `root` describes.

    The header has `path` (relative to the file), `label` or `label:NAME` (of a label set NAME), and of speaker,
    text, start, end (seconds) and group what is known; `columns` ROLE=COLUMN take columns of other names for these.
    Raises SertkError with a line for each line that is wrong; those whose recording is missing or unreadable are
    left out if `partial`, and so are those that are shorter than {feature type: seconds} of `needs`. A data folder of
    another file that is still there is refused, too.
    """
    check_source(root, datadir)
    table = Lines(Path(root), parse_columns(columns))
    audio, errors = probe_audio(table.utterances, threads)
    table.check_audio(audio, errors, needs)
    if wrong := table.faults | ({} if partial else table.gaps):
        remedy = "correct the table (--partial leaves out recordings that are missing, unreadable or too short)"
        raise SertkError(f"{root}: {counted(len(wrong), 'line is', 'lines are')} wrong, {remedy}:{in_order(wrong)}")
    if table.gaps:
        gaps = counted(len(table.gaps), "recording is", "recordings are")
        what = "missing, unreadable or too short and left out"
        log.warning("%s: warning: %s %s:%s", root, gaps, what, in_order(table.gaps))
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
    speakers = counted(number, "speaker") if "speaker" in filled else "no speakers"
    hours = sum(audio[utterance.utt].duration for utterance in utterances) / 3600
    log.info("%s: %s, %s, %.2f h", root, counted(len(utterances), "utterance"), speakers, hours)
    for (kind, name), times in Counter(names_in(utterances, filled)).items():
        if may_be_missing(name):
            what = f"is taken for a name; leave out lines that have no {kind}"
            log.warning("%s: warning: the %s '%s' (%s) %s", root, kind, name, counted(times, "line"), what)
    if without := sum(utterance.text == "" for utterance in utterances):
        lines = counted(without, "line has", "lines have")
        log.warning("%s: warning: %s no text, or a word for a missing one: nothing is said there", root, lines)
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


def names_in(utterances: Iterable[Utterance], filled: Container[str]) -> Iterator[tuple[str, str]]:
    """Yields (kind, name) of each label, speaker and group of each of the `utterances`."""
    for utterance in utterances:
        yield from (("label", label) for label in utterance.labels.values())
        if "speaker" in filled:
            yield "speaker", utterance.speaker
        if utterance.group:
            yield "group", utterance.group


class Lines:
    """The utterances of the file; `faults` and `gaps` (in recordings) have a message for each line without one."""

    def __init__(self, path: Path, chosen: Mapping[str, str]):
        self.path = path
        self.chosen = chosen  # {role: the column that it is taken from}
        self.faults: dict[int, str] = {}
        self.gaps: dict[int, str] = {}
        self.utterances: list[Utterance] = []
        self.number: dict[str, int] = {}  # the line of each utterance
        self.taken: dict[tuple[str, Any], tuple[Any, int]] = {}  # (kind, what must be told apart): (of what, line)
        rows = self._read()
        self.filled = {role for cells in rows.values() for role, cell in cells.items() if is_filled(role, cell)}
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

    def check_audio(
        self, audio: Mapping[str, Audio], errors: Mapping[str, SertkError], needs: Mapping[str, float]
    ) -> None:
        """Enters the lines whose audio is unreadable, too short, ends too early, or is that of an earlier line."""
        for utterance in self.utterances:
            number = self.number[utterance.utt]
            where = f"{self.path}:{number}"
            if utterance.utt in errors:
                self.gaps[number] = f"{where}: {errors[utterance.utt]}"
                continue
            found = audio[utterance.utt]
            if problem := found.short_of(needs):
                self.gaps[number] = f"{where}: {utterance.path}: {problem}"
                continue
            try:
                if utterance.segment:
                    _, start, end = utterance.segment
                    if found.duration < end - start - SLACK:
                        raise SertkError(f"end {end:g}: the recording ends at {start + found.duration:.2f} s")
                self._tell_apart(number, "audio", found.digest, utterance.utt, "it sounds exactly as")
            except SertkError as fault:
                self.faults[number] = f"{where}: {fault}"

    def _read(self) -> dict[int, dict[str, str]]:
        """{line number: {role: cell}} of all lines that are not blank."""
        text = read_text(self.path).removeprefix("\ufeff")
        if not text.strip():
            raise SertkError(f"{self.path}: the file is empty; its header is {HEADER}")
        separator = separator_of(self.path, text.splitlines()[0], self.chosen.get("path", "path"))
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        header, roles, rows, number = None, {}, {}, 1
        try:
            for fields in lines:
                if header is None:
                    header = fields
                    roles = places_of_roles(self.path, [seen_form(field) for field in fields], self.chosen)
                elif not any(field.strip() for field in fields):
                    pass
                elif len(fields) != len(header):
                    self.faults[number] = (
                        f"{self.path}:{number}: {len(fields)} fields, and {len(header)} in the header; put double "
                        f"quotes around a field with a {SEPARATORS[separator]} in it"
                    )
                else:
                    rows[number] = {
                        role: fields[place].strip() if role == "path" else " ".join(fields[place].split())
                        for role, place in roles.items()
                    }
                number = lines.line_num + 1
        except csv.Error as error:
            raise SertkError(
                f"{self.path}:{number}: {error}; a field in double quotes ends with one, and has those in it doubled"
            ) from error
        return rows

    def _utterance(self, number: int, cells: dict[str, str]) -> Utterance:
        for role in ALL_OR_NONE:
            if role in self.filled and not is_filled(role, cells[role]):
                raise SertkError(f"the {role} is {lack_in(cells[role])}; it is given on all lines or on none")
        labels = {
            name: self._label(number, cells[role], role)
            for role, name in label_sets(cells).items()
            if is_filled(role, cells[role]) or role == "label"
        }
        start, end = seconds(cells, "start", 0.0), seconds(cells, "end", -1)
        if end != -1 and start >= end:
            raise SertkError(f"start {start:g} is not before end {end:g}")
        path = find_recording(cells["path"], self.path.parent)
        self._tell_apart(number, "utterance", (path, start, end), None, "the same recording and times as")
        folders = Path(os.path.relpath(path, self.path.parent.absolute())).parts
        recording = id_of("_".join(name for name in folders if name != ".."))
        self._tell_apart(number, "recording", recording, path, "its name becomes that of")
        speaker, names = recording, [recording]
        if "speaker" in self.filled:
            speaker = id_of(seen_form(cells["speaker"]))
            self._one_spelling(number, "speaker", cells["speaker"], speaker)
            names = [speaker, recording]
        group = None
        if "group" in self.filled:
            self._one_spelling(number, "group", cells["group"])
            group = seen_form(cells["group"])
        segment = None
        if self.filled & {"start", "end"}:
            segment = (recording, start, end)
            names += [f"{round(1000 * start):08}", "end" if end == -1 else f"{round(1000 * end):08}"]
        text = None
        if "text" in self.filled:
            text = cells["text"] if is_filled("text", cells["text"]) else ""
        return Utterance("-".join(names), speaker, path, labels, segment=segment, text=text, group=group)

    def _label(self, number: int, label: str, role: str) -> str:
        if not is_filled(role, label):
            raise SertkError(f"the label is {lack_in(label)}; leave the line out, or call the class something else")
        if " " in label:
            raise SertkError(f"the {role} '{label}' has a space in it; write {label.replace(' ', '_')}")
        self._one_spelling(number, role, label)
        return seen_form(label)

    def _one_spelling(self, number: int, kind: str, name: str, as_id: str | None = None) -> None:
        """Raises SertkError if an earlier line has a `name` of a `kind` in another spelling, or another for its id."""
        other, line = self.taken.setdefault((kind, compared_form(as_id or name)), (name, number))
        if other == name:
            return
        if compared_form(other) == compared_form(name):
            problem = f"the {kind} '{visible(name)}' differs in {difference(name, other)} alone from"
        else:
            problem = f"its {kind}'s name becomes that of"
        raise SertkError(f"{problem} line {line} ({visible(other)}); change one of them")

    def _tell_apart(self, number: int, kind: str, key: object, of: object, problem: str) -> None:
        """Raises SertkError if something else than `of` has the `key` of a `kind`, or with None anything."""
        other, line = self.taken.setdefault((kind, key), (of, number))
        if line != number and (of is None or other != of):
            raise SertkError(f"{problem} line {line}{f' ({other})' if other else ''}; change one of them")


class Gap(SertkError):
    """A recording that is not there."""


def id_of(name: str) -> str:
    """A name as a part of ids: other signs than letters, with their accents, digits, `_` and `.` become `_`.

    What sorts before the `-` between the parts would order utterances in another way than speakers.
    """
    return "".join(
        sign if sign.isalnum() or sign in "_." or unicodedata.category(sign).startswith("M") else "_"
        for sign in unicodedata.normalize("NFC", name)
    )


def is_filled(role: str, cell: str) -> bool:
    """Whether a cell says something, and not that it is missing."""
    return not (is_missing(cell) if role in ALL_OR_NONE else says_missing(cell))


def lack_in(cell: str) -> str:
    """What is wrong with a cell that says nothing, for `the speaker is ...`."""
    if seen_form(cell):
        return f"'{visible(cell)}', which says that there is none"
    return f"empty (it is {hidden_in(cell)})" if cell else "empty"


def seconds(cells: Mapping[str, str], column: str, default: float) -> float:
    """A time in seconds, to four places, or `default` where the cell is empty; raises SertkError for anything else."""
    cell = cells.get(column, "")
    if not is_filled(column, cell):
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
        found = find_path(folder / name)
        if found.is_file():
            return Path(os.path.abspath(found))
    if WINDOWS_PATH.match(cell):
        raise Gap(f"'{cell}' is a path of a Windows machine; give paths relative to {folder.absolute()}")
    raise Gap(f"no such file: {folder / plain}")
