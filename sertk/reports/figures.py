"""Figures of scored experiments: what sertk-plot and the pages draw of them."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from sertk.config.schema import differing_keys
from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.evaluation.results import read_results
from sertk.evaluation.runs import DecodedRun, read_runs
from sertk.experiments.layout import read_config
from sertk.reports.formatting import NAMES, extent, system_name, task_name
from sertk.reports.plots.confusion import confusion_figure
from sertk.reports.plots.curves import curves_figure
from sertk.reports.plots.recall import class_recalls, recall_figure
from sertk.reports.plots.sweep import sweep_figure, swept_number


def page_figures(results: dict[str, Any], runs: Sequence[DecodedRun], curves: bool) -> dict[str, Figure]:
    """{name: figure} of what the page of one experiment shows, with learning curves where `curves` says so."""
    figures = {"confusion": draw_confusion(results), "recall": _draw_recall(results, runs)}
    if curves:
        figures["curves"] = curves_figure(runs, _title(results))
    return figures


def draw_confusion(results: dict[str, Any]) -> Figure:
    """The confusion matrix of results.json's content as a figure."""
    reached = f"UAR {100 * results['uar']:.1f} %, accuracy {100 * results['accuracy']:.1f} %"
    return confusion_figure(results["confusion"], results["labels"], f"{_title(results)}\n{reached}")


def draw_curves(experiment: PathLike) -> Figure:
    """The learning curves of a scored experiment folder as a figure."""
    results = read_results(experiment)
    return curves_figure(read_runs(experiment, results["labels"]), _title(results))


def draw_recalls(experiments: Sequence[PathLike]) -> Figure:
    """The recall of each class for scored experiment folders, side by side in one figure.

    Raises SertkError unless task and classes are the same.
    """
    scored = _read_comparable(experiments)
    runs = [read_runs(experiment, results["labels"]) for experiment, results in scored]
    _, first = scored[0]
    if len(scored) == 1:
        return _draw_recall(first, runs[0])
    names = [_system(results) for _, results in scored]
    if len(set(names)) < len(names):
        names = [str(experiment) for experiment, _ in scored]
    recalls = [_recalls(name, results, own) for name, (_, results), own in zip(names, scored, runs)]
    return recall_figure(recalls, first["labels"], _task(first))


def draw_sweep(experiments: Sequence[PathLike], key: str, metric: str) -> Figure:
    """A metric and the recall of each class for scored experiment folders, by the number each has at `key`.

    `key` is a path in config.yaml such as `steps.NAME.model.x`. What else the configs differ in is warned of.
    Raises SertkError unless task and classes are the same, and all numbers different.
    """
    by_number, configs = {}, []
    for experiment, results in _read_comparable(experiments):
        configs.append(read_config(experiment))
        number = swept_number(configs[-1], key, Path(experiment) / "config.yaml")
        if number in by_number:
            first, _ = by_number[number]
            raise SertkError(f"{first} and {experiment} both have {key} {number}; a sweep takes one of each")
        by_number[number] = experiment, results
    others = {other for config in configs for other in differing_keys(configs[0], config)} - {key}
    if others:
        logging.getLogger(__name__).warning("they differ not in %s alone: %s", key, ", ".join(sorted(others)))
    numbers = sorted(by_number)
    swept = [by_number[number][1] for number in numbers]
    lines = [(NAMES[metric], [results[metric] for results in swept])]
    for place, label in enumerate(swept[0]["labels"]):
        lines.append((label, [results["per_class"][place]["recall"] for results in swept]))
    models = " and ".join(dict.fromkeys(results["experiment"]["model"] for results in swept))
    tested = " or ".join(dict.fromkeys(extent(results) for results in swept))
    return sweep_figure(numbers, lines, key, f"{models}, {tested}\n{_task(swept[0])}")


def _read_comparable(experiments):
    """(experiment folder, results) of each; raises SertkError unless task and classes are the same."""
    scored = [(experiment, read_results(experiment)) for experiment in experiments]
    first, reference = scored[0]
    for experiment, results in scored[1:]:
        for fact in (_task, _labels):
            one, other = fact(reference), fact(results)
            if one != other:
                raise SertkError(f"{first} and {experiment} cannot be compared: {one} and {other}")
    return scored


def _draw_recall(results, runs):
    return recall_figure([_recalls("all runs", results, runs)], results["labels"], _title(results))


def _recalls(name, results, runs):
    return class_recalls(f"{name}, {extent(results)}", runs, len(results["labels"]))


def _system(results):
    return system_name(results["experiment"])


def _task(results):
    return task_name(results["experiment"])


def _labels(results):
    return " ".join(results["labels"])


def _title(results):
    return f"{_system(results)}\n{_task(results)}"
