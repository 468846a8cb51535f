"""FAU-Aibo: children of two schools direct a robot dog; 18,216 chunks (Steidl 2009, Schuller et al. 2009)."""

import logging
import math
import re
from collections import Counter
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from pathlib import Path

from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.corpora.base import Utterance, check_counts, listed, refuse_gaps, write_corpus
from sertk.kaldi.datadir import read_lines, split_line

log = logging.getLogger(__name__)

# label set: the letters of its label file and what they stand for
CLASSES = {
    "5": {"A": "anger", "E": "emphatic", "N": "neutral", "P": "positive", "R": "rest"},
    "2": {"NEG": "NEG", "IDL": "IDL"},
}
LABEL_FILE = "labels/IS2009EmotionChallenge/chunk_labels_{}cl_corpus.txt"

CHUNK = re.compile(r"(?:Ohm|Mont)_\d\d_\d+_\d+")  # school, child, turn, chunk

# The Interspeech 2009 Emotion Challenge trained on ohm and tested on mont.
COUNTED = ("children", "anger", "emphatic", "neutral", "positive", "rest", "NEG", "IDL")
PUBLISHED = {
    "ohm": (26, 881, 2093, 5590, 674, 721, 3358, 6601),
    "mont": (25, 611, 1508, 5377, 215, 546, 2465, 5792),
}


def prepare(
    root: PathLike,
    datadir: PathLike,
    partial: bool = False,
    threads: int | None = None,
    transcriptions: PathLike | None = None,
) -> None:
    """Writes the data folder of the chunks that the label files of the release under `root` name.

    Label sets: 5 (anger, emphatic, neutral, positive, rest), 2 (NEG, IDL). Groups: the schools mont and ohm.
    `transcriptions` is a text file with lines `chunk words...`; without it there is no text.
    Raises SertkError naming wrong lines and recordings, and for missing recordings and counts other than
    the published ones unless `partial`.
    """
    utterances = read_release(root, partial, transcriptions)
    if not partial:
        check_counts(count(utterances), published_counts(), root)
    write_corpus(utterances, datadir, threads)


def read_release(root: PathLike, partial: bool = False, transcriptions: PathLike | None = None) -> list[Utterance]:
    """The list of Utterance of the chunks that have labels and a recording."""
    root = Path(root)
    if not (root / "wav").is_dir():
        raise SertkError(f"{root}/wav: no such folder; give the release's, which holds wav and labels")
    labels = read_label_files(root)
    recordings = recordings_of(root, labels["5"], partial)
    texts = read_transcriptions(transcriptions, recordings) if transcriptions else {}
    return [
        Utterance(
            utt=chunk,
            speaker=f"{school}_{child}",
            path=path,
            labels={label_set: by_chunk[chunk] for label_set, by_chunk in labels.items()},
            text=texts.get(chunk),
            group=school.lower(),
        )
        for chunk, path in recordings.items()
        for school, child, *_ in [chunk.split("_")]
    ]


def read_label_files(root: Path) -> dict[str, dict[str, str]]:
    """{label set: {chunk: label}}; raises SertkError if not all label files name the same chunks."""
    paths = {label_set: root / LABEL_FILE.format(label_set) for label_set in CLASSES}
    labels = {label_set: read_labels(path, CLASSES[label_set]) for label_set, path in paths.items()}
    problems = [
        f"{chunk} is in {path.name} only"
        for label_set, path in paths.items()
        for other in CLASSES
        for chunk in sorted(labels[label_set].keys() - labels[other].keys())
    ]
    if problems:
        raise SertkError(
            f"{root}: {len(problems)} chunks are in one label file only, get both again:{listed(problems)}"
        )
    return labels


def read_labels(path: Path, classes: Mapping[str, str]) -> dict[str, str]:
    """{chunk: label} from lines `chunk letter confidence`; raises SertkError naming the wrong ones."""
    labels, problems = {}, []
    for number, line in enumerate(read_lines(path), 1):
        if problem := problem_of(line, classes, labels):
            problems.append(f"{path}:{number}: {problem}")
        else:
            chunk, letter, _ = line.split()
            labels[chunk] = classes[letter]
    if problems:
        raise SertkError(f"{path}: {len(problems)} wrong lines, get the file again:{listed(problems)}")
    return labels


def problem_of(line: str, classes: Mapping[str, str], seen: Container[str]) -> str | None:
    """What is wrong with a label file's line, or None; `seen` are the chunks of the lines before."""
    fields = line.split()
    if len(fields) != 3 or not is_number(fields[2]):
        return f"expected a chunk, its class and a confidence, got '{line}'"
    chunk, letter, _ = fields
    if not CHUNK.fullmatch(chunk):
        return f"'{chunk}' is no chunk, such as Ohm_01_000_00 or Mont_01_000_00"
    if letter not in classes:
        return f"{chunk} has the class '{letter}'; there are: {', '.join(classes)}"
    return f"{chunk} is there twice" if chunk in seen else None


def is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def recordings_of(root: Path, chunks: Iterable[str], partial: bool) -> dict[str, Path]:
    """{chunk: path} of the labelled chunks; raises SertkError naming those without audio unless `partial`."""
    there = {path.stem: path for path in (root / "wav").glob("*.wav")}
    missing = [f"{root}/wav/{chunk}.wav" for chunk in chunks if chunk not in there]
    recordings = {chunk: there[chunk] for chunk in chunks if chunk in there}
    if not recordings:
        raise SertkError(f"{root}/wav: no recording of any chunk in the label files")
    refuse_gaps(missing, "labelled chunks have no recording", root, partial)
    if unlabelled := len(there) - len(recordings):
        log.info("%s: %d recordings have no label and are not used", root, unlabelled)
    return recordings


def read_transcriptions(path: PathLike, chunks: Collection[str]) -> dict[str, str]:
    """{chunk: words} from lines `chunk words...`, where the words may be missing.

    Raises SertkError for wrong lines and for those of `chunks` that have no line.
    """
    texts = {}
    for number, line in enumerate(read_lines(path), 1):
        chunk, words = split_line(line)
        if not CHUNK.fullmatch(chunk):
            raise SertkError(f"{path}:{number}: expected a chunk and its words, got '{line}'")
        if chunk in texts:
            raise SertkError(f"{path}:{number}: {chunk} is there twice; keep one line")
        texts[chunk] = " ".join(words.split())
    missing = [chunk for chunk in chunks if chunk not in texts]
    if missing:
        raise SertkError(f"{path}: no line for {len(missing)} chunks, add them:{listed(missing)}")
    if others := len(texts) - len(chunks):
        log.info("%s: %d lines are of chunks that are not used", path, others)
    return texts


def count(utterances: Sequence[Utterance]) -> Counter[str]:
    """Chunks in all, and of each school children, chunks and chunks of each class."""
    counts = Counter()
    for utterance in utterances:
        school = utterance.group
        counts.update(["all", school, *(f"{school} {label}" for label in utterance.labels.values())])
    counts.update(f"{school} children" for school, _ in {(u.group, u.speaker) for u in utterances})
    return counts


def published_counts() -> Counter[str]:
    """The counts of the whole corpus, by the names of `count`."""
    counts = Counter()
    for school, numbers in PUBLISHED.items():
        named = dict(zip(COUNTED, numbers))
        chunks = named["NEG"] + named["IDL"]
        counts.update({"all": chunks, school: chunks})
        counts.update({f"{school} {name}": number for name, number in named.items()})
    return counts
