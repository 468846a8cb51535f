"""The recipes as users run them: the mini recipe end to end, resumed and repeated, and what is wrong with calls."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from recipes import copy_recipes, run_recipe

from sertk.bin import synthesise_mini
from sertk.core.files import read_yaml
from sertk.kaldi.archives import open_matrices

FAST = "model.lstm_units=8 model.filters=4 segment.train_hop=40 segment.decode_hop=40 training.max_epochs=2"


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of egs/ in which recipes can leave data and experiments, and a small synthesised release."""
    pytest.importorskip("espeakng_loader", reason="espeak-ng's voices are not installed (espeakng-loader)")
    tree = copy_recipes(tmp_path_factory.mktemp("tree"))
    assert synthesise_mini.main(["--sentences", "2", str(tree / "release")]) == 0
    done = run_mini(tree, "--stop_stage", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    return tree


def run_mini(tree, *options):
    return run_recipe(tree, "mini", "--db_root", tree / "release", "--ngpu", "0", "--folds", "1 3", *options)


def test_mini_runs_from_speech_to_results_and_repeats_nothing(tree):
    done = run_mini(tree, "--set", FAST, "--tag", "fast", "--num_threads", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    exp = tree / "egs/mini/exp/mini_4_mini/blstm_capsule_fast"
    results = json.loads((exp / "results.json").read_text())
    for key in ("accuracy", "uar", "macro_f1", "weighted_f1", "confusion", "labels", "protocol", "folds"):
        assert key in results
    assert results["labels"] == ["angry", "happy", "neutral", "sad"]
    assert (exp / "confusion.png").read_bytes().startswith(b"\x89PNG")
    assert "2 of 4 folds, 1 seed; 2 runs." in (exp / "RESULTS.md").read_text()

    rows = []
    for fold in (1, 3):
        with open(exp / f"fold{fold}/seed1/decode_test/predictions.tsv", encoding="utf-8") as lines:
            rows += csv.DictReader(lines, delimiter="\t")
    assert len(rows) == 32  # two folds of two speakers with four emotions and two sentences
    assert results["accuracy"] == sum(row["reference"] == row["predicted"] for row in rows) / len(rows)

    trained = {path: path.stat().st_mtime_ns for path in exp.glob("fold*/seed*/checkpoints/*.pt")}
    archives = (tree / "egs/mini/data/mini/feats/mfcc_pitch.1.ark").stat().st_mtime_ns
    again = run_mini(tree, "--stage", "3", "--set", FAST, "--tag", "fast", "--num_threads", "1")
    assert again.returncode == 0, again.stdout + again.stderr
    assert {path: path.stat().st_mtime_ns for path in trained} == trained
    assert (tree / "egs/mini/data/mini/feats/mfcc_pitch.1.ark").stat().st_mtime_ns == archives
    assert json.loads((exp / "results.json").read_text()) == results

    shutil.rmtree(exp / "jobs")  # as of an experiment that was trained from Python
    drawn = run_mini(tree, "--stage", "6", "--stop_stage", "6", "--set", FAST, "--tag", "fast")
    assert drawn.returncode == 0, drawn.stdout + drawn.stderr
    for figure in ("tsne_output", "tsne_lower"):
        assert (exp / f"fold1/seed1/layers/{figure}.png").read_bytes().startswith(b"\x89PNG")

    other = run_mini(tree, "--stage", "3", "--set", f"{FAST} optimiser.lr=0.5", "--tag", "fast")
    assert other.returncode == 1
    assert "other settings (optimiser.lr)" in other.stderr


def test_another_model_starts_at_stage_3_with_a_tag_of_its_own(tree):
    settings = "training.max_epochs=1 segment.train_hop=60 model.lstm_units=4 features=[fbank40]"
    done = run_mini(tree, "--stage", "3", "--stop_stage", "3", "--model", "blstm", "--set", settings)
    assert done.returncode == 0, done.stdout + done.stderr
    (exp,) = (tree / "egs/mini/exp/mini_4_mini").glob("blstm_max_epochs1_*")
    assert (exp / "fold3/seed1/checkpoints/best.pt").exists()
    assert (tree / "egs/mini/data/mini/feats/fbank40.scp").exists()


def test_phonemes_are_counted_for_the_model_that_asks_for_them(tree):
    settings = "training.max_epochs=1 model.lstm_units=4"
    done = run_mini(tree, "--stage", "3", "--model", "blstm_ctc", "--folds", "1", "--set", settings, "--tag", "small")
    assert done.returncode == 0, done.stdout + done.stderr
    counts = dict(line.split() for line in (tree / "egs/mini/data/mini/utt2num_phones").read_text().splitlines())
    assert all(10 < int(count) < 60 for count in counts.values())
    exp = tree / "egs/mini/exp/mini_4_mini/blstm_ctc_small"
    decoded = exp / "fold1/seed1/decode_test"
    assert (
        len((decoded / "text").read_text().splitlines()) == len((decoded / "frames.scp").read_text().splitlines()) == 16
    )
    assert "only blanks" in (exp / "RESULTS.md").read_text()


def test_a_model_of_several_parts_goes_on_where_it_was_cut_off(tree):
    options = ["--model", "supervector_svm", "--folds", "1", "--set", "steps.gmm.model.components=4", "--tag", "small"]
    done = run_mini(tree, "--stage", "3", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    exp = tree / "egs/mini/exp/mini_4_mini/supervector_svm_small"
    assert (exp / "RESULTS.md").exists()
    run = exp / "fold1/seed1"
    mixtures = (run / "steps/gmm/checkpoints/best.pt").stat().st_mtime_ns
    (run / "trained.json").unlink()
    (run / "checkpoints/best.pt").unlink()
    again = run_mini(tree, "--stage", "3", "--stop_stage", "3", *options)
    assert again.returncode == 0, again.stdout + again.stderr
    assert (run / "checkpoints/best.pt").exists()
    assert (run / "steps/gmm/checkpoints/best.pt").stat().st_mtime_ns == mixtures


def test_a_speech_recogniser_is_trained_for_the_model_that_takes_its_layer(tree, monkeypatch):
    assert synthesise_mini.main(["--asr", "3", str(tree / "egs/mini/downloads/mini_asr")]) == 0
    tiny = "model.gru_units=4 model.channels=2 training.max_epochs=1"
    settings = "training.max_epochs=1 model.gru_units=4"
    options = ["--model", "progressive", "--folds", "1", "--set", settings, "--tag", "small"]
    early = run_mini(tree, "--stage", "3", *options)
    assert early.returncode == 1 and "../asr/exp/small_char_mini/.done is missing; stage 2 makes it" in early.stderr
    done = run_mini(tree, "--stage", "2", *options, "--asr_set", tiny, "--num_threads", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    recogniser = tree / "egs/asr/exp/small_char_mini"
    assert "| dev | 6 |" in (recogniser / "RESULTS.md").read_text()
    exp = tree / "egs/mini/exp/mini_4_mini/progressive_small"
    card = read_yaml(exp / "card.yaml")
    assert card["features"] == ["mfcc13_pitch", "recogniser:2"] and set(card["encoder"]["cer"]) == {"dev", "test"}
    assert "experiment small_char_mini, train hours 0.01" in (exp / "RESULTS.md").read_text()

    drawn = run_mini(tree, "--stage", "6", "--stop_stage", "6", *options, "--num_threads", "1")
    assert drawn.returncode == 0, drawn.stdout + drawn.stderr
    layers = exp / "fold1/seed1/layers"
    assert {path.stem for path in layers.glob("*.png")} == {
        f"tsne_{layer}" for layer in ("output", "asr_gru1", "asr_gru2", "asr_gru3")
    }
    monkeypatch.chdir(tree / "egs/mini")  # where the tables' paths begin
    means = dict(open_matrices(f"scp:{layers}/asr_gru2_test.scp"))
    assert list(means) == Path("data/mini/splits/mini/fold1/test").read_text().split()
    (frames,) = Path("data/mini/feats").glob("recogniser_2_*.scp")
    for utterance, matrix in open_matrices(f"scp:{frames}"):
        if utterance in means:
            np.testing.assert_allclose(means[utterance], matrix.mean(0, keepdims=True), atol=1e-5)

    given = run_mini(tree, "--stage", "2", *options, "--asr_exp", "../asr/exp/small_char_mini")
    assert given.returncode == 0, given.stdout + given.stderr
    other = tree / "egs/mini/exp/mini_4_mini/progressive_small_small_char_mini"
    assert (other / "results.json").exists()
    assert len(list((tree / "egs/mini/data/mini/feats").glob("recogniser_2_*.scp"))) == 1


def test_own_recordings_run_from_a_table_to_results(tree):
    rows = [line.split("\t") for line in (tree / "release/metadata.tsv").read_text().splitlines()]
    table = tree / "release/JOB, my voices.csv"  # JOB is what Kaldi calls the number of a job
    with open(table, "w", newline="", encoding="utf-8") as lines:
        csv.writer(lines).writerows(
            [
                ["path", "label", "speaker"],
                *(
                    [f"{speaker}/{utt}.wav", emotion, speaker]
                    for utt, speaker, _, emotion, _ in rows
                    if utt.endswith("1")
                ),
            ]
        )
    settings = "training.max_epochs=1 segment.train_hop=60 model.lstm_units=4 features=[fbank40]"
    options = ["--csv", table, "--model", "blstm", "--set", settings, "--tag", "small", "--ngpu", "0"]
    done = run_recipe(tree, "own", *options, "--folds", "2", "--nj", "1", "--num_threads", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "protocol speakers: there are 8 speakers" in done.stderr
    results = json.loads((tree / "egs/own/exp/JOB__my_voices_emotion_speakers/blstm_small/results.json").read_text())
    assert results["labels"] == ["angry", "happy", "neutral", "sad"]
    assert results["folds_scored"] == {"scored": [2], "missing": [1, 3, 4, 5], "of": 5}
    assert [row["utterances"] for row in results["per_class"]] == [2, 2, 2, 2]


@pytest.mark.parametrize(
    "options, folder",
    [
        (["--stage", "1", "--model", "blstm", "--protocol", "si"], "exp/mini_4_si/blstm"),
        (["--set", "training.max_epochs=3"], "exp/mini_4_mini/blstm_capsule_max_epochs3"),
        (["--stage", "6", "--tag", "mine"], "exp/mini_4_mini/blstm_capsule_mine"),
        (["--model", "progressive", "--asr_exp", "my asr/b;d/"], "exp/mini_4_mini/progressive_b-d"),
    ],
)
def test_the_folder_of_an_experiment_is_printed_and_no_stage_is_run(tree, options, folder):
    done = run_mini(tree, "--print_exp", "true", *options)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{folder}\n", "")
    assert not (tree / "egs/mini/exp/mini_4_si").exists()


@pytest.mark.parametrize(
    "options, message",
    [
        (["--stage", "4", "--tag", "nothing"], "stage 3 makes it"),
        (["--stage", "5", "--tag", "nothing"], "stage 3 makes it"),
        (["--stage", "1", "--protocol", "none"], "no protocol 'none'"),
        (["--stage", "3", "--labels", "9"], "no label set '9'"),
        (["--stage", "3", "--set", "training.epochs=3"], "unknown key training.epochs"),
        (["--stage", "3", "--config", "nowhere.yaml"], "nowhere.yaml: No such file"),
        (["--stage", "1", "--set", "training.epochs=3", "--tag", "x"], "unknown key training.epochs"),
        (["--print_exp", "true", "--set", "training.epochs=3", "--tag", "x"], "unknown key training.epochs"),
    ],
)
def test_wrong_calls_say_what_is_wrong(tree, options, message):
    done = run_mini(tree, *options)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert "--print_exp" not in options or not done.stdout
