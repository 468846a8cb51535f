"""RAVDESS speech: 24 actors, 8 emotions, 1440 recordings (Livingstone and Russo 2018)."""

import itertools
import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.corpora.base import Utterance, check_counts, listed, write_corpus

log = logging.getLogger(__name__)

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
INTENSITIES = ("normal", "strong")
STATEMENTS = ("Kids are talking by the door", "Dogs are sitting by the door")
POSITIVE = {"neutral", "calm", "happy", "surprised"}
ACTORS = 24

# modality-channel-emotion-intensity-statement-repetition-actor
NAME = re.compile(r"(0[1-3])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1[0-9]|2[0-4])")
ACTOR_FOLDER = re.compile(r"actor_?(\d+)", re.IGNORECASE)
AUDIO_SUFFIXES = {".wav", ".flac"}


def prepare(root: PathLike, datadir: PathLike, partial: bool = False, threads: int | None = None) -> None:
    """Writes the data folder of the RAVDESS speech recordings under `root`.

    Label sets: 8 (emotions), 2 (intensity: normal, strong), 2val (valence: positive, negative).
    Raises SertkError naming stray or unreadable files, and for counts other than the published
    ones unless `partial`.
    """
    utterances = read_release(root)
    if not partial:
        found = count((utterance.speaker, utterance.labels) for utterance in utterances)
        check_counts(found, published_counts(), root)
    write_corpus(utterances, datadir, threads)


def read_release(root: PathLike) -> list[Utterance]:
    """The list of Utterance of the audio-only speech recordings anywhere under `root`.

    Raises SertkError naming every audio file that does not belong there.
    """
    root = Path(root)
    if not root.is_dir():
        raise SertkError(f"{root}: no such folder; give the folder that holds Actor_01 ... Actor_24")
    found, problems, others = {}, [], 0
    for path in sorted(path for path in root.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES):
        try:
            fields = fields_of(path, root)
        except SertkError as problem:
            problems.append(f"{path}: {problem}")
            continue
        if fields.group(1, 2) != ("03", "01"):
            others += 1
        elif path.stem in found:
            problems.append(f"{path}: a second {path.stem}, the first is {found[path.stem].path}")
        else:
            found[path.stem] = utterance_of(path, fields)
    if problems:
        raise SertkError(f"{root}: {len(problems)} files are not RAVDESS's, remove or replace them:{listed(problems)}")
    if not found:
        raise SertkError(f"{root}: no RAVDESS speech recordings (03-01-*.wav or .flac) under this folder")
    if others:
        log.info("%s: %d recordings of song or with video are not used", root, others)
    return list(found.values())


def fields_of(path: Path, root: Path) -> re.Match[str]:
    """The fields of an audio file's name; raises SertkError that says why it cannot be RAVDESS's own."""
    if path.name.startswith("._"):
        raise SertkError("a macOS resource file, not a recording")
    fields = NAME.fullmatch(path.stem)
    if not fields:
        raise SertkError("not a RAVDESS name, MM-CC-EE-II-SS-RR-AA with every field in its range")
    if fields[3] == "01" and fields[4] == "02":
        raise SertkError("neutral has no strong intensity")
    folders = [root.absolute().name, *path.relative_to(root).parts[:-1]]
    actors = [match[1] for folder in folders if (match := ACTOR_FOLDER.fullmatch(folder))]
    if actors and int(actors[-1]) != int(fields[7]):
        raise SertkError(f"a recording of actor {fields[7]} in the folder of actor {actors[-1]}")
    return fields


def utterance_of(path: Path, fields: re.Match[str]) -> Utterance:
    """The Utterance of a recording, all of it read from the fields of its name."""
    emotion = EMOTIONS[int(fields[3]) - 1]
    speaker = f"actor{fields[7]}"
    return Utterance(
        utt=f"{speaker}-{path.stem}",
        speaker=speaker,
        path=path,
        text=STATEMENTS[int(fields[5]) - 1],
        gender="m" if int(fields[7]) % 2 else "f",
        labels={
            "8": emotion,
            "2": INTENSITIES[int(fields[4]) - 1],
            "2val": "positive" if emotion in POSITIVE else "negative",
        },
    )


def count(rows: Iterable[tuple[str, Mapping[str, str]]]) -> Counter[str]:
    """Utterances in all, per actor and per label, of (speaker, {label set: label})."""
    counts = Counter()
    for speaker, labels in rows:
        counts.update(["all", speaker, *labels.values()])
    return counts


def published_counts() -> Counter[str]:
    """The counts of the whole corpus: every actor says everything twice, neutral never strongly."""
    rows = []
    for actor, emotion, intensity in itertools.product(range(1, ACTORS + 1), EMOTIONS, INTENSITIES):
        if (emotion, intensity) != ("neutral", "strong"):
            valence = "positive" if emotion in POSITIVE else "negative"
            labels = {"8": emotion, "2": intensity, "2val": valence}
            rows += [(f"actor{actor:02}", labels)] * 4
    return count(rows)
