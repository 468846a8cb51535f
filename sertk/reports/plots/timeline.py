"""Emotion over time: a recording and what a system makes of each of its frames."""

import math

import numpy as np
from matplotlib.figure import Figure

from sertk.features.spectrogram import Spectrogram
from sertk.inference.timeline import Timeline
from sertk.reports.plots.pictures import DASHES, SMALL, decibels, draw_wave, set_title, shades


def analyser(rate: int) -> Spectrogram:
    """The Spectrogram that is drawn: 25 ms windows each 10 ms, up to 8 kHz."""
    points = 2 ** math.ceil(math.log2(0.025 * rate))
    return Spectrogram(float(rate), frame_length=25.0, fft_size=points, bins=round(min(8000, rate / 2) * points / rate))


def timeline_figure(timeline: Timeline) -> Figure:
    """Waveform, spectrogram and posteriors of a Timeline, one below the other over seconds."""
    figure = Figure(figsize=(9, 7), layout="constrained")
    wave, picture, curves = figure.subplots(3, 1, sharex=True, height_ratios=(1, 2, 2))
    duration = len(timeline.samples) / timeline.rate
    draw_wave(wave, timeline.samples, timeline.rate)
    analysis = analyser(timeline.rate)
    spectrum = analysis(timeline.samples.astype(np.float32))
    extent = (0, len(spectrum) * analysis.shift / timeline.rate, 0, analysis.bins * analysis.bin_hertz)
    picture.imshow(decibels(spectrum).T, cmap="gray_r", origin="lower", aspect="auto", extent=extent)
    picture.set_ylabel("frequency (Hz)")
    times = (np.arange(len(timeline.posteriors)) + 0.5) * timeline.shift
    for place, (column, shade) in enumerate(zip(timeline.posteriors.T, shades(len(timeline.classes)))):
        curves.plot(times, column, color=shade, linestyle=DASHES[place % len(DASHES)], linewidth=1.4)
    curves.set(xlabel="time (s)", ylabel="posterior", ylim=(-0.02, 1.02), xlim=(0, duration))
    curves.grid(alpha=0.3)
    figure.legend(curves.lines, timeline.classes, fontsize=SMALL, handlelength=4, loc="outside right lower")
    set_title(figure, timeline.title)
    return figure
