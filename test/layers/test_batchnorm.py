"""Batch normalisation over valid frames against PyTorch's own on those frames alone."""

import torch
from torch import nn

from sertk.layers.batchnorm import MaskedBatchNorm

MASK = torch.tensor([[True] * 5, [True] * 2 + [False] * 3])


def valid(values):
    """(batch, channels, frames, bins) to (valid frames, channels, bins)."""
    return values.transpose(1, 2)[MASK]


def test_statistics_and_gradients_are_those_of_the_valid_frames():
    torch.manual_seed(0)
    ours, theirs = MaskedBatchNorm(3), nn.BatchNorm1d(3)
    values = torch.randn(2, 3, 5, 4, requires_grad=True)
    wanted = torch.randn(7, 3, 4)
    for _ in range(2):  # so that running statistics have moved
        results, expected = ours(values, MASK), theirs(valid(values))
    torch.testing.assert_close(valid(results), expected)
    assert not results.transpose(1, 2)[~MASK].any()
    torch.testing.assert_close(
        torch.autograd.grad((valid(results) * wanted).sum(), (values, ours.weight, ours.bias)),
        torch.autograd.grad((expected * wanted).sum(), (values, theirs.weight, theirs.bias)),
        atol=1e-5,
        rtol=1e-5,
    )
    torch.testing.assert_close((ours.running_mean, ours.running_var), (theirs.running_mean, theirs.running_var))


def test_evaluation_takes_the_running_statistics_of_sequences_too():
    torch.manual_seed(0)
    ours, theirs = MaskedBatchNorm(3), nn.BatchNorm1d(3)
    values = torch.randn(2, 3, 5)
    ours(values, MASK), theirs(valid(values))
    torch.testing.assert_close(valid(ours.eval()(values, MASK)), theirs.eval()(valid(values)))
