"""TED-LIUM release 2: 200 hours of talks, cut into segments (Rousseau et al. 2014)."""

import logging
import math
import re
from pathlib import Path

from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.corpora.base import Utterance, refuse_gaps
from sertk.corpora.transcribed import LONGEST, SHORTEST, clean_name, refuse_broken, write_transcribed
from sertk.kaldi.datadir import read_lines

log = logging.getLogger(__name__)

# Segments with words. Descriptions of the release differ by up to 0.2 %, so these are shown, not demanded.
PUBLISHED = {"train": 92973, "dev": 507, "test": 1155}
NOT_SCORED = "ignore_time_segment_in_scoring"
LINE = re.compile(r"(\S+)\s+1\s+(\S+)\s+(\S+)\s+(\S+)\s+<([^>]*)>(.*)")  # talk, speaker, start, end, labels, text
GENDERS = {"male": "m", "female": "f"}
# Pronunciation variants such as (2), silences and other <...>, noises such as {BREATH} and [APPLAUSE].
MARKUP = re.compile(r"\(\d+\)|<[^>]*>|\{[^}]*\}|\[[^]]*\]")
CLITIC = re.compile(r"(?<=[a-z]) +('(?:s|t|re|ve|ll|d|m)|n't)\b")


def prepare(
    root: PathLike,
    datadir: PathLike,
    subset: str,
    partial: bool = False,
    threads: int | None = None,
    min_seconds: float = SHORTEST,
    max_seconds: float = LONGEST,
) -> None:
    """Writes the data folder of the subset `subset` (train, dev or test) of the release under `root`, with segments.

    Speakers, utterances and talks are named `tedlium-...`. Raises SertkError naming wrong lines, and unless
    `partial` for talks without a recording or segments and unreadable ones.
    """
    utterances = read_subset(root, subset, partial)
    published = f" ({PUBLISHED[subset]} published)" if subset in PUBLISHED else ""
    log.info("%s: %d segments with words%s", Path(root) / subset, len(utterances), published)
    lengths = min_seconds, max_seconds
    write_transcribed(utterances, datadir, lengths=lengths, threads=threads, broken=refuse_broken(root, partial))


def read_subset(root: PathLike, subset: str, partial: bool = False) -> list[Utterance]:
    """The list of Utterance of the segments with words of a subset's talks."""
    folder = Path(root) / subset
    if not (folder / "stm").is_dir():
        raise SertkError(f"{folder}/stm: no such folder; give the release's, which holds train, dev and test")
    stms = {path.stem: path for path in sorted((folder / "stm").glob("*.stm"))}
    recordings = {path.stem: path for path in (folder / "sph").glob("*.sph")}
    if not stms.keys() & recordings.keys():
        raise SertkError(f"{folder}: no talk with stm/TALK.stm and sph/TALK.sph")
    gaps = [f"{path}: no sph/{talk}.sph" for talk, path in stms.items() if talk not in recordings]
    gaps += [f"{path}: no stm/{talk}.stm" for talk, path in sorted(recordings.items()) if talk not in stms]
    refuse_gaps(gaps, "talks lack their recording or their segments", folder, partial)
    utterances, problems = [], []
    for talk, path in stms.items():
        if talk in recordings:
            utterances += read_talk(talk, path, recordings[talk], problems)
    refuse_gaps(problems, "lines are wrong", folder, partial, "get these files again")
    return utterances


def read_talk(talk: str, stm: Path, recording: Path, problems: list[str]) -> list[Utterance]:
    """The Utterances of a talk; wrong lines are entered in `problems`."""
    utterances = []
    for number, line in enumerate(read_lines(stm), 1):
        if line.strip() and not line.startswith(";;") and NOT_SCORED not in line:
            fields = LINE.fullmatch(line)
            if not fields or fields[1] != talk or not seconds(fields[3]) < seconds(fields[4]):
                problems.append(f"{stm}:{number}: expected {talk} 1 SPEAKER START END <LABELS> TEXT, got '{line}'")
            elif text := plain_text(fields[6]):
                utterances.append(utterance_of(talk, recording, fields, text))
    return utterances


def seconds(text: str) -> float:
    """A time of 0 s or more; nan, which is before and after no other, where the text is none."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if 0 <= value < math.inf else math.nan


def plain_text(text: str) -> str:
    """A segment's text without markup and unknown words, with the parts of words such as `it 's` joined."""
    return CLITIC.sub(r"\1", " ".join(MARKUP.sub(" ", text).split()))


def utterance_of(talk: str, recording: Path, fields: re.Match[str], text: str) -> Utterance:
    speaker = f"tedlium-{clean_name(fields[2])}"
    times = seconds(fields[3]), seconds(fields[4])
    start, end = (f"{round(100 * time):07}" for time in times)  # hundredths of a second, as in the files
    return Utterance(
        utt=f"{speaker}-{clean_name(talk)}-{start}-{end}",
        speaker=speaker,
        path=recording,
        labels={},
        text=text,
        gender=GENDERS.get(fields[5].split(",")[-1]),
        segment=(f"tedlium-{clean_name(talk)}", *times),
    )
