"""Posteriors of frames: what decoding writes of them, what scoring makes of it, and their picture."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import yaml
from decoded_experiments import CLASSES, make_experiment
from small_experiments import decode_run, status_of_training, train_run

from sertk.bin import plot
from sertk.core.errors import SertkError
from sertk.inference.timeline import read_timeline
from sertk.kaldi.archives import MatrixWriter, open_matrices
from sertk.kaldi.datadir import read_table, write_data_dir, write_table
from sertk.reports.plots.timeline import analyser
from sertk.reports.writing import write_results

CONFIG = """features: [toy]
normalise: [{how: minmax, scope: utterance}]
numbers: utt2num_phones
model: {name: blstm_ctc, lstm_units: 4, attention: component, scope: 3}
training: {batch_size: 4, max_epochs: 1, precision: float32}
"""


def collapsed(path, blank):
    """Runs to one label each, then without blanks."""
    return [label for label, _ in itertools.groupby(path) if label != blank]


def test_decoding_writes_posteriors_of_frames_and_the_labels_on_their_best_path(small_corpus, tmp_path):
    numbers = {utterance: "2" for utterance in read_table(small_corpus / "utt2spk")}
    write_table(small_corpus / "utt2num_phones", numbers)
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG)
    listed = small_corpus / "splits/toy/fold1/test"
    listed.write_text("\n".join(reversed(listed.read_text().split())) + "\n")  # a list need not be sorted
    run_dir = train_run(small_corpus, config, tmp_path / "exp")
    decoded = decode_run(run_dir)
    frames = dict(open_matrices(f"scp:{decoded}/frames.scp"))
    posteriors = dict(open_matrices(f"scp:{decoded}/posteriors.scp"))
    lengths = {utterance: len(matrix) for utterance, matrix in open_matrices(f"scp:{small_corpus}/feats/toy.scp")}
    paths = read_table(decoded / "text", allow_empty=True)
    assert list(frames) == list(posteriors) == list(paths)[::-1] and len(frames) == 6
    for utterance, matrix in frames.items():
        assert matrix.shape == (lengths[utterance], 4)
        np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-5)
        labels = collapsed(matrix.argmax(1).tolist(), blank=3)
        assert paths[utterance].split() == [("angry", "calm", "sad")[label] for label in labels]
        shares = matrix[:, :3].sum(0) / matrix[:, :3].sum()
        expected = (np.bincount(labels, minlength=3) + shares) / (len(labels) + 1)
        np.testing.assert_allclose(posteriors[utterance], expected, atol=1e-5)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ("many", "utt2num_phones: 's1-angry-1' needs a positive whole number, not 'many'"),
        (None, "utterances: s1-angry-1; run fix_data_dir.sh, or remove the file"),
        ("no table", "blstm_ctc needs the number of words or phonemes of each utterance"),
    ],
)
def test_wrong_numbers_are_named(small_corpus, tmp_path, capsys, wrong, message):
    numbers = {utterance: "2" for utterance in read_table(small_corpus / "utt2spk")} | {"s1-angry-1": wrong}
    if wrong != "no table":
        table = {utterance: number for utterance, number in numbers.items() if number}
        write_table(small_corpus / "utt2num_phones", table)
    (tmp_path / "config.yaml").write_text(CONFIG)
    assert 1 == status_of_training(small_corpus, tmp_path / "config.yaml", tmp_path / "exp")
    assert message in capsys.readouterr().err


def write_paths(experiment, empty):
    """A `text` beside every predictions.tsv, whose first `empty` utterances have no label."""
    for predictions in experiment.glob("fold*/seed*/decode_test/predictions.tsv"):
        utterances = [line.split("\t")[0] for line in predictions.read_text().splitlines()[1:]]
        lines = [
            utterance if place < empty else f"{utterance} {CLASSES[0]}" for place, utterance in enumerate(utterances)
        ]
        predictions.with_name("text").write_text("\n".join(sorted(lines)) + "\n")
    return len(utterances)


def test_results_say_how_many_paths_are_only_blanks(tmp_path):
    experiment = make_experiment(tmp_path / "exp")
    count = write_paths(experiment, empty=1)
    results = write_results(experiment, draws=10)
    assert {run["empty_paths"] for run in results["folds"]} == {1} and not results["warnings"]
    assert "only blanks" in (experiment / "RESULTS.md").read_text()
    write_paths(experiment, empty=count)
    warnings = write_results(experiment, draws=10)["warnings"]
    assert f"the best path is nothing but blanks for {count} of {count} utterances" in warnings[0]


@pytest.fixture
def decoded_run(tmp_path):
    """The data folder and the run folder of two utterances, decoded to posteriors of fbank40's frames."""
    random = np.random.default_rng(0)
    soundfile.write(tmp_path / "a.wav", 0.1 * random.standard_normal(22050), 22050)
    write_data_dir(
        tmp_path / "data",
        {"wav.scp": {"u1": f"{tmp_path}/a.wav", "u2": f"{tmp_path}/a.wav"}, "utt2spk": {"u1": "u1", "u2": "u2"}},
    )
    decoded = tmp_path / "run/decode_test"
    decoded.mkdir(parents=True)
    (tmp_path / "run/config.yaml").write_text(yaml.safe_dump({"features": ["fbank40"]}))
    with MatrixWriter(f"ark,scp:{decoded}/frames.ark,{decoded}/frames.scp") as writer:
        for utterance in ("u1", "u2"):
            writer.write(utterance, random.dirichlet([1, 1, 1], size=98).astype(np.float32))
    (decoded / "text").write_text("u1 sad sad\nu2\n")
    (decoded / "predictions.tsv").write_text("utterance\tspeaker\treference\tpredicted\tangry\tsad\n")
    return tmp_path / "data", tmp_path / "run"


def test_timelines_are_of_features_that_have_frames(decoded_run, monkeypatch):
    data, run_dir = decoded_run
    monkeypatch.setattr("sertk.inference.timeline.load_extractor", lambda *_: SimpleNamespace(shift=None))
    with pytest.raises(SertkError, match="fbank40: one vector for an utterance, not frames of it"):
        read_timeline(run_dir, data, "u1")


def test_timelines_have_seconds_and_the_blank_last(decoded_run, tmp_path):
    data, run_dir = decoded_run
    timeline = read_timeline(run_dir, data, "u1")
    assert timeline.classes == ["angry", "sad", "(blank)"] and timeline.title == "u1\nsad sad"
    assert (timeline.shift, timeline.rate, len(timeline.samples)) == (0.01, 22050, 22050)
    assert read_timeline(run_dir, data, "u2").title == "u2\n(blank)"
    picture = tmp_path / "timeline.svg"
    assert 0 == plot.main(["timeline", "--data", str(data), "--utt", "u1", "--out", str(picture), str(run_dir)])
    assert "<image" in picture.read_text()


@pytest.mark.parametrize("rate", [8000, 22050, 48000, 96000])
def test_spectrograms_of_any_rate_are_drawn(rate):
    spectrum = analyser(rate)(np.random.default_rng(0).standard_normal(rate).astype(np.float32))
    assert len(spectrum) == 98 and spectrum.shape[1] == analyser(rate).dims


def test_unknown_utterances_and_models_without_frames_are_one_line(decoded_run, tmp_path, capsys):
    data, run_dir = decoded_run
    options = ["timeline", "--data", str(data), "--out", str(tmp_path / "t.png")]
    assert 1 == plot.main([*options, "--utt", "u9", str(run_dir)])
    assert "frames.scp: no utterance u9" in capsys.readouterr().err
    (run_dir / "decode_test/frames.scp").unlink()
    assert 1 == plot.main([*options, "--utt", "u1", str(run_dir)])
    assert "for models with posteriors of frames such as blstm_ctc" in capsys.readouterr().err
