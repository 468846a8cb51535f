"""Digits spoken by espeak-ng's voices, in LibriSpeech's layout: ASR pretraining in a minute, without a download.

A network that learns them recognises no human speech; it shows that the pipeline runs.
"""

import random
from pathlib import Path

from sertk.core.command import progress
from sertk.core.errors import SertkError
from sertk.core.files import PathLike, write_text
from sertk.corpora.mini import EMOTIONS, speak, write_release

# Subset, then the number, sex and voice of its speakers. None of these voices is in the mini corpus.
SPEAKERS = (
    ("train-mini", 101, "F", "en-us+f2"),
    ("train-mini", 102, "M", "en-us+m1"),
    ("train-mini", 103, "F", "en+f4"),
    ("train-mini", 104, "M", "en+m2"),
    ("train-mini", 105, "F", "en-us+f5"),
    ("train-mini", 106, "M", "en-gb-scotland+m4"),
    ("train-mini", 107, "F", "en-gb-scotland+f1"),
    ("train-mini", 108, "M", "en-us+m6"),
    ("dev-mini", 201, "F", "en-us+f3"),
    ("dev-mini", 202, "M", "en+m7"),
    ("test-mini", 301, "F", "en+f2"),
    ("test-mini", 302, "M", "en-us+m4"),
)
DIGITS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
LENGTHS = (4, 7)  # digits of an utterance, at least and at most
MANNER = {**EMOTIONS["neutral"], "rate": 140}
SPREAD = {"rate": 20, "pitch": 8, "range": 12, "volume": 14}


def synthesise(root: PathLike, utterances: int = 40, seed: int = 0) -> None:
    """Speaks `utterances` strings of digits with each voice and writes the folder `root`, whole or not at all.

    Subsets: train-mini (8 voices), dev-mini and test-mini (2 others each). The same arguments give the same audio.
    A folder made with these arguments is kept; raises SertkError for any other that is not empty.
    """
    if not 1 <= utterances <= 9999:
        raise SertkError(f"{utterances} utterances of each voice: there can be 1 to 9999")
    settings = {"corpus": "mini_asr", "utterances": utterances, "seed": seed}
    write_release(root, settings, lambda folder: speak_all(folder, utterances, seed))


def speak_all(folder: Path, utterances: int, seed: int) -> None:
    """Writes SUBSET/SPEAKER/1/SPEAKER-1-NNNN.flac, SPEAKER-1.trans.txt beside them, and SPEAKERS.TXT."""
    chance, lines = random.Random(seed), {}
    said = [(*who, i) for who in SPEAKERS for i in range(utterances)]
    for subset, speaker, _, voice, number in progress(said, "synthesising"):
        text = " ".join(chance.choices(DIGITS, k=chance.randint(*LENGTHS)))
        chapter = folder / subset / str(speaker) / "1"
        speak(chapter / f"{speaker}-1-{number:04}.flac", text, voice, MANNER, SPREAD, chance, seed)
        lines.setdefault(chapter / f"{speaker}-1.trans.txt", []).append(f"{speaker}-1-{number:04} {text}\n")
    for path, transcript in lines.items():
        write_text(path, "".join(transcript))
    rows = (f"{speaker} | {sex} | {subset} | 0 | {voice}\n" for subset, speaker, sex, voice in SPEAKERS)
    write_text(folder / "SPEAKERS.TXT", f";ID | SEX | SUBSET | MINUTES | NAME\n{''.join(rows)}")
