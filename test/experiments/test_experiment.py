"""Experiment folders: what they store, what they refuse, which jobs they list."""

import dataclasses
import os

import pytest

from sertk.bin import make_experiment
from sertk.config.loading import load_parts
from sertk.config.schema import Normalise
from sertk.core.errors import SertkError
from sertk.core.files import read_yaml, write_text, write_yaml
from sertk.core.locks import locked
from sertk.experiments.experiment import describe_normalisation, describe_numbers, list_jobs


def make(corpus, config, exp_dir, *options):
    return make_experiment.main(
        [
            "--config",
            str(config),
            "--data",
            str(corpus),
            "--splits",
            str(corpus / "splits" / "toy"),
            "--labels",
            "3",
            "--corpus",
            "toys",
            "--jobs",
            str(exp_dir / "jobs.txt"),
            *options,
            str(exp_dir),
        ]
    )


def test_the_folder_has_config_card_and_jobs(small_corpus, toy_config, tmp_path):
    exp_dir = tmp_path / "exp"
    assert make(small_corpus, toy_config, exp_dir, "--repeats", "2", "--seed", "5") == 0
    assert (exp_dir / "jobs.txt").read_text() == "1 5\n1 6\n"
    assert read_yaml(exp_dir / "config.yaml")["segment"]["frames"] == 15
    card = read_yaml(exp_dir / "card.yaml")
    assert card["classes"] == ["angry", "calm", "sad"]
    assert card["class_counts"] == {"angry": 8, "calm": 8, "sad": 8}
    assert (card["corpus"], card["label_set"], card["protocol"]) == ("toys", "3", "toy")
    assert card["normalisation"] == "meanvar global"
    assert card["selection"] == "validation UAR"


def test_more_seeds_may_be_added_but_no_other_settings(small_corpus, toy_config, tmp_path, capsys):
    exp_dir = tmp_path / "exp"
    assert make(small_corpus, toy_config, exp_dir) == 0
    assert make(small_corpus, toy_config, exp_dir, "--repeats", "3") == 0
    assert (exp_dir / "jobs.txt").read_text() == "1 1\n1 2\n1 3\n"
    stored = (exp_dir / "config.yaml").read_text()
    assert make(small_corpus, toy_config, exp_dir, "--set", "optimiser.lr=0.5") == 1
    message = capsys.readouterr().err
    assert "other settings (optimiser.lr)" in message and "--tag" in message
    assert (exp_dir / "config.yaml").read_text() == stored


def test_two_that_make_an_experiment_take_turns(small_corpus, toy_config, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sertk.experiments.experiment.LEASE", 0)
    with locked(tmp_path / "exp" / ".lock"):
        assert make(small_corpus, toy_config, tmp_path / "exp") == 1
    assert f"{tmp_path}/exp: in use by process {os.getpid()} on " in capsys.readouterr().err
    assert not (tmp_path / "exp" / "config.yaml").exists()
    assert make(small_corpus, toy_config, tmp_path / "exp") == 0


def test_wrong_usage_is_told_from_errors(small_corpus, toy_config, tmp_path, capsys):
    assert make_experiment.main(["--config", str(toy_config)]) == 2
    assert make(small_corpus, toy_config, tmp_path / "exp", "--repeats", "0") == 2
    assert make(small_corpus, toy_config, tmp_path / "exp", "--folds", "7") == 1
    assert "no fold 7 (there are 1)" in capsys.readouterr().err
    assert not (tmp_path / "exp").exists()


def test_print_says_what_a_config_asks_for(toy_config, capsys):
    for what, expected in {"steps": "train\n", "data": "feats/toy\n", "tag": "max_epochs1\n"}.items():
        assert (
            make_experiment.main(["--config", str(toy_config), "--print", what, "--set", "training.max_epochs=1"]) == 0
        )
        assert capsys.readouterr().out == expected


def test_repeats_of_a_random_protocol_are_folds_of_one_seed(tmp_path):
    write_yaml(tmp_path / "card.yaml", {"rule": "random", "options": {}, "folds": []})
    for fold in (1, 2, 3):
        write_text(tmp_path / f"fold{fold}" / "train", "a\n")
    assert list_jobs(tmp_path, [], 2, 7) == [(1, 7), (2, 7)]
    with pytest.raises(SertkError, match="no fold 3"):
        list_jobs(tmp_path, [3], 2, 7)
    write_yaml(tmp_path / "card.yaml", {"rule": "listed_speakers", "options": {}, "folds": []})
    assert list_jobs(tmp_path, [3, 1, 3], 2, 7) == [(3, 7), (3, 8), (1, 7), (1, 8)]


def test_the_card_says_how_features_are_scaled_and_what_was_counted(small_corpus, toy_config):
    steps = (Normalise("minmax", "utterance"), Normalise("minmax", "window", (-1.0, 1.0)), Normalise("mulaw", "window"))
    config = next(iter(load_parts(toy_config).values()))
    assert describe_normalisation(dataclasses.replace(config, normalise=steps)) == (
        "minmax per utterance, then minmax to -1..1 per window, then mulaw per window"
    )
    assert describe_numbers(["utt2num_phones"], small_corpus) == "utt2num_phones"
    (small_corpus / ".num_phones.json").write_text('{"source": "F0"}')
    assert describe_numbers(["utt2num_phones"], small_corpus) == "utt2num_phones, from F0"
