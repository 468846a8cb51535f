"""Confusion matrices."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from sertk.reports.plots.pictures import SMALL, class_ticks, set_title


def confusion_figure(confusion: ArrayLike, labels: list[str], title: str) -> Figure:
    """A confusion matrix (classes, classes) of counts: each cell the row's share and the count."""
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
            fontsize=SMALL,
            color="white" if shares[row, column] > 60 else "black",
        )
    class_ticks(axes.xaxis, labels)
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="predicted", ylabel="reference")
    figure.colorbar(image, ax=axes, label="% of the reference class", shrink=0.8)
    set_title(figure, title)
    return figure
