"""Second-order and attention pooling against loops written from the equations of Li et al. 2018 in float64."""

import math

import pytest
import torch

from sertk.layers.pooling import AttentionPool, bilinear_pool

CHANNELS, CLASSES, HEIGHT, WIDTH = 5, 3, 4, 6


@pytest.fixture
def maps():
    return torch.randn(2, CHANNELS, HEIGHT, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def places_of(example):
    """The maps of one example as a list of places, each a list of channels: the rows of the paper's X."""
    return [example[:, row, column].tolist() for row in range(HEIGHT) for column in range(WIDTH)]


def second_order(places):
    """X^T X by loops."""
    return [[sum(place[i] * place[j] for place in places) for j in range(CHANNELS)] for i in range(CHANNELS)]


def test_bilinear_pooling_by_loops(maps):
    for example, pooled in zip(maps, bilinear_pool(maps)):
        products = [value for row in second_order(places_of(example)) for value in row]
        length = math.sqrt(sum(value**2 for value in products))
        expected = [math.copysign(math.sqrt(abs(value / length)), value) for value in products]
        assert pooled.tolist() == pytest.approx(expected, abs=1e-5)


def test_attention_pooling_is_the_trace_of_rank_one_second_order_pooling(maps):
    pool = AttentionPool(CHANNELS, CLASSES, softmax=False).double()
    torch.nn.init.zeros_(pool.top_down.bias)
    torch.nn.init.zeros_(pool.bottom_up.bias)
    shared = pool.bottom_up.weight.flatten().tolist()
    for example, scores in zip(maps, pool(maps)):
        products = second_order(places_of(example))
        for label, score in enumerate(scores.tolist()):
            own = pool.top_down.weight[label].flatten().tolist()
            # Tr(X^T X b a^T), the weight matrix being the product of b (shared) and a (the class's own)
            trace = sum(products[i][j] * shared[j] * own[i] for i in range(CHANNELS) for j in range(CHANNELS))
            assert score == pytest.approx(trace, abs=1e-5)


@pytest.mark.parametrize("softmax", [True, False])
@pytest.mark.parametrize("pooling", ["sum", "mean"])
def test_attention_pooling_by_loops(maps, softmax, pooling):
    pool = AttentionPool(CHANNELS, CLASSES, softmax, pooling).double()

    def convolved(layer, place):
        return [
            sum(weight * value for weight, value in zip(row.flatten().tolist(), place)) + bias
            for row, bias in zip(layer.weight, layer.bias.tolist())
        ]

    for example, scores in zip(maps, pool(maps).tolist()):
        places = places_of(example)
        weights = [convolved(pool.bottom_up, place)[0] for place in places]
        if softmax:
            total = sum(math.exp(weight) for weight in weights)
            weights = [math.exp(weight) / total for weight in weights]
        expected = [
            sum(weight * convolved(pool.top_down, place)[label] for weight, place in zip(weights, places))
            for label in range(CLASSES)
        ]
        divisor = len(places) if pooling == "mean" else 1
        assert scores == pytest.approx([value / divisor for value in expected], abs=1e-5)


def test_bilinear_pooling_has_gradients_at_zero():
    maps = torch.zeros(1, 2, 2, 2, requires_grad=True)
    bilinear_pool(maps).sum().backward()
    assert torch.isfinite(maps.grad).all()
