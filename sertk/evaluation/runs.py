"""What training and decoding left in an experiment folder, read and checked."""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sertk.core.errors import SertkError
from sertk.core.files import read_yaml
from sertk.experiments.experiment import part_folder
from sertk.kaldi.datadir import read_table

CARD_KEYS = ("corpus", "label_set", "classes", "protocol", "speaker_disjoint", "normalisation", "selection")
FIXED_COLUMNS = ["utterance", "speaker", "reference", "predicted"]
DECODED = "decode_test"  # where stage 4 leaves the test part of a run
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
class Run:
    """One fold trained from one seed."""

    fold: int
    seed: int
    path: Path
    predictions: Predictions
    epochs: list[dict]  # of metrics.jsonl, by epoch; empty for systems that are fitted at once
    best_epoch: int | None
    seconds: float | None  # of training, as metrics.jsonl tells
    empty_paths: int | None  # utterances without any label, of systems that emit sequences of them


def read_experiment_card(experiment):
    """The protocol card of an experiment folder; raises SertkError for what a result cannot do without."""
    path = Path(experiment) / "card.yaml"
    if not path.is_file():
        raise SertkError(f"{path}: no such file; stage 3 makes the experiment with its protocol card")
    card = read_yaml(path)
    if not isinstance(card, dict):
        raise SertkError(f"{path}: a protocol card is a mapping of keys to values")
    missing = [key for key in CARD_KEYS if key not in card]
    if missing:
        raise SertkError(f"{path}: the card lacks {', '.join(missing)}")
    classes = card["classes"]
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise SertkError(f"{path}: classes: expected a list of names, found {classes!r}")
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise SertkError(f"{path}: classes: expected two or more different names, found {classes!r}")
    try:
        json.dumps(card, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SertkError(f"{path}: only text, numbers, lists and mappings can be stored: {error}") from error
    return card


def run_folders(experiment):
    """(fold, seed, folder) of every foldF/seedS of an experiment, in order; SertkError if there is none."""
    experiment = Path(experiment)
    if not experiment.is_dir():
        raise SertkError(f"{experiment}: no such folder")
    found = [
        (_number(seed), _number(seed.parent), seed)
        for seed in experiment.glob("fold*/seed*")
        if seed.is_dir() and _number(seed) is not None and _number(seed.parent) is not None
    ]
    if not found:
        raise SertkError(f"{experiment}: no foldF/seedS in it; stage 3 trains, stage 4 decodes")
    return [(fold, seed, folder) for seed, fold, folder in sorted(found, key=lambda item: (item[1], item[0]))]


def read_runs(experiment, classes, decoded=DECODED):
    """All runs of an experiment that have a folder `decoded`, by fold and seed.

    Raises SertkError if there is none or one is broken.
    """
    runs = []
    for fold, seed, folder in run_folders(experiment):
        path = predictions_path(folder, decoded)
        if not path.is_file():
            continue
        epochs = [line for line in read_epochs(folder) if line["epoch"] > 0]  # 0: fitted at once
        best = _best_epoch(folder, epochs)
        predictions = read_predictions(path, classes)
        runs.append(Run(fold, seed, folder, predictions, epochs, best, _seconds(folder), _empty_paths(path.parent)))
    if not runs:
        if decoded != DECODED:
            raise SertkError(f"{experiment}: no foldF/seedS/{decoded} yet; run sertk-decode --label_map on each")
        raise SertkError(f"{experiment}: nothing is decoded yet; run stage 4 (after stage 3, which trains)")
    _check_agreement(runs, classes)
    return runs


def undecoded_runs(experiment, decoded=DECODED):
    """The (fold, seed) of every run without predictions: its training was cut off, or goes on elsewhere."""
    folders = run_folders(experiment)
    return [(fold, seed) for fold, seed, folder in folders if not predictions_path(folder, decoded).is_file()]


def predictions_path(folder, decoded):
    return Path(folder) / decoded / "predictions.tsv"


def read_predictions(path, classes):
    """The `Predictions` of a predictions.tsv; raises SertkError with file and line for whatever is wrong."""
    index = {name: number for number, name in enumerate(classes)}
    speakers, reference, predicted, posteriors = {}, [], [], []
    try:
        with open(path, encoding="utf-8") as handle:
            _check_header(path, handle.readline().rstrip("\n"), classes)
            for number, line in enumerate(handle, 2):
                where = f"{path}:{number}"
                utterance, speaker, *labels, shares = _check_row(where, line.rstrip("\n").split("\t"), index)
                if utterance in speakers:
                    raise SertkError(f"{where}: utterance {utterance} is there twice; decode again (stage 4)")
                speakers[utterance] = speaker
                reference.append(index[labels[0]])
                predicted.append(index[labels[1]])
                posteriors.append(shares)
    except UnicodeDecodeError as error:
        raise SertkError(f"{path}: not UTF-8 text: {error}") from error
    if not speakers:
        raise SertkError(f"{path}: no utterances in it; decode again (stage 4)")
    arrays = map(np.array, (reference, predicted, posteriors))
    return Predictions(list(speakers), list(speakers.values()), *arrays)


def read_epochs(folder):
    """The lines of a run's metrics.jsonl, by epoch; [] without the file."""
    path = Path(folder) / "metrics.jsonl"
    if not path.is_file():
        return []
    epochs = {}
    with open(path, encoding="utf-8") as handle:
        for number, line in enumerate(handle, 1):
            where = f"{path}:{number}"
            try:
                epoch = json.loads(line)
            except json.JSONDecodeError as error:
                raise SertkError(f"{where}: not a JSON object: {error}") from error
            if not isinstance(epoch, dict) or not isinstance(epoch.get("epoch"), int):
                raise SertkError(f"{where}: expected a JSON object with a whole-numbered `epoch`")
            for key, value in epoch.items():
                if isinstance(value, float) and not math.isfinite(value):
                    raise SertkError(f"{where}: {key} is {value}, so training diverged: train again (stage 3)")
            if epoch["epoch"] in epochs:
                raise SertkError(f"{where}: epoch {epoch['epoch']} is there twice; train again (stage 3)")
            epochs[epoch["epoch"]] = epoch
    return [epochs[number] for number in sorted(epochs)]


def read_config(folder):
    """The stored config of an experiment's or a run's folder, a mapping."""
    path = Path(folder) / "config.yaml"
    config = read_yaml(path)
    if not isinstance(config, dict):
        raise SertkError(f"{path}: a config is a mapping of keys to values; train again (stage 3)")
    return config


def _number(folder):
    match = re.fullmatch(r"(?:fold|seed)(\d+)", folder.name)
    return int(match[1]) if match else None


def part_folders(folder):
    """The folders of a run's trainings, its own the last, in the order of the experiment's config."""
    folder = Path(folder)
    parts = read_config(folder.parents[1]).get("steps", {}) if (folder / "steps").is_dir() else {}
    return [*(part_folder(folder, name) for name in list(parts)[:-1]), folder]


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
    """How many lines of a decoded part's `text`, where it has any, are an utterance alone."""
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
    sign = -1 if select in ("valid_uar", "valid_accuracy") else 1
    return min(scored, key=lambda epoch: sign * epoch[select])["epoch"]


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
    test_parts, known = {}, {}
    for run in runs:
        first = test_parts.setdefault(run.fold, run)
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
