"""Fixtures shared by the tests: a small data folder with features that tell the classes apart, and its splits."""

import numpy as np
import pytest
from decoded_experiments import make_experiment
from toy_corpus import CLASSES, SPEAKERS, write_splits

from sertk.kaldi.archives import MatrixWriter
from sertk.kaldi.datadir import write_data_dir
from sertk.training import loop


@pytest.fixture
def small_corpus(tmp_path):
    """A data folder with 4 speakers x 3 classes x 2 utterances, 6-dim `toy` features and one fold; returns its path."""
    random = np.random.default_rng(0)
    data = tmp_path / "data"
    utterances = {
        f"{speaker}-{label}-{take}": (speaker, label) for speaker in SPEAKERS for label in CLASSES for take in (1, 2)
    }
    write_data_dir(
        data,
        {
            "utt2spk": {utterance: speaker for utterance, (speaker, _) in utterances.items()},
            "labels/3": {utterance: label for utterance, (_, label) in utterances.items()},
        },
    )
    with MatrixWriter(f"ark,scp:{data}/feats/toy.ark,{data}/feats/toy.scp") as writer:
        for utterance, (speaker, label) in utterances.items():
            frames = random.normal(size=(random.integers(20, 40), 6))
            frames[:, CLASSES.index(label)] += 2
            frames += SPEAKERS.index(speaker)
            writer.write(utterance, frames.astype(np.float32))
    write_splits(data, {utterance: speaker for utterance, (speaker, _) in utterances.items()})
    return data


@pytest.fixture
def cut_off_at(monkeypatch):
    """A function after whose call that update from now on, over all epochs, raises RuntimeError once."""

    def arm(number):
        update, calls = loop.update, []

        def cut_off(*args):
            calls.append(args)
            if len(calls) == number:
                raise RuntimeError("cut off")
            return update(*args)

        monkeypatch.setattr(loop, "update", cut_off)

    return arm


TOY_CONFIG = """features: [toy]
normalise: [{how: meanvar, scope: global}]
segment: {frames: 15, train_hop: 2, decode_hop: 5}
model: {name: blstm_capsule, lstm_units: 8, filters: 4, capsules: 2, dropout: 0.2}
training: {batch_size: 16, max_epochs: 3, average: 0.9, precision: float32}
"""


@pytest.fixture
def toy_config(tmp_path):
    """The path of a config that trains a tiny blstm_capsule on `small_corpus`."""
    path = tmp_path / "toy.yaml"
    path.write_text(TOY_CONFIG)
    return path


@pytest.fixture
def experiment(tmp_path):
    """The folder of an experiment that is decoded, not yet scored."""
    return make_experiment(tmp_path / "exp" / "ravdess_8_emobox" / "blstm_capsule_wide")
