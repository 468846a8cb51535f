"""Pictures of results: confusion matrices and learning curves, readable without colour."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sertk.errors import SertkError, UsageError
from sertk.files import write_aside

# No program versions or dates: the same results give the same bytes.
METADATA = {".png": {"Software": None}, ".pdf": {"CreationDate": None, "Producer": None, "Creator": None}}


def plot_confusion(confusion, labels, title, path):
    """Writes a confusion matrix (classes, classes) of counts: each cell the row's share and the count."""
    confusion = np.asarray(confusion)
    totals = confusion.sum(1, keepdims=True)
    shares = np.divide(100 * confusion, totals, out=np.zeros(confusion.shape), where=totals > 0)
    side = max(4.0, 0.72 * len(labels) + 1.6)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Greys", vmin=0, vmax=100)
    for row, column in np.ndindex(confusion.shape):
        axes.text(
            column,
            row,
            f"{shares[row, column]:.1f}\n{confusion[row, column]}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if shares[row, column] > 60 else "black",
        )
    ticks = range(len(labels))
    axes.set_xticks(ticks, labels, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, labels)
    axes.set(xlabel="predicted", ylabel="reference")
    figure.suptitle(title, fontsize=10)
    figure.colorbar(image, ax=axes, label="% of the reference class", shrink=0.8)
    _save(figure, path)


def plot_curves(runs, title, path):
    """Writes loss and validation UAR by epoch, one line each for every run that has epochs.

    Raises SertkError where none has.
    """
    runs = [run for run in runs if run.epochs]
    if not runs:
        raise SertkError("no run has a metrics.jsonl with epochs, so there are no learning curves")
    figure = Figure(figsize=(10, 4), layout="constrained")
    loss, uar = figure.subplots(1, 2)
    folds = sorted({run.fold for run in runs})
    styles = ["-", "--", "-.", ":"]
    for run in runs:
        number = folds.index(run.fold)
        shade = matplotlib.colormaps["viridis"](0.85 * number / max(1, len(folds) - 1))
        look = {"color": shade, "linewidth": 1}
        _curve(loss, run, "train_loss", 1, {**look, "linestyle": "--"})
        _curve(loss, run, "valid_loss", 1, {**look, "linestyle": "-"})
        look["linestyle"] = styles[number % len(styles)]
        first_of_fold = run is next(other for other in runs if other.fold == run.fold)
        _curve(uar, run, "valid_uar", 100, look, f"fold {run.fold}" if first_of_fold else None)
    loss.plot([], [], "k--", linewidth=1, label="training")
    loss.plot([], [], "k-", linewidth=1, label="validation")
    loss.plot([], [], "ko", markersize=4, linestyle="none", label="best epoch")
    loss.legend(fontsize=8)
    last = max(run.epochs[-1]["epoch"] for run in runs)
    loss.set(xlabel="epoch", ylabel="loss")
    uar.set(xlabel="epoch", ylabel="validation UAR %")
    for axes in (loss, uar):
        axes.set_xlim(0.5, last + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
    if uar.lines:
        figure.legend(
            *uar.get_legend_handles_labels(),
            fontsize=8,
            loc="outside right upper",
            ncols=1 + len(folds) // 16,
        )
    figure.suptitle(title, fontsize=10)
    _save(figure, path)


def _curve(axes, run, key, scale, look, label=None):
    points = [(epoch["epoch"], scale * epoch[key]) for epoch in run.epochs if epoch.get(key) is not None]
    if not points:
        return
    axes.plot(*zip(*points), marker="." if len(points) == 1 else None, label=label, **look)
    best = [point for point in points if point[0] == run.best_epoch]
    if key.startswith("valid") and best:
        axes.plot(*best[0], "o", color=look["color"], markersize=4)


def _save(figure, path):
    suffix = Path(path).suffix.lower()
    if suffix not in METADATA:
        raise UsageError(f"{path}: a plot is written as {' or '.join(METADATA)}")
    with write_aside(path, "wb") as handle:
        figure.savefig(handle, format=suffix[1:], dpi=150, metadata=METADATA[suffix])
