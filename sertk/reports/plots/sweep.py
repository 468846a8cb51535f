"""How results change with a number of the config."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.reports.plots.pictures import DASHES, MARKERS, SMALL, set_title, shades

WIDE = 8  # numbers that span more than this factor are on a logarithmic axis, beside which 0 has its place


def swept_number(config: dict[str, Any], key: str, path: PathLike) -> float:
    """The number, or that of a list of one, at a dotted `key` of a config; `path` is named in errors.

    Raises SertkError where the config lacks the key or has something else there.
    """
    value = config
    for name in key.split("."):
        if not isinstance(value, dict) or name not in value:
            known = f" (there are: {', '.join(map(str, value))})" if isinstance(value, dict) else ""
            raise SertkError(f"{path}: no key {key}{known}")
        value = value[name]
    number = value[0] if isinstance(value, list) and len(value) == 1 else value
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
        raise SertkError(f"{path}: {key} is {value!r}, expected a number or a list of one")
    return number


def sweep_figure(
    numbers: Sequence[float], lines: Sequence[tuple[str, Sequence[float | None]]], key: str, title: str
) -> Figure:
    """Lines over ascending `numbers`, the values of `key`.

    `lines` are pairs of a name and scores (numbers,) in 0..1, None where there is no score: a metric, which
    stands out, and the recall of each class.
    """
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    looks = [{"color": "black", "linewidth": 2.4}]
    looks += [{"color": shade, "linewidth": 1.2} for shade in shades(len(lines) - 1)]
    for number, ((name, scores), look) in enumerate(zip(lines, looks)):
        style = {"marker": MARKERS[number % len(MARKERS)], "linestyle": DASHES[number % len(DASHES)]}
        axes.plot(numbers, 100 * np.asarray(scores, dtype=float), label=name, markersize=5, **style, **look)
    least = next((number for number in numbers if number > 0), math.inf)
    if numbers[0] >= 0 and numbers[-1] > WIDE * least:
        axes.set_xscale("symlog", base=2, linthresh=least)
    axes.set_xticks(numbers, [f"{number:g}" for number in numbers])
    axes.set_xticks([], minor=True)
    axes.set(xlabel=key, ylabel=f"{lines[0][0]} and recall of each class %", ylim=(-2, 102))
    axes.grid(alpha=0.3)
    figure.legend(axes.lines, [name for name, _ in lines], fontsize=SMALL, handlelength=4, loc="outside right center")
    set_title(figure, title)
    return figure
