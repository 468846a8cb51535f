"""The networks of Lakomkin et al. 2017 by hand."""

import math

import numpy as np
import pytest
import torch

from sertk.config.schema import build_model_config
from sertk.core.errors import SertkError
from sertk.models.base import Batch, Padded, Shape
from sertk.models.build import build_network
from sertk.models.lakomkin import matching_frames


def make_model(name, dims, **options):
    torch.manual_seed(0)
    config = build_model_config({"name": name, **options}, "test", "model.")
    return build_network(config, Shape(dims, 4)).eval()


def padded(rows):
    values = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    return Padded(values, torch.tensor([len(row) for row in rows]))


def make_batch(**streams):
    streams = {name.replace("_", ":"): padded(rows) for name, rows in streams.items()}
    return Batch(torch.arange(2), streams)


def rows(*shape):
    generator = torch.Generator().manual_seed(shape[0])
    return torch.randn(shape, generator=generator)


def test_mean_pool_is_the_output_of_the_mean():
    model, long, short = make_model("mean_pool", {"encoder:1": 3}), rows(5, 3), rows(2, 3)
    scores = model(make_batch(encoder_1=[long, short])).scores
    expected = torch.stack([long.mean(0), short.mean(0)]) @ model.output.weight.T + model.output.bias
    torch.testing.assert_close(scores, expected)


def test_gru_is_pytorchs_over_each_utterance_alone():
    model, long, short = make_model("gru", {"toy": 3}, gru_units=4), rows(5, 3), rows(2, 3)
    means = torch.stack([model.gru.rnn(each[None])[0][0].mean(0) for each in (long, short)])
    torch.testing.assert_close(model.vectors(make_batch(toy=[long, short]), "pooled")[:, 0], means)
    assert model.output.in_features == 8


def test_progressive_has_the_baselines_mean_beside_the_layers():
    model = make_model("progressive", {"toy": 3, "encoder:2": 7}, gru_units=4)
    own, reused = [rows(5, 3), rows(2, 3)], [rows(3, 7), rows(1, 7)]
    pooled = model.pooled(make_batch(toy=own, encoder_2=reused))
    means = torch.stack([model.gru.rnn(each[None])[0][0].mean(0) for each in own])
    torch.testing.assert_close(pooled, torch.cat([means, torch.stack([each.mean(0) for each in reused])], 1))


def test_dropout_is_of_training_alone():
    model = make_model("mean_pool", {"encoder:1": 40}, dropout=0.5)
    batch = make_batch(encoder_1=[rows(5, 40), rows(2, 40)])
    torch.testing.assert_close(model(batch).scores, model(batch).scores)
    model.train()
    assert not torch.allclose(model(batch).scores, model(batch).scores)


def test_sizes_of_the_published_baseline():
    model = make_model("gru", {"mfcc13_pitch": 27})
    layers = [2 * 3 * 96 * (dims + 96 + 2) for dims in (27, 192)]
    assert sum(parameter.numel() for parameter in model.parameters()) == sum(layers) + 192 * 4 + 4


LAYERS = {"encoder:1": 3, "encoder:2": 3}


@pytest.mark.parametrize("dims", [{"toy": 3}, {"encoder:2": 3}, {"toy": 3, "other": 3}, {"toy": 3, **LAYERS}])
def test_progressive_refuses_other_streams(dims):
    with pytest.raises(SertkError, match=r"one feature type and one layer of an encoder \(encoder\)"):
        make_model("progressive", dims)


@pytest.mark.parametrize(
    "dims",
    [
        {"toy": 3},
        LAYERS,
        {"toy": 3, "encoder:1": 3},
        {"toy": 3, "other": 3, **LAYERS},
        {"toy": 3, **LAYERS, "encoder:3": 3},
    ],
)
def test_progressive_lateral_takes_as_many_layers_as_it_has(dims):
    with pytest.raises(SertkError, match=r"one feature type and 2 layers \(encoder.layer: a list\) of an encoder"):
        make_model("progressive_lateral", dims, gru_layers=2)
    assert make_model("progressive_lateral", {"toy": 3, **LAYERS, "encoder:3": 5}, gru_layers=3)


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def gru_by_hand(rnn, values):
    """Both directions of one layer (frames, 2 * units) over values (frames, dims), in float64."""
    both = []
    for suffix in ("", "_reverse"):
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        own, before, bias, bias_before = (
            getattr(rnn, f"{name}_l0{suffix}").detach().double().numpy() for name in names
        )
        units = before.shape[1]
        reset, update, new = (slice(place * units, (place + 1) * units) for place in range(3))
        state, states = np.zeros(units), []
        for frame in values if not suffix else values[::-1]:
            taken, kept = own @ frame + bias, before @ state + bias_before
            gate = sigmoid(taken[update] + kept[update])
            candidate = np.tanh(taken[new] + sigmoid(taken[reset] + kept[reset]) * kept[new])
            state = (1 - gate) * candidate + gate * state
            states.append(state)
        both.append(states if not suffix else states[::-1])
    return np.concatenate(both, 1)


def lateral_by_hand(model, own, layers):
    """The scores of one utterance: `own` (frames, dims), `layers` a list of (other frames, other dims)."""

    def adapted(number):
        linear, scale = model.adapters[number], float(model.scales[number])
        weight, bias = linear.weight.detach().double().numpy(), linear.bias.detach().double().numpy()
        return np.array([np.maximum(0, weight @ (scale * frame) + bias) for frame in layers[number]])

    values = gru_by_hand(model.grus[0].rnn, own)
    for number in range(1, len(layers)):
        beside = adapted(number - 1)
        # the frame of the other column that covers the middle of the own one
        places = [math.floor((frame + 0.5) / len(own) * len(beside)) for frame in range(len(own))]
        values = gru_by_hand(model.grus[number].rnn, np.concatenate([values, beside[places]], 1))
    pooled = np.concatenate([values.mean(0), adapted(len(layers) - 1).mean(0)])
    return model.output.weight.detach().double().numpy() @ pooled + model.output.bias.detach().double().numpy()


@pytest.mark.parametrize("others", [(11, 4), (5, 2), (37, 9)])  # frames of the layers; the own ones are 11 and 4
def test_progressive_lateral_is_that_of_a_loop(others):
    dims = {"toy": 3, "encoder:1": 7, "encoder:2": 7, "encoder:4": 7}
    model = make_model("progressive_lateral", dims, gru_units=2, gru_layers=3)
    with torch.no_grad():
        for number, scale in enumerate(model.scales):
            scale.fill_(0.5 + number)
    own = [rows(11, 3), rows(4, 3)]
    layers = [[torch.randn(frames, 7) for frames in others] for _ in range(3)]
    batch = make_batch(toy=own, encoder_1=layers[0], encoder_2=layers[1], encoder_4=layers[2])
    scores = model(batch).scores.detach()
    for item in range(2):
        expected = lateral_by_hand(model, own[item].double().numpy(), [each[item].double().numpy() for each in layers])
        np.testing.assert_allclose(scores[item], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("own", "other", "places"),
    [
        (8, 4, [0, 0, 1, 1, 2, 2, 3, 3]),
        (4, 8, [1, 3, 5, 7]),
        (3, 3, [0, 1, 2]),
        (5, 3, [0, 0, 1, 2, 2]),
        (3, 1, [0, 0, 0]),
    ],
)
def test_frames_are_matched_in_time(own, other, places):
    found = matching_frames(torch.tensor([own, 9]), torch.tensor([other, 9]), 9)
    assert found[0, :own].tolist() == places
    assert (found[0] < other).all()  # also where there is padding
    assert found[1].tolist() == list(range(9))
