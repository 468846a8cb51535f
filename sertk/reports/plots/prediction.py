"""What a system makes of a recording, over time."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from sertk.reports.plots.pictures import DASHES, SMALL, set_title, shades


@dataclass(frozen=True)
class Overview:
    """Lowest and highest sample (columns, 2) and mean log mel energies (columns, bins), both over `seconds`."""

    seconds: float
    envelope: np.ndarray
    log_mel: np.ndarray


def prediction_figure(
    title: str, overview: Overview, classes: list[str], times: np.ndarray, posteriors: np.ndarray
) -> Figure:
    """Waveform, log mel energies and posteriors, one below the other over seconds.

    `times` (windows, 2) are in seconds, and `posteriors` are (windows, classes), each drawn at its window's middle.
    """
    figure = Figure(figsize=(9, 7), layout="constrained")
    wave, picture, curves = figure.subplots(3, 1, sharex=True, height_ratios=(1, 2, 2))
    low, high = overview.envelope.T
    columns = [(place + 0.5) * overview.seconds / len(low) for place in range(len(low))]
    wave.fill_between(columns, low, high, color="0.3", linewidth=0.4)
    wave.set_ylabel("amplitude")
    bins = overview.log_mel.shape[1]
    picture.imshow(
        overview.log_mel.T, cmap="gray_r", origin="lower", aspect="auto", extent=(0, overview.seconds, 0, bins)
    )
    picture.set_ylabel("mel bin")
    middles = times.mean(1)
    for place, shade in enumerate(shades(len(classes))):
        if len(middles) == 1:
            level, where = posteriors[[0, 0], place], times[0]
        else:
            level, where = posteriors[:, place], middles
        curves.plot(where, level, color=shade, linestyle=DASHES[place % len(DASHES)], linewidth=1.4)
    curves.set(xlabel="time (s)", ylabel="posterior", ylim=(-0.02, 1.02), xlim=(0, overview.seconds))
    curves.grid(alpha=0.3)
    figure.legend(curves.lines, classes, fontsize=SMALL, handlelength=4, loc="outside right lower")
    means = posteriors.mean(0)
    set_title(figure, f"{title}\n{classes[int(means.argmax())]} {means.max():.2f}")
    return figure
