"""The mini corpus: a few minutes of acted-out espeak-ng voices, to see the pipeline run without a download.

Its scores mean nothing: nobody felt anything, and the emotions are settings of a synthesiser.
"""

import logging
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import soundfile

from sertk.core.command import progress
from sertk.core.errors import SertkError
from sertk.core.files import PathLike, folder_aside, read_text, read_yaml, write_text, write_yaml
from sertk.corpora.base import Utterance, refuse_gaps, write_corpus
from sertk.features.audio import resample
from sertk.text.espeak import load_espeak

log = logging.getLogger(__name__)

RATE = 16000  # Hz

# Sexes and languages alternate, so that neighbouring speakers make a mixed test split.
SPEAKERS = (
    ("spk01", "f", "en-us+f1"),
    ("spk02", "m", "de+m1"),
    ("spk03", "f", "de+f2"),
    ("spk04", "m", "en-us+m3"),
    ("spk05", "f", "en+f3"),
    ("spk06", "m", "de+m7"),
    ("spk07", "f", "de+f4"),
    ("spk08", "m", "en-gb-scotland+m5"),
)

# Mean settings per emotion, and how much one utterance differs from another (standard deviation):
# the classes overlap, so that the task is not trivial.
EMOTIONS = {
    "angry": {"rate": 195, "pitch": 52, "range": 68, "volume": 125},
    "happy": {"rate": 182, "pitch": 64, "range": 74, "volume": 105},
    "neutral": {"rate": 168, "pitch": 48, "range": 46, "volume": 90},
    "sad": {"rate": 142, "pitch": 40, "range": 28, "volume": 72},
}
SPREAD = {"rate": 13, "pitch": 6, "range": 12, "volume": 14}

SENTENCES = {
    "en": (
        "The kids are playing in the garden",
        "I will see you at the station tomorrow",
        "Somebody left the window open all night",
        "The letter came back this morning",
        "We are having soup for dinner again",
        "My brother has bought a second bicycle",
        "There is a parcel for you on the table",
        "They moved the meeting to next Thursday",
    ),
    "de": (
        "Die Kinder spielen draußen im Garten",
        "Wir sehen uns morgen früh am Bahnhof",
        "Jemand hat das Fenster offen gelassen",
        "Der Brief ist heute zurückgekommen",
        "Heute Abend gibt es wieder Suppe",
        "Mein Bruder hat ein neues Fahrrad gekauft",
        "Auf dem Tisch liegt ein Paket für dich",
        "Das Treffen ist erst am nächsten Donnerstag",
    ),
}


def synthesise(root: PathLike, sentences: int = 8, seed: int = 0) -> None:
    """Speaks the corpus and writes the folder `root`, which appears only when it is whole.

    8 speakers, 4 emotions, 1 to 8 `sentences` each. The same arguments give the same audio. A folder made
    with these arguments is kept; raises SertkError for any other that is not empty.
    """
    if not 1 <= sentences <= len(SENTENCES["en"]):
        raise SertkError(f"{sentences} sentences: there are 1 to {len(SENTENCES['en'])}")
    settings = {"corpus": "mini", "sentences": sentences, "seed": seed}
    write_release(root, settings, lambda folder: speak_all(folder, sentences, seed))


def write_release(root: PathLike, settings: Mapping[str, Any], write: Callable[[Path], object]) -> None:
    """Makes the folder `root` with `write(folder)`, whole or not at all, unless it was made with these settings."""
    root = Path(root)
    if root.exists() and any(root.iterdir()):
        if (root / "release.yaml").exists() and read_yaml(root / "release.yaml") == settings:
            log.info("%s is there already", root)
            return
        raise SertkError(f"{root}: there is something else in this folder; remove it or name another one")
    with folder_aside(root) as aside:
        write(aside)
        write_yaml(aside / "release.yaml", settings)


def speak_all(folder: Path, sentences: int, seed: int) -> None:
    """Writes SPEAKER/UTTERANCE.wav for everything that is said, and metadata.tsv about it."""
    chance, rows = random.Random(seed), []
    said = [(*who, how, i) for who in SPEAKERS for how in EMOTIONS for i in range(sentences)]
    for speaker, gender, voice, emotion, number in progress(said, "synthesising"):
        utt = f"{speaker}-{emotion}-{number + 1}"
        text = SENTENCES[voice[:2]][number]
        speak(folder / speaker / f"{utt}.wav", text, voice, EMOTIONS[emotion], SPREAD, chance, seed)
        rows.append(f"{utt}\t{speaker}\t{gender}\t{emotion}\t{text}")
    write_text(folder / "metadata.tsv", "".join(f"{row}\n" for row in rows))


def speak(
    path: Path,
    text: str,
    voice: str,
    means: Mapping[str, float],
    spread: Mapping[str, float],
    chance: random.Random,
    seed: int,
) -> None:
    """Writes a recording of a text by a voice; the settings are drawn around `means` by the Random `chance`."""
    espeak = load_espeak()
    settings = {name: chance.gauss(mean, spread[name]) for name, mean in means.items()}
    samples = resample(espeak.say(text, voice, seed, **settings), espeak.rate, RATE)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples.clip(-1, 1), RATE, subtype="PCM_16")


def prepare(root: PathLike, datadir: PathLike, partial: bool = False, threads: int | None = None) -> None:
    """Writes the data folder of the synthesised corpus under `root`; the label set is 4.

    Raises SertkError if recordings are missing (unless `partial`) or unreadable.
    """
    write_corpus(read_release(root, partial), datadir, threads)


def read_release(root: PathLike, partial: bool = False) -> list[Utterance]:
    """The list of Utterance that metadata.tsv describes."""
    root = Path(root)
    metadata = root / "metadata.tsv"
    if not metadata.is_file():
        raise SertkError(f"{metadata}: not there; stage 0 makes the mini corpus (sertk-synthesise-mini)")
    utterances = []
    for number, line in enumerate(read_text(metadata).splitlines(), 1):
        fields = line.split("\t")
        if len(fields) != 5 or fields[3] not in EMOTIONS:
            raise SertkError(f"{metadata}:{number}: not utterance, speaker, gender, emotion, text with tabs")
        utt, speaker, gender, emotion, text = fields
        path = root / speaker / f"{utt}.wav"
        utterances.append(Utterance(utt, speaker, path, {"4": emotion}, text, gender))
    missing = [utterance.path for utterance in utterances if not utterance.path.is_file()]
    remedy = "remove the folder and run stage 0 again"
    refuse_gaps(missing, "recordings of metadata.tsv are not there", root, partial, remedy)
    return [utterance for utterance in utterances if utterance.path not in set(missing)]
