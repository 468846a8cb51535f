"""Attention over frames against loops written from the equations of Zhao et al. 2019 in float64."""

import math
from functools import partial

import pytest
import torch

from sertk.layers.attention import ComponentAttention, LocalAttention, QuantumAttention

DIMS = 3
LENGTHS = torch.tensor([7, 4, 1])
WINDOWED = [
    (LocalAttention, "kernel"),
    (LocalAttention, "frame"),
    (ComponentAttention, "kernel"),
    (ComponentAttention, "frame"),
    (ComponentAttention, "window"),
]
by_energy = pytest.mark.parametrize("kind, energy", WINDOWED)
LAYERS = [*(partial(kind, DIMS, 3, energy) for kind, energy in WINDOWED), QuantumAttention]
NAMES = [*(f"{kind.__name__}-{energy}" for kind, energy in WINDOWED), "QuantumAttention"]
for_all = pytest.mark.parametrize("make", LAYERS, ids=NAMES)


@pytest.fixture
def values():
    return torch.randn(3, 7, DIMS, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def made(make):
    torch.manual_seed(1)
    return make().double()


def energy_loop(layer, frames, feature, t, j):
    """The energy of the frame at t + j in the window around t, before the tanh; `frames` is a list."""
    half, weight = layer.scope // 2, layer.energy.weight.tolist()

    def frame(index, dim):
        return frames[index][dim] if 0 <= index < len(frames) else 0.0

    offsets = range(-half, half + 1)
    own = [feature] if isinstance(layer, ComponentAttention) else range(DIMS)
    if layer.kind == "kernel":
        kernels = zip(own, weight[feature])
        return sum(kernel[i + half] * frame(t + j + i, dim) for dim, kernel in kernels for i in offsets)
    if layer.kind == "frame":
        return sum(weight[feature][dim] * frame(t + j, dim) for dim in range(DIMS))
    return sum(weight[j + half][i + half] * frame(t + i, feature) for i in offsets)


def attend_loop(layer, frames):
    """Eqs. 3-5 for one sequence, a list of frames."""
    half, outputs = layer.scope // 2, []
    for t in range(len(frames)):
        offsets = [j for j in range(-half, half + 1) if 0 <= t + j < len(frames)]
        outputs.append([])
        for dim in range(DIMS):
            feature = dim if isinstance(layer, ComponentAttention) else 0
            scores = [math.exp(math.tanh(energy_loop(layer, frames, feature, t, j))) for j in offsets]
            products = [score * frames[t + j][dim] for score, j in zip(scores, offsets)]
            outputs[-1].append(sum(products) / sum(scores))
    return outputs


def quantum_loop(frames):
    """Eqs. 6-8 for one sequence, a list of frames."""

    def product(one, other):
        return sum(a * b for a, b in zip(one, other))

    first, last = frames[0], frames[-1]
    energies = [product(last, frame) * product(frame, first) / product(last, first) for frame in frames]
    return [[math.tanh(energy) * value for value in frame] for energy, frame in zip(energies, frames)]


def assert_sequences(outputs, values, loop):
    """The outputs are those of a loop over each sequence alone, and zero beyond it."""
    for output, sequence, length in zip(outputs, values, LENGTHS.tolist()):
        expected = torch.tensor(loop(sequence[:length].tolist()), dtype=torch.float64)
        torch.testing.assert_close(output[:length], expected, rtol=0, atol=1e-6)
        assert not output[length:].any()


@by_energy
@pytest.mark.parametrize("scope", [1, 3, 5, 9])
def test_windows_by_loops(values, kind, energy, scope):
    layer = made(partial(kind, DIMS, scope, energy))
    with torch.no_grad():
        layer.energy.weight.mul_(3)
        assert_sequences(layer(values, LENGTHS), values, lambda frames: attend_loop(layer, frames))


@by_energy
def test_a_scope_of_one_frame_gives_the_frame(values, kind, energy):
    output = made(partial(kind, DIMS, 1, energy))(values, LENGTHS)
    torch.testing.assert_close(output[0], values[0])


def test_quantum_by_loops(values):
    assert_sequences(QuantumAttention()(values, LENGTHS), values, quantum_loop)


@for_all
def test_what_stands_in_the_padding_does_not_matter(values, make):
    layer = made(make)
    other = values.clone()
    other[1, 4:], other[2, 1:] = 1e6, torch.nan
    other.requires_grad_()
    output = layer(other, LENGTHS)
    torch.testing.assert_close(output, layer(values, LENGTHS))
    output.square().sum().backward()
    grads = [other.grad, *(parameter.grad for parameter in layer.parameters())]
    assert all(torch.isfinite(grad).all() for grad in grads)
    assert not other.grad[1, 4:].any()


@for_all
def test_gradients(values, make):
    layer = made(make)
    inputs = [values.requires_grad_(), *layer.parameters()]
    assert torch.autograd.gradcheck(lambda *_: layer(values, LENGTHS), inputs)


@for_all
def test_low_precision_comes_out_as_float32(values, make):
    layer = made(make).float()
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(values.bfloat16(), LENGTHS)
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, layer(values.float(), LENGTHS), atol=0.05, rtol=0.05)


@pytest.mark.parametrize("last", [[0.0, 1.0], [-0.0, 1.0], [1e-30, 1.0], [-1e-30, 1.0], [1e-7, 1.0], [0, 0]])
def test_quantum_survives_ends_that_are_orthogonal_or_nearly(last):
    frames = torch.tensor([[[1.0, 0.0], [1e-3, 2e-4], last]], requires_grad=True)
    output = QuantumAttention()(frames, torch.tensor([3]))
    output.sum().backward()
    assert torch.isfinite(frames.grad).all()
    dot = 1e-3 * last[0] + 2e-4 * last[1]
    energy = dot * 1e-3 / (-1e-6 if last[0] < 0 else 1e-6)
    torch.testing.assert_close(output[0, 1], math.tanh(energy) * frames[0, 1].detach())


@pytest.mark.parametrize("scope", [0, 2, -1])
@pytest.mark.parametrize("kind", [LocalAttention, ComponentAttention])
def test_a_scope_must_be_odd(kind, scope):
    with pytest.raises(ValueError, match=f"the scope is {scope} frames"):
        kind(DIMS, scope)


def test_local_attention_has_no_energy_by_window():
    with pytest.raises(ValueError, match="by window"):
        LocalAttention(DIMS, 3, "window")
