"""Training and decoding through the commands, on a small corpus whose classes can be told apart."""

import json

import numpy as np
import pytest
from small_experiments import CPU, decode_run, make_experiment_of, status_of_training, train_run

from sertk.bin import compute_cmvn, decode, extract, jobs, pack, predict, train
from sertk.core.files import read_yaml, write_yaml
from sertk.kaldi.archives import open_matrices


@pytest.fixture
def trained(small_corpus, toy_config, tmp_path, monkeypatch):
    """A run folder with a model trained for six epochs, with normalisation per speaker."""
    monkeypatch.setattr("sys.argv", ["/usr/bin/sertk-train", "--seed", "1", "two words"])
    settings = "training.max_epochs=6", "normalise=speaker", "optimiser.lr=1e-2"
    return train_run(small_corpus, toy_config, tmp_path / "exp", *settings)


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


def test_decoding_a_split_writes_posteriors_and_predictions(small_corpus, trained):
    decode_run(trained)
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
    archives = ["--feats", f"toy={toy}", "--utt2spk", str(small_corpus / "utt2spk"), *CPU, str(trained)]
    assert decode.main([*archives, f"ark,t:{tmp_path}/archive.txt"]) == 0
    assert compute_cmvn.main(["--spk2utt", str(small_corpus / "spk2utt"), toy, f"ark:{tmp_path}/cmvn.ark"]) == 0
    assert decode.main(["--cmvn", f"toy=ark:{tmp_path}/cmvn.ark", *archives, f"ark:{tmp_path}/cmvn_given.ark"]) == 0
    folder = posteriors_of(f"ark:{tmp_path}/folder.ark")
    assert len(folder) == 24
    for other in ("archive.txt", "cmvn_given.ark"):
        for utterance, row in posteriors_of(f"ark:{tmp_path}/{other}").items():
            np.testing.assert_allclose(row, folder[utterance], atol=2e-4)


def test_decoding_refuses_what_it_cannot_do(small_corpus, trained, tmp_path, capsys):
    toy = f"toy=scp:{small_corpus}/feats/toy.scp"
    out, speakers = f"ark:{tmp_path}/out.ark", ["--utt2spk", str(small_corpus / "utt2spk")]
    cases = [
        (["--feats", toy, *CPU, str(trained), out], 1, "give --utt2spk"),
        (["--feats", f"other={toy[4:]}", *speakers, *CPU, str(trained), out], 1, "needs toy features"),
        (["--feats", toy, *CPU, str(trained)], 2, "WSPECIFIER"),
        (["--feats", "toy", *CPU, str(trained), out], 2, "NAME=RSPECIFIER"),
        (["--feats", toy, "--data", str(small_corpus), str(trained), out], 2, "one of --split, --data and --feats"),
        (["--split", "valid", "--data", str(small_corpus), str(trained), out], 2, "one of --split, --data and --feats"),
        (["--cmvn", toy, str(trained)], 2, "a split is normalised by its own statistics: no --cmvn"),
        (["--job", "1", str(trained)], 2, "--jobs FILE and --job N go together"),
        (["--split", "valid", str(trained), out], 2, "a split is decoded into the run's folder: no WSPECIFIER"),
        (["--feats", toy, "--num_threads", "-1", str(trained), out], 2, "--num_threads -1"),
        (["--feats", toy, *CPU, str(tmp_path / "nowhere"), out], 1, "no trained system: expected the folder of a run"),
        (["--feats", toy, "--device", "cuda:99", str(trained), out], 1, "--device cuda:99"),
    ]
    for arguments, status, message in cases:
        assert decode.main(arguments) == status
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out.ark").exists()


def test_lists_that_the_model_was_not_trained_with_are_not_decoded(small_corpus, trained, capsys):
    test_list = small_corpus / "splits" / "toy" / "fold1" / "test"
    lists = test_list.read_text()
    test_list.write_text(lists + "s1-angry-1\n")
    assert decode.main([*CPU, str(trained)]) == 1
    assert "fold1/test: 's1-angry-1' is in train too" in capsys.readouterr().err
    test_list.write_text(lists.partition("\n")[2])
    assert decode.main([*CPU, str(trained)]) == 1
    assert "trained on other lists" in capsys.readouterr().err
    assert not (trained / "decode_test").exists()


def test_an_utterance_without_speaker_is_named(small_corpus, trained, capsys):
    table = small_corpus / "utt2spk"
    table.write_text("".join(line for line in table.read_text().splitlines(True) if "s4-sad-1" not in line))
    assert decode.main([*CPU, str(trained)]) == 1
    assert "fold1/test:5: 's4-sad-1' is not in the data folder; make the lists anew" in capsys.readouterr().err


def test_missing_features_and_labels_are_named(small_corpus, toy_config, tmp_path, capsys):
    assert status_of_training(small_corpus, toy_config, tmp_path / "a", labels="5") == 1
    assert "no label set '5'" in capsys.readouterr().err
    assert status_of_training(small_corpus, toy_config, tmp_path / "b", "features=[fbank40]") == 1
    assert "no fbank40 features; stage 1 makes them" in capsys.readouterr().err


def test_a_second_part_starts_from_the_first_ones_weights(small_corpus, tmp_path):
    config = tmp_path / "steps.yaml"
    config.write_text(
        "features: [toy]\nsegment: {frames: 15, train_hop: 5}\n"
        "training: {max_epochs: 1, precision: float32}\noptimiser: {name: sgd, lr: 1.0e-20}\n"
        "steps:\n"
        "  warm_up: {model: {name: blstm, lstm_units: 4}}\n"
        "  classify: {init: warm_up, model: {name: blstm_capsule, lstm_units: 4, filters: 2, capsules: 2}}\n"
    )
    run_dir = train_run(small_corpus, config, tmp_path / "exp")
    import torch

    first, second = (
        torch.load(folder / "checkpoints" / "best.pt", weights_only=True)["model"]
        for folder in (run_dir / "steps" / "warm_up", run_dir)
    )
    shared = [name for name in first if name.startswith("blstm.")]
    assert len(shared) == 16
    assert all(torch.equal(first[name], second[name]) for name in shared)
    decode_run(run_dir)


def test_a_class_without_training_utterances_is_named(small_corpus, toy_config, tmp_path, capsys):
    labels = small_corpus / "labels" / "3"
    kept = [line for line in labels.read_text().splitlines(True) if "sad" not in line or line.startswith("s4")]
    labels.write_text("".join(kept))
    assert status_of_training(small_corpus, toy_config, tmp_path / "exp") == 1
    assert "the fold's training split has no utterance of sad" in capsys.readouterr().err


SUPERVECTORS = """features: [toy]
steps:
  gmm: {normalise: speaker, model: {name: class_gmms, components: 2}, extract: supervector}
  classifier: {features: [supervector], model: {name: svm}}
"""


def test_a_part_takes_the_features_that_an_earlier_one_extracts(small_corpus, tmp_path):
    config = tmp_path / "supervectors.yaml"
    config.write_text(SUPERVECTORS)
    run_dir = train_run(small_corpus, config, tmp_path / "exp")
    supervectors = posteriors_of(f"scp:{run_dir}/feats/supervector.scp")
    assert len(supervectors) == 24
    for matrix in supervectors.values():
        assert matrix.shape == (1, 6)
        np.testing.assert_allclose(matrix.reshape(3, 2).sum(1), 1, atol=1e-5)
    decode_run(run_dir)
    rows = [line.split("\t") for line in (run_dir / "decode_test/predictions.tsv").read_text().splitlines()[1:]]
    assert sum(row[2] == row[3] for row in rows) >= 5
    # The same by hand: the first part's vectors of any archive, decoded by the second one.
    toy = f"toy=scp:{small_corpus}/feats/toy.scp"
    vectors = f"{tmp_path}/vectors.ark"
    layer = ["--part", "gmm", "--layer", "supervector"]
    speakers = ["--utt2spk", str(small_corpus / "utt2spk")]
    assert extract.main([*layer, "--feats", toy, *speakers, *CPU, str(run_dir), f"ark:{vectors}"]) == 0
    assert decode.main(["--feats", f"supervector=ark:{vectors}", *CPU, str(run_dir), f"ark:{tmp_path}/p.ark"]) == 0
    by_hand = posteriors_of(f"ark:{tmp_path}/p.ark")
    for utterance, row in posteriors_of(f"scp:{run_dir}/decode_test/posteriors.scp").items():
        np.testing.assert_allclose(by_hand[utterance], row, atol=1e-5)


def test_the_features_of_a_run_move_with_it(small_corpus, tmp_path):
    config, moved = tmp_path / "supervectors.yaml", tmp_path / "moved"
    config.write_text(SUPERVECTORS)
    run_dir = train_run(small_corpus, config, tmp_path / "exp")
    before = (decode_run(run_dir) / "predictions.tsv").read_text()
    (tmp_path / "exp").rename(moved)
    train_run(small_corpus, config, tmp_path / "exp", "steps.gmm.model.components=1")  # another one in its place
    assert (decode_run(moved / "fold1/seed1") / "predictions.tsv").read_text() == before


def test_what_parts_were_trained_on_is_checked_before_anything_goes_on(small_corpus, tmp_path, capsys):
    config, exp = tmp_path / "supervectors.yaml", tmp_path / "exp"
    config.write_text(SUPERVECTORS)
    run_dir = train_run(small_corpus, config, exp)
    classifier = run_dir / "checkpoints/best.pt"
    classifier.unlink()  # as if the training had been cut off between the parts
    train_list = small_corpus / "splits" / "toy" / "fold1" / "train"
    kept = train_list.read_text()
    train_list.write_text(kept.replace("s1-angry-1\n", ""))
    assert status_of_training(small_corpus, config, exp) == 1
    assert f"{run_dir}/steps/gmm/config.yaml: trained on other lists" in capsys.readouterr().err
    train_list.write_text(kept)
    assert train_run(small_corpus, config, exp) == run_dir and classifier.exists()
    # Its supervectors are of this corpus: another folder's must be extracted.
    assert decode.main(["--data", str(small_corpus), *CPU, str(run_dir), f"ark:{tmp_path}/p.ark"]) == 1
    assert "let sertk-extract --part ... --layer supervector do so" in capsys.readouterr().err
    assert status_of_training(small_corpus, config, tmp_path / "up", "training.imbalance=upsample") == 1
    assert "training.imbalance is 'upsample', expected none for class_gmms" in capsys.readouterr().err


def test_a_training_that_was_cut_off_is_not_decoded(small_corpus, toy_config, tmp_path, cut_off_at, capsys):
    exp = tmp_path / "exp"
    cut_off_at(20)
    with pytest.raises(RuntimeError, match="cut off"):
        status_of_training(small_corpus, toy_config, exp, "training.checkpoint_seconds=0.000001")
    run_dir = exp / "fold1/seed1"
    assert (run_dir / "checkpoints/best.pt").exists()  # of the first epoch
    assert jobs.main([str(exp)]) == 0
    assert capsys.readouterr().out == "1 1 training\n"
    assert decode.main([*CPU, str(run_dir)]) == 1
    unfinished = f"{run_dir}: not trained to its end; stage 3 trains it"
    assert unfinished in capsys.readouterr().err
    for command, arguments in {
        extract: [str(run_dir), f"ark:{tmp_path}/x.ark"],
        pack: [str(exp), str(tmp_path / "x.zip")],
        predict: [str(exp), "x.wav"],
    }.items():
        assert command.main(arguments) == 1
        assert unfinished in capsys.readouterr().err
    assert train.main(["--fold", "1", *CPU, str(exp)]) == 0
    decode_run(run_dir)
    assert jobs.main([str(exp)]) == 0
    assert capsys.readouterr().out == "1 1 decoded\n"
    assert decode.main(["--fold", "1", "--seed", "2", *CPU, str(exp)]) == 1
    assert f"{exp}/fold1/seed2: not trained yet; stage 3 trains it" in capsys.readouterr().err


def test_training_does_not_go_on_with_other_labels(small_corpus, toy_config, tmp_path, cut_off_at, capsys):
    exp, labels = tmp_path / "exp", small_corpus / "labels" / "3"
    (small_corpus / "labels" / "loud").write_text(labels.read_text().replace("calm", "quiet"))
    cut_off_at(5)
    with pytest.raises(RuntimeError, match="cut off"):
        status_of_training(small_corpus, toy_config, exp, "training.checkpoint_seconds=0.000001")
    latest = (exp / "fold1/seed1/checkpoints/latest.pt").read_bytes()
    assert make_experiment_of(small_corpus, toy_config, exp, "training.checkpoint_seconds=0.000001", labels="loud") == 1
    assert "other settings (class_counts.calm, class_counts.quiet, classes, label_set)" in capsys.readouterr().err
    # As many of each class, but others
    labels.write_text(
        labels.read_text().replace("s1-calm-1 calm", "s1-calm-1 sad").replace("s1-sad-1 sad", "s1-sad-1 calm")
    )
    assert train.main(["--fold", "1", *CPU, str(exp)]) == 1
    assert f"{exp}: made with other labels than {labels} has now; put those back" in capsys.readouterr().err
    settings = "training.checkpoint_seconds=0.000001"
    assert make_experiment_of(small_corpus, toy_config, exp, settings) == 1
    assert "made with other labels than" in capsys.readouterr().err
    data = read_yaml(exp / "data.yaml")
    data.pop("labels_sha256")  # as if of a version that did not know
    write_yaml(exp / "data.yaml", data)
    assert train.main(["--fold", "1", *CPU, str(exp)]) == 1
    assert f"trained on other labels (3) than {labels} has now" in capsys.readouterr().err
    assert (exp / "fold1/seed1/checkpoints/latest.pt").read_bytes() == latest


def test_layers_are_means_over_the_windows_of_each_utterance(small_corpus, trained, tmp_path, capsys):
    lower = f"ark:{tmp_path}/lower.ark"
    options = ["--split", "train", *CPU, str(trained)]
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
    settings = "training.max_epochs=1", f"training.imbalance={imbalance}"
    runs = (
        train_run(small_corpus, toy_config, tmp_path / "even", *settings),
        train_run(small_corpus, toy_config, tmp_path / "plain", *settings[:1]),
    )
    even, plain = (json.loads((run / "metrics.jsonl").read_text())["updates"] for run in runs)
    assert even > plain if imbalance == "upsample" else even == plain
