"""A unit of a speech recogniser's layer beside what it hears (Lakomkin et al. 2017, Fig. 6)."""

from matplotlib.figure import Figure

from sertk.inference.neurons import Heard
from sertk.reports.plots.pictures import draw_wave, set_title


def neuron_figure(heard: Heard, unit: int, correlation: float, frames: int) -> Figure:
    """Activation of a unit, from 1, waveform and loudness, one below the other over seconds.

    `correlation` is the unit's with the loudness over so many `frames`.
    """
    figure = Figure(figsize=(9, 6), layout="constrained")
    activation, wave, loudness = figure.subplots(3, 1, sharex=True)
    for axes, values, name in (
        (activation, heard.activations[:, unit - 1], "activation"),
        (loudness, heard.loudness, "loudness (dB)"),
    ):
        axes.plot(heard.times, values, color="black", linewidth=1.2, marker="." if len(values) == 1 else None)
        axes.set_ylabel(name)
        axes.grid(alpha=0.3)
    draw_wave(wave, heard.samples, heard.rate)
    loudness.set(xlabel="time (s)", xlim=(0, len(heard.samples) / heard.rate))
    figure.align_ylabels()
    what = f"unit {unit}: correlation with loudness {correlation:.2f} over {frames} frames"
    set_title(figure, f"{heard.utterance}\n{what}")
    return figure
