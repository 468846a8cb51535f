"""Words and voiced phonemes of utterances: the lengths of label sequences (Zhao et al. 2019)."""

import logging
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from sertk.core.command import progress
from sertk.core.files import PathLike, file_digest, read_json, write_json
from sertk.core.messages import counted
from sertk.features.audio import read_data_dir
from sertk.features.f0 import find_voiced
from sertk.kaldi.datadir import DataDir, read_counts, require_all, write_data_dir
from sertk.text.espeak import load_espeak

log = logging.getLogger(__name__)

WORDS, PHONES = "utt2num_words", "utt2num_phones"
LANGUAGES = ("en-us", "de")  # espeak-ng's names of their voices
STAMP = ".num_phones.json"  # what the tables were counted from

NOISE = re.compile(r"\[[^\]]*\]|<[^>]*>|\{[^}]*\}")  # [LAUGHTER], <unk>, {NOISE}
ABBREVIATION = re.compile(r"[^\W\d_](?:\.[^\W\d_])+")  # U.S, of U.S.
WORD = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")

VOWELS = "aeiouyæœøɶɐɑɒɔəɘɚɛɜɝɞɤɨɪɯɵʉʊʌʏᵻᵿ"
VOICELESS = "ptckqʔfθsʃɕçxχħhɸʍɬ"
# A long vowel, a diphthong and an affricate are one phoneme each, the vowel and r of "oːɹ" two.
PHONEME = re.compile(f"[{VOWELS}]{{1,2}}|[^{VOWELS}]+")
LANGUAGE_SWITCH = re.compile(r"\([\w-]+\)")  # before and after a word that espeak-ng finds foreign

SHORTEST = 50  # ms; a voiced stretch that is shorter is no vowel
PERIOD = 10  # ms between values of F0
F0_RANGE = 60, 600  # Hz


def words_of(text: str) -> list[str]:
    """The words of a text, without punctuation and without noises in brackets."""
    return WORD.findall(NOISE.sub(" ", unicodedata.normalize("NFC", text)))


def spoken_words(text: str) -> list[str]:
    """The words of a text as espeak-ng is to say them, which spells `IT` and `US` in capitals.

    A text in capitals throughout is put into small letters, abbreviations such as `U.S.` aside; in others a word in
    capitals is an abbreviation.
    """
    words = words_of(text)
    if not is_in_capitals(words):
        return words
    return [word if ABBREVIATION.fullmatch(word) else word.lower() for word in words]


def is_in_capitals(words: Iterable[str]) -> bool:
    """Whether a text has no small letters; many a ß has no capital."""
    return "".join(words).replace("ß", "").isupper()


def phonemes_of(ipa: str) -> Iterator[str]:
    """The phonemes of an IPA string, in which spaces or `|` stand between them; bare letters, no marks."""
    for group in re.split(r"[\s|]+", LANGUAGE_SWITCH.sub("", ipa)):
        letters = "".join(sign for sign in group if unicodedata.category(sign) in ("Ll", "Lo"))
        yield from PHONEME.findall(letters)


def count_voiced(ipa: str) -> int:
    """How many phonemes of an IPA string (see `phonemes_of`) are vowels and voiced consonants."""
    return sum(phoneme[0] not in VOICELESS for phoneme in phonemes_of(ipa))


def count_in_text(text: str, language: str) -> int:
    """The voiced phonemes that espeak-ng finds in a text of one of LANGUAGES."""
    return count_voiced(load_espeak().transcribe(" ".join(spoken_words(text)), language))


def count_in_sound(samples: np.ndarray, rate: int) -> int:
    """The voiced stretches of at least SHORTEST ms in samples (samples,) at `rate` Hz.

    Not phonemes: voiced phonemes that follow one another are one stretch.
    """
    voiced = find_voiced(samples, rate, *F0_RANGE, PERIOD)
    edges = np.flatnonzero(np.diff(voiced, prepend=False, append=False))
    return int((edges[1::2] - edges[::2] >= SHORTEST / PERIOD).sum())


def count_phones(path: PathLike, language: str = "en-us", f0: bool = False) -> None:
    """Writes the tables WORDS (where there is `text`) and PHONES of a data folder.

    PHONES are counted in `text` or, without it or with `f0`, in the recordings; a table that was not made
    here, as of a corpus's own alignments, is left. Every count is at least 1. Nothing is done where the
    tables are up to date. Raises SertkError for missing tables, lines and recordings.
    """
    folder = DataDir(path)
    stamp = read_json(folder.path / STAMP) if folder.has(STAMP) else {}
    source = source_of(folder, stamp, language, f0)
    if stamp and stamp == stamp_of(folder, source):
        log.info("%s: %s is up to date, from %s", path, PHONES, source)
        return
    utterances, tables = folder.utterances, {}
    texts = table_of_all(folder, "text") if folder.has("text") else {}
    if folder.has("text"):
        tables[WORDS] = {utt: len(words_of(texts[utt])) for utt in utterances}
    if source == "another source":
        phones = read_counts(folder.path / PHONES, utterances)
    elif source == "F0":
        phones = tables[PHONES] = count_in_recordings(folder)
    else:
        in_text = {text: count_in_text(text, language) for text in set(texts.values())}
        phones = tables[PHONES] = {utt: in_text[texts[utt]] for utt in utterances}
    log_counts(path, tables, phones, source)
    if PHONES in tables:  # cut off before its end, this is counted again instead of being taken for somebody else's
        write_json(folder.path / STAMP, {"source": source, "unfinished": True})
    write_data_dir(path, {name: {utt: max(1, n) for utt, n in table.items()} for name, table in tables.items()})
    write_json(folder.path / STAMP, stamp_of(folder, source))


def source_of(folder: DataDir, stamp: Mapping[str, Any], language: str, f0: bool) -> str:
    """What PHONES are counted from: "another source" if they are not those that the stamp names."""
    own = (
        stamp.get("unfinished")
        or folder.has(PHONES)
        and stamp.get(PHONES) == file_digest(folder.path / PHONES, "sha256")
    )
    if folder.has(PHONES) and not own:
        return "another source"
    return "F0" if f0 or not folder.has("text") else f"text ({language})"


def counted_from(path: PathLike) -> str | None:
    """What the counts of a data folder come from, or None where they were not made here."""
    stamp = DataDir(path).path / STAMP
    return read_json(stamp)["source"] if stamp.exists() else None


def stamp_of(folder: DataDir, source: str) -> dict[str, str]:
    """The source and the digests of the tables that are read and written for it."""
    names = (
        [WORDS, "text"]
        + [PHONES] * (source != "another source")
        + ["wav.scp", "segments", "utt2hash"] * (source == "F0")
    )
    stamp = {name: file_digest(folder.path / name, "sha256") for name in names if folder.has(name)}
    if source.startswith("text") and any(is_in_capitals(words_of(text)) for text in folder.table("text").values()):
        stamp["capitals"] = "in small letters"  # before, they were spelt
    return {"source": source, **stamp}


def table_of_all(folder: DataDir, name: str) -> dict[str, str]:
    """A table; raises SertkError if it has no line for some of the folder's utterances."""
    table = folder.table(name)
    require_all(folder.path / name, table, folder.utterances)
    return table


def count_in_recordings(folder: DataDir) -> dict[str, int]:
    """{utterance: voiced stretches} of the recordings of a DataDir."""
    table_of_all(folder, "segments" if folder.has("segments") else "wav.scp")
    recordings = progress(read_data_dir(folder.path), "tracking F0", len(folder.utterances))
    return {utt: count_in_sound(samples, rate) for utt, samples, rate in recordings}


def log_counts(path: PathLike, tables: Mapping[str, Mapping[str, int]], phones: Mapping[str, int], source: str) -> None:
    """Logs one line: where the numbers come from, their sums, and how many utterances have none."""
    what = "voiced stretches" if source == "F0" else "voiced phonemes"
    found = [f"{sum(phones.values())} {what} from {source}"]
    if source == "another source":
        found[0] += f" ({PHONES} is left as it is; remove it to count anew)"
    words = tables.get(WORDS, {})
    found.append(f"{sum(words.values())} words" if words else f"no text and so no {WORDS}")
    for name, table in {"words": words, what: phones}.items():
        if empty := sum(number == 0 for number in table.values()):
            one, many = f"utterance without {name} counts 1", f"utterances without {name} count 1"
            found.append(counted(empty, one, many))
    log.info("%s: %s, %s", path, counted(len(phones), "utterance"), ", ".join(found))
