"""Attention maps over the spectrogram of an utterance."""

import numpy as np
from matplotlib.figure import Figure

from sertk.inference.attention import AttentionMaps
from sertk.reports.plots.pictures import SMALL, decibels, set_title


def attention_figure(maps: AttentionMaps, frame_seconds: float, bin_hertz: float) -> Figure:
    """AttentionMaps as three panels: the spectrogram, and the top-down and bottom-up map laid over it.

    `frame_seconds` is the time between frames, `bin_hertz` the distance of bins.
    """
    frames, bins = maps.spectrogram.shape
    extent = (0, frames * frame_seconds, 0, bins * bin_hertz)
    levels = decibels(maps.spectrogram).T
    figure = Figure(figsize=(9, 8), layout="constrained")
    panels = figure.subplots(3, 1, sharex=True, sharey=True)
    look = {"extent": extent, "origin": "lower", "aspect": "auto", "interpolation": "nearest"}
    limit = max(float(np.abs(maps.top_down).max()), 1e-12)
    shown = (
        ("spectrogram", "dB", None, {}),
        (f"top-down: {maps.label}", "score", maps.top_down, {"cmap": "PuOr_r", "vmin": -limit, "vmax": limit}),
        ("bottom-up", "weight", maps.bottom_up, {"cmap": "viridis"}),
    )
    for axes, (name, unit, values, colours) in zip(panels, shown):
        picture = axes.imshow(levels, cmap="gray_r", **look)
        if values is not None:
            picture = axes.imshow(values.T, alpha=0.6, **colours, **look)
        figure.colorbar(picture, ax=axes, label=unit)
        axes.set_title(name, fontsize=SMALL, loc="left")
        axes.set_ylabel("frequency (Hz)")
    panels[-1].set_xlabel("time (s)")
    set_title(
        figure, f"{maps.utterance}\n" + ", ".join(f"{name} {value:.2f}" for name, value in maps.posteriors.items())
    )
    return figure
