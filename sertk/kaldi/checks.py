"""Data folders put to the test: validate says what is wrong, fix mends what can be mended."""

import math
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from sertk.core.errors import SertkError
from sertk.core.files import PathLike, folder_aside, read_text, write_text
from sertk.core.messages import counted, say
from sertk.core.names import (
    NAME_IT,
    compared_form,
    difference,
    hidden_in,
    in_other_spelling,
    is_missing,
    says_missing,
    seen_form,
    visible,
)
from sertk.kaldi.datadir import (
    SPLITS,
    DataDir,
    by_bytes,
    invert_utt2spk,
    is_count,
    named_speakers,
    read_lines,
    read_table,
    split_line,
    table_kind,
    write_data_dir,
)
from sertk.kaldi.tools import require_utt2spk, restrict

# Look like nothing or like a space in an editor, but make another key or label of it.
_ODD_CHARACTER = re.compile("[^\\S \t]|[\ufeff\x00]")
HINTS = {
    "utt2spk": "make it with spk2utt_to_utt2spk.pl",
    "spk2utt": "make it with utt2spk_to_spk2utt.pl",
    "text": "if that is meant, pass --no-text",
    "wav.scp": "if that is meant, pass --no-wav",
}
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)


def validate(path: PathLike, feats: bool = True, text: bool = True, wav: bool = True) -> None:
    """Checks all tables and lists of a data folder; raises SertkError with where the first fault is.

    `feats`, `text` and `wav` say what must be there; what is there is checked anyway.
    """
    folder = DataDir(path)
    required = ["utt2spk", "spk2utt"] + ["text"] * text + ["wav.scp"] * wav
    for name in required:
        if not folder.has(name):
            raise SertkError(f"{folder.path / name}: no such file; {HINTS[name]}")
    if feats and not (folder.has("feats.scp") or folder.table_names("feats/")):
        raise SertkError(f"{folder.path}: no feats.scp and no feats/*.scp; if that is meant, pass --no-feats")
    tables = {name: folder.table(name) for name in folder.table_names()}
    for name, table in tables.items():
        if not table:
            raise SertkError(f"{folder.path / name}: the file is empty; fill it or remove it")
        _check_characters(folder.path, name, table)
    _check_names(folder.path, tables)
    _check_speakers(folder.path, tables)
    _check_coverage(folder.path, tables)
    _check_values(folder.path, tables)
    for fold in sorted(folder.path.glob("splits/*/fold*")):
        _check_fold(fold, tables["utt2spk"])


def _fault(path: Path, name: str, table: Mapping[str, str], key: str, message: str) -> SertkError:
    """An error about one line; keys are in the order of the lines, as tables are sorted and unique."""
    return SertkError(f"{path / name}:{list(table).index(key) + 1}: '{visible(key)}' {message}")


def _check_characters(path, name, table):
    values_too = name == "text" or name.startswith("labels/")
    for key, value in table.items():
        if found := _ODD_CHARACTER.search(f"{key} {value}" if values_too else key):
            code = f"U+{ord(found[0]):04X}"
            raise _fault(path, name, table, key, f"has the invisible character {code} in its line; remove it")


def _check_names(path, tables):
    """No speaker, group, class or utterance in two spellings, with what nobody sees, or that a word says is missing."""
    names = {name: table for name, table in tables.items() if name.startswith("labels/") or name == "utt2group"}
    names["utt2spk"] = named_speakers(tables["utt2spk"], tables.get("segments", {}))
    for name, table in names.items():
        first = {}
        for key, value in table.items():
            shown = visible(value)
            if says_missing(value) or is_missing(value) and not name.startswith("labels/"):
                raise _fault(path, name, tables[name], key, f"has '{shown}', a word for a missing name; {NAME_IT}")
            other_key, other = first.setdefault(compared_form(value), (key, value))
            if other != value:
                how = f"differs in {difference(value, other)} alone from '{visible(other)}' of '{visible(other_key)}'"
                raise _fault(path, name, tables[name], key, f"has '{shown}', which {how}; change one of them")
            if hidden := hidden_in(value):
                raise _fault(path, name, tables[name], key, f"has '{shown}', with {hidden}; remove it")
    utterances = {}
    for utterance in tables["utt2spk"]:
        other = utterances.setdefault(seen_form(utterance), utterance)
        if other != utterance:
            problem = f"differs in {difference(utterance, other)} alone from '{visible(other)}'; rename one of them"
            raise _fault(path, "utt2spk", tables["utt2spk"], utterance, problem)


def _check_speakers(path, tables):
    utt2spk, spk2utt = tables["utt2spk"], tables["spk2utt"]
    previous = ""
    for utterance, speaker in utt2spk.items():
        problem = None
        if len(speaker.split()) > 1:
            problem = f"has more than one speaker: '{speaker}'"
        elif not utterance.startswith(speaker):
            problem = f"does not begin with its speaker '{speaker}'; rename it"
        elif by_bytes(speaker) < by_bytes(previous):
            problem = f"puts speaker '{speaker}' after '{previous}'; no speaker's name may begin another's"
        if problem:
            raise _fault(path, "utt2spk", utt2spk, utterance, problem)
        previous = speaker
    expected = invert_utt2spk(utt2spk)
    for speaker, utterances in spk2utt.items():
        if utterances.split() != expected.get(speaker, "").split():
            problem = "has other utterances than in utt2spk; make it again with utt2spk_to_spk2utt.pl"
            raise _fault(path, "spk2utt", spk2utt, speaker, problem)


def _check_coverage(path, tables):
    """The same utterances, speakers and recordings everywhere; only labels/ and feats/ may cover a part."""
    utt2spk = tables["utt2spk"]
    expected = {
        "utterance": ("utt2spk", utt2spk),
        "speaker": ("utt2spk", dict.fromkeys(utt2spk.values())),
    }
    if "segments" in tables:
        for utterance, value in tables["segments"].items():
            if problem := segment_problem(value):
                raise _fault(path, "segments", tables["segments"], utterance, problem)
        recordings = dict.fromkeys(value.split()[0] for value in tables["segments"].values())
        expected["recording"] = ("segments", recordings)
    else:
        expected["recording"] = ("utt2spk", utt2spk)
    for name, table in tables.items():
        kind = table_kind(name)
        source, keys = expected[kind]
        for key in table:
            if key not in keys:
                problem = f"is no {kind} of {source}{in_other_spelling(key, keys)}; remove it, or run fix_data_dir.sh"
                raise _fault(path, name, table, key, problem)
        for key in () if "/" in name else keys:
            if key not in table:
                where = f"{path / name}: no line for the {kind} '{key}' of {source}"
                raise SertkError(f"{where}; add it, or run fix_data_dir.sh")


def segment_problem(value: str) -> str | None:
    """What is wrong with `recording start end`, in seconds (the end -1 is the recording's own), or None."""
    fields = value.split()
    if len(fields) != 3:
        return f"needs a recording, a start and an end, not '{value}'"
    start, end = map(_number, fields[1:])
    if start is None or end is None or start < 0 or not (end > start or end == -1):
        return f"needs 0 <= start < end in seconds (or end -1), not '{fields[1]} {fields[2]}'"
    return None


def _number(text: str) -> float | None:
    """The finite number that a text is, or None."""
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def _is_positive(text: str) -> bool:
    value = _number(text)
    return value is not None and value > 0


_COUNT = ("needs a positive whole number", is_count)
VALUE_CHECKS = {
    "utt2dur": ("needs a positive number of seconds", _is_positive),
    "reco2dur": ("needs a positive number of seconds", _is_positive),
    "utt2num_frames": _COUNT,
    "utt2num_words": _COUNT,
    "utt2num_phones": _COUNT,
    "utt2dims": (
        "needs three numbers: valence, activation, dominance",
        lambda text: len(text.split()) == 3 and all(_number(field) is not None for field in text.split()),
    ),
}


def _check_values(path, tables):
    for name in VALUE_CHECKS.keys() & tables.keys():
        message, is_right = VALUE_CHECKS[name]
        for key, value in tables[name].items():
            if not is_right(value):
                raise _fault(path, name, tables[name], key, f"{message}, not '{value}'")


def _check_fold(fold, utt2spk):
    seen = {}
    for split in SPLITS:
        if not (fold / split).is_file():
            raise SertkError(f"{fold / split}: no such list; make the splits again")
        listed = read_table(fold / split, allow_empty=True)
        if not listed and split != "valid":
            raise SertkError(f"{fold / split}: the list is empty; make the splits again")
        for utterance, rest in listed.items():
            problem = None
            if rest:
                problem = f"is followed by '{rest}'; a list has one utterance a line"
            elif utterance not in utt2spk:
                problem = f"is not in utt2spk{in_other_spelling(utterance, utt2spk)}; make the splits again"
            elif utterance in seen:
                problem = f"is in {seen[utterance]} too; make the splits again"
            if problem:
                raise _fault(fold, split, listed, utterance, problem)
            seen[utterance] = split


def fix(path: PathLike) -> tuple[int, int]:
    """Sorts the tables of a data folder, drops what is not in all of them, and rebuilds spk2utt.

    Protocols whose fold lists name what is dropped go too. The files as they were are in DIR/.backup.
    Returns the number of utterances kept and that before.
    Raises SertkError, and changes nothing, for lines that contradict each other and if nothing would be left.
    """
    folder = DataDir(path)
    require_utt2spk(folder)
    names = [name for name in folder.table_names() if name != "spk2utt"]
    tables = {name: _read_anyhow(folder.path / name, allow_empty=name == "text") for name in names}
    total = len(tables["utt2spk"])
    if "segments" in tables:
        segments = tables["segments"].items()
        tables["segments"] = {utt: value for utt, value in segments if not segment_problem(value)}
    kept = _in_every_table(tables)
    if not kept:
        raise SertkError(f"{path}: no utterance is in all of {', '.join(tables)}; nothing was changed")
    fixed = restrict(tables, kept)
    lists = {file: sorted(_read_anyhow(file, allow_empty=True), key=by_bytes) for file in folder.split_lists()}
    outdated = sorted({file.parents[1] for file, utts in lists.items() if not kept.issuperset(utts)})
    if outdated or not _is_as_fixed(folder, fixed, lists):
        _back_up(folder, lists, outdated)
        for name in set(names) - set(fixed):
            (folder.path / name).unlink()
        write_data_dir(folder.path, fixed)
        _remove_protocols(outdated)
        for file, utterances in lists.items():
            if file.parents[1] not in outdated:
                write_text(file, "".join(f"{utt}\n" for utt in utterances))
    return len(kept), total


def _remove_protocols(folders):
    for folder in folders:
        shutil.rmtree(folder)
    if folders:
        names = ", ".join(folder.name for folder in folders)
        text = f"removed the fold lists {names}: they name dropped utterances, make them anew"
        say(f"{text} with sertk-make-splits")


def _read_anyhow(path, allow_empty):
    """A table in whatever order, line ends and with a BOM or without; lines without a value are left out."""
    table = {}
    for number, line in enumerate(read_text(path).removeprefix("\ufeff").replace("\r", "").split("\n"), start=1):
        key, value = split_line(line.lstrip(" \t"))
        if table.get(key, value) != value:
            raise SertkError(f"{path}:{number}: '{key}' is there twice with different values; remove one")
        if key and (value or allow_empty):
            table[key] = value
    return table


def _in_every_table(tables):
    """The utterances that all tables know, by themselves, by their speaker or by their recording."""
    utt2spk = tables["utt2spk"]
    recordings = {utt: value.split()[0] for utt, value in tables.get("segments", {}).items()}
    key_of = {"utterance": {}, "speaker": utt2spk, "recording": recordings}
    kept = set(utt2spk)
    for name, table in tables.items():
        if "/" not in name:
            keys = key_of[table_kind(name)]
            missing = {utt for utt in utt2spk if keys.get(utt, utt) not in table}
            if missing:
                say(f"{counted(len(missing), 'utterance is', 'utterances are')} not in {name}")
            kept -= missing
    return kept


def _is_as_fixed(folder, fixed, lists):
    try:
        same = set(folder.table_names()) == {*fixed, "spk2utt"}
        same = same and folder.table("spk2utt") == invert_utt2spk(fixed["utt2spk"])
        same = same and all(folder.table(name) == table for name, table in fixed.items())
        return same and all(read_lines(file) == utterances for file, utterances in lists.items())
    except SertkError:
        return False


def _back_up(folder, lists, protocols):
    cards = [path / "card.yaml" for path in protocols if (path / "card.yaml").is_file()]
    with folder_aside(folder.path / ".backup") as backup:
        for file in [*(folder.path / name for name in folder.table_names()), *lists, *cards]:
            target = backup / file.relative_to(folder.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)
