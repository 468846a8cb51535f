"""Parts from autoencoder to classifier on a small corpus: latents of every split, crossfit, marks, and warnings."""

import json
import logging

import numpy as np
import pytest
import torch
import yaml
from small_experiments import decode_run, status_of_training, train_run

from sertk.bin import score
from sertk.config.loading import load_parts
from sertk.core.errors import SertkError
from sertk.experiments.card import make_card
from sertk.inference.inputs import read_labelled
from sertk.inference.trained import TrainedModel
from sertk.kaldi.archives import open_matrices
from sertk.kaldi.datadir import read_lines, read_table

CPU = torch.device("cpu")
AUTOENCODER = {
    "task": "autoencoder",
    "features": ["toy"],
    "segment": {"frames": 5, "train_hop": 5, "decode_hop": 5, "jitter": False, "pad": "zero"},
    "training": {"batch_size": 16, "max_epochs": 2, "select": "valid_reconstruction", "precision": "float32"},
}
SIZES = {"hidden": [8], "latent": 3}
LSTM = {
    "model": {"name": "lstm", "lstm_units": 4},
    "training": {"batch_size": 4, "max_epochs": 2, "precision": "float32"},
}
VAE = {**AUTOENCODER, "model": {"name": "vae", **SIZES}, "extract": "vae_latents"}
PARTS = {
    "vae": VAE,
    "lstm": {**LSTM, "features": ["vae_latents"], "extract": "posteriors", "crossfit": 2},
    "cvae": {
        **AUTOENCODER,
        "conditions": "posteriors",
        "extract": "cvae_latents",
        "model": {"name": "cvae", **SIZES, "condition": "predicted"},
    },
    "cvae_lstm": {**LSTM, "features": ["cvae_latents"]},
}


def write_config(folder, parts=PARTS):
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({"steps": parts}, sort_keys=False))
    return path


def test_from_autoencoder_to_predictions(small_corpus, tmp_path):
    config, exp = write_config(tmp_path), tmp_path / "exp"
    run_dir = train_run(small_corpus, config, exp)
    lengths = {utt: len(matrix) for utt, matrix in open_matrices(f"scp:{small_corpus}/feats/toy.scp")}
    for latents in ("vae_latents", "cvae_latents"):
        made = dict(open_matrices(f"scp:{run_dir}/feats/{latents}.scp"))
        assert {utt: matrix.shape for utt, matrix in made.items()} == {
            utt: (-(-length // 5), 6) for utt, length in lengths.items()
        }
    lines = [json.loads(line) for line in (run_dir / "steps/vae/metrics.jsonl").read_text().splitlines()]
    assert {"train_reconstruction", "train_kl", "valid_reconstruction", "valid_kl", "valid_loss"} <= set(lines[-1])
    decode_run(run_dir)
    assert len(read_lines(run_dir / "decode_test/predictions.tsv")) == 7

    made = {path: path.read_bytes() for path in run_dir.rglob("*") if path.suffix in (".pt", ".ark")}
    for ended in run_dir.rglob("trained.json"):
        ended.unlink()
    assert train_run(small_corpus, config, exp) == run_dir
    assert (
        len(made) == 16 and {path: path.read_bytes() for path in made} == made
    )  # 6 trainings, 3 extractions, decoding


def test_the_training_split_is_recognised_by_models_that_did_not_see_its_speakers(small_corpus, tmp_path):
    run_dir = train_run(small_corpus, write_config(tmp_path), tmp_path / "exp")
    speakers = read_table(small_corpus / "utt2spk")
    posteriors = dict(open_matrices(f"scp:{run_dir}/feats/posteriors.scp"))
    assert set(posteriors) == set(speakers)
    whole = TrainedModel(run_dir, CPU, "lstm")
    for utt, row in posteriors.items():
        by = {"s1": whole.crossfit(1), "s2": whole.crossfit(2)}.get(speakers[utt], whole)
        expected = by.posteriors(read_labelled(by, small_corpus, [utt], "3").dataset)
        np.testing.assert_allclose(row, expected, atol=1e-6)
    seen = whole.posteriors(read_labelled(whole, small_corpus, ["s1-sad-1"], "3").dataset)
    assert np.abs(posteriors["s1-sad-1"] - seen.numpy()).max() > 1e-4


def test_more_shares_than_speakers_are_refused(small_corpus, tmp_path, capsys):
    parts = {**PARTS, "lstm": {**PARTS["lstm"], "crossfit": 3}}
    assert 1 == status_of_training(small_corpus, write_config(tmp_path, parts), tmp_path / "exp")
    assert "crossfit: 3 shares of 2 training speakers" in capsys.readouterr().err


def test_a_system_that_is_told_the_test_label_is_marked_everywhere(small_corpus, tmp_path):
    cvae = {**VAE, "model": {"name": "cvae", **SIZES, "condition": "oracle"}, "extract": "cvae_latents"}
    parts = {"cvae": cvae, "lstm": PARTS["cvae_lstm"]}
    config, exp = write_config(tmp_path, parts), tmp_path / "exp/toy"
    decode_run(train_run(small_corpus, config, exp))
    assert 0 == score.main([str(exp)])
    page = (exp / "RESULTS.md").read_text()
    assert "(uses the test label)" in page.splitlines()[0]
    assert "**Warning:** the labels of the test split were given to the model as its condition" in page

    uniform = {**parts, "cvae": {**cvae, "model": {**cvae["model"], "condition": "uniform"}}}
    fair = load_parts(write_config(tmp_path, uniform))
    assert "test_labels" not in make_card(fair, small_corpus, small_corpus / "splits/toy", "3", {})


def test_a_collapsed_posterior_is_warned_of(small_corpus, tmp_path, caplog):
    config = write_config(
        tmp_path,
        {
            "vae": {**VAE, "model": {**VAE["model"], "beta": 1e6}},
            "lstm": {**PARTS["lstm"], "extract": None, "crossfit": 0},
        },
    )
    with caplog.at_level(logging.WARNING):
        train_run(small_corpus, config, tmp_path / "exp", "steps.vae.training.max_epochs=15")
    assert "the posterior has collapsed" in caplog.text


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"task": "emotion"}, "steps.vae.task is 'emotion', expected autoencoder, for vae"),
        (
            {"training": {"select": "valid_uar"}},
            "training.select is 'valid_uar', expected one of valid_loss, valid_reconstruction, last for autoencoder",
        ),
        ({"extract": "ae_latents"}, "steps.vae.extract: vae has no layer 'ae_latents' \\(vae_latents\\)"),
        ({"extract": None, "crossfit": 2}, "steps.vae.crossfit is 2, expected 0, without extract"),
        ({"conditions": "cvae_latents"}, "steps.vae.features: cvae_latents is extracted later, by the part cvae"),
    ],
)
def test_parts_that_cannot_be_are_refused(tmp_path, changes, message):
    with pytest.raises(SertkError, match=message):
        load_parts(write_config(tmp_path, {**PARTS, "vae": {**VAE, **changes}}))
