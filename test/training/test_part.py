"""The training of one part of a run: what decides its weights, what it leaves, and which speakers it holds out."""

import pytest
import torch
from small_experiments import train_run

from sertk.core.errors import SertkError
from sertk.kaldi.datadir import write_data_dir
from sertk.training.part import speaker_shares


def test_the_seed_alone_decides_the_weights(small_corpus, toy_config, tmp_path):
    trained = []
    for place, seed in enumerate((1, 1, 2)):
        torch.manual_seed(100 + place)  # what ran before in the same process
        run = train_run(small_corpus, toy_config, tmp_path / f"exp{place}", "training.max_epochs=1", seed=seed)
        trained.append(torch.load(run / "checkpoints/latest.pt", weights_only=True)["model"])
    first, again, other = trained
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_the_log_says_what_was_trained_on_and_how_it_ended(small_corpus, toy_config, tmp_path, caplog):
    caplog.set_level("INFO")
    run = train_run(small_corpus, toy_config, tmp_path / "exp", "training.max_epochs=1")
    log = (run / "train.log").read_text()
    assert "blstm_capsule: 12 training and 6 validation utterances, on cpu\n" in log
    assert " training ended after epoch 1; the best epoch was 1\n" in log


def test_shares_of_the_training_speakers_by_hand(tmp_path):
    speakers = ("s1", "s2", "s3", "s4", "s5")
    utterances = [f"{speaker}-{take}" for take in (1, 2) for speaker in speakers]
    write_data_dir(tmp_path, {"utt2spk": {each: each[:2] for each in utterances}})
    assert speaker_shares(tmp_path, utterances, 3) == [
        ["s1-1", "s4-1", "s1-2", "s4-2"],
        ["s2-1", "s5-1", "s2-2", "s5-2"],
        ["s3-1", "s3-2"],
    ]
    with pytest.raises(SertkError, match="crossfit: 6 shares of 5 training speakers"):
        speaker_shares(tmp_path, utterances, 6)
