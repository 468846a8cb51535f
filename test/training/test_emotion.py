"""Training and decoding through the commands, on a small corpus whose classes can be told apart."""

import json

import numpy as np
import pytest

from sertk.bin import compute_cmvn, decode, extract, train
from sertk.core.files import read_yaml
from sertk.kaldi.archives import open_matrices

CPU = ["--device", "cpu", "--num_threads", "1"]


def fold_options(corpus):
    return ["--data", str(corpus), "--labels", "3", "--splits", str(corpus / "splits" / "toy"), "--fold", "1"]


def run_training(corpus, config, run_dir, *options):
    return train.main(["--config", str(config), *fold_options(corpus), "--seed", "1", *CPU, str(run_dir), *options])


@pytest.fixture
def trained(small_corpus, toy_config, tmp_path, monkeypatch):
    """A run folder with a model trained for six epochs, with normalisation per speaker."""
    run_dir = tmp_path / "run"
    monkeypatch.setattr("sys.argv", ["/usr/bin/sertk-train", "--seed", "1", "two words"])
    settings = "training.max_epochs=6 normalise=speaker optimiser.lr=1e-2"
    assert run_training(small_corpus, toy_config, run_dir, "--set", settings) == 0
    return run_dir


def posteriors_of(rspecifier):
    return {utterance: row for utterance, row in open_matrices(rspecifier)}


def test_a_run_explains_itself(trained):
    config = read_yaml(trained / "config.yaml")
    assert config["run"]["fold"] == 1 and config["run"]["seed"] == 1
    assert len(config["run"]["lists"]["train"]) == 64
    assert (trained / "command.txt").read_text() == "sertk-train --seed 1 'two words'\n"
    environment = json.loads((trained / "environment.json").read_text())
    assert environment["torch"].startswith("2.") and environment["device"] == "cpu"
    epochs = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in epochs] == list(range(1, len(epochs) + 1))
    assert epochs[-1]["train_loss"] < epochs[0]["train_loss"]


def test_decoding_a_part_writes_posteriors_and_predictions(small_corpus, trained):
    assert decode.main([*fold_options(small_corpus), *CPU, str(trained)]) == 0
    lines = (trained / "decode_test" / "predictions.tsv").read_text().splitlines()
    assert lines[0].split("\t") == ["utterance", "speaker", "reference", "predicted", "angry", "calm", "sad"]
    rows = [line.split("\t") for line in lines[1:]]
    assert {row[0] for row in rows} == set((small_corpus / "splits/toy/fold1/test").read_text().split())
    assert all(row[0].startswith(row[1]) and row[0].split("-")[1] == row[2] for row in rows)
    archived = posteriors_of(f"scp:{trained}/decode_test/posteriors.scp")
    for row in rows:
        np.testing.assert_allclose(archived[row[0]], [float(value) for value in row[4:]], atol=1e-5)
        assert abs(archived[row[0]].sum() - 1) < 1e-5
        assert row[3] == ["angry", "calm", "sad"][int(archived[row[0]].argmax())]
    right = sum(row[2] == row[3] for row in rows)
    assert right >= 5  # of 6; the classes are two standard deviations apart


def test_folders_archives_and_given_statistics_give_the_same_posteriors(small_corpus, trained, tmp_path):
    toy = f"scp:{small_corpus}/feats/toy.scp"
    assert decode.main(["--data", str(small_corpus), *CPU, str(trained), f"ark:{tmp_path}/folder.ark"]) == 0
    assert (
        decode.main(
            [
                "--feats",
                f"toy={toy}",
                "--utt2spk",
                str(small_corpus / "utt2spk"),
                *CPU,
                str(trained),
                f"ark,t:{tmp_path}/archive.txt",
            ]
        )
        == 0
    )
    assert compute_cmvn.main(["--spk2utt", str(small_corpus / "spk2utt"), toy, f"ark:{tmp_path}/cmvn.ark"]) == 0
    assert (
        decode.main(
            [
                "--feats",
                f"toy={toy}",
                "--utt2spk",
                str(small_corpus / "utt2spk"),
                "--cmvn",
                f"toy=ark:{tmp_path}/cmvn.ark",
                *CPU,
                str(trained),
                f"ark:{tmp_path}/cmvn_given.ark",
            ]
        )
        == 0
    )
    folder = posteriors_of(f"ark:{tmp_path}/folder.ark")
    assert len(folder) == 24
    for other in ("archive.txt", "cmvn_given.ark"):
        for utterance, row in posteriors_of(f"ark:{tmp_path}/{other}").items():
            np.testing.assert_allclose(row, folder[utterance], atol=2e-4)


def test_decoding_refuses_what_it_cannot_do(small_corpus, trained, tmp_path, capsys):
    toy = f"toy=scp:{small_corpus}/feats/toy.scp"
    out = f"ark:{tmp_path}/out.ark"
    cases = [
        (["--feats", toy, *CPU, str(trained), out], 1, "give --utt2spk"),
        (
            [
                "--feats",
                f"other=scp:{small_corpus}/feats/toy.scp",
                "--utt2spk",
                str(small_corpus / "utt2spk"),
                *CPU,
                str(trained),
                out,
            ],
            1,
            "needs toy features",
        ),
        (["--feats", toy, *CPU, str(trained)], 2, "WSPECIFIER"),
        (["--feats", "toy", *CPU, str(trained), out], 2, "NAME=RSPECIFIER"),
        (["--feats", toy, "--data", str(small_corpus), str(trained), out], 2, "either --data or --feats"),
        (["--splits", "somewhere", "--data", str(small_corpus), str(trained)], 2, "--splits needs"),
        ([*fold_options(small_corpus), str(trained), out], 2, "--splits decodes into RUN_DIR: no WSPECIFIER"),
        (["--feats", toy, "--num_threads", "-1", str(trained), out], 2, "--num_threads -1"),
        (["--feats", toy, *CPU, str(tmp_path / "nowhere"), out], 1, "no trained model; stage 3 trains it"),
        (["--feats", toy, "--device", "cuda:99", str(trained), out], 1, "--device cuda:99"),
    ]
    for arguments, status, message in cases:
        assert decode.main(arguments) == status
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out.ark").exists()


def test_lists_that_the_model_was_not_trained_with_are_not_decoded(small_corpus, trained, capsys):
    test_list = small_corpus / "splits" / "toy" / "fold1" / "test"
    test_list.write_text(test_list.read_text() + "s1-angry-1\n")  # which was trained on
    assert decode.main([*fold_options(small_corpus), *CPU, str(trained)]) == 1
    assert "trained on other lists" in capsys.readouterr().err
    assert not (trained / "decode_test").exists()


def test_damaged_checkpoints_are_named(small_corpus, trained, capsys, tmp_path):
    path = trained / "checkpoints" / "best.pt"
    path.write_bytes(path.read_bytes()[:1000])
    assert decode.main([*fold_options(small_corpus), *CPU, str(trained)]) == 1
    message = capsys.readouterr().err
    assert "best.pt: not a readable checkpoint" in message and message.count("\n") == 1


def test_missing_features_and_labels_are_named(small_corpus, toy_config, tmp_path, capsys):
    assert run_training(small_corpus, toy_config, tmp_path / "a", "--labels", "5") == 1
    assert "no label set '5'" in capsys.readouterr().err
    assert run_training(small_corpus, toy_config, tmp_path / "b", "--set", "features=[fbank40]") == 1
    assert "no fbank40 features; stage 1 makes them" in capsys.readouterr().err


def test_a_second_step_starts_from_the_first_ones_weights(small_corpus, tmp_path):
    config = tmp_path / "steps.yaml"
    config.write_text(
        "features: [toy]\nsegment: {frames: 15, train_hop: 5}\n"
        "training: {max_epochs: 1, precision: float32}\noptimiser: {name: sgd, lr: 1.0e-20}\n"
        "steps:\n"
        "  warm_up: {model: {name: blstm, lstm_units: 4}}\n"
        "  classify: {init: warm_up, model: {name: blstm_capsule, lstm_units: 4, filters: 2, capsules: 2}}\n"
    )
    run_dir = tmp_path / "run"
    assert run_training(small_corpus, config, run_dir, "--step", "warm_up") == 0
    assert run_training(small_corpus, config, run_dir, "--step", "classify") == 0
    import torch

    first, second = (
        torch.load(folder / "checkpoints" / "best.pt", weights_only=True)["model"]
        for folder in (run_dir / "steps" / "warm_up", run_dir)
    )
    shared = [name for name in first if name.startswith("blstm.")]
    assert len(shared) == 16
    assert all(torch.equal(first[name], second[name]) for name in shared)
    assert decode.main([*fold_options(small_corpus), *CPU, str(run_dir)]) == 0


def test_a_class_without_training_utterances_is_named(small_corpus, toy_config, tmp_path, capsys):
    labels = small_corpus / "labels" / "3"
    kept = [line for line in labels.read_text().splitlines(True) if "sad" not in line or line.startswith("s4")]
    labels.write_text("".join(kept))
    assert run_training(small_corpus, toy_config, tmp_path / "run") == 1
    assert "the fold's training part has no utterance of sad" in capsys.readouterr().err


SUPERVECTORS = """features: [toy]
steps:
  gmm: {normalise: speaker, model: {name: class_gmms, components: 2}, extract: supervector}
  classifier: {features: [supervector], model: {name: svm}}
"""


def test_a_step_takes_the_features_that_an_earlier_one_extracts(small_corpus, tmp_path):
    config = tmp_path / "supervectors.yaml"
    config.write_text(SUPERVECTORS)
    run_dir = tmp_path / "run"
    for step in ("gmm", "classifier"):
        assert run_training(small_corpus, config, run_dir, "--step", step) == 0
    supervectors = posteriors_of(f"scp:{run_dir}/feats/supervector.scp")
    assert len(supervectors) == 24
    for matrix in supervectors.values():
        assert matrix.shape == (1, 6)
        np.testing.assert_allclose(matrix.reshape(3, 2).sum(1), 1, atol=1e-5)
    assert decode.main([*fold_options(small_corpus), *CPU, str(run_dir)]) == 0
    rows = [line.split("\t") for line in (run_dir / "decode_test/predictions.tsv").read_text().splitlines()[1:]]
    assert sum(row[2] == row[3] for row in rows) >= 5
    # The same by hand: the first step's vectors of any archive, decoded by the second one.
    toy = f"toy=scp:{small_corpus}/feats/toy.scp"
    vectors = f"{tmp_path}/vectors.ark"
    layer = ["--step", "gmm", "--layer", "supervector"]
    speakers = ["--utt2spk", str(small_corpus / "utt2spk")]
    assert extract.main([*layer, "--feats", toy, *speakers, *CPU, str(run_dir), f"ark:{vectors}"]) == 0
    assert decode.main(["--feats", f"supervector=ark:{vectors}", *CPU, str(run_dir), f"ark:{tmp_path}/p.ark"]) == 0
    by_hand = posteriors_of(f"ark:{tmp_path}/p.ark")
    for utterance, row in posteriors_of(f"scp:{run_dir}/decode_test/posteriors.scp").items():
        np.testing.assert_allclose(by_hand[utterance], row, atol=1e-5)


def test_steps_are_trained_in_order_and_on_the_same_lists(small_corpus, tmp_path, capsys):
    config, run_dir = tmp_path / "supervectors.yaml", tmp_path / "run"
    config.write_text(SUPERVECTORS)
    assert run_training(small_corpus, config, run_dir) == 1
    assert "supervector.scp: missing; train the step gmm first (--step gmm)" in capsys.readouterr().err
    assert run_training(small_corpus, config, run_dir, "--step", "gmm") == 0
    assert run_training(small_corpus, config, run_dir, "--seed", "2") == 1
    assert "steps/gmm: trained with the seed 1, not 2" in capsys.readouterr().err
    train_list = small_corpus / "splits" / "toy" / "fold1" / "train"
    kept = train_list.read_text()
    train_list.write_text(kept.replace("s1-angry-1\n", ""))
    assert run_training(small_corpus, config, run_dir) == 1
    assert "trained on other lists" in capsys.readouterr().err
    train_list.write_text(kept)
    assert run_training(small_corpus, config, run_dir) == 0
    # Its supervectors are of this corpus: another folder's must be extracted.
    assert decode.main(["--data", str(small_corpus), *CPU, str(run_dir), f"ark:{tmp_path}/p.ark"]) == 1
    assert "let sertk-extract --step ... --layer supervector do so" in capsys.readouterr().err
    settings = "training.imbalance=upsample"
    assert run_training(small_corpus, config, tmp_path / "up", "--step", "gmm", "--set", settings) == 1
    assert "class_gmms has no epochs: take weights" in capsys.readouterr().err


def test_layers_are_means_over_the_windows_of_each_utterance(small_corpus, trained, tmp_path, capsys):
    lower = f"ark:{tmp_path}/lower.ark"
    options = [*fold_options(small_corpus), "--part", "train", *CPU, str(trained)]
    assert extract.main(["--layer", "lower", *options, lower]) == 0
    matrices = posteriors_of(lower)
    assert set(matrices) == set((small_corpus / "splits/toy/fold1/train").read_text().split())
    assert all(matrix.shape == (2, 4 * 4) for matrix in matrices.values())  # (15 - 9) // 2 + 1 positions
    assert extract.main(["--layer", "lower", "--mean", *options, f"ark:{tmp_path}/mean.ark"]) == 0
    for utterance, row in posteriors_of(f"ark:{tmp_path}/mean.ark").items():
        np.testing.assert_allclose(row, matrices[utterance].mean(0, keepdims=True), atol=1e-7)
    assert extract.main([*options, f"ark:{tmp_path}/output.ark"]) == 0
    assert all(matrix.shape == (1, 3) for matrix in posteriors_of(f"ark:{tmp_path}/output.ark").values())
    assert extract.main(["--layer", "middle", *options, lower]) == 1
    assert "no layer 'middle' (there are: lower, upper, output)" in capsys.readouterr().err


@pytest.mark.parametrize("imbalance", ["weights", "upsample"])
def test_both_options_for_imbalanced_classes_train(small_corpus, toy_config, tmp_path, imbalance):
    labels = small_corpus / "labels" / "3"
    labels.write_text("".join(line for line in labels.read_text().splitlines(True) if "s1-sad" not in line))
    settings = f"training.max_epochs=1 training.imbalance={imbalance}"
    assert run_training(small_corpus, toy_config, tmp_path / "run", "--set", settings) == 0
    steps = json.loads((tmp_path / "run" / "metrics.jsonl").read_text())["updates"]
    assert run_training(small_corpus, toy_config, tmp_path / "plain", "--set", "training.max_epochs=1") == 0
    plain = json.loads((tmp_path / "plain" / "metrics.jsonl").read_text())["updates"]
    assert steps > plain if imbalance == "upsample" else steps == plain
