"""What the preparation of ASR corpora shares: texts in one alphabet, utterances of usable length, no copies."""

import dataclasses
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.core.messages import counted
from sertk.corpora.base import Audio, Utterance, listed, probe_audio, refuse_gaps, tables_of
from sertk.kaldi.datadir import by_bytes
from sertk.kaldi.tools import replace_data_dir
from sertk.text.tokens import ALPHABET

log = logging.getLogger(__name__)

SHORTEST, LONGEST = 1.0, 15.0  # seconds
APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u02bc\u0060\u00b4", "'"))
PAUSES = re.compile(r"[\s.,;:!?\"()\[\]\u2026\u201c\u201d\u00ab\u00bb\u2010-\u2015-]+")
LONE_APOSTROPHES = re.compile(r"(?<![a-z])'+(?![a-z])")
CLEAN = re.compile(r"[^A-Za-z0-9_]")


def normalise(text: str) -> tuple[str, str]:
    """A text in the letters of ALPHABET, and the characters of it that cannot be written so.

    Capitals become small letters and letters lose their accents; punctuation and hyphens become spaces.
    Anything else, such as digits and symbols that are spoken as words, stays and is returned as the second.
    """
    text = unicodedata.normalize("NFKD", text.translate(APOSTROPHES)).casefold()
    text = "".join(character for character in text if not unicodedata.combining(character))
    text = " ".join(LONE_APOSTROPHES.sub(" ", PAUSES.sub(" ", text)).split())
    return text, "".join(sorted(set(text) - set(ALPHABET)))


def clean_name(name: str) -> str:
    """A name that can be a field of an utterance's, in which `-` alone stands between fields."""
    return CLEAN.sub("_", name)


def write_transcribed(
    utterances: Collection[Utterance],
    datadir: PathLike,
    *,
    dropped: Mapping[str, str] | None = None,
    lengths: tuple[float, float] = (SHORTEST, LONGEST),
    threads: int | None = None,
    broken: Callable[[list[str]], object] | None = None,
) -> None:
    """Writes the data folder of the utterances that an ASR network can learn from, and `dropped` beside it.

    Their texts are normalised. Left out are those whose text has other characters or is empty, those shorter or
    longer than `lengths` (seconds), and exact copies of another's audio. DATADIR/dropped has a line `name reason`
    for each, and for those in the dict `dropped`, which the caller left out. `broken(errors)` is called with the
    errors of unreadable recordings, and raises one if these are not to be left out too.
    """
    dropped = dict(dropped or {})
    check_names(utterances)
    written = []
    for utterance in sorted(utterances, key=lambda utterance: by_bytes(utterance.utt)):
        text, strange = normalise(utterance.text or "")
        if strange or not text:
            dropped[utterance.utt] = f"characters: {' '.join(strange)}" if strange else "no words"
        else:
            written.append(dataclasses.replace(utterance, text=text))
    audio, errors = probe_audio(written, threads)
    if errors and broken:
        broken(list(dict.fromkeys(map(str, errors.values()))))
    dropped |= {utt: f"unreadable: {' '.join(str(error).split())}" for utt, error in errors.items()}
    kept = usable([utterance for utterance in written if utterance.utt not in errors], audio, lengths, dropped)
    log_kept(datadir, kept, audio, dropped)
    replace_data_dir((), datadir, {**tables_of(settle_genders(kept), audio), "dropped": dropped})


def check_names(utterances: Iterable[Utterance]) -> None:
    """Raises SertkError for two utterances of one name."""
    seen = {}
    for utterance in utterances:
        if other := seen.get(utterance.utt):
            raise SertkError(f"{utterance.utt} is there twice, in {other.path} and {utterance.path}; remove one")
        seen[utterance.utt] = utterance


def usable(
    utterances: Iterable[Utterance], audio: Mapping[str, Audio], lengths: tuple[float, float], dropped: dict[str, str]
) -> list[Utterance]:
    """The utterances of a length within `lengths` that are no copies; the others are entered in `dropped`."""
    shortest, longest = lengths
    first, kept = {}, []
    for utterance in utterances:
        found = audio[utterance.utt]
        if found.duration < shortest:
            dropped[utterance.utt] = f"under {shortest:g} s: {found.duration:.2f} s"
        elif found.duration > longest:
            dropped[utterance.utt] = f"over {longest:g} s: {found.duration:.2f} s"
        elif first.setdefault(found.digest, utterance.utt) != utterance.utt:
            dropped[utterance.utt] = f"copy: sounds exactly as {first[found.digest]}"
        else:
            kept.append(utterance)
    return kept


def settle_genders(utterances: list[Utterance]) -> list[Utterance]:
    """The utterances with the gender of their speaker, or all without where it is not known of every speaker."""
    said = {}
    for utterance in utterances:
        said.setdefault(utterance.speaker, set()).add(utterance.gender)
    unsure = [speaker for speaker, genders in said.items() if len(genders) > 1 or None in genders]
    if unsure:
        number = counted(len(unsure), "speaker")
        log.info("no spk2gender: the gender of %s is not known, such as %s", number, unsure[0])
        return [dataclasses.replace(utterance, gender=None) for utterance in utterances]
    return utterances


def log_kept(
    datadir: PathLike, kept: Sequence[Utterance], audio: Mapping[str, Audio], dropped: Mapping[str, str]
) -> None:
    """Logs what is used and why the rest is not; raises SertkError if nothing is left."""
    counts = Counter(reason.partition(":")[0] for reason in dropped.values())
    reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(counts.items()))
    if not kept:
        raise SertkError(f"{datadir}: no utterance is left ({reasons or 'there was none'})")
    hours = sum(audio[utterance.utt].duration for utterance in kept) / 3600
    speakers = counted(len({utterance.speaker for utterance in kept}), "speaker")
    log.info("%s: %s, %s, %.2f h", datadir, counted(len(kept), "utterance"), speakers, hours)
    rates = Counter(audio[utterance.utt].rate for utterance in kept)
    if len(rates) > 1:
        log.info("sampling rates: %s", ", ".join(f"{number} at {rate} Hz" for rate, number in rates.items()))
    if dropped:
        log.info("left out %d: %s; see %s/dropped", len(dropped), reasons, datadir)
    odd = [f"{utt} {reason}" for utt, reason in dropped.items() if reason.startswith("characters")]
    if odd:
        log.info("texts with characters other than letters, apostrophe and space:%s", listed(odd))


def refuse_broken(root: PathLike, partial: bool) -> Callable[[list[str]], None]:
    """What to give `write_transcribed` as `broken`: unreadable recordings are refused unless `partial`."""
    return lambda errors: refuse_gaps(errors, "recordings cannot be read", root, partial, "replace them")
