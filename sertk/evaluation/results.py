"""From the decoded runs of an experiment to its results."""

import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sertk.core.errors import SertkError
from sertk.core.files import PathLike, read_json
from sertk.core.forms import NUMBER, check_form
from sertk.evaluation.cross import cross_card
from sertk.evaluation.intervals import speaker_intervals
from sertk.evaluation.metrics import METRICS, class_metrics, confusion_matrix, grouped_confusions, scores
from sertk.evaluation.runs import DecodedRun, read_runs, undecoded_runs
from sertk.experiments.card import CARD_FORM, read_experiment_card
from sertk.experiments.layout import DECODED, read_config

IDENTITY = ("corpus", "subset", "label_set", "protocol", "test_labels", "trained_on")
COLLAPSED = 0.95  # share of the predictions in one class that no working system reaches

SHARES, OR_NONE = dict.fromkeys(METRICS, NUMBER), (*NUMBER, None)
MEANS = {name: {"mean": NUMBER, "sd": OR_NONE} for name in METRICS}
# What pages are made of
FORM = {
    "experiment": {**dict.fromkeys(("corpus", "label_set", "protocol", "model", "tag"), str), "subset?": str},
    **SHARES,
    "confusion": [[int]],
    "labels": [str],
    "folds": [
        {
            **{"fold": int, "seed": int, "utterances": int, "best_epoch": (int, None), "epochs": (int, None)},
            **{"seconds": OR_NONE, "empty_paths": (int, None), "chosen?": {}},
            **SHARES,
        }
    ],
    "folds_scored": {"scored": [int], "missing": ([int], None), "of": (int, None)},
    "repeats": [{"seed": int, **SHARES}],
    "per_class": [{"label": str, "utterances": int, **dict.fromkeys(("recall", "precision", "f1"), OR_NONE)}],
    "mean_sd": {"repeats": MEANS, "runs": MEANS},
    "intervals": {**dict.fromkeys(METRICS, ([NUMBER], None)), "level": NUMBER, "speakers": int, "descriptive": bool},
    "card": CARD_FORM,
    "warnings": [str],
}


def score(experiment: PathLike, draws: int = 2000, seed: int = 0, decoded: str = DECODED) -> dict[str, Any]:
    """The results of a decoded experiment folder as a dict for results.json; all metrics in 0..1.

    The top-level metrics and `confusion` pool all folds and seeds. A repeat is one seed with its folds
    pooled or, of a random protocol, one split; `repeats` lists them, and `mean_sd` has mean and sample
    standard deviation over them (`repeats`) and over all runs (`runs`). `intervals` resamples speakers, each
    with all utterances of all folds and seeds. Runs that are not decoded are left out with a warning; raises
    SertkError for one that is not decoded well. Of another corpus, `decoded` is the folder that runs left.
    """
    card = read_experiment_card(experiment)
    labels = card["classes"]
    runs = read_runs(experiment, labels, decoded)
    if decoded != DECODED:
        card = cross_card(card, [run.path / decoded / "card.yaml" for run in runs])
    confusions = [run_confusion(run, len(labels)) for run in runs]
    pooled = np.sum(confusions, axis=0)
    folds = [_run_facts(run) | _metrics(confusion) for run, confusion in zip(runs, confusions)]
    repeats = _repeats(card, runs, confusions)
    return {
        "experiment": _identity(experiment, card, runs[0]),
        **_metrics(pooled),
        "confusion": pooled.tolist(),
        "labels": labels,
        "protocol": card["protocol"],
        "folds": folds,
        "folds_scored": _folds_scored(card, runs),
        "repeats": repeats,
        "per_class": _per_class(pooled, labels),
        "mean_sd": {"repeats": _mean_sd(repeats), "runs": _mean_sd(folds)},
        "intervals": speaker_intervals(speaker_confusions(runs, len(labels)), draws, seed),
        "card": card,
        "warnings": _undecoded_warnings(experiment, decoded) + _warnings(card, runs, confusions),
    }


def is_scored(experiment: PathLike) -> bool:
    return (Path(experiment) / "results.json").is_file()


def read_results(experiment: PathLike) -> dict[str, Any]:
    """The results.json of an experiment folder; raises SertkError where it has to be made (again)."""
    path = Path(experiment) / "results.json"
    if not is_scored(experiment):
        raise SertkError(f"{path}: no such file; stage 5 (sertk-score {experiment}) makes it")
    results, remedy = read_json(path), "make it again (sertk-score)"
    check_form(results, FORM, path, remedy)
    classes = len(results["labels"])
    if {len(results["confusion"]), *map(len, results["confusion"]), len(results["per_class"])} != {classes}:
        raise SertkError(f"{path}: damaged: not the figures of {classes} classes; {remedy}")
    for name in METRICS:
        interval = results["intervals"][name]
        if interval is not None and len(interval) != 2:
            raise SertkError(f"{path}: damaged: intervals.{name} is no pair of numbers; {remedy}")
    return results


def is_random(card: dict[str, Any]) -> bool:
    """Whether the folds are random splits: repeats of one experiment, which do not make a whole together."""
    return card.get("rule") == "random"


def run_confusion(run: DecodedRun, classes: int) -> np.ndarray:
    """Counts (classes, classes) of a run, rows being the reference."""
    return confusion_matrix(run.predictions.reference, run.predictions.predicted, classes)


def speaker_confusions(runs: Sequence[DecodedRun], classes: int) -> np.ndarray:
    """One confusion matrix per speaker (speakers, classes, classes) over all `runs`, speakers sorted."""
    names = [name for run in runs for name in run.predictions.speakers]
    speakers, groups = np.unique(names, return_inverse=True)
    reference = np.concatenate([run.predictions.reference for run in runs])
    predicted = np.concatenate([run.predictions.predicted for run in runs])
    return grouped_confusions(reference, predicted, groups, classes, len(speakers))


def protocol_folds(card: dict[str, Any]) -> list[int] | None:
    """The numbers of the card's `folds` (a count, or a list of mappings with `fold`), else None."""
    folds = card.get("folds")
    if isinstance(folds, int):
        return list(range(1, folds + 1))
    if not isinstance(folds, list):
        return None
    return sorted(fold["fold"] for fold in folds if isinstance(fold, dict) and "fold" in fold) or None


def _identity(experiment, card, run):
    """Corpus, labels, protocol, model and tag: what tells this experiment from others in a table."""
    folder = Path(os.path.abspath(experiment)).name
    model = card.get("model") or (read_config(run.path).get("model") or {}).get("name") or folder
    if folder != model and not folder.startswith(f"{model}_"):
        model = folder
    stated = [key for key in IDENTITY if card.get(key) is not None]
    return {key: card[key] for key in stated} | {"model": model, "tag": folder[len(model) + 1 :]}


def _metrics(confusion):
    return {name: float(value) for name, value in scores(confusion).items()}


def _run_facts(run):
    return {
        "fold": run.fold,
        "seed": run.seed,
        "utterances": len(run.predictions.utterances),
        "best_epoch": run.best_epoch,
        "epochs": len(run.epochs) or None,
        "seconds": run.seconds,
        "empty_paths": run.empty_paths,
        "chosen": run.chosen,
        "inputs": run.inputs,
    }


def _repeats(card, runs, confusions):
    """Fold numbers, seed and metrics of each repeat: a seed's folds pooled, or one random split."""
    pooled = {}
    for run, confusion in zip(runs, confusions):
        key = (run.seed, run.fold) if is_random(card) else (run.seed,)
        pooled.setdefault(key, []).append((run.fold, confusion))
    return [
        {
            "folds": [fold for fold, _ in pooled[key]],
            "seed": key[0],
            **_metrics(np.sum([confusion for _, confusion in pooled[key]], axis=0)),
        }
        for key in sorted(pooled)
    ]


def _mean_sd(rows):
    """Mean and sample standard deviation (None for a single row) of each metric over dicts of metrics."""
    result: dict[str, Any] = {"count": len(rows)}
    for name in METRICS:
        values = [row[name] for row in rows]
        sd = statistics.stdev(values) if len(values) > 1 else None
        result[name] = {"mean": statistics.fmean(values), "sd": sd}
    return result


def _per_class(confusion, labels):
    by_class = class_metrics(confusion)
    support = by_class.pop("support")
    rows = []
    for number, label in enumerate(labels):
        row: dict[str, float | None] = {name: float(values[number]) for name, values in by_class.items()}
        if not support[number]:
            row["recall"] = None
        rows.append({"label": label, "utterances": int(support[number]), **row})
    return rows


def _folds_scored(card, runs):
    scored, folds = sorted({run.fold for run in runs}), protocol_folds(card)
    if folds is None:
        return {"scored": scored, "missing": None, "of": None}
    return {"scored": scored, "missing": [fold for fold in folds if fold not in scored], "of": len(folds)}


def _undecoded_warnings(experiment, decoded):
    return [
        f"fold {fold}, seed {seed} is not decoded and left out (stage 4, after stage 3 if its training was cut off)"
        for fold, seed in undecoded_runs(experiment, decoded)
    ]


def _warnings(card, runs, confusions):
    warnings = [card["warning"]] if "warning" in card else []
    if "test_labels" in card:
        warnings.append(f"the labels of the test split were {card['test_labels']}: this is no fair result")
    for run, confusion in zip(runs, confusions):
        total = confusion.sum()
        top = int(confusion.sum(0).argmax())
        guessed, true = confusion[:, top].sum() / total, confusion[top].sum() / total
        if guessed > COLLAPSED >= true:
            warnings.append(
                f"fold {run.fold}, seed {run.seed}: predictions collapse onto one class: {guessed:.1%} are "
                f"{card['classes'][top]}, which {true:.1%} of the utterances are"
            )
        if run.empty_paths and run.empty_paths > COLLAPSED * total:
            warnings.append(
                f"fold {run.fold}, seed {run.seed}: the best path is nothing but blanks for {run.empty_paths} of "
                f"{total} utterances, which are decided by the sums of posteriors alone"
            )
    if is_random(card):
        return warnings
    folds = sorted({run.fold for run in runs})
    for seed in sorted({run.seed for run in runs}):
        lacking = [fold for fold in folds if (fold, seed) not in {(run.fold, run.seed) for run in runs}]
        if lacking:
            listed = " ".join(map(str, lacking))
            warnings.append(f"seed {seed} lacks fold {listed}, so the seeds are not over the same utterances")
    return warnings
