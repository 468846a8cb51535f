"""IEMOCAP: ten actors in five sessions of two, improvised and scripted; 10,039 turns (Busso et al. 2008)."""

import dataclasses
import logging
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from sertk.core.errors import SertkError
from sertk.core.files import PathLike, read_text
from sertk.corpora import phseg
from sertk.corpora.base import Utterance, check_counts, listed, refuse_gaps, write_corpus
from sertk.text.phones import words_of

log = logging.getLogger(__name__)

SESSIONS = range(1, 6)
EVALUATIONS, TRANSCRIPTIONS = "dialog/EmoEvaluation", "dialog/transcriptions"
RECORDINGS, ALIGNMENTS = "sentences/wav", "sentences/ForcedAlignment"

# session, dialogue's first letter (not the speaker), kind of scene, rest of the dialogue, speaker's letter
TURN = re.compile(r"Ses0([1-5])[FM]_(impro|script)\w+_([FM])\d{3}")
SUBSETS = {"impro": "improvised", "script": "scripted"}

NO_CONSENSUS = "xxx"
EMOTIONS = {
    "neu": "neutral",
    "hap": "happy",
    "exc": "excited",
    "sad": "sad",
    "ang": "angry",
    "fru": "frustrated",
    "sur": "surprised",
    "fea": "fearful",
    "dis": "disgusted",
    "oth": "other",
}
FOUR = ("neutral", "happy", "sad", "angry")
# The evaluators' words for these four, excited merged into happy; other words stay as they are.
WORDS = {
    "Neutral": "neutral",
    "Neutral state": "neutral",
    "Happiness": "happy",
    "Excited": "happy",
    "Sadness": "sad",
    "Anger": "angry",
}
DIMENSIONS = ("valence", "activation", "dominance")

_NUMBER = r"(\d+(?:\.\d+)?)"
HEADING = re.compile(rf"\[{_NUMBER} - {_NUMBER}\]\s+(\S+)\s+(\S+)\s+\[{_NUMBER}, {_NUMBER}, {_NUMBER}\]\s*")
VOTE = re.compile(r"C-E\d+:((?:[^;()]*;)*)\s*\(.*\)\s*")
RATING = re.compile(r"A-E\d+:.*")
SELF_REPORT = re.compile(r"[CA]-[FM]\d+:.*")
TRANSCRIPT = re.compile(r"(\S+)\s+\[[\d.]+\s*-\s*[\d.]+\]:(.*)")
OVERLAP = re.compile(r"[MF]:.*")

# What a whole release holds.
PUBLISHED = {"improvised": 4784, "scripted": 5255, "no consensus": 2507}
CONSENSUS = (1708, 595, 1041, 1084, 1103, 1849, 107, 40, 2, 3)  # in the order of EMOTIONS
TURNS = (1819, 1811, 2136, 2103, 2170)  # of each session
COUNTED = ("neutral", "happy", "excited", "sad", "angry")
OF_SESSIONS = {
    "improvised": (
        (223, 33, 99, 104, 62),
        (217, 54, 137, 100, 22),
        (198, 60, 89, 190, 90),
        (174, 31, 164, 81, 84),
        (287, 106, 174, 133, 31),
    ),
    "scripted": (
        (161, 102, 44, 90, 167),
        (145, 63, 73, 97, 115),
        (122, 75, 62, 115, 150),
        (84, 34, 74, 62, 243),
        (97, 37, 125, 112, 139),
    ),
}
IMPROVISED_OF_SPEAKERS = {
    "Ses01F": (119, 18, 54, 43, 37),
    "Ses01M": (104, 15, 45, 61, 25),
    "Ses02F": (90, 25, 88, 63, 7),
    "Ses02M": (127, 29, 49, 37, 15),
    "Ses03F": (95, 39, 41, 108, 22),
    "Ses03M": (103, 21, 48, 82, 68),
    "Ses04F": (51, 10, 119, 41, 47),
    "Ses04M": (123, 21, 45, 40, 37),
    "Ses05F": (151, 56, 68, 73, 18),
    "Ses05M": (136, 50, 106, 60, 13),
}
# Counts of papers whose rules are not wholly known: found ones are shown beside them, not refused.
OF_PAPERS = {
    "votes": {"angry": 1104, "happy": 2496, "neutral": 1752, "sad": 1064},  # Lakomkin et al. 2017
    # A file of 10,037 turns, which does not say where it cuts.
    "valence3": {"low": 3421, "mid": 3792, "high": 2824},
    "activation3": {"low": 1281, "mid": 4869, "high": 3887},
    "dominance3": {"low": 1293, "mid": 4156, "high": 4588},
}


class WrongLine(Exception):
    """What is wrong with a line of a release's file."""


@dataclasses.dataclass
class Evaluation:
    """What a block of an evaluation file says of a turn."""

    emotion: str | None = None  # the consensus; None where there is none
    dims: tuple[str, ...] = ()  # mean valence, activation, dominance
    votes: list[set[str]] = dataclasses.field(default_factory=list)  # the words of each evaluator
    ratings: int = 0  # evaluators who rated the dimensions


def prepare(root: PathLike, datadir: PathLike, partial: bool = False, threads: int | None = None) -> None:
    """Writes the data folder of the turns under `root`, which holds Session1 to Session5.

    Label sets: 4 and 4nomerge (excited merged into happy, or left out), consensus (all emotions), votes
    (Lakomkin et al. 2017), and valence3, activation3, dominance3 (low, mid, high). A turn without a label
    is not in that label set. Groups: session1 to session5; utt2subset: improvised or scripted.
    utt2num_phones: voiced phonemes of the forced alignments, where the release has its own.
    Raises SertkError naming wrong lines and, unless `partial`, for missing sessions, recordings, evaluations
    and transcriptions and for counts other than the published ones.
    """
    utterances = read_release(root, partial)
    if not partial:
        check_counts(count(utterances), published_counts(), root)
        log_counts(utterances)
    write_corpus(utterances, datadir, threads)


def read_release(root: PathLike, partial: bool = False) -> list[Utterance]:
    """The list of Utterance of the turns that have an evaluation and a recording."""
    root = Path(root)
    sessions = sessions_of(root, partial)
    turns = evaluations_of(root, sessions)
    recordings = recordings_of(root, sessions, turns, partial)
    texts = transcriptions_of(root, sessions, recordings, partial)
    phones = phones_of(root, {turn: len(words_of(texts.get(turn, ""))) for turn in recordings})
    return [
        utterance_of(turn, turns[turn], path, texts.get(turn, ""), phones.get(turn))
        for turn, path in recordings.items()
    ]


def sessions_of(root: Path, partial: bool) -> list[Path]:
    """The session folders; raises SertkError if there is none, or not all of them unless `partial`."""
    sessions = [root / f"Session{number}" for number in SESSIONS]
    there = [session for session in sessions if session.is_dir()]
    if not there:
        raise SertkError(f"{root}: no Session1 to Session5 in it; give the release's folder that holds them")
    missing = [session.name for session in sessions if session not in there]
    if missing and not partial:
        raise SertkError(f"{root}: no {', '.join(missing)}, get it (or --partial to use what is there)")
    return there


def files_of(folder: Path, pattern: str) -> list[Path]:
    """The sorted files of a folder, without macOS's `._*`; raises SertkError if there is no such folder."""
    if not folder.is_dir():
        raise SertkError(f"{folder}: no such folder; the release lacks a part, get it again")
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("._"))


def evaluations_of(root: Path, sessions: Iterable[Path]) -> dict[str, Evaluation]:
    """{turn: Evaluation} of all evaluation files; raises SertkError naming the wrong lines."""
    turns, problems = {}, []
    for session in sessions:
        for path in files_of(session / EVALUATIONS, "*.txt"):
            found, wrong = read_evaluations(path)
            if path.stem[:5] != f"Ses0{session.name[-1]}":
                wrong = [f"{path}: no dialogue of {session.name}"]
            turns |= found
            problems += wrong
    if problems:
        raise SertkError(f"{root}: {len(problems)} faults in evaluation files, get these again:{listed(problems)}")
    return turns


def read_evaluations(path: Path) -> tuple[dict[str, Evaluation], list[str]]:
    """{turn: Evaluation} of one dialogue, and its faults as `file:line: what is wrong`."""
    turns, problems, current = {}, [], None
    for number, line in enumerate(read_text(path).splitlines(), 1):
        try:
            if line.startswith("["):
                current = Evaluation()  # takes the lines under a wrong heading
                add_heading(line, current, path.stem, turns)
            elif line.strip() and not line.startswith("%"):
                add_line(line, current)
        except WrongLine as fault:
            problems.append(f"{path}:{number}: {fault}")
    for turn, evaluation in turns.items():
        if not (evaluation.votes and evaluation.ratings):
            problems.append(f"{path}: cut off: {turn} has no evaluators' lines (C-E and A-E)")
    return turns, problems


def add_heading(line: str, evaluation: Evaluation, dialogue: str, turns: dict[str, Evaluation]) -> None:
    """Reads a block's first line into `evaluation` and enters that into `turns`."""
    fields = HEADING.fullmatch(line)
    if not fields:
        raise WrongLine(
            f"expected [start - end], a turn, its emotion and [valence, activation, dominance], got '{line}'"
        )
    turn, emotion, *dims = fields.groups()[2:]
    if not TURN.fullmatch(turn) or turn[:-5] != dialogue:
        raise WrongLine(f"'{turn}' is no turn of this dialogue, such as {dialogue}_F000")
    if emotion not in EMOTIONS and emotion != NO_CONSENSUS:
        there = ", ".join([*EMOTIONS, NO_CONSENSUS])
        raise WrongLine(f"{turn} has the emotion '{emotion}'; there are: {there}")
    if turn in turns:
        raise WrongLine(f"a second block of {turn}")
    evaluation.emotion, evaluation.dims = EMOTIONS.get(emotion), tuple(dims)
    turns[turn] = evaluation


def add_line(line: str, evaluation: Evaluation | None) -> None:
    """Reads one evaluator's line into `evaluation`, which is None before the first block."""
    vote = VOTE.fullmatch(line)
    if evaluation is None or not (vote or RATING.fullmatch(line) or SELF_REPORT.fullmatch(line)):
        raise WrongLine(f"expected a block, or an evaluator's line such as C-E1: Neutral; (), got '{line}'")
    if vote:
        evaluation.votes.append({word.strip() for word in vote[1].split(";")} - {""})
    elif RATING.fullmatch(line):
        evaluation.ratings += 1


def recordings_of(root: Path, sessions: Iterable[Path], turns: Iterable[str], partial: bool) -> dict[str, Path]:
    """{turn: path}; raises SertkError for turns or recordings without the other, unless `partial`."""
    expected = {turn: root / f"Session{turn[4]}" / RECORDINGS / turn[:-5] / f"{turn}.wav" for turn in turns}
    there = {path for session in sessions for path in files_of(session / RECORDINGS, "*/*.wav")}
    problems = [f"{path}: not there, but evaluated" for path in expected.values() if path not in there]
    strays = there - set(expected.values())
    problems += [f"{path}: no evaluation of this recording" for path in sorted(strays)]
    refuse_gaps(problems, "recordings or evaluations lack the other", root, partial)
    recordings = {turn: path for turn, path in expected.items() if path in there}
    if not recordings:
        raise SertkError(f"{root}: no turn with an evaluation and a recording")
    return recordings


def transcriptions_of(root: Path, sessions: Iterable[Path], turns: Iterable[str], partial: bool) -> dict[str, str]:
    """{turn: words}; raises SertkError for wrong lines and, unless `partial`, for `turns` without a line."""
    texts, problems = {}, []
    for session in sessions:
        for path in files_of(session / TRANSCRIPTIONS, "*.txt"):
            for number, line in enumerate(read_text(path).splitlines(), 1):
                if fields := TRANSCRIPT.fullmatch(line):
                    texts[fields[1]] = " ".join(fields[2].split())
                elif line.strip() and not OVERLAP.fullmatch(line):
                    problems.append(f"{path}:{number}: expected a turn, [start-end]: and words, got '{line}'")
    missing = [turn for turn in turns if turn not in texts]
    if not partial:
        problems += [f"{turn}: no line in {TRANSCRIPTIONS}" for turn in missing]
    if problems:
        raise SertkError(f"{root}: {len(problems)} faults in transcriptions, get these again:{listed(problems)}")
    if missing:
        log.info("%s: %d turns have no transcription; their text is empty", root, len(missing))
    return texts


def phones_of(root: Path, words: Mapping[str, int]) -> dict[str, int]:
    """{turn: voiced phonemes, at least 1} by the alignments; empty if none of the turns has one.

    A turn without alignment (the whole release has two) gets its number of words, `words`[turn], times the
    others' mean number of voiced phonemes per word. Raises SertkError naming wrong lines.
    """
    phones, problems = {}, []
    for turn in words:
        path = root / f"Session{turn[4]}" / ALIGNMENTS / turn[:-5] / f"{turn}.phseg"
        if path.is_file():
            phones[turn], wrong = phseg.count_voiced(path)
            problems += wrong
    if problems:
        raise SertkError(f"{root}: {len(problems)} faults in alignments, get these again:{listed(problems)}")
    missing = [turn for turn in words if turn not in phones]
    if phones and missing:
        per_word = sum(phones.values()) / max(1, sum(words[turn] for turn in phones))
        phones |= {turn: round(per_word * words[turn]) for turn in missing}
        log.info(
            "%s: %d turns have no alignment; their phonemes are put at %.2f voiced ones a word",
            root,
            len(missing),
            per_word,
        )
    return {turn: max(1, number) for turn, number in phones.items()}


def utterance_of(turn: str, evaluation: Evaluation, path: Path, text: str, phones: int | None) -> Utterance:
    """The Utterance of a turn; its name begins with who speaks, which the dialogue's name does not say."""
    [(session, scene, gender)] = TURN.findall(turn)
    speaker = f"Ses0{session}{gender}"
    return Utterance(
        utt=f"{speaker}-{turn}",
        speaker=speaker,
        path=path,
        labels=labels_of(evaluation),
        text=text,
        gender=gender.lower(),
        group=f"session{session}",
        subset=SUBSETS[scene],
        dims=" ".join(evaluation.dims),
        phones=phones,
    )


def labels_of(evaluation: Evaluation) -> dict[str, str]:
    """{label set: label} of those label sets in which the turn has a label."""
    emotion = evaluation.emotion
    merged = "happy" if emotion == "excited" else emotion
    labels = {
        "consensus": emotion,
        "4": merged if merged in FOUR else None,
        "4nomerge": emotion if emotion in FOUR else None,
        "votes": vote_of(evaluation.votes),
    }
    labels |= {f"{name}3": level_of(float(mean)) for name, mean in zip(DIMENSIONS, evaluation.dims)}
    return {label_set: label for label_set, label in labels.items() if label is not None}


def vote_of(votes: Iterable[set[str]]) -> str | None:
    """The one of FOUR that more evaluators than any other emotion and at least two chose, else None.

    Excited counts as happy before the counting. An evaluator may name several emotions.
    """
    counts = Counter(emotion for words in votes for emotion in {WORDS.get(word, word) for word in words})
    most = max(counts.values(), default=0)
    winners = [emotion for emotion, number in counts.items() if number == most]
    return winners[0] if most >= 2 and len(winners) == 1 and winners[0] in FOUR else None


def level_of(mean: float) -> str:
    """low, mid or high: a mean rating (1 to 5) below, at or above 3."""
    return "low" if mean < 3 else "high" if mean > 3 else "mid"


def count(utterances: Iterable[Utterance]) -> Counter[str]:
    """Turns in all and of each subset, session and consensus.

    Those of the five emotions in COUNTED also per session and subset, and if improvised per speaker.
    """
    counts = Counter()
    for utterance in utterances:
        session, subset = utterance.group, utterance.subset
        emotion = utterance.labels.get("consensus")
        names = ["all", subset, session, f"consensus {emotion}" if emotion else "no consensus"]
        if emotion in COUNTED:
            names.append(f"{session} {subset} {emotion}")
        if emotion in COUNTED and subset == "improvised":
            names.append(f"{utterance.speaker} {subset} {emotion}")
        counts.update(names)
    return counts


def published_counts() -> dict[str, int]:
    """The counts of the whole corpus, by the names of `count`."""
    counts = {"all": sum(TURNS), **PUBLISHED}
    counts |= {f"session{number}": turns for number, turns in zip(SESSIONS, TURNS)}
    counts |= {f"consensus {emotion}": turns for emotion, turns in zip(EMOTIONS.values(), CONSENSUS)}
    rows = {
        f"session{number} {subset}": row
        for subset, table in OF_SESSIONS.items()
        for number, row in zip(SESSIONS, table)
    }
    rows |= {f"{speaker} improvised": row for speaker, row in IMPROVISED_OF_SPEAKERS.items()}
    for name, row in rows.items():
        counts |= {f"{name} {emotion}": turns for emotion, turns in zip(COUNTED, row)}
    return counts


def log_counts(utterances: Collection[Utterance]) -> None:
    """Logs the counts of OF_PAPERS's label sets beside those that papers give."""
    for label_set, published in OF_PAPERS.items():
        found = Counter(utterance.labels.get(label_set) for utterance in utterances)
        beside = ", ".join(f"{label} {found[label]} ({number})" for label, number in published.items())
        total = sum(found[label] for label in published)
        log.info("%s: %s, in all %d (%d published)", label_set, beside, total, sum(published.values()))
