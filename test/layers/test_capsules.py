"""Capsules and routing against loops written from the equations of Jalal et al. 2019 in float64."""

import math

import pytest
import torch

from sertk.layers.capsules import ConvCapsules, RoutingCapsules, margin_losses, route, squash


def squash_loop(vector):
    """Eq. 2 for one vector, a list of numbers."""
    length = math.sqrt(sum(value * value for value in vector))
    return [length**2 / (1 + length**2) * value / length for value in vector]


def route_loop(votes, iterations):
    """Eqs. 1, 3 and 4 for one example: votes[q][k] is a list of numbers; returns one vector per class."""
    count, classes, dims = len(votes), len(votes[0]), len(votes[0][0])
    logits = [[0.0] * classes for _ in range(count)]
    for _ in range(iterations):
        couplings = []
        for row in logits:
            total = sum(math.exp(value) for value in row)
            couplings.append([math.exp(value) / total for value in row])
        upper = []
        for k in range(classes):
            total = [sum(couplings[q][k] * votes[q][k][d] for q in range(count)) for d in range(dims)]
            upper.append(squash_loop(total))
        for q in range(count):
            for k in range(classes):
                logits[q][k] += sum(upper[k][d] * votes[q][k][d] for d in range(dims))
    return upper


@pytest.mark.parametrize("iterations", [1, 2, 3, 5])
def test_routing_agrees_with_the_equations(iterations):
    torch.manual_seed(0)
    votes = torch.randn(3, 5, 4, 6, dtype=torch.float64)
    expected = torch.tensor([route_loop(example, iterations) for example in votes.tolist()], dtype=torch.float64)
    torch.testing.assert_close(route(votes, iterations), expected, rtol=1e-6, atol=1e-8)


def test_more_iterations_change_the_couplings():
    votes = torch.randn(2, 5, 4, 6, generator=torch.Generator().manual_seed(1))
    assert (route(votes, 1) - route(votes, 3)).abs().max() > 1e-3


def test_squash_agrees_with_equation_2_and_survives_zero():
    vectors = torch.tensor([[3.0, 4.0], [0.3, -0.4], [30.0, 40.0]], dtype=torch.float64)
    expected = torch.tensor([squash_loop(vector) for vector in vectors.tolist()], dtype=torch.float64)
    torch.testing.assert_close(squash(vectors), expected, rtol=1e-6, atol=1e-8)
    zero = torch.zeros(1, 4, requires_grad=True)
    squash(zero).sum().backward()
    assert torch.isfinite(zero.grad).all()


@pytest.mark.parametrize(
    "layout, count, dims, groups", [("flattened", 3, 4 * 7, 1), ("position", 3 * 7, 4, 7), ("grid", 4 * 7, 3, 1)]
)
def test_layouts_hold_the_same_units_filters_and_positions(layout, count, dims, groups):
    torch.manual_seed(0)
    layer = ConvCapsules(channels=5, frames=17, units=3, filters=4, kernel=5, stride=2, layout=layout)
    assert (layer.count, layer.dims, layer.groups) == (count, dims, groups)
    values = torch.randn(2, 17, 5)
    capsules = layer(values)
    assert capsules.shape == (2, count, dims)
    maps = layer.conv(values.transpose(1, 2)).relu().view(2, 3, 4, 7)
    unit, position, batch = 1, 3, 1
    if layout == "flattened":
        expected = squash(maps[batch, unit].flatten())
        got = capsules[batch, unit]
    elif layout == "position":
        expected = squash(maps[batch, unit, :, position])
        got = capsules[batch, unit * 7 + position]
    else:
        expected = squash(maps[batch, :, 2, position])
        got = capsules[batch, 2 * 7 + position]
    torch.testing.assert_close(got, expected)


def test_votes_are_the_products_of_each_capsule_with_its_units_matrix():
    torch.manual_seed(0)
    layer = RoutingCapsules(count=6, dims=4, classes=3, class_dims=5, iterations=1, groups=2).double()
    lower = torch.randn(2, 6, 4, dtype=torch.float64)
    votes = torch.zeros(2, 6, 3, 5, dtype=torch.float64)
    for batch in range(2):
        for capsule in range(6):
            for k in range(3):
                votes[batch, capsule, k] = layer.weight[capsule // 2, k] @ lower[batch, capsule]
    torch.testing.assert_close(layer(lower), route(votes, 1))


def test_class_capsules_begin_with_small_lengths_however_many_lower_ones_there_are():
    torch.manual_seed(0)
    for count in (8, 800):
        layer = RoutingCapsules(count, dims=4, classes=3)
        lower = squash(torch.randn(16, count, 4))
        assert 0.003 < layer(lower).norm(dim=-1).mean() < 0.1


def test_gradients_of_the_last_iteration_are_right():
    votes = torch.randn(2, 3, 2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda values: route(values, 1), votes)


def test_gradients_take_the_couplings_as_fixed():
    generator = torch.Generator().manual_seed(2)
    votes = torch.randn(2, 3, 2, 4, dtype=torch.float64, generator=generator).requires_grad_()
    weights = torch.randn(2, 2, 4, dtype=torch.float64, generator=generator)

    def last_sum(source):
        """Three iterations with the couplings of `source`, of which the last one sums `votes`."""
        logits = torch.zeros(2, 3, 2, dtype=torch.float64)
        for _ in range(2):
            upper = squash((logits.softmax(-1)[..., None] * source).sum(1))
            logits = logits + (upper[:, None] * source).sum(-1)
        return squash((logits.softmax(-1)[..., None] * votes).sum(1))

    def gradient(outputs):
        return torch.autograd.grad((outputs * weights).sum(), votes)[0]

    fixed, unrolled = gradient(last_sum(votes.detach())), gradient(last_sum(votes))
    assert (fixed - unrolled).abs().max() > 1e-2
    torch.testing.assert_close(gradient(route(votes, 3)), fixed)


def test_margin_loss_by_hand():
    lengths = torch.tensor([[0.8, 0.3, 0.05], [0.95, 0.0, 0.2]])
    labels = torch.tensor([0, 1])
    first = (0.9 - 0.8) ** 2 + 0.5 * (0.3 - 0.1) ** 2
    second = 0.9**2 + 0.5 * ((0.95 - 0.1) ** 2 + (0.2 - 0.1) ** 2)
    assert margin_losses(lengths, labels).tolist() == pytest.approx([first, second], rel=1e-6)
