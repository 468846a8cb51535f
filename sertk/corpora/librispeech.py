"""LibriSpeech: read books, 1,000 hours in seven subsets (Panayotov et al. 2015), and sets in the same layout."""

import logging
import re
from pathlib import Path

from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.corpora.base import Utterance, check_counts, listed, refuse_gaps
from sertk.corpora.transcribed import LONGEST, SHORTEST, refuse_broken, write_transcribed
from sertk.kaldi.datadir import read_lines, split_line

log = logging.getLogger(__name__)

PUBLISHED = {
    "train-clean-100": 28539,
    "train-clean-360": 104014,
    "train-other-500": 148688,
    "dev-clean": 2703,
    "dev-other": 2864,
    "test-clean": 2620,
    "test-other": 2939,
}
NAME = re.compile(r"(\d+)-(\d+)-\d+")  # speaker, chapter, number


def prepare(
    root: PathLike,
    datadir: PathLike,
    subset: str,
    partial: bool = False,
    threads: int | None = None,
    min_seconds: float = SHORTEST,
    max_seconds: float = LONGEST,
) -> None:
    """Writes the data folder of the subset `subset` (a folder, such as train-clean-100) of the release under `root`.

    Speakers and utterances are named `librispeech-...`. Raises SertkError naming wrong lines, and unless
    `partial` for utterances without a recording or a text, unreadable ones and other than the published count.
    """
    utterances = read_subset(root, subset, partial)
    if subset not in PUBLISHED:
        log.info("%s: not a subset of LibriSpeech, whose number of utterances is published", Path(root) / subset)
    elif not partial:
        check_counts({subset: len(utterances)}, {subset: PUBLISHED[subset]}, root)
    lengths = min_seconds, max_seconds
    write_transcribed(utterances, datadir, lengths=lengths, threads=threads, broken=refuse_broken(root, partial))


def read_subset(root: PathLike, subset: str, partial: bool = False) -> list[Utterance]:
    """The list of Utterance of a subset that have a text and a recording."""
    folder = Path(root) / subset
    if not folder.is_dir():
        there = ", ".join(sorted(path.name for path in Path(root).glob("*-*") if path.is_dir())) or "none"
        raise SertkError(f"{folder}: no such folder; subsets that are there: {there}")
    texts, recordings = read_texts(folder), {path.stem: path for path in folder.glob("*/*/*.flac")}
    if not texts.keys() & recordings.keys():
        raise SertkError(f"{folder}: no SPEAKER/CHAPTER/*.flac with a line in a .trans.txt beside it")
    gaps = [f"{name}: no recording" for name in texts if name not in recordings]
    gaps += [f"{path}: no text" for name, path in sorted(recordings.items()) if name not in texts]
    refuse_gaps(gaps, "utterances lack their recording or their text", folder, partial)
    genders = read_genders(Path(root) / "SPEAKERS.TXT")
    return [
        Utterance(
            utt=f"librispeech-{name}",
            speaker=f"librispeech-{speaker}",
            path=recordings[name],
            labels={},
            text=text,
            gender=genders.get(speaker),
        )
        for name, text in texts.items()
        for speaker in [name.partition("-")[0]]
        if name in recordings
    ]


def read_texts(folder: Path) -> dict[str, str]:
    """{utterance: text} of all transcripts; raises SertkError naming wrong lines."""
    texts, problems = {}, []
    for path in sorted(folder.glob("*/*/*.trans.txt")):
        for number, line in enumerate(read_lines(path), 1):
            if not line.strip():
                continue  # the file of a chapter without utterances
            name, text = split_line(line)
            fields = NAME.fullmatch(name)
            problem = None
            if not fields or not text:
                problem = f"expected SPEAKER-CHAPTER-NUMBER and words, got '{line}'"
            elif path.parts[-3:-1] != fields.groups():
                problem = f"{name} does not belong into this folder"
            elif name in texts:
                problem = f"{name} is there twice"
            if problem:
                problems.append(f"{path}:{number}: {problem}")
            else:
                texts[name] = text
    if problems:
        raise SertkError(f"{folder}: {len(problems)} wrong lines, get the subset again:{listed(problems)}")
    return texts


def read_genders(path: Path) -> dict[str, str]:
    """{speaker: m or f} of SPEAKERS.TXT, empty without that file; raises SertkError for a wrong line."""
    if not path.is_file():
        log.info("%s is not there, so nothing is known of the speakers", path)
        return {}
    genders = {}
    for number, line in enumerate(read_lines(path), 1):
        if line.strip() and not line.startswith(";"):
            fields = [field.strip() for field in line.split("|", 4)]
            if len(fields) != 5 or fields[1] not in ("F", "M"):
                raise SertkError(f"{path}:{number}: expected ID | F or M | SUBSET | MINUTES | NAME, got '{line}'")
            genders[fields[0]] = fields[1].lower()
    return genders
