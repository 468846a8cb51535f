"""Normalisation over each scope against numpy on each group."""

import numpy as np
import pytest
import torch

from sertk.batches.normalise import Normaliser
from sertk.batches.streams import Stream
from sertk.config.schema import Normalise
from sertk.core.errors import SertkError

SPEAKERS = ["anna", "ben", "anna"]


def make_matrices(seed=0):
    random = np.random.default_rng(seed)
    return [(random.normal(size=(length, 3)) * 5 + 7).astype(np.float32) for length in (11, 6, 20)]


def normalise_by_hand(how, rows, pool):
    pool = np.concatenate(pool).astype(np.float64)
    if how == "minmax":
        return (rows - pool.min(0)) / (pool.max(0) - pool.min(0)) * 3 - 1
    shifted = rows - pool.mean(0)
    return shifted / pool.std(0) if how == "meanvar" else shifted


@pytest.mark.parametrize("how", ["mean", "meanvar", "minmax"])
@pytest.mark.parametrize("scope", ["utterance", "speaker", "global"])
def test_every_scope_agrees_with_numpy(how, scope):
    matrices = make_matrices()
    stream = Stream(matrices)
    Normaliser([Normalise(how, scope, (-1.0, 2.0))]).fit_apply_(stream, SPEAKERS)
    for item, rows in enumerate(matrices):
        pool = {
            "utterance": [rows],
            "speaker": [each for each, speaker in zip(matrices, SPEAKERS) if speaker == SPEAKERS[item]],
            "global": matrices,
        }[scope]
        np.testing.assert_allclose(stream.rows(item).numpy(), normalise_by_hand(how, rows, pool), atol=1e-4)


@pytest.mark.parametrize("constant", [4.0, -15.942385])  # rounding leaves the latter a variance
@pytest.mark.parametrize("how", ["mean", "meanvar", "minmax"])
def test_utterances_of_a_batch_agree_with_numpy_whatever_pads_them(how, constant):
    matrices = make_matrices()[:2]
    matrices[1][:, 2] = constant  # becomes 0, or the range's lower end
    lengths = torch.tensor([len(matrix) for matrix in matrices])
    values = torch.full((2, int(lengths.max()) + 5, 3), 1e4)
    for row, matrix in zip(values, matrices):
        row[: len(matrix)] = torch.from_numpy(matrix)
    inside = (torch.arange(values.shape[1]) < lengths[:, None])[..., None]
    result = Normaliser([Normalise(how, "utterance", (-1.0, 2.0))]).apply_utterances(values, inside)
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = [normalise_by_hand(how, matrix, [matrix]) for matrix in matrices]
    expected[1][:, 2] = -1 if how == "minmax" else 0
    for row, by_hand in zip(result.numpy(), expected):
        np.testing.assert_allclose(row[: len(by_hand)], by_hand, atol=1e-4)


def test_global_statistics_are_those_of_the_stream_they_were_fitted_on():
    normaliser = Normaliser([Normalise("meanvar", "global")])
    normaliser.fit_apply_(Stream(make_matrices(0)), SPEAKERS)
    other = make_matrices(1)
    stream = Stream(other)
    restored = Normaliser.from_state(normaliser.transforms, normaliser.state())
    restored.apply_(stream, SPEAKERS)
    expected = normalise_by_hand("meanvar", other[0], make_matrices(0))
    np.testing.assert_allclose(stream.rows(0).numpy(), expected, atol=1e-4)


def test_speaker_statistics_given_as_kaldi_cmvn_are_used():
    matrices = make_matrices()
    pool = np.concatenate(make_matrices(5)).astype(np.float64)
    stats = np.zeros((2, 4))
    stats[0, :3], stats[0, 3], stats[1, :3] = pool.sum(0), len(pool), (pool**2).sum(0)
    stream = Stream(matrices)
    Normaliser([Normalise("meanvar", "speaker")]).apply_(stream, SPEAKERS, {"anna": stats, "ben": stats})
    np.testing.assert_allclose(stream.rows(1).numpy(), normalise_by_hand("meanvar", matrices[1], [pool]), atol=1e-4)
    with pytest.raises(SertkError, match="speaker ben"):
        Normaliser([Normalise("meanvar", "speaker")]).apply_(Stream(matrices), SPEAKERS, {"anna": stats})
    with pytest.raises(SertkError, match="where other normalisation comes before"):
        transforms = [Normalise("meanvar", "utterance"), Normalise("mean", "speaker")]
        Normaliser(transforms).apply_(Stream(matrices), SPEAKERS, {"anna": stats, "ben": stats})
    with pytest.raises(SertkError, match="no minimum"):
        Normaliser([Normalise("minmax", "speaker")]).apply_(Stream(matrices), SPEAKERS, {"anna": stats, "ben": stats})


@pytest.mark.parametrize("how", ["mean", "meanvar", "minmax"])
def test_constant_dimensions_stay_finite(how):
    matrix = make_matrices()[0]
    matrix[:, 1] = 4
    stream = Stream([matrix])
    Normaliser([Normalise(how, "utterance")]).fit_apply_(stream, ["anna"])
    assert torch.isfinite(stream.values).all()
    assert (stream.values[:, 1] == 0).all()


@pytest.mark.parametrize("how, expected", [("mean", 0), ("meanvar", 0), ("minmax", -1)])
def test_constant_windows_stay_finite(how, expected):
    values = Normaliser([Normalise(how, "window", (-1.0, 2.0))]).apply_windows(torch.full((2, 8, 3), 4.0))
    assert (values == expected).all()
