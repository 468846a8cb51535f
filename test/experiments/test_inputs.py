"""A run is decoded and scored on the data that it was trained on, and on no others."""

import shutil

import numpy as np
import pytest
import torch
from small_experiments import CPU, decode_run, make_experiment_of, train_run
from toy_corpus import CLASSES

from sertk.bin import decode, report, score, train
from sertk.core.files import file_digest, read_json, read_yaml, write_json, write_yaml
from sertk.experiments.experiment import Experiment
from sertk.kaldi.archives import MatrixWriter, open_matrices
from sertk.kaldi.datadir import read_table, write_table
from sertk.training.part import train_part

EPOCH = "training.max_epochs=1"


@pytest.fixture
def corpus(small_corpus):
    """`small_corpus` with hashes of its recordings, and notes of how its features were made."""
    write_table(small_corpus / "utt2hash", {utt: utt.encode().hex() for utt in read_table(small_corpus / "utt2spk")})
    write_yaml(small_corpus / "feats/toy.ark.yaml", {"extractor": "toy", "shift": 10})
    return small_corpus


def replace_recording(corpus):
    hashes = read_table(corpus / "utt2hash")
    write_table(corpus / "utt2hash", {**hashes, next(iter(hashes)): "other"})


def swap_labels(corpus):
    labels = read_table(corpus / "labels/3")
    one, other = (next(utt for utt in labels if name in utt) for name in CLASSES[:2])
    write_table(corpus / "labels/3", {**labels, one: labels[other], other: labels[one]})


def change_options(corpus):
    write_yaml(corpus / "feats/toy.ark.yaml", {"extractor": "toy", "shift": 5})


def swap_speakers(corpus):
    speakers = read_table(corpus / "utt2spk")
    write_table(corpus / "utt2spk", {**speakers, next(iter(speakers)): "somebody"})


CHANGES = {
    "recordings": (replace_recording, "trained on other recordings than "),
    "labels": (swap_labels, "made with other labels than "),
    "options": (change_options, "trained on other toy features than "),
    "speakers": (swap_speakers, "trained on other speakers than "),
}


@pytest.fixture(params=CHANGES)
def change(request):
    return CHANGES[request.param]


@pytest.fixture
def run(corpus, toy_config, tmp_path):
    return train_run(corpus, toy_config, tmp_path / "exp", EPOCH)


def refused(capsys, message):
    """Whether the one line of the command that just failed has a message."""
    (line,) = capsys.readouterr().err.splitlines()
    return message in line and "put those back" in line


def test_no_stage_goes_on_with_other_data(corpus, toy_config, run, change, capsys):
    exp, (make_change, message) = run.parents[1], change
    decode_run(run)
    assert score.main([str(exp)]) == 0
    make_change(corpus)
    capsys.readouterr()
    assert make_experiment_of(corpus, toy_config, exp, EPOCH) == 1 and refused(capsys, message)
    message = message.replace("made with other labels", "trained on other labels (3)")
    page = exp.parent / "page.md"
    assert report.main(["--out", str(page), str(exp)]) == 0
    assert "of another state of the data than there is now" in page.read_text()
    capsys.readouterr()
    for command, options in ((train, ["--fold", "1", *CPU]), (decode, ["--fold", "1", *CPU]), (score, [])):
        assert command.main([*options, str(exp)]) == 1 and refused(capsys, message)


def test_other_data_under_a_training_do_not_end_it(corpus, toy_config, tmp_path, change, monkeypatch, capsys):
    def train_while_data_change(*args):
        trained = train_part(*args)
        change[0](corpus)
        return trained

    monkeypatch.setattr("sertk.pipeline.train_part", train_while_data_change)
    exp = tmp_path / "exp"
    assert make_experiment_of(corpus, toy_config, exp, EPOCH) == 0
    capsys.readouterr()
    assert train.main(["--fold", "1", *CPU, str(exp)]) == 1
    message = change[1].replace("made with other labels", "trained on other labels (3)")
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert Experiment(exp).run(1).state == "training"


def test_what_no_run_sees_may_change(corpus, run):
    hashes = read_table(corpus / "utt2hash")
    write_table(corpus / "utt2hash", {**hashes, "zoe-calm-1": "new"})
    write_table(corpus / "utt2spk", {**read_table(corpus / "utt2spk"), "zoe-calm-1": "zoe"})
    decode_run(run)


def test_archives_of_other_tools_are_known_by_their_values(small_corpus, toy_config, tmp_path, capsys):
    run = train_run(small_corpus, toy_config, tmp_path / "exp", EPOCH)
    scp = small_corpus / "feats/toy.scp"
    features = dict(open_matrices(f"scp:{scp}"))
    for factor in (1, 2):
        with MatrixWriter(f"ark,scp:{scp.with_suffix('.ark')},{scp}") as writer:
            for utterance, matrix in features.items():
                writer.write(utterance, factor * np.copy(matrix))
        capsys.readouterr()
        assert decode.main([*CPU, str(run)]) == factor - 1
    assert refused(capsys, "trained on other toy features than")


def test_a_moved_experiment_is_scored_where_its_data_are_not(corpus, run):
    decode_run(run)
    shutil.rmtree(corpus)
    assert score.main([str(run.parents[1])]) == 0


def test_a_run_of_before_is_used_with_a_warning_and_stays_one(corpus, run, caplog):
    config = read_yaml(run / "config.yaml")
    del config["run"]["data"]
    write_yaml(run / "config.yaml", config)
    write_json(run / "trained.json", {"ended": "2026-11-01 12:00:00 +0000"})
    replace_recording(corpus)
    decode_run(run)
    assert caplog.text.count(f"{run.parents[1]}: warning: trained before version 0.4") == 1
    (run / "trained.json").unlink()
    assert train.main(["--fold", "1", *CPU, str(run.parents[1])]) == 0
    assert "data" not in read_yaml(run / "config.yaml")["run"]


def test_what_was_decoded_before_a_training_anew_is_not_scored(corpus, run, toy_config, capsys):
    exp = Experiment(run.parents[1])
    decode_run(run)
    assert exp.run(1).state == "decoded"
    weights = read_json(run / "trained.json")["weights_sha256"]
    assert weights == file_digest(run / "checkpoints/best.pt", "sha256")
    write_json(run / "trained.json", {**read_json(run / "trained.json"), "weights_sha256": "of others"})
    assert exp.run(1).state == "trained"
    assert score.main([str(exp.path)]) == 1
    assert "decoded before the run was trained anew; decode again (stage 4)" in capsys.readouterr().err
    shutil.rmtree(run / "checkpoints")
    assert exp.run(1).state == "training"
    assert train.main(["--fold", "1", *CPU, str(exp.path)]) == 0
    assert read_json(run / "trained.json")["weights_sha256"] == weights
    assert exp.run(1).state == "decoded"


@pytest.fixture
def other(corpus, tmp_path):
    """A copy of the corpus under the same name whose recordings are others, and a map of its labels."""
    shutil.copytree(corpus, tmp_path / "elsewhere/data", ignore=shutil.ignore_patterns("splits"))
    scp = tmp_path / "elsewhere/data/feats/toy.scp"
    scp.write_text(scp.read_text().replace(str(corpus), str(tmp_path / "elsewhere/data")))
    (tmp_path / "map.yaml").write_text("".join(f"{name}: [{name}]\n" for name in CLASSES))
    hashes = read_table(corpus / "utt2hash")
    write_table(tmp_path / "elsewhere/data/utt2hash", {utt: f"other {digest}" for utt, digest in hashes.items()})
    return tmp_path / "elsewhere/data"


def decode_other(run, data, capsys):
    """The last line of errors, or "" where another corpus is decoded."""
    capsys.readouterr()
    options = ["--data", str(data), "--labels", "3", "--label_map", str(run.parents[2] / "map.yaml")]
    status = decode.main([*options, *CPU, str(run)])
    return capsys.readouterr().err.splitlines()[-1] if status else ""


def test_another_corpus_is_told_by_its_recordings_and_not_by_its_name(corpus, run, other, capsys):
    assert decode_other(run, other, capsys) == ""
    assert "trained on data; decode its test split" in decode_other(run, corpus, capsys)
    (other / "utt2hash").write_text((corpus / "utt2hash").read_text())
    line = decode_other(run, other, capsys)
    assert "18 of its recordings, such as s1-angry-1, are among those of its training; leave them out" in line
    corpus.rename(corpus.with_name("away"))
    assert "trained on data; decode its test split" in decode_other(run, other, capsys)


def test_runs_on_another_corpus_are_pooled_in_one_state_of_it_only(corpus, run, other, toy_config, capsys):
    second = train_run(corpus, toy_config, run.parents[1], EPOCH, seed=2)
    assert decode_other(run, other, capsys) == ""
    replace_recording(other)
    assert decode_other(second, other, capsys) == ""
    assert score.main(["--decoded", "data_3", str(run.parents[1])]) == 1
    assert "other data, labels or another map than" in capsys.readouterr().err
    assert decode_other(run, other, capsys) == ""
    assert score.main(["--decoded", "data_3", str(run.parents[1])]) == 0


@pytest.mark.parametrize("way", ["label_map", "data", "feats"])
def test_features_of_other_options_are_refused(run, other, way, capsys):
    """Of other recordings than the fold's, whose options no run of the experiment knows."""
    model = run / "checkpoints/best.pt"
    checkpoint = torch.load(model, weights_only=True)
    assert checkpoint["task"]["feature_options"] == {"toy": {"extractor": "toy", "shift": 10}}
    change_options(other)
    if way == "label_map":
        line = decode_other(run, other, capsys)
    else:
        named = {"data": ["--data", str(other)], "feats": ["--feats", f"toy=scp:{other}/feats/toy.scp"]}[way]
        assert decode.main([*named, *CPU, str(run), f"ark:{other}/out.ark"]) == 1
        line = capsys.readouterr().err.splitlines()[-1]
    assert f"toy.scp: made with other options than {model} was trained on (shift 5, in the training 10); make" in line
