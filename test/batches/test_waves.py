"""Features computed on the fly against the archives that sertk-compute-feats writes of the same recordings."""

import json
import math

import numpy as np
import pytest
import soundfile
import torch
from small_experiments import decode_run, train_run
from toy_corpus import CLASSES, SPEAKERS, write_splits

from sertk.batches.normalise import Normaliser
from sertk.batches.streams import Dataset, UtteranceSampler, WindowSampler, load_stream
from sertk.batches.waves import load_waves, locate_waves
from sertk.bin import compute_feats, make_experiment
from sertk.config.loading import load_parts
from sertk.config.schema import Normalise, Segment, Training
from sertk.core.errors import SertkError
from sertk.features.audio import audio_hash, read_data_dir
from sertk.kaldi.datadir import read_table, write_data_dir

CPU = torch.device("cpu")
WINDOW_STEPS = (Normalise("minmax", "window", (-1.0, 1.0)), Normalise("mulaw", "window"))
CONFIG = """features: [spectrogram400]
normalise: [{how: minmax, scope: window, range: [-1.0, 1.0]}, {how: mulaw, scope: window}]
segment: {frames: 20, train_hop: 10, decode_hop: 5, jitter: false, pad: zero}
model: {name: cnn_attpool, channels: [4]}
optimiser: {name: sgd, lr: 0.01}
training: {batch_size: 8, max_epochs: 2, select: last, precision: float32}
"""


@pytest.fixture
def corpus(tmp_path):
    """A data folder of short recordings, cut by segments, at two sampling rates; with spectrograms in archives."""
    random = np.random.default_rng(0)
    data = tmp_path / "data"
    tables = {"wav.scp": {}, "segments": {}, "utt2spk": {}, "labels/3": {}}
    for number, speaker in enumerate(SPEAKERS):
        rate = (16000, 22050)[number % 2]
        path = tmp_path / f"{speaker}.wav"
        soundfile.write(path, 0.1 * random.standard_normal(4 * rate), rate)
        tables["wav.scp"][f"rec-{speaker}"] = str(path)
        for place, label in enumerate(CLASSES):
            utterance = f"{speaker}-{label}"
            tables["segments"][utterance] = f"rec-{speaker} {place} {place + 0.15 + 0.2 * place:.2f}"
            tables["utt2spk"][utterance], tables["labels/3"][utterance] = speaker, label
    write_data_dir(data, tables)
    write_splits(data, tables["utt2spk"])
    (data / "feats").mkdir()
    assert 0 == compute_feats.main(
        [
            "--type",
            "spectrogram400",
            "--segments",
            str(data / "segments"),
            f"scp:{data}/wav.scp",
            f"ark,scp:{data}/feats/spectrogram400.ark,{data}/feats/spectrogram400.scp",
        ]
    )
    return data


def datasets(data, utterances, steps=()):
    """The same utterances from archives and on the fly."""
    streams = load_stream(data / "feats/spectrogram400.scp", utterances), load_waves("spectrogram400", data, utterances)
    return [
        Dataset(utterances, {"spectrogram400": stream}, {"spectrogram400": Normaliser(steps)}) for stream in streams
    ]


@pytest.mark.parametrize("pad", ["zero", "edge"])
def test_windows_are_those_of_the_archives(corpus, pad):
    utterances = ["s2-sad", "s1-angry", "s4-calm"]  # not in the recordings' order
    batches = []
    for dataset in datasets(corpus, utterances, WINDOW_STEPS):
        sampler = WindowSampler(dataset, Segment(frames=20, pad=pad), hop=7)
        batches.append(sampler.gather(sampler.all_windows(), CPU).streams["spectrogram400"])
    assert batches[0].values.shape[1:] == (20, 400) and len(batches[0].values) > 6
    torch.testing.assert_close(batches[1].values, batches[0].values, rtol=1e-4, atol=1e-5)


def test_whole_utterances_are_those_of_the_archives(corpus):
    utterances = ["s2-sad", "s1-angry", "s4-calm"]
    archived, computed = datasets(corpus, utterances)
    one, other = (UtteranceSampler(each).gather(torch.tensor([2, 0]), CPU) for each in (archived, computed))
    assert torch.equal(one.streams["spectrogram400"].lengths, other.streams["spectrogram400"].lengths)
    torch.testing.assert_close(
        other.streams["spectrogram400"].values, one.streams["spectrogram400"].values, rtol=1e-4, atol=1e-4
    )
    rows = computed.streams["spectrogram400"].rows(1)
    torch.testing.assert_close(rows, archived.streams["spectrogram400"].rows(1), rtol=1e-4, atol=1e-4)


def test_gains_are_drawn_for_each_utterance_and_multiply_its_waveform(corpus):
    archived, computed = datasets(corpus, ["s2-sad", "s1-angry", "s4-calm"])
    sampler = UtteranceSampler(computed)
    sampler.epoch_batches(torch.Generator().manual_seed(1), 0, Training(gain=(-3.0, 6.0)))
    items = torch.tensor([2, 0])
    plain, loud = (
        each.gather(items, CPU).streams["spectrogram400"].values for each in (UtteranceSampler(archived), sampler)
    )
    decibels = [20 * math.log10(float(other.sum() / one.sum())) for one, other in zip(plain, loud)]
    assert -3 <= min(decibels) < max(decibels) <= 6
    for one, other, level in zip(plain, loud, decibels):
        torch.testing.assert_close(other, one * 10 ** (level / 20), rtol=1e-4, atol=1e-4)
    rows = UtteranceSampler(datasets(corpus, ["s2-sad", "s1-angry", "s4-calm"])[1]).gather(items, CPU)
    torch.testing.assert_close(rows.streams["spectrogram400"].values, plain, rtol=1e-4, atol=1e-4)


def trained(corpus, exp, *settings):
    """The lines of metrics.jsonl and predictions.tsv of a run."""
    config = exp.with_suffix(".yaml")
    config.write_text(CONFIG)
    run = train_run(corpus, config, exp, *settings)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    table = (decode_run(run) / "predictions.tsv").read_text().splitlines()
    return lines, np.array([[float(value) for value in line.split("\t")[4:]] for line in table[1:]])


def test_training_and_decoding_on_the_fly_give_what_archives_give(corpus, tmp_path):
    lines, posteriors = trained(corpus, tmp_path / "archived")
    (corpus / "feats/spectrogram400.scp").unlink()
    other_lines, other_posteriors = trained(corpus, tmp_path / "computed", "on_the_fly=true")
    for line, other in zip(lines, other_lines, strict=True):
        assert other["train_loss"] == pytest.approx(line["train_loss"], rel=1e-4)
    assert np.ptp(posteriors, axis=1).min() > 1e-3
    np.testing.assert_allclose(other_posteriors, posteriors, atol=1e-3)


def test_archives_are_asked_for_unless_features_are_computed_on_the_fly(tmp_path, capsys):
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG)
    for settings, printed in (("", "tag \ndata feats/spectrogram400\n"), ("on_the_fly=true", "tag on_the_flytrue\n")):
        assert 0 == make_experiment.main(["--config", str(config), "--set", settings, "--plan"])
        assert capsys.readouterr().out == printed


def test_normalisation_over_more_than_windows_is_refused(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG)
    with pytest.raises(SertkError, match="on_the_fly is true, expected false, unless normalise has scope window alone"):
        load_parts(config, ["on_the_fly=true", "normalise=utterance"])
    config.write_text(
        "features: [spectrogram161]\nmodel: {name: deepspeech}\ntask: asr\ntraining: {select: valid_cer}\n"
    )
    assert load_parts(config, ["on_the_fly=true", "normalise=utterance"])["train"].on_the_fly
    for scope in ("global", "speaker"):
        with pytest.raises(SertkError, match="expected false, unless normalise has scope utterance alone"):
            load_parts(config, ["on_the_fly=true", f"normalise={scope}"])
    config.write_text("features: [spectrogram161]\nnormalise: []\nmodel: {name: class_gmms}\n")
    with pytest.raises(SertkError, match="on_the_fly is true, expected false, for class_gmms"):
        load_parts(config, ["on_the_fly=true"])


def test_a_type_that_needs_whole_recordings_is_refused(corpus):
    with pytest.raises(SertkError, match="mfcc_pitch cannot be computed on the fly"):
        load_waves("mfcc_pitch", corpus, ["s1-sad"])


def test_utterances_without_or_with_too_short_recordings_are_named(corpus):
    with pytest.raises(SertkError, match="segments: lacks 1 of 2 utterances: s9-sad; run fix_data_dir.sh"):
        load_waves("spectrogram400", corpus, ["s1-sad", "s9-sad"])
    segments = (corpus / "segments").read_text().replace("s1-angry rec-s1 0 0.15", "s1-angry rec-s1 0 0.03")
    (corpus / "segments").write_text(segments)
    with pytest.raises(SertkError, match="s1-angry: too short: 0.0300 s"):
        load_waves("spectrogram400", corpus, ["s1-sad", "s1-angry"])


@pytest.mark.parametrize("load", [load_waves, locate_waves])
def test_recordings_that_have_changed_since_stage_1(corpus, tmp_path, load):
    utterances = ["s1-angry", "s2-sad"]
    found = {utt: (samples, rate) for utt, samples, rate in read_data_dir(corpus)}
    hashes = {utt: audio_hash(*sound) for utt, sound in found.items()}
    durations = {utt: f"{len(samples) / rate:.4f}" for utt, (samples, rate) in found.items()}
    write_data_dir(corpus, {**corpus_tables(corpus), "utt2hash": hashes, "utt2dur": durations})

    def take():
        stream = load("spectrogram400", corpus, utterances)
        return [stream.take(torch.tensor([item]), torch.arange(3)[None], CPU) for item in (0, 1, 1)]

    assert take()[0].shape == (1, 3, 400)
    soundfile.write(tmp_path / "s2.wav", 0.1 * np.random.default_rng(7).standard_normal(4 * 22050), 22050)
    with pytest.raises(SertkError, match="^s2-sad: its recording has changed since stage 1; run stage 1 again$"):
        take()


def corpus_tables(corpus):
    return {name: read_table(corpus / name) for name in ("wav.scp", "segments", "utt2spk", "labels/3")}
