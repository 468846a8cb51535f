"""Training of speech recognisers: what is left out, resuming, several processes, decoding."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
from patience import HOUR

from sertk.asr.scoring import ErrorRates
from sertk.asr.task import load_transcribed
from sertk.bin import decode_asr, train_asr
from sertk.config.loading import load_parts
from sertk.core.errors import SertkError
from sertk.core.files import read_yaml, write_yaml
from sertk.kaldi.archives import MatrixWriter
from sertk.kaldi.datadir import write_data_dir
from sertk.text.tokens import ALPHABET, Tokens, make_tokens

BINS = 81
WORDS = ("ab", "ba", "cab")
CONFIG = """task: asr
features: [toy]
normalise: [{how: meanvar, scope: utterance}]
model: {name: deepspeech, gru_units: 6, gru_layers: 2, channels: 2}
optimiser: {name: sgd, lr: 0.001, momentum: 0.9, nesterov: true}
training: {batch_size: 4, batches: length, sortagrad: true, max_epochs: 2, select: valid_cer, precision: float32}
"""


def write_folder(path, texts, frames):
    """A data folder of utterances with `toy` features, noise with a band for each letter."""
    random = np.random.default_rng(len(texts))
    write_data_dir(path, {"utt2spk": dict.fromkeys(texts, "s"), "text": texts, "utt2dur": dict.fromkeys(texts, "36.0")})
    with MatrixWriter(f"ark,scp:{path}/feats/toy.ark,{path}/feats/toy.scp") as writer:
        for (utterance, text), count in zip(texts.items(), frames):
            matrix = random.normal(size=(count, BINS))
            for number, letter in enumerate(text):
                matrix[number * count // len(text) :, 10 * "abc ".find(letter)] += 3
            writer.write(utterance, matrix.astype(np.float32))


@pytest.fixture
def asr(tmp_path):
    """A folder with train, dev, config.yaml and the tokens of exp."""
    for part, count in (("train", 10), ("dev", 3)):
        texts = {f"{part}{number}": WORDS[number % 3] for number in range(count)}
        write_folder(tmp_path / part, texts, [60 + 7 * number for number in range(count)])
    (tmp_path / "config.yaml").write_text(CONFIG)
    for exp in ("exp", "other"):
        make_tokens({}, ALPHABET, tmp_path / exp / "tokens.model")
    return tmp_path


def command(folder, exp="exp", *options):
    parts = ["--config", folder / "config.yaml", "--train", folder / "train", "--dev", folder / "dev"]
    return [str(word) for word in (*parts, "--device", "cpu", "--num_threads", "1", *options, folder / exp)]


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(folder):
    return torch.load(folder / "checkpoints" / "latest.pt", weights_only=True)["model"]


def test_training_decoding_and_the_page(asr, capsys):
    assert train_asr.main(command(asr)) == 0
    assert decode_asr.main(["--data", str(asr / "dev"), "--device", "cpu", str(asr / "exp")]) == 0
    lines = dict(line.partition(" ")[::2] for line in (asr / "exp/decode_dev/text").read_text().splitlines())
    assert list(lines) == ["dev0", "dev1", "dev2"]
    rates = ErrorRates()
    for number, utterance in enumerate(lines):
        rates.add(WORDS[number], lines[utterance])
    best = min(line["valid_cer"] for line in metrics(asr / "exp"))
    assert rates.cer == pytest.approx(best) and f"CER {100 * best:.2f} %" in capsys.readouterr().out
    page = (asr / "exp/RESULTS.md").read_text()
    assert f"| dev | 3 | 0.03 | {100 * best:.1f} |" in page and "train: 10 utterances, 0.10 hours" in page


def test_error_rates_by_hand():
    rates = ErrorRates()
    rates.add("kitten sat", "sitting sat")  # 3 edits of 10 characters, 1 word of 2
    rates.add("on", "")
    assert rates.cer == 5 / 12 and rates.wer == 2 / 3
    with pytest.raises(SertkError, match="no reference has any text"):
        _ = ErrorRates().cer


def test_cut_off_in_an_epoch_it_ends_with_the_same_weights(asr, cut_off_at):
    assert train_asr.main(command(asr)) == 0
    cut_off_at(5)  # the second update of the second epoch
    often = ("--set", "training.checkpoint_seconds=0.000001")
    with pytest.raises(RuntimeError, match="cut off"):
        train_asr.main(command(asr, "other", *often))
    assert torch.load(asr / "other/checkpoints/latest.pt", weights_only=True)["progress"]["updates"] == 1
    assert train_asr.main(command(asr, "other", *often)) == 0
    one, other = weights(asr / "exp"), weights(asr / "other")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_training_does_not_go_on_with_other_data(asr, capsys, caplog):
    assert train_asr.main(command(asr)) == 0
    texts = {f"train{number}": WORDS[number % 3] for number in range(10)}
    write_folder(asr / "train", texts, [60] * 10)
    capsys.readouterr()
    assert train_asr.main(command(asr)) == 1
    assert "config.yaml: this experiment has other settings (run.data.train.toy features)" in capsys.readouterr().err
    stored = read_yaml(asr / "exp/config.yaml")
    del stored["run"]["data"]  # as before version 0.4
    write_yaml(asr / "exp/config.yaml", stored)
    assert train_asr.main(command(asr)) == 0
    assert "warning: trained before version 0.4" in caplog.text
    assert "data" not in read_yaml(asr / "exp/config.yaml")["run"]


def test_two_processes_do_what_one_does(asr):
    assert train_asr.main(command(asr)) == 0
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    shared = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "sertk.bin.train_asr", *command(asr, "other")], env={**shared, "RANK": rank}
        )
        for rank in ("0", "1")
    ]
    assert [process.wait(HOUR) for process in started] == [0, 0]
    for line, other in zip(metrics(asr / "exp"), metrics(asr / "other"), strict=True):
        for name in ("train_loss", "valid_loss", "valid_cer", "valid_wer"):
            assert other[name] == pytest.approx(line[name], abs=1e-4)
    one, other = weights(asr / "exp"), weights(asr / "other")
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, atol=1e-4, rtol=1e-3)


def test_utterances_that_teach_nothing_are_named_and_left_out(asr, caplog):
    texts = {"a": "ab", "b": "", "c": "abc", "d": "a1", "e": "aab"}
    write_folder(asr / "odd", {utterance: text or "x" for utterance, text in texts.items()}, [60, 60, 33, 60, 30])
    (asr / "odd/text").write_text("a ab\nb \nc abc\nd a1\ne aab\n")
    config = load_parts(asr / "config.yaml")["train"]
    dataset, left_out = load_transcribed(config, asr / "odd", Tokens(asr / "exp/tokens.model"))
    assert dataset.utterances == ["a"] and set(left_out) == {"b", "c", "d", "e"}
    assert ["".join(Tokens(asr / "exp/tokens.model").pieces[i] for i in ids) for ids in dataset.tokens] == ["ab"]
    for reason in (
        "no text: b",
        "characters that no token has: d",
        "fewer than 31 frames: e",
        "more text than CTC can align with its frames: c",
    ):
        assert f"1 of 5 utterances are left out, with {reason}" in caplog.text
    (asr / "odd/text").write_text("".join(f"{utterance} 7\n" for utterance in texts))
    with pytest.raises(SertkError, match="no utterance is left to learn from"):
        load_transcribed(config, asr / "odd", Tokens(asr / "exp/tokens.model"))


def test_configs_of_other_tasks_are_refused(asr, capsys):
    (asr / "config.yaml").write_text("features: [toy]\nmodel: {name: lstm}\n")
    assert train_asr.main(command(asr)) == 1
    assert "expected one part, with the task asr" in capsys.readouterr().err
