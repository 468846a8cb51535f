"""Posteriors of utterances are the means of their windows' posteriors, whatever the batches."""

import numpy as np
import pytest
import torch

from sertk.batches import means
from sertk.batches.normalise import Normaliser
from sertk.batches.streams import Dataset, Stream
from sertk.config.schema import Segment


def chance_of_one(batch):
    """Gives the class 1 the probability that stands in the middle frame's first dimension."""
    values = batch.only_stream().values
    chance = values[:, values.shape[1] // 2, 0]
    return torch.stack([1 - chance, chance], 1)


@pytest.mark.parametrize("batch_frames", [1, 12, 100_000])
def test_windows_are_averaged(batch_frames, monkeypatch):
    monkeypatch.setattr(means, "BATCH_FRAMES", batch_frames)
    random = np.random.default_rng(0)
    matrices = [random.uniform(size=(length, 2)).astype(np.float32) for length in (9, 1, 30)]
    dataset = Dataset(["a", "b", "c"], {"toy": Stream(matrices)}, {"toy": Normaliser([])})
    segment = Segment(frames=5, decode_hop=4)
    got = means.utterance_means(chance_of_one, dataset, segment, torch.device("cpu"))
    for row, matrix in zip(got, matrices):
        assert float(row[1]) == pytest.approx(matrix[::4, 0].mean(dtype=np.float64), abs=1e-7)
        assert float(row.sum()) == pytest.approx(1)
