"""What all pictures share: looks that can be told apart without colour, and their files."""

import textwrap
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text

from sertk.core.errors import UsageError
from sertk.core.files import PathLike, write_aside
from sertk.reports.plots.fonts import choose_fonts, spelled_out

# No program versions or dates: the same results give the same bytes.
METADATA = {
    ".png": {"Software": None},
    ".svg": {"Creator": None, "Date": None},
    ".pdf": {"CreationDate": None, "Producer": None, "Creator": None},
}
STABLE_IDS: dict[Any, str] = {"svg.hashsalt": "sertk"}

MARKERS = "osD^vP*X<>"
DASHES = ["-", "--", "-.", ":", (0, (9, 2)), (0, (6, 2, 1, 2, 1, 2)), (0, (3, 3)), (0, (1, 4)), (0, (12, 6))]
SMALL = 8  # points, the font of legends
TICK_WIDTH = 1.8  # inches of a line of the label of a tick
FLOOR = 70.0  # dB below the largest magnitude, where a picture of magnitudes ends


def shades(count: int) -> list[tuple[float, float, float, float]]:
    """`count` colours from dark to light, so that they differ in grey too."""
    return [matplotlib.colormaps["viridis"](0.9 * number / max(1, count - 1)) for number in range(count)]


def fitted(text: str, width: float, font_size: float) -> str:
    """The text with its lines broken so that each fits into `width` inches at `font_size` points."""
    columns = int(72 * width / (0.62 * font_size))
    # Wide letters, as those of Chinese, count as two.
    spaced = "".join(each + "\0" * (unicodedata.east_asian_width(each) in "WF") for each in text)
    return "\n".join(textwrap.fill(line, columns).replace("\0", "") for line in spaced.splitlines())


def set_title(figure: Figure, title: str) -> None:
    figure.suptitle(fitted(title, figure.get_figwidth(), 10), fontsize=10)


def class_ticks(axis: Axis, labels: Sequence[str]) -> None:
    """Class names along a horizontal axis, slanted so that long ones do not meet."""
    axis.set_ticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor")


def draw_wave(axes: Axes, samples: np.ndarray, rate: int) -> None:
    """A waveform (samples,) at `rate` Hz over seconds."""
    axes.plot(np.arange(len(samples)) / rate, samples, color="0.3", linewidth=0.4)
    axes.set_ylabel("amplitude")


def decibels(magnitudes: np.ndarray) -> np.ndarray:
    """Magnitudes in dB of the largest one, none below -FLOOR."""
    levels = 20 * np.log10(np.maximum(magnitudes, 1e-10))
    return np.maximum(levels - levels.max(), -FLOOR)


def check_pictures(paths: Sequence[PathLike]) -> None:
    """Raises UsageError for a file name that is of no known picture format."""
    for path in paths:
        if Path(path).suffix.lower() not in METADATA:
            raise UsageError(f"{path}: a picture is written as {', '.join(METADATA)}")


def lay_out(figure: Figure, fonts_of_readers: bool = False) -> None:
    """Fixes the layout of a figure whose texts show as they are, $ being a $ and the beginning of no formula.

    They are in fonts that have their letters. What no font has, or with `fonts_of_readers` what is no letter in any,
    is shown as code points.
    """
    axes_of_all = [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    ticks = {axis: [label.get_text() for label in axis.get_ticklabels()] for axis in axes_of_all}  # made here
    texts = figure.findobj(Text)
    characters = {character for text in texts for character in text.get_text()} - {"\n"}
    families, missing = choose_fonts(characters)
    if fonts_of_readers:
        missing = {character for character in characters if unicodedata.category(character) in ("Cc", "Cn", "Cs")}
    for text in texts:
        text.set(text=spelled_out(text.get_text(), missing), family=families, parse_math=False)
    for axis, labels in ticks.items():
        shown = [fitted(spelled_out(label, missing), TICK_WIDTH, 10) for label in labels]
        if shown != labels:  # an axis sets its labels again when it is drawn
            axis.set_ticks(axis.get_ticklocs(), shown)
    if title := figure.get_suptitle():
        set_title(figure, title)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def save_figure(figure: Figure, paths: Sequence[PathLike]) -> None:
    """Writes a figure to each of `paths`, in the format its suffix says, all with the same layout."""
    check_pictures(paths)
    lay_out(figure)
    for path in paths:
        suffix = Path(path).suffix.lower()
        with write_aside(path, "wb") as handle, matplotlib.rc_context(STABLE_IDS):
            figure.savefig(handle, format=suffix[1:], dpi=150, metadata=METADATA[suffix])
