"""The runs of an experiment as they are scored: predictions and epochs, read and checked."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sertk.config.selection import SELECTIONS
from sertk.core.errors import SertkError
from sertk.core.files import PathLike, read_text
from sertk.experiments.layout import (
    CONFIG,
    DECODED,
    is_outdated,
    part_folders,
    predictions_path,
    read_chosen,
    read_config,
    read_epochs,
    run_folders,
)
from sertk.kaldi.datadir import read_table

FIXED_COLUMNS = ["utterance", "speaker", "reference", "predicted"]
POSTERIOR_SLACK = 0.01  # posteriors are written with a few decimals


@dataclass(frozen=True)
class Predictions:
    """The decoded utterances of one run.

    `reference` and `predicted` (utterances,) are class indices, `posteriors` (utterances, classes) in 0..1.
    """

    utterances: list[str]
    speakers: list[str]
    reference: np.ndarray
    predicted: np.ndarray
    posteriors: np.ndarray


@dataclass(frozen=True)
class DecodedRun:
    """What training and decoding left in a run's folder, `path`."""

    fold: int
    seed: int
    path: Path
    predictions: Predictions
    epochs: list[dict[str, Any]]  # of metrics.jsonl, by epoch; empty for systems that are fitted at once
    best_epoch: int | None
    seconds: float | None  # of training, as metrics.jsonl tells
    chosen: dict[str, Any]  # by the training itself, such as the layer of an encoder
    empty_paths: int | None  # utterances without any label, of systems that emit sequences of them
    inputs: dict[str, str]  # digests of what it was trained and tested on, as far as they are known


def read_runs(experiment: PathLike, classes: list[str], decoded: str = DECODED) -> list[DecodedRun]:
    """All runs of an experiment that have a folder `decoded`, by fold and seed.

    Raises SertkError if there is none or one is broken.
    """
    runs = []
    for fold, seed, folder in run_folders(experiment):
        path = predictions_path(folder, decoded)
        if not path.is_file():
            continue
        identity = (read_config(folder) if (folder / CONFIG).is_file() else {}).get("run", {})
        _check_place(folder, fold, seed, identity)
        if is_outdated(folder, decoded):
            raise SertkError(f"{path}: decoded before the run was trained anew; decode again (stage 4)")
        epochs = [line for line in read_epochs(folder) if line["epoch"] > 0]  # 0: fitted at once
        best = _best_epoch(folder, epochs)
        predictions = read_predictions(path, classes)
        seconds, empty = _seconds(folder), _empty_paths(path.parent)
        chosen, inputs = read_chosen(folder), _inputs(identity)
        runs.append(DecodedRun(fold, seed, folder, predictions, epochs, best, seconds, chosen, empty, inputs))
    if not runs:
        if decoded != DECODED:
            raise SertkError(f"{experiment}: no foldF/seedS/{decoded} yet; run sertk-decode --label_map on each")
        raise SertkError(f"{experiment}: nothing is decoded yet; run stage 4 (after stage 3, which trains)")
    _check_agreement(runs, classes)
    return runs


def undecoded_runs(experiment: PathLike, decoded: str = DECODED) -> list[tuple[int, int]]:
    """The (fold, seed) of every run without predictions: its training was cut off, or goes on elsewhere."""
    folders = run_folders(experiment)
    return [(fold, seed) for fold, seed, folder in folders if not predictions_path(folder, decoded).is_file()]


def read_predictions(path: PathLike, classes: list[str]) -> Predictions:
    """The `Predictions` of a predictions.tsv; raises SertkError with file and line for whatever is wrong."""
    index = {name: number for number, name in enumerate(classes)}
    speakers, reference, predicted, posteriors = {}, [], [], []
    lines = io.StringIO(read_text(path), newline=None)
    _check_header(path, lines.readline().rstrip("\n"), classes)
    for number, line in enumerate(lines, 2):
        where = f"{path}:{number}"
        utterance, speaker, *labels, shares = _check_row(where, line.rstrip("\n").split("\t"), index)
        if utterance in speakers:
            raise SertkError(f"{where}: utterance {utterance} is there twice; decode again (stage 4)")
        speakers[utterance] = speaker
        reference.append(index[labels[0]])
        predicted.append(index[labels[1]])
        posteriors.append(shares)
    if not speakers:
        raise SertkError(f"{path}: no utterances in it; decode again (stage 4)")
    arrays = map(np.array, (reference, predicted, posteriors))
    return Predictions(list(speakers), list(speakers.values()), *arrays)


def _check_place(folder, fold, seed, identity):
    """Refuses a folder that was copied or renamed to one of another fold or seed than was trained in it."""
    trained = identity.get("fold", fold), identity.get("seed", seed)
    if trained != (fold, seed):
        raise SertkError(f"{folder}: what was trained in it is fold {trained[0]}, seed {trained[1]}; rename the folder")


def _inputs(identity):
    """{recordings, labels, test list: digest} of a run's identity, of what it tells."""
    found = {
        "recordings": identity.get("data", {}).get("recordings"),
        "labels": identity.get("labels", {}).get("sha256"),
        "test list": identity.get("lists", {}).get("test"),
    }
    return {what: digest for what, digest in found.items() if digest}


def other_inputs(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """What two runs' `inputs` differ in, of what both tell."""
    return [what for what in one if what in other and one[what] != other[what]]


def _seconds(folder):
    """What all trainings of a run took together, where all say so."""
    seconds = [
        line["seconds"]
        for part in part_folders(folder)
        for line in read_epochs(part)
        if line.get("seconds") is not None
    ]
    return sum(seconds) if seconds else None


def _empty_paths(decoded):
    """How many lines of a decoded split's `text`, where it has any, are an utterance alone."""
    text = decoded / "text"
    return sum(not path for path in read_table(text, allow_empty=True).values()) if text.is_file() else None


def _best_epoch(folder, epochs):
    """The epoch that training kept, by the config's `training.select`; the first of equals."""
    if not epochs:
        return None
    select = (read_config(folder).get("training") or {}).get("select", "valid_uar")
    scored = [epoch for epoch in epochs if epoch.get(select) is not None]
    if select == "last" or not scored:
        return epochs[-1]["epoch"]
    best = max if SELECTIONS[select].higher else min
    return best(scored, key=lambda epoch: epoch[select])["epoch"]


def _check_header(path, line, classes):
    if line.split("\t") != FIXED_COLUMNS + classes:
        expected = " ".join(FIXED_COLUMNS + classes)
        found = " ".join(line.split("\t")) or "nothing"
        raise SertkError(f"{path}:1: expected the columns {expected}, found {found}; decode again (stage 4)")


def _check_row(where, fields, index):
    """The first four fields of a row whose every field has been checked, and its posteriors."""
    expected = len(FIXED_COLUMNS) + len(index)
    if len(fields) != expected:
        raise SertkError(f"{where}: {len(fields)} columns instead of {expected}; decode again (stage 4)")
    utterance, speaker, reference, predicted = fields[:4]
    if not utterance or not speaker:
        raise SertkError(f"{where}: the {'speaker' if utterance else 'utterance'} is empty")
    for column, label in (("reference", reference), ("predicted", predicted)):
        if label not in index:
            known = ", ".join(index)
            raise SertkError(f"{where}: utterance {utterance}: {column} class {label!r} is none of {known}")
    try:
        posteriors = [float(field) for field in fields[4:]]
    except ValueError as error:
        raise SertkError(f"{where}: utterance {utterance}: a posterior is no number: {error}") from error
    if not all(0 <= value <= 1 for value in posteriors) or abs(sum(posteriors) - 1) > POSTERIOR_SLACK:
        raise SertkError(
            f"{where}: utterance {utterance}: the posteriors {' '.join(fields[4:])} are not all in 0..1 with "
            "sum 1; look at the training log, then decode again (stage 4)"
        )
    return *fields[:4], posteriors


def _check_agreement(runs, classes):
    """Refuses runs of a fold with other test utterances, and utterances whose speaker or label differs."""
    of_fold, known = {}, {}
    for run in runs:
        first = of_fold.setdefault(run.fold, run)
        odd = set(first.predictions.utterances) ^ set(run.predictions.utterances)
        if odd:
            raise SertkError(
                f"{run.path}: fold {run.fold} has other test utterances than {first.path} "
                f"(for example {min(odd)}); decode both again (stage 4)"
            )
        rows = zip(run.predictions.utterances, run.predictions.speakers, run.predictions.reference)
        for utterance, speaker, reference in rows:
            before = known.setdefault(utterance, (speaker, reference))
            if before != (speaker, reference):
                raise SertkError(
                    f"{run.path}: utterance {utterance} is {classes[reference]} by {speaker}, in an earlier "
                    f"run {classes[before[1]]} by {before[0]}; decode all runs again (stage 4)"
                )
