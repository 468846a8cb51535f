"""Points in the plane, told apart by marker and shade."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from matplotlib.figure import Figure

from sertk.core.errors import SertkError
from sertk.reports.plots.embedding import Point
from sertk.reports.plots.pictures import MARKERS, SMALL, shades

MOST_GROUPS = 3 * len(MARKERS)


def group_points(points: Sequence[Point], by: Literal["label", "row"]) -> dict[str, np.ndarray]:
    """{group: indices of its points}, by `label` (sorted) or by `row` (`row 1` first).

    Raises SertkError for more groups than a picture can tell apart.
    """
    members = {}
    for index, point in enumerate(points):
        members.setdefault(getattr(point, by), []).append(index)
    if len(members) > MOST_GROUPS:
        raise SertkError(
            f"{len(members)} different {by}s, and a picture tells {MOST_GROUPS} apart; group by another table"
        )
    order = sorted(members) if by == "row" else sorted(members, key=str.encode)
    return {f"row {key}" if by == "row" else key: np.array(members[key]) for key in order}


def scatter_figure(coordinates: np.ndarray, panels: Sequence[str], groups: Mapping[str, np.ndarray]) -> Figure:
    """One panel per archive, all on the same axes and with one legend, as they were embedded together.

    `coordinates` (points, 2); `panels` (points,) are the names of the points' archives, in the order of the
    panels; `groups` {name: indices of points} get a marker and a shade each.
    """
    names = list(dict.fromkeys(panels))
    columns = min(3, len(names))
    rows = math.ceil(len(names) / columns)
    legend_columns = 1 + (len(groups) - 1) // 16
    ratio = np.clip(np.divide(*np.ptp(coordinates, axis=0)[::-1]), 0.5, 1.5)
    size = (1.5 * legend_columns + 4.2 * columns, (0.4 + 4.2 * ratio) * rows)
    figure = Figure(figsize=size, layout="constrained")
    cells = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    looks = list(zip(groups, shades(len(groups))))
    for axes, name in zip(cells, names):
        shown = np.asarray(panels) == name
        for number, (group, shade) in enumerate(looks):
            own = groups[group][shown[groups[group]]]
            axes.scatter(*coordinates[own].T, **_look(number, shade))
        axes.set_title(f"{name}: {shown.sum()} points", fontsize=10)
        axes.set(xticks=[], yticks=[], aspect="equal")
    for axes in cells[len(names) :]:
        axes.set_axis_off()
    handles = [cells[0].scatter([], [], **_look(number, shade)) for number, (_, shade) in enumerate(looks)]
    figure.legend(handles, list(groups), fontsize=SMALL, loc="outside right center", ncols=legend_columns)
    return figure


def _look(number, shade):
    return {
        "marker": MARKERS[number % len(MARKERS)],
        "color": [shade],
        "edgecolors": "black",
        "linewidths": 0.3,
        "s": 18,
    }
