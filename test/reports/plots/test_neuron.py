"""Units that follow loudness: correlations against NumPy's, the alignment by hand, and the picture."""

import logging

import numpy as np
import pytest
import soundfile
from test_plots import check_layout, check_picture, draw

from sertk.features.registry import load_extractor
from sertk.inference.neurons import Correlation, Heard, frame_loudness
from sertk.kaldi.archives import MatrixWriter
from sertk.kaldi.datadir import write_data_dir
from sertk.models.deepspeech import output_lengths
from sertk.reports.plots.neuron import neuron_figure

RATE, UNITS, PLANTED = 16000, 5, 2
SECONDS = {"u1": 1.3, "u2": 0.6, "u3": 0.25, "u4": 2.0}  # the third one is too short for a frame


def test_correlation_of_parts_is_that_of_the_whole():
    random = np.random.default_rng(0)
    values = random.normal(size=(500, 6)).astype(np.float32)
    values[:, 1] += 1000 - 0.5 * values[:, 5]  # a mean far above what varies
    values[:, 2] = 0.1
    values[:, 3] = -3 * values[:, 5]
    correlation = Correlation()
    for part in np.split(values, [1, 2, 40, 333]):
        correlation.add(part)
    found = correlation.values()
    assert correlation.rows == 500 and found[2] == 0  # of what never changes
    expected = np.corrcoef(values[:, [0, 1, 3, 4, 5]].T.astype(np.float64))[-1, :-1]
    np.testing.assert_allclose(found[[0, 1, 3, 4]], expected, atol=1e-12)
    assert found[3] == pytest.approx(-1)


def decibels(samples, window):
    """The loudness of 20 ms from so many times 10 ms on, sample by sample."""
    total = sum(float(sample) ** 2 for sample in samples[160 * window : 160 * window + 320])
    return 10 * np.log10(max(total / 320, 1e-10))


def test_loudness_by_hand():
    samples = np.random.default_rng(0).uniform(-1, 1, 1000).astype(np.float32)
    samples[320:680] = 0
    levels = frame_loudness(samples, load_extractor("spectrogram161"))
    np.testing.assert_allclose(levels, [decibels(samples, window) for window in range(5)])
    assert levels[2] == -100 and levels[0] == pytest.approx(10 * np.log10(1 / 3), abs=1)


@pytest.fixture
def layer(tmp_path):
    """A data folder with `layer.scp`, in which a unit falls with loudness, and the correlations of all."""
    random = np.random.default_rng(0)
    write_data_dir(
        tmp_path, {"utt2spk": dict.fromkeys(SECONDS, "s"), "wav.scp": {utt: f"{tmp_path}/{utt}.wav" for utt in SECONDS}}
    )
    pairs = []
    with MatrixWriter(f"ark,scp:{tmp_path}/layer.ark,{tmp_path}/layer.scp") as writer:
        for utterance, seconds in sorted(SECONDS.items(), reverse=True):  # not in the order of the recordings
            times = np.arange(int(seconds * RATE)) / RATE
            samples = np.exp(2 * np.sin(11 * times)) * random.uniform(-0.1, 0.1, len(times))
            soundfile.write(tmp_path / f"{utterance}.wav", samples, RATE, subtype="FLOAT")
            windows = (len(samples) - 320) // 160 + 1
            matrix = random.normal(size=(output_lengths(max(windows, 31)), UNITS))
            if windows >= 31:
                levels = np.array([decibels(samples, 2 * frame + 15) for frame in range(len(matrix))])
                matrix[:, PLANTED] -= 0.3 * levels
                pairs.append(np.column_stack([matrix, levels]))
            writer.write(utterance, matrix.astype(np.float32))
    return tmp_path, np.corrcoef(np.concatenate(pairs).T)[-1, :-1]


def neuron(folder, *options):
    return draw("neuron", "--data", folder, f"--out={folder}/n.png", *options)


def test_the_planted_unit_is_found_and_drawn(layer, caplog):
    caplog.set_level(logging.INFO)
    folder, expected = layer
    outs = [f"--out={folder}/n.svg", "--utt=u1"]
    assert neuron(folder, *outs, f"scp:{folder}/layer.scp") == 0
    for suffix in (".png", ".svg"):
        check_picture(folder / f"n{suffix}")
    assert "1 of 4 utterances are too short" in caplog.text
    header, *lines = (folder / "n.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines]
    order = np.argsort(-abs(expected))
    assert header == "unit\tcorrelation" and [int(unit) for unit, _ in rows] == [unit + 1 for unit in order]
    np.testing.assert_allclose([float(value) for _, value in rows], expected[order], atol=1e-5)
    assert order[0] == PLANTED and expected[PLANTED] < -0.8
    svg = (folder / "n.svg").read_bytes()
    assert neuron(folder, *outs, f"--unit={PLANTED + 1}", f"scp:{folder}/layer.scp") == 0
    assert (folder / "n.svg").read_bytes() == svg


def test_the_picture_shows_the_unit_over_the_recording():
    random = np.random.default_rng(0)
    times = np.arange(9) * 0.02 + 0.16
    samples, activations, levels = (random.normal(size=shape) for shape in (8000, (9, 4), 9))
    heard = Heard("u1", samples, RATE, activations, levels, times)
    figure = neuron_figure(heard, 3, -0.5, 1234)
    activation, wave, loudness = figure.axes
    for axes, values in ((activation, heard.activations[:, 2]), (loudness, heard.loudness)):
        np.testing.assert_array_equal(axes.lines[0].get_xydata(), np.column_stack([times, values]))
    np.testing.assert_array_equal(wave.lines[0].get_ydata(), heard.samples)
    assert loudness.get_xlim() == (0, 0.5)
    assert figure._suptitle.get_text() == "u1\nunit 3: correlation with loudness -0.50 over 1234 frames"
    check_layout(figure)


@pytest.mark.parametrize(
    "options, status, message",
    [
        (["--utt=u1", "ark:layer.ark"], 2, "expected a table, scp:FILE"),
        (["--utt=x1", "scp:layer.scp"], 1, "layer.scp: no utterance x1"),
        (["--utt=u3", "scp:layer.scp"], 1, "u3: too short for a frame of the network"),
        (["--utt=u1", "--unit=6", "scp:layer.scp"], 1, "--unit 6: the layer has the units 1 to 5"),
        (["--utt=u1", "--feats_config=fbank.yaml", "scp:layer.scp"], 1, "fbank.yaml is no spectrogram"),
        (["--utt=u1", "scp:other.scp"], 1, "has 37 rows, a speech recogniser's layer 50 for the 129 windows"),
        (["--utt=u1", "scp:more.scp"], 1, "wav.scp: lacks 1 of 5 utterances: u9; run fix_data_dir.sh"),
    ],
)
def test_what_is_wrong_is_said(layer, capsys, monkeypatch, options, status, message):
    folder, _ = layer
    monkeypatch.chdir(folder)
    (folder / "fbank.yaml").write_text("extractor: fbank\n")
    with MatrixWriter("ark,scp:other.ark,other.scp") as writer:
        writer.write("u1", np.ones((37, UNITS)))
    table = (folder / "layer.scp").read_text()
    (folder / "more.scp").write_text(table + table.splitlines()[0].replace("u4 ", "u9 ") + "\n")
    assert neuron(folder, *options) == status
    assert message in capsys.readouterr().err
    assert not (folder / "n.png").exists() and not (folder / "n.tsv").exists()


def test_silence_has_no_correlation(layer, capsys):
    folder, _ = layer
    for utterance, seconds in SECONDS.items():
        soundfile.write(folder / f"{utterance}.wav", np.zeros(int(seconds * RATE)), RATE)
    assert neuron(folder, "--utt=u1", f"scp:{folder}/layer.scp") == 1
    assert "everything is equally loud" in capsys.readouterr().err
