"""Experiment folders: what they store, what they refuse, which jobs they list."""

import dataclasses
import os
import shutil
from pathlib import Path

import pytest
from edits import edit
from small_experiments import CPU, decode_run, make_experiment_of, status_of_training, train_run

from sertk import pipeline
from sertk.bin import decode, jobs, make_experiment, train
from sertk.config.loading import load_parts
from sertk.config.schema import Normalise
from sertk.core.errors import SertkError
from sertk.core.files import file_digest, read_yaml, write_text, write_yaml
from sertk.core.locks import locked
from sertk.experiments import layout
from sertk.experiments.card import describe_normalisation, describe_numbers
from sertk.experiments.experiment import Experiment
from sertk.experiments.inputs import Inputs


def make(corpus, config, exp, *options):
    return make_experiment_of(corpus, config, exp, options=["--corpus", "toys", *options])


def test_the_folder_has_config_card_and_jobs(small_corpus, toy_config, tmp_path, capsys):
    exp = tmp_path / "exp"
    assert make(small_corpus, toy_config, exp) == 0
    assert jobs.main(["--repeats", "2", "--seed", "5", str(exp)]) == 0
    assert capsys.readouterr().out == "1 5 new\n1 6 new\n"
    assert read_yaml(exp / "config.yaml")["segment"]["frames"] == 15
    card = read_yaml(exp / "card.yaml")
    assert card["classes"] == ["angry", "calm", "sad"]
    assert card["class_counts"] == {"angry": 8, "calm": 8, "sad": 8}
    assert (card["corpus"], card["label_set"], card["protocol"]) == ("toys", "3", "toy")
    assert card["normalisation"] == "meanvar global"
    assert card["selection"] == "validation UAR"


def test_runs_of_the_pipeline_can_be_trained(small_corpus, toy_config, tmp_path):
    exp = tmp_path / "exp"
    assert make(small_corpus, toy_config, exp) == 0
    (exp / "fold1" / "seed2").mkdir(parents=True)
    experiment = pipeline.Experiment(exp)
    assert experiment.runs() == [pipeline.Run(experiment, 1, 2)] == experiment.jobs(seed=2) == [experiment.run(1, 2)]


def test_no_other_settings_are_taken(small_corpus, toy_config, tmp_path, capsys):
    exp = tmp_path / "exp"
    assert make(small_corpus, toy_config, exp) == 0
    stored = (exp / "config.yaml").read_text()
    assert make_experiment_of(small_corpus, toy_config, exp, "optimiser.lr=0.5", options=["--corpus", "toys"]) == 1
    message = capsys.readouterr().err
    assert "other settings (optimiser.lr)" in message and "--tag" in message
    assert (exp / "config.yaml").read_text() == stored
    assert make(small_corpus, toy_config, exp) == 0


def test_data_are_found_from_wherever_the_folder_is_looked_at(small_corpus, toy_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert make_experiment_of(Path("data"), toy_config, Path("exp/a")) == 0
    assert read_yaml("exp/a/data.yaml") == {
        "data": "../../data",
        "splits": "../../data/splits/toy",
        "label_set": "3",
        "labels_sha256": file_digest("data/labels/3", "sha256"),
    }
    assert Experiment("exp/a").inputs == Inputs(Path("data"), Path("data/splits/toy"), "3")
    monkeypatch.chdir(tmp_path / "exp")
    assert Experiment("a").inputs.data == Path("../data")
    assert make_experiment_of(small_corpus, toy_config, Path("b")) == 0
    assert Experiment("b").inputs.data == small_corpus  # which was given as an absolute path
    small_corpus.rename(tmp_path / "moved")
    with pytest.raises(SertkError, match="a/data.yaml: ../data is not there; bring it back, or write in the file"):
        Experiment("a").jobs()
    write_text("a/data.yaml", Path("a/data.yaml").read_text().replace("/data", "/moved"))
    assert Experiment("a").jobs()[0].experiment.inputs == Inputs(Path("../moved"), Path("../moved/splits/toy"), "3")


def test_names_in_data_yaml_are_texts(small_corpus, toy_config, tmp_path):
    make_experiment_of(small_corpus, toy_config, tmp_path / "a")
    path = tmp_path / "a/data.yaml"
    write_text(path, path.read_text().replace("'3'", "3"))
    with pytest.raises(SertkError, match="a/data.yaml: damaged: label_set is 3, expected text .in quotes, if"):
        Experiment(tmp_path / "a").jobs()


def test_classes_in_two_spellings_are_refused(small_corpus, toy_config, tmp_path, capsys):
    edit(small_corpus / "labels/3", "s1-sad-1 sad", "s1-sad-1 SAD")
    assert make_experiment_of(small_corpus, toy_config, tmp_path / "a") == 1
    assert (
        "labels/3: the classes 'SAD' and 'sad' differ in capitals alone; change one of them" in capsys.readouterr().err
    )


@pytest.mark.parametrize("word, shown", [("NA", "NA"), ("n\u200ban", "n<U+200B>an")])
def test_words_for_missing_are_no_classes(small_corpus, toy_config, tmp_path, capsys, word, shown):
    edit(small_corpus / "labels/3", "s1-sad-1 sad", f"s1-sad-1 {word}")
    assert make_experiment_of(small_corpus, toy_config, tmp_path / "a") == 1
    what = f"labels/3: among the classes is '{shown}', a word for a missing name; write the name"
    assert what in capsys.readouterr().err and not (tmp_path / "a").exists()


def test_fold_lists_are_looked_at_before_an_experiment_is_made(small_corpus, toy_config, tmp_path, capsys):
    path = small_corpus / "splits/toy/fold1/test"
    first, rest = path.read_text().split("\n", 1)
    write_text(path, f"{first.upper()}\n{rest}")
    assert make_experiment_of(small_corpus, toy_config, tmp_path / "a") == 1
    what = f"fold1/test:1: '{first.upper()}' is not in the data folder, which has '{first}' (they differ in capitals"
    assert what in capsys.readouterr().err
    write_text(path, f"\ufeff{first}\n{rest}")
    assert make_experiment_of(small_corpus, toy_config, tmp_path / "a") == 1
    assert "fold1/test:1: the file begins with an invisible mark (BOM)" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_an_experiment_of_before_is_read_by_its_commands(small_corpus, toy_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = train_run(Path("data"), toy_config, Path("exp/a"))
    (tmp_path / "exp/a/data.yaml").unlink()
    for ended in run.rglob("trained.json"):
        ended.unlink()
    (run / ".done_train").touch()
    config = read_yaml(run / "config.yaml")
    config["run"].pop("labels")
    write_yaml(run / "config.yaml", config)
    command = (
        "sertk-train --config exp/a/config.yaml --step train --seed 1 --data data --splits data/splits/toy --fold 1"
    )
    write_text(run / "command.txt", f"{command} --labels 3 --device cpu --num_threads 1 exp/a/fold1/seed1\n")
    monkeypatch.chdir(tmp_path / "exp")
    experiment = Experiment("a")
    assert experiment.inputs == Inputs(Path("../data"), Path("../data/splits/toy"), "3")
    assert experiment.run(1).state == "trained"
    monkeypatch.chdir(tmp_path)  # where the archives' paths begin
    assert len((decode_run(run) / "predictions.tsv").read_text().splitlines()) == 7
    (run / ".done_train").unlink()  # as where it was cut off
    assert train.main(["--fold", "1", *CPU, "exp/a"]) == 0
    assert Experiment("exp/a").inputs == Inputs(Path("data"), Path("data/splits/toy"), "3")
    assert decode_run(run)


@pytest.mark.parametrize(
    "name, change, message",
    [
        ("data.yaml", {"data": 7}, "data is 7, expected text .in quotes, if .*; remove the file, and run stage 3"),
        ("data.yaml", {"label_set": None}, "label_set is null, expected text"),
        ("fold1/seed1/config.yaml", {"run": {"fold": [1]}}, r"run.fold is \[1\], expected a whole number"),
        ("fold1/seed1/config.yaml", {"training": [3]}, r"training is \[3\], expected a mapping"),
        ("card.yaml", {"features": 3}, "features is 3, expected a list"),
    ],
)
def test_values_of_another_kind_are_named(small_corpus, toy_config, tmp_path, name, change, message):
    exp = tmp_path / "exp"
    run = train_run(small_corpus, toy_config, exp, "training.max_epochs=1")
    write_yaml(exp / name, read_yaml(exp / name) | change)
    with pytest.raises(SertkError, match=f"{name}: damaged: {message}"):
        _ = layout.read_config(run), Experiment(exp).inputs, Experiment(exp).card


def test_a_command_whose_quotes_are_not_closed_is_named(small_corpus, toy_config, tmp_path):
    run = train_run(small_corpus, toy_config, tmp_path / "exp", "training.max_epochs=1")
    (tmp_path / "exp/data.yaml").unlink()
    write_text(run / "command.txt", "sertk-train 'exp\n")
    with pytest.raises(SertkError, match="command.txt: damaged: No closing quotation; put it back"):
        Experiment(tmp_path / "exp").jobs()


@pytest.mark.parametrize("name", ["config.yaml", "card.yaml", "data.yaml", "fold1/seed1/config.yaml"])
@pytest.mark.parametrize("text", ["", "- 1\n", "labels: 3\n"])
def test_a_damaged_file_is_named(small_corpus, toy_config, tmp_path, capsys, name, text):
    exp, settings = tmp_path / "exp", "training.max_epochs=1"
    train_run(small_corpus, toy_config, exp, settings)
    write_text(exp / name, text)
    capsys.readouterr()
    assert status_of_training(small_corpus, toy_config, exp, settings) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{exp / name}: " in line


def test_two_that_make_an_experiment_take_turns(small_corpus, toy_config, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sertk.experiments.experiment.LEASE", 0)
    with locked(tmp_path / "exp" / ".lock"):
        assert make(small_corpus, toy_config, tmp_path / "exp") == 1
    assert f"{tmp_path}/exp: in use by process {os.getpid()} on " in capsys.readouterr().err
    assert not (tmp_path / "exp" / "config.yaml").exists()
    assert make(small_corpus, toy_config, tmp_path / "exp") == 0


def test_wrong_usage_is_told_from_errors(small_corpus, toy_config, tmp_path, capsys):
    assert make_experiment.main(["--config", str(toy_config)]) == 2
    assert jobs.main([str(tmp_path / "exp")]) == 1
    assert "no experiment there" in capsys.readouterr().err
    assert make(small_corpus, toy_config, tmp_path / "exp") == 0
    assert jobs.main(["--repeats", "0", str(tmp_path / "exp")]) == 2
    assert jobs.main(["--folds", "7", str(tmp_path / "exp")]) == 1
    assert "no fold 7 (there are 1)" in capsys.readouterr().err
    assert train.main([str(tmp_path / "exp")]) == 2
    assert jobs.main(["--seed", "-1", str(tmp_path / "exp")]) == 2
    assert train.main(["--fold", "1", "--seed", "-1", str(tmp_path / "exp")]) == 1
    assert train.main(["--fold", "1", "--seed", str(2**32), str(tmp_path / "exp")]) == 1
    message = capsys.readouterr().err
    assert "no seed -1: expected 0 to 4294967295" in message and "no seed 4294967296" in message
    assert train.main(["--fold", "7", str(tmp_path / "exp")]) == 1
    assert "no fold 7 (there are 1)" in capsys.readouterr().err


def test_a_run_is_named_in_each_way_that_help_says(small_corpus, toy_config, tmp_path, capsys):
    exp, settings = tmp_path / "exp", "training.max_epochs=1"
    assert make_experiment_of(small_corpus, toy_config, exp, settings) == 0
    assert train.main([*CPU, str(exp / "fold1/seed0")]) == 0
    assert train.main(["--fold", "1", "--seed", "0", *CPU, str(exp)]) == 0
    assert [path.name for path in (exp / "fold1").iterdir()] == ["seed0"]
    assert decode.main([str(exp), "--fold", "1", *CPU]) == 0
    assert decode.main([str(exp), "--fold", "1", "--data", str(small_corpus), *CPU, f"ark:{tmp_path}/p.ark"]) == 0
    assert (tmp_path / "p.ark").exists() and (exp / "fold1/seed0/decode_test/predictions.tsv").exists()
    assert decode.main([str(exp), "--seed", "5", *CPU]) == 1
    assert "no run with this fold and seed, stage 3 trains it; there are: fold1/seed0" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["", "1", "one two new"])
def test_a_job_that_no_run_is_on_is_refused(small_corpus, toy_config, tmp_path, capsys, line):
    assert make(small_corpus, toy_config, tmp_path / "exp") == 0
    jobs_file = tmp_path / "jobs.txt"
    jobs_file.write_text(f"1 1 new\n{line}\n")
    for command in (train, decode):
        assert command.main(["--jobs", str(jobs_file), "--job", "2", str(tmp_path / "exp")]) == 1
        assert f"{jobs_file}:2: expected FOLD SEED STATE, as sertk-jobs prints it" in capsys.readouterr().err


def test_the_plan_says_what_a_config_asks_for(toy_config, capsys):
    assert make_experiment.main(["--config", str(toy_config), "--plan", "--set", "training.max_epochs=1"]) == 0
    assert capsys.readouterr().out == "tag max_epochs1\ndata feats/toy\n"


def test_repeats_of_a_random_protocol_are_folds_of_one_seed(small_corpus, toy_config, tmp_path):
    splits = small_corpus / "splits" / "toy"
    card = read_yaml(splits / "card.yaml")
    for fold in (2, 3):
        shutil.copytree(splits / "fold1", splits / f"fold{fold}")

    def jobs_of(rule, *arguments):
        write_yaml(splits / "card.yaml", {**card, "rule": rule})
        return [(run.fold, run.seed) for run in Experiment(tmp_path / "exp").jobs(*arguments)]

    assert make(small_corpus, toy_config, tmp_path / "exp") == 0
    assert jobs_of("random", [], 2, 7) == [(1, 7), (2, 7)]
    with pytest.raises(SertkError, match="no fold 3"):
        jobs_of("random", [3], 2, 7)
    assert jobs_of("listed_speakers", [3, 1, 3], 2, 7) == [(3, 7), (3, 8), (1, 7), (1, 8)]


def test_the_card_says_how_features_are_scaled_and_what_was_counted(small_corpus, toy_config):
    steps = (Normalise("minmax", "utterance"), Normalise("minmax", "window", (-1.0, 1.0)), Normalise("mulaw", "window"))
    config = next(iter(load_parts(toy_config).values()))
    assert describe_normalisation(dataclasses.replace(config, normalise=steps)) == (
        "minmax per utterance, then minmax to -1..1 per window, then mulaw per window"
    )
    assert describe_numbers(["utt2num_phones"], small_corpus) == "utt2num_phones"
    (small_corpus / ".num_phones.json").write_text('{"source": "F0"}')
    assert describe_numbers(["utt2num_phones"], small_corpus) == "utt2num_phones, from F0"


def test_the_experiment_of_a_run_is_named_as_the_run_is(tmp_path, monkeypatch):
    (tmp_path / "exp/a/fold1/seed1").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "exp/a/fold1")
    for run, expected in {
        tmp_path / "exp/a/fold1/seed1": tmp_path / "exp/a",
        "exp/a/fold1/seed1": Path("exp/a"),
        "fold1/seed1": Path("."),
        "seed1": tmp_path / "exp/a",
        "../fold1/seed1": tmp_path / "exp/a",
    }.items():
        assert layout.experiment_of(run) == expected
