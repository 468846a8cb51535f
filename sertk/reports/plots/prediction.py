"""What a system makes of a recording, over time."""

from matplotlib.figure import Figure

from sertk.reports.plots.pictures import DASHES, SMALL, plain_texts, set_title, shades


@plain_texts
def prediction_figure(title, overview, result):
    """Waveform, log mel energies and posteriors, one below the other over seconds.

    `overview` is a predicting.overview.Overview, `result` a Result; a posterior is drawn at the middle of its window.
    """
    figure = Figure(figsize=(9, 7), layout="constrained")
    wave, picture, curves = figure.subplots(3, 1, sharex=True, height_ratios=(1, 2, 2))
    low, high = overview.envelope.T
    times = [(place + 0.5) * overview.seconds / len(low) for place in range(len(low))]
    wave.fill_between(times, low, high, color="0.3", linewidth=0.4)
    wave.set_ylabel("amplitude")
    bins = overview.log_mel.shape[1]
    picture.imshow(
        overview.log_mel.T,
        cmap="gray_r",
        origin="lower",
        aspect="auto",
        extent=(0, overview.seconds, 0, bins),
    )
    picture.set_ylabel("mel bin")
    middles = result.times.mean(1)
    for place, shade in enumerate(shades(len(result.classes))):
        if len(middles) == 1:
            level, where = [result.rows[0, place]] * 2, result.times[0]
        else:
            level, where = result.rows[:, place], middles
        curves.plot(where, level, color=shade, linestyle=DASHES[place % len(DASHES)], linewidth=1.4)
    curves.set(xlabel="time (s)", ylabel="posterior", ylim=(-0.02, 1.02), xlim=(0, overview.seconds))
    curves.grid(alpha=0.3)
    figure.legend(curves.lines, result.classes, fontsize=SMALL, handlelength=4, loc="outside right lower")
    set_title(figure, f"{title}\n{result.label} {max(result.posteriors.values()):.2f}")
    return figure
