"""What the preparation of every corpus shares: the record of an utterance and the pass over the audio."""

import dataclasses
import logging
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from sertk.core.command import progress
from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.core.messages import counted
from sertk.features.audio import Cut, audio_hash, cut_segment, load_audio
from sertk.features.recording import OnWarning, log_warning, silence_in
from sertk.kaldi.datadir import DataDir, Tables, write_data_dir
from sertk.kaldi.stale import drop_stale
from sertk.text.phones import PHONES, WORDS

log = logging.getLogger(__name__)

SHOWN = 20
NEEDS = {"a frame of most feature types": 0.025}  # seconds, where the feature types are not known yet


@dataclasses.dataclass(frozen=True)
class Utterance:
    """One recording of a release, as its names and label files describe it."""

    utt: str  # starts with the speaker
    speaker: str
    path: Path
    labels: dict[str, str]  # label set -> label; of emotion corpora
    # What a release does not say stays None, for all its utterances alike.
    text: str | None = None  # empty where a release with texts has none of this utterance
    gender: str | None = None  # m or f
    group: str | None = None  # what belongs together beyond speakers, such as a session or a school
    subset: str | None = None  # the kind of recording, where recipes can take one kind alone
    dims: str | None = None  # mean valence, activation and dominance
    phones: int | None = None  # voiced phonemes, at least 1
    segment: Cut | None = None  # recording, start and end in seconds, of an utterance that is cut from `path`


@dataclasses.dataclass(frozen=True)
class Audio:
    """What the audio of an utterance is found to be."""

    rate: int  # Hz
    duration: float  # seconds
    digest: str  # audio_hash of the samples

    def short_of(self, needs: Mapping[str, float]) -> str | None:
        """What is wrong with less than what {feature type: seconds} asks for, or None."""
        for name, least in needs.items():
            if self.duration < least:
                return f"too short: {self.duration:.4f} s, {name} needs {least:.4f} s"
        return None


def listed(items: Iterable[object]) -> str:
    """The first of many items, one a line, for the end of an error message."""
    items = list(items)
    more = [f"... and {len(items) - SHOWN} more"] if len(items) > SHOWN else []
    return "".join(f"\n  {item}" for item in items[:SHOWN] + more)


def refuse_gaps(gaps: Sequence[object], what: str, root: PathLike, partial: bool, remedy: str = "get them") -> None:
    """Raises SertkError listing what a release lacks, or if `partial`, logs how much that is.

    `what` puts it into words, such as `turns have no recording`.
    """
    if gaps and not partial:
        remedy = f"{remedy} (or --partial to use what is there)"
        raise SertkError(f"{root}: {len(gaps)} {what}, {remedy}:{listed(gaps)}")
    if gaps:
        log.info("%s: %d %s and are not used", root, len(gaps), what)


def probe_audio(
    utterances: Iterable[Utterance], threads: int | None = None
) -> tuple[dict[str, Audio], dict[str, SertkError]]:
    """Decodes every recording once: {utt: Audio}, and {utt: SertkError} of those without.

    `threads` do it, None: as many as there are CPUs. Warns of recordings of silence and the like.
    """
    recordings: dict[Path, list[Utterance]] = {}
    for utterance in utterances:
        recordings.setdefault(utterance.path, []).append(utterance)

    warnings: dict[Path, list[str]] = {path: [] for path in recordings}

    def probe(path: Path) -> Mapping[str, Audio | SertkError]:
        try:
            samples, rate = load_audio(str(path), on_warning=warnings[path].append)
        except SertkError as error:
            return dict.fromkeys((utterance.utt for utterance in recordings[path]), error)
        warn = warnings[path].append
        return {utterance.utt: probe_utterance(utterance, samples, rate, warn) for utterance in recordings[path]}

    audio, errors = {}, {}
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        for probed in progress(pool.map(probe, recordings), "reading audio", len(recordings)):
            for utt, found in probed.items():
                if isinstance(found, Audio):
                    audio[utt] = found
                else:
                    errors[utt] = found
    warn_of([warning for own in warnings.values() for warning in own])
    return audio, errors


def warn_of(warnings: Sequence[str]) -> None:
    """Logs a line for each warning of a recording, and their number."""
    for warning in warnings:
        log_warning(warning)
    if warnings:
        number = counted(len(warnings), "recording is", "recordings are")
        log.warning("warning: %s silent, or not read as they should be", number)


def probe_utterance(utterance: Utterance, samples: np.ndarray, rate: int, on_warning: OnWarning) -> Audio | SertkError:
    """The Audio of an utterance from the samples of its recording, or a SertkError."""
    try:
        if utterance.segment:
            samples = cut_segment(samples, rate, *utterance.segment[1:])
            if warning := silence_in(samples):
                on_warning(f"{utterance.path}: {utterance.utt}: {warning}")
        return Audio(rate, len(samples) / rate, audio_hash(samples, rate))
    except SertkError as error:
        return SertkError(f"{utterance.path}: {utterance.utt}: {error}")


def measure_audio(utterances: Iterable[Utterance], threads: int | None = None) -> dict[str, Audio]:
    """{utt: Audio}; raises SertkError that names every recording that cannot be read."""
    audio, errors = probe_audio(utterances, threads)
    if errors:
        messages = dict.fromkeys(map(str, errors.values()))
        raise SertkError(f"{counted(len(messages), 'recording')} cannot be read, replace them:{listed(messages)}")
    return audio


def check_rates(utterances: Collection[Utterance], audio: Mapping[str, Audio]) -> None:
    """Raises SertkError naming the recordings whose sampling rate is not that of most others."""
    rates = [audio[utterance.utt].rate for utterance in utterances]
    usual = max(sorted(set(rates)), key=rates.count)
    odd = [
        f"{utterance.path}: {audio[utterance.utt].rate} Hz"
        for utterance in utterances
        if audio[utterance.utt].rate != usual
    ]
    if odd:
        raise SertkError(
            f"{counted(len(odd), 'recording')} of another sampling rate than the others, {usual} Hz, and so not from "
            f"the same release, replace them:{listed(odd)}"
        )


def check_copies(utterances: Iterable[Utterance], audio: Mapping[str, Audio]) -> None:
    """Raises SertkError naming the recordings whose samples are those of another utterance."""
    first, copies = {}, []
    for utterance in utterances:
        other = first.setdefault(audio[utterance.utt].digest, utterance)
        if other is not utterance:
            copies.append(f"{utterance.path} sounds exactly as {other.path}")
    if copies:
        number = counted(len(copies), "recording is a copy", "recordings are copies")
        raise SertkError(f"{number} of another, replace them:{listed(copies)}")


def check_counts(found: Mapping[str, int], published: Mapping[str, int], root: PathLike) -> None:
    """Raises SertkError with a table of the counts {name: number} that are not the published ones."""
    different = [name for name, number in published.items() if found.get(name, 0) != number]
    if different:
        width = max(map(len, different))
        rows = [f"{'':<{width}} {'published':>9} {'found':>6}"]
        rows += [f"{name:<{width}} {published[name]:>9} {found.get(name, 0):>6}" for name in different]
        raise SertkError(
            f"{root}: not the whole corpus, get it again (or --partial to use what is there):"
            + "".join(f"\n  {row}" for row in rows)
        )


def write_corpus(utterances: Iterable[Utterance], datadir: PathLike, threads: int | None = None) -> None:
    """Reads the audio of all utterances, checks it, and writes the data folder `datadir`.

    What that folder has of other utterances or recordings goes away, such as their features, to be made anew.
    Raises SertkError for unreadable audio, odd sampling rates and the same audio under two names; warns of what is too
    short for a frame.
    """
    utterances = sorted(utterances, key=lambda utterance: utterance.utt.encode())
    audio = measure_audio(utterances, threads)
    for utterance in utterances:
        if problem := audio[utterance.utt].short_of(NEEDS):
            log_warning(f"{utterance.path}: {utterance.utt}: {problem}")
    check_rates(utterances, audio)
    check_copies(utterances, audio)
    write_tables(tables_of(utterances, audio), datadir)


def write_tables(tables: Tables, datadir: PathLike) -> None:
    """Writes the tables of a prepared corpus; what the folder has of other utterances or recordings goes away."""
    if Path(datadir).is_dir():
        folder = DataDir(datadir)
        for name in (WORDS, PHONES):  # in parts they would count as made by somebody else
            if name not in tables and folder.has(name) and folder.table(name).keys() != tables["utt2spk"].keys():
                (folder.path / name).unlink()
        drop_stale(datadir, tables)
    write_data_dir(datadir, tables)


def tables_of(utterances: Collection[Utterance], audio: Mapping[str, Audio]) -> dict[str, dict[str, Any]]:
    """The tables of the data folder of utterances and their {utt: Audio}."""
    tables: dict[str, dict[str, Any]] = {
        "wav.scp": {(u.segment[0] if u.segment else u.utt): os.path.abspath(u.path) for u in utterances},
        "utt2spk": {u.utt: u.speaker for u in utterances},
        "utt2dur": {u.utt: f"{audio[u.utt].duration:.4f}" for u in utterances},
        "utt2hash": {u.utt: audio[u.utt].digest for u in utterances},
    }
    for u in utterances:
        lines = {"text": (u.utt, u.text), "spk2gender": (u.speaker, u.gender), "utt2group": (u.utt, u.group)}
        lines |= {"utt2subset": (u.utt, u.subset), "utt2dims": (u.utt, u.dims)}
        lines |= {PHONES: (u.utt, u.phones)}
        lines |= {"segments": (u.utt, u.segment and " ".join(map(str, u.segment)))}
        lines |= {f"labels/{label_set}": (u.utt, label) for label_set, label in u.labels.items()}
        for name, (key, value) in lines.items():
            if value is not None:
                tables.setdefault(name, {})[key] = value
    return tables
