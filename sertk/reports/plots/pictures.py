"""What all pictures share: looks that can be told apart without colour, and their files."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from sertk.core.errors import UsageError
from sertk.core.files import PathLike, write_aside

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
FLOOR = 70.0  # dB below the largest magnitude, where a picture of magnitudes ends

# Decorates whatever draws a figure: $ in a name is a $, and begins no formula.
plain_texts = matplotlib.rc_context({"text.parse_math": False})


def shades(count: int) -> list[tuple[float, float, float, float]]:
    """`count` colours from dark to light, so that they differ in grey too."""
    return [matplotlib.colormaps["viridis"](0.9 * number / max(1, count - 1)) for number in range(count)]


def fitted(text: str, width: float, font_size: float) -> str:
    """The text with its lines broken so that each fits into `width` inches at `font_size` points."""
    columns = int(72 * width / (0.62 * font_size))
    return "\n".join(textwrap.fill(line, columns) for line in text.splitlines())


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


def save_figure(figure: Figure, paths: Sequence[PathLike]) -> None:
    """Writes a figure to each of `paths`, in the format its suffix says, all with the same layout."""
    check_pictures(paths)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for path in paths:
        suffix = Path(path).suffix.lower()
        with write_aside(path, "wb") as handle, matplotlib.rc_context(STABLE_IDS):
            figure.savefig(handle, format=suffix[1:], dpi=150, metadata=METADATA[suffix])
