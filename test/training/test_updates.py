"""Single updates against the optimisers' formulas in float64."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sertk.config.schema import Optimiser
from sertk.training.loop import make_optimiser, update

FIRST = np.array([[0.5, -1.0], [2.0, 0.25]]), np.array([-0.75, 1.5])
FACTORS = (1.0, -0.5, 3.0, 0.2)  # of the gradients, update by update
LR, DECAY = 0.02, 0.3


def make_task():
    """A task whose loss is half the sum of the squared weights times the batch; its gradient is batch * weight."""
    model = torch.nn.Linear(2, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor(FIRST[0]))
        model.bias.copy_(torch.tensor(FIRST[1]))
    model.frozen = torch.nn.Parameter(torch.ones(1), requires_grad=False)
    model.loss = lambda batch: (
        sum(batch / 2 * each.square().sum() for each in (model.weight, model.bias)),
        {"figure": batch * 2},
    )
    return SimpleNamespace(model=model, device=torch.device("cpu"))


def values_of(task):
    """Weights and biases in one row."""
    return torch.cat([task.model.weight.flatten(), task.model.bias]).detach().numpy()


def trained(**options):
    """The values after an update for each of the factors."""
    task = make_task()
    optimiser = make_optimiser(Optimiser(lr=LR, weight_decay=DECAY, **options), task.model)
    assert len(optimiser.param_groups[0]["params"]) == 2
    for factor in FACTORS:
        update(task, optimiser, torch.tensor(factor), 0, "float32")
    return values_of(task)


def gradients(values):
    """Yields (number from 1, gradient with weight decay) for each of the factors at the current values."""
    for number, factor in enumerate(FACTORS, 1):
        yield number, factor * values + DECAY * values


def first_values():
    return np.concatenate([each.ravel() for each in FIRST])


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.6, 0.8)])
def test_adam(betas):
    values = first_values()
    mean, square = np.zeros(6), np.zeros(6)
    for number, gradient in gradients(values):
        mean = betas[0] * mean + (1 - betas[0]) * gradient
        square = betas[1] * square + (1 - betas[1]) * gradient**2
        corrected = mean / (1 - betas[0] ** number), square / (1 - betas[1] ** number)
        values -= LR * corrected[0] / (np.sqrt(corrected[1]) + 1e-8)
    np.testing.assert_allclose(trained(name="adam", betas=betas), values, rtol=1e-5)


@pytest.mark.parametrize("momentum, nesterov", [(0.0, False), (0.7, False), (0.7, True)])
def test_sgd(momentum, nesterov):
    values = first_values()
    speed = np.zeros(6)
    for _, gradient in gradients(values):
        speed = momentum * speed + gradient
        values -= LR * (gradient + momentum * speed if nesterov else speed)
    np.testing.assert_allclose(trained(name="sgd", momentum=momentum, nesterov=nesterov), values, rtol=1e-5)


def test_rmsprop():
    values = first_values()
    square = np.zeros(6)
    for _, gradient in gradients(values):
        square = 0.99 * square + 0.01 * gradient**2
        values -= LR * gradient / (np.sqrt(square) + 1e-8)
    np.testing.assert_allclose(trained(name="rmsprop"), values, rtol=1e-5)


@pytest.mark.parametrize("grad_clip", [0, 0.5, 8, 1000])
def test_gradients_are_clipped_by_the_norm_of_all_together(grad_clip):
    task = make_task()
    optimiser = make_optimiser(Optimiser(name="sgd", lr=LR), task.model)
    update(task, optimiser, torch.tensor(3.0), grad_clip, "float32")
    gradient = 3 * first_values()
    norm = np.sqrt((gradient**2).sum())  # 8.6
    share = min(1, grad_clip / norm) if grad_clip else 1
    expected = first_values() - LR * share * gradient
    np.testing.assert_allclose(values_of(task), expected, rtol=1e-5)


def test_gradients_of_the_last_update_are_gone_and_figures_are_handed_on():
    task = make_task()
    optimiser = make_optimiser(Optimiser(name="sgd", lr=LR), task.model)
    update(task, optimiser, torch.tensor(3.0), 0, "float32")
    figures = update(task, optimiser, torch.tensor(1.0), 0, "float32")
    before = first_values() * (1 - 3 * LR)
    assert figures["loss"].item() == pytest.approx((before**2).sum() / 2)
    assert figures["figure"].item() == 2
    assert not any(value.requires_grad for value in figures.values())
    np.testing.assert_allclose(values_of(task), before * (1 - LR), rtol=1e-5)


def test_matrix_products_have_the_precision_that_is_asked_for():
    task = make_task()
    seen = []
    loss = task.model.loss
    task.model.loss = lambda batch: (seen.append(task.model(torch.ones(1, 2)).dtype), loss(batch))[1]
    optimiser = make_optimiser(Optimiser(name="sgd", lr=LR), task.model)
    for precision in ("float32", "bfloat16"):
        update(task, optimiser, torch.tensor(1.0), 0, precision)
    assert seen == [torch.float32, torch.bfloat16]
