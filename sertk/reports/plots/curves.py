"""Learning curves."""

import statistics
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sertk.core.errors import SertkError
from sertk.evaluation.runs import DecodedRun
from sertk.reports.plots.pictures import DASHES, MARKERS, SMALL, set_title, shades


def curves_figure(runs: Sequence[DecodedRun], title: str) -> Figure:
    """Loss and validation UAR by epoch of the runs that have epochs: a line per fold, or per seed of a fold.

    Where a fold has several seeds, its line is the mean of those that reached an epoch, as long as these are
    half of them; markers are the best epoch of each. Raises SertkError where no run has epochs.
    """
    runs = [run for run in runs if run.epochs]
    if not runs:
        raise SertkError("no run has a metrics.jsonl with epochs, so there are no learning curves")
    figure = Figure(figsize=(10, 4), layout="constrained")
    loss, uar = figure.subplots(1, 2)
    what = "fold" if len({run.fold for run in runs}) > 1 else "seed"
    numbers = sorted({getattr(run, what) for run in runs})
    for place, (number, shade) in enumerate(zip(numbers, shades(len(numbers)))):
        own = [run for run in runs if getattr(run, what) == number]
        look = {"color": shade, "marker": MARKERS[place % len(MARKERS)]}
        _curve(loss, own, "train_loss", 1, linestyle="--", **look | {"marker": None})
        _curve(loss, own, "valid_loss", 1, linestyle="-", **look)
        dashes = DASHES[place % len(DASHES)]
        _curve(uar, own, "valid_uar", 100, linestyle=dashes, label=f"{what} {number}", **look)
    _legends(figure, loss, uar)
    last = max(run.epochs[-1]["epoch"] for run in runs)
    loss.set(xlabel="epoch", ylabel="loss")
    uar.set(xlabel="epoch", ylabel="validation UAR %")
    for axes in (loss, uar):
        axes.set_xlim(0.5, last + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
    set_title(figure, title)
    return figure


def _curve(axes, runs, key, scale, color, marker, linestyle, label=None):
    """The line of a group of runs, with `marker` at each run's best epoch."""
    curves = [
        {epoch["epoch"]: scale * epoch[key] for epoch in run.epochs if epoch.get(key) is not None} for run in runs
    ]
    by_epoch = {}
    for epoch, value in sorted(point for curve in curves for point in curve.items()):
        by_epoch.setdefault(epoch, []).append(value)
    mean = {epoch: statistics.fmean(values) for epoch, values in by_epoch.items() if 2 * len(values) >= len(runs)}
    # A single epoch is no line yet, so that only a marker shows it.
    dot = "." if len(mean) == 1 else None
    axes.plot(list(mean), list(mean.values()), color=color, linestyle=linestyle, linewidth=1.4, marker=dot)
    size = 5 if len(runs) == 1 else 3.5
    for run, curve in zip(runs, curves):
        if marker and run.best_epoch in curve:
            axes.plot(run.best_epoch, curve[run.best_epoch], marker, color=color, markersize=size)
    if label and any(curves):
        axes.plot([], [], color=color, linestyle=linestyle, marker=marker, markersize=5, label=label)


def _legends(figure, loss, uar):
    loss.plot([], [], "k--", linewidth=1.4, label="training")
    loss.plot([], [], "k-", linewidth=1.4, label="validation")
    loss.plot([], [], "ko", markersize=5, linestyle="none", label="best epoch")
    loss.legend(fontsize=SMALL)
    lines, labels = uar.get_legend_handles_labels()
    if lines:
        columns = 1 + (len(lines) - 1) // 16
        place = "outside right center"
        figure.legend(lines, labels, fontsize=SMALL, handlelength=4, loc=place, ncols=columns)
