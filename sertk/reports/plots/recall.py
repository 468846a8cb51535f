"""Recall of each class, of one system or of several side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple

from sertk.evaluation.metrics import class_metrics, scores
from sertk.evaluation.results import run_confusion
from sertk.evaluation.runs import DecodedRun
from sertk.reports.plots.pictures import DASHES, SMALL, class_ticks, fitted, set_title

HATCHES = ["", "////", "....", "xxxx", "----", "\\\\\\\\", "oo", "++++", "||||"]


@dataclass(frozen=True)
class Recalls:
    """What a system recalls, in 0..1: `recall` and `sd` are (classes,)."""

    name: str
    recall: np.ndarray  # runs pooled; NaN for a class that no utterance has
    sd: np.ndarray  # sample standard deviation over runs; NaN where fewer than two runs have the class
    uar: float


def class_recalls(name: str, runs: Sequence[DecodedRun], classes: int) -> Recalls:
    """The `Recalls` of a system by its decoded runs, with `classes` classes."""
    confusions = np.array([run_confusion(run, classes) for run in runs])
    pooled = confusions.sum(0)
    by_run = _recall(confusions)
    repeated = np.isfinite(by_run).sum(0) > 1
    sd = np.full(classes, np.nan)
    sd[repeated] = np.nanstd(by_run[:, repeated], axis=0, ddof=1)
    return Recalls(name, _recall(pooled), sd, float(scores(pooled)["uar"]))


def _recall(confusion):
    metrics = class_metrics(confusion)
    return np.where(metrics["support"] > 0, metrics["recall"], np.nan)


def recall_figure(systems: Sequence[Recalls], labels: list[str], title: str) -> Figure:
    """Bars of per-class recall of each system, with standard deviations, and a line for each UAR."""
    width = 0.8 / len(systems)
    inches = max(6.0, 1.4 + len(labels) * (0.3 + 0.13 * len(systems)))
    figure = Figure(figsize=(inches, 4.2 + 0.2 * len(systems)), layout="constrained")
    axes = figure.add_subplot()
    top = 100
    handles, names = [], []
    for number, system in enumerate(systems):
        places = np.arange(len(labels)) + (number - (len(systems) - 1) / 2) * width
        bars = axes.bar(
            places,
            100 * np.nan_to_num(system.recall),
            width,
            color=str(0.7 + 0.3 * number / len(systems)),
            edgecolor="black",
            linewidth=0.8,
            hatch=HATCHES[number % len(HATCHES)],
        )
        known = np.isfinite(system.sd)
        heights, spreads = 100 * system.recall[known], 100 * system.sd[known]
        caps = min(4, 12 * width)
        axes.errorbar(places[known], heights, spreads, fmt="none", ecolor="black", elinewidth=0.9, capsize=caps)
        top = max([top, *(heights + spreads)])
        dashes = DASHES[number % len(DASHES)]
        line = axes.axhline(100 * system.uar, color="black", linewidth=0.9, linestyle=dashes, zorder=0.5)
        handles.append((bars, line))
        names.append(fitted(f"{system.name}: UAR {100 * system.uar:.1f} %", inches - 1.2, SMALL))
    class_ticks(axes.xaxis, labels)
    repeated = any(np.isfinite(system.sd).any() for system in systems)
    axes.set(ylim=(0, 1.02 * top), ylabel="recall %" + " ± standard deviation over runs" * repeated)
    figure.legend(
        handles,
        names,
        fontsize=SMALL,
        handlelength=6,
        handler_map={tuple: HandlerTuple(ndivide=None)},
        loc="outside lower center",
    )
    set_title(figure, title)
    return figure
