"""Attention maps of utterances against the network's own maps, window by window, and their picture."""

import numpy as np
import pytest
import torch
from small_experiments import decode_run, train_run
from toy_corpus import CLASSES, write_splits

from sertk.bin import plot
from sertk.inference.attention import attention_maps
from sertk.inference.trained import TrainedModel
from sertk.kaldi.archives import MatrixWriter
from sertk.kaldi.datadir import write_data_dir
from sertk.models.base import Batch, Padded
from sertk.reports.plots.attention import attention_figure

CPU = torch.device("cpu")
FRAMES = {"sad": 12, "calm": 20, "angry": 33}  # below a window, a window, several
CONFIG = """features: [spectrogram400]
normalise: [{how: minmax, scope: window, range: [-1.0, 1.0]}]
segment: {frames: 20, train_hop: 10, decode_hop: 8, jitter: false, pad: zero}
model: {name: NAME, channels: [4, 6]}
training: {max_epochs: 1, select: last, precision: float32}
"""


def train_cnn(folder, name, *settings):
    random = np.random.default_rng(0)
    data = folder / "data"
    speakers = {f"s{number}-{label}": f"s{number}" for number in range(1, 5) for label in CLASSES}
    write_data_dir(data, {"utt2spk": speakers, "labels/3": {each: each.split("-")[1] for each in speakers}})
    with MatrixWriter(f"ark,scp:{data}/feats/spectrogram400.ark,{data}/feats/spectrogram400.scp") as writer:
        for utterance in speakers:
            frames = FRAMES[utterance.split("-")[1]]
            writer.write(utterance, random.uniform(0, 9, size=(frames, 400)).astype(np.float32))
    write_splits(data, speakers)
    (folder / "config.yaml").write_text(CONFIG.replace("NAME", name))
    return data, train_run(data, folder / "config.yaml", folder / name, *settings)


@pytest.fixture(scope="module")
def trained_run(tmp_path_factory):
    """The data folder and the run folder of a tiny cnn_attpool."""
    return train_cnn(tmp_path_factory.mktemp("attention"), "cnn_attpool")


def maps_by_hand(trained, spectrogram, places, label):
    """Every frame and bin by itself: the mean, over the windows there, of the cell it lies in."""
    sums, counts = np.zeros((2, *spectrogram.shape)), np.zeros(spectrogram.shape)
    for place in places:
        window = np.zeros((20, 400), np.float32)
        inside = spectrogram[place : place + 20]
        window[: len(inside)] = inside
        low, high = window.min(), window.max()
        values = torch.from_numpy((window - low) / (high - low) * 2 - 1)[None]
        with torch.inference_mode():
            batch = Batch(torch.arange(1), {"spectrogram400": Padded(values, torch.tensor([20]))})
            maps = trained.model.attention.maps(trained.model.maps(batch))
        own = maps[0][0, label].numpy(), maps[1][0, 0].numpy()
        for frame in range(place, min(place + 20, len(spectrogram))):
            for bin_ in range(400):
                row, column = min(bin_ // 4, own[0].shape[0] - 1), min((frame - place) // 4, own[0].shape[1] - 1)
                sums[0, frame, bin_] += own[0][row, column]
                sums[1, frame, bin_] += own[1][row, column]
                counts[frame, bin_] += 1
    return sums / counts


@pytest.mark.parametrize("label, places", [("sad", [0]), ("calm", [0]), ("angry", [0, 8, 13])])
def test_maps_are_the_mean_over_the_windows(trained_run, label, places):
    data, run_dir = trained_run
    trained = TrainedModel(run_dir, CPU)
    maps = attention_maps(trained, data, f"s4-{label}", "calm")
    assert maps.spectrogram.shape == maps.top_down.shape == maps.bottom_up.shape == (FRAMES[label], 400)
    top_down, bottom_up = maps_by_hand(trained, maps.spectrogram, places, CLASSES.index("calm"))
    np.testing.assert_allclose(maps.top_down, top_down, atol=1e-5)
    np.testing.assert_allclose(maps.bottom_up, bottom_up, atol=1e-6)
    assert np.ptp(maps.top_down) > 1e-3 and sum(maps.posteriors.values()) == pytest.approx(1)


def test_the_picture_has_seconds_and_hertz(trained_run, tmp_path):
    data, run_dir = trained_run
    picture = tmp_path / "maps.svg"
    options = ["--data", str(data), "--utt", "s4-angry", "--device", "cpu", "--out", str(picture), str(run_dir)]
    assert plot.main(["attention", *options]) == 0
    assert picture.read_text().count("<image") >= 5
    maps = attention_maps(TrainedModel(run_dir, CPU), data, "s4-angry")
    assert maps.label == max(maps.posteriors, key=maps.posteriors.get)
    panels = attention_figure(maps, frame_seconds=0.01, bin_hertz=10.0).axes[:3]
    assert panels[0].get_xlim() == (0, pytest.approx(0.33)) and panels[0].get_ylim() == (0, 4000)
    assert [len(panel.images) for panel in panels] == [1, 2, 2]
    assert panels[2].get_xlabel() == "time (s)" and panels[0].get_ylabel() == "frequency (Hz)"


def test_speakers_are_normalised_as_in_decoding(tmp_path):
    data, run_dir = train_cnn(tmp_path, "cnn_attpool", "normalise=speaker", "training.max_epochs=2")
    for line in (decode_run(run_dir) / "predictions.tsv").read_text().splitlines()[1:]:
        utterance, _, _, predicted, *posteriors = line.split("\t")
        maps = attention_maps(TrainedModel(run_dir, CPU), data, utterance)
        assert maps.label == predicted
        assert list(maps.posteriors.values()) == pytest.approx([float(value) for value in posteriors], abs=1e-5)


@pytest.mark.parametrize(
    "options, message",
    [
        (["--utt", "s9-sad"], "utt2spk: no utterance s9-sad"),
        (["--utt", "s4-sad", "--label", "bored"], "no class bored: the model was trained for angry, calm, sad"),
    ],
)
def test_wrong_names_are_one_line(trained_run, tmp_path, capsys, options, message):
    data, run_dir = trained_run
    picture = tmp_path / "maps.png"
    assert (
        plot.main(["attention", "--data", str(data), *options, "--device", "cpu", "--out", str(picture), str(run_dir)])
        == 1
    )
    assert message in capsys.readouterr().err and not picture.exists()


def test_models_without_attention_are_refused(tmp_path, capsys):
    data, run_dir = train_cnn(tmp_path, "cnn_gap")
    options = ["--data", str(data), "--utt", "s4-sad", "--device", "cpu", "--out", str(tmp_path / "maps.png")]
    assert plot.main(["attention", *options, str(run_dir)]) == 1
    assert "cnn_gap has no attention maps" in capsys.readouterr().err
