"""Autoencoders against closed forms and explicit loops in float64, and what stands for the CVAE's label."""

import math

import pytest
import torch

from sertk.config.schema import build_model_config
from sertk.core.errors import SertkError
from sertk.models.base import Batch, Padded, Shape
from sertk.models.build import build_network
from sertk.models.latif import divergences, reparametrised

FRAMES, DIMS, CLASSES = 3, 2, 4


def make_model(name, **options):
    torch.manual_seed(0)
    config = build_model_config({"name": name, "hidden": [7, 5], "latent": 3, **options}, "test", "model.")
    return build_network(config, Shape({"toy": DIMS}, CLASSES, FRAMES)).eval()


def make_batch(labels=(1, 3), conditions=None):
    values = torch.randn(2, FRAMES, DIMS, generator=torch.Generator().manual_seed(1))
    stream = Padded(values, torch.full((2,), FRAMES))
    return Batch(
        torch.arange(2), {"toy": stream}, None if labels is None else torch.tensor(labels), conditions=conditions
    )


def layer_by_hand(layer, vector):
    weight, bias = layer.weight.tolist(), layer.bias.tolist()
    return [sum(w * v for w, v in zip(row, vector)) + b for row, b in zip(weight, bias)]


def network_by_hand(network, last, vector):
    """Linear layers with ReLU after all but `last`, in Python's floats."""
    for layer in network:
        if isinstance(layer, torch.nn.Linear):
            vector = [max(0.0, value) for value in layer_by_hand(layer, vector)]
    return layer_by_hand(last, vector)


@pytest.mark.parametrize("name, beta", [("ae", None), ("vae", 1.0), ("vae", 0.25), ("cvae", 1.0)])
def test_losses_are_the_sums_of_the_paper(name, beta):
    model = make_model(name, **({"beta": beta} if beta else {}))
    batch = make_batch()
    reconstructions, kls = [], []
    for segment, label in zip(batch.only_stream().values.flatten(1).tolist(), batch.labels.tolist()):
        told = [float(label == each) for each in range(CLASSES)] if name == "cvae" else []
        code = network_by_hand(model.encoder, model.code, segment + told)
        mean, log_variance = (code, []) if name == "ae" else (code[:3], code[3:])
        output = network_by_hand(model.decoder, model.output, mean + told)
        reconstructions.append(sum((x - y) ** 2 for x, y in zip(segment, output)))
        kls.append(sum(-0.5 * (1 + s - m**2 - math.exp(s)) for m, s in zip(mean, log_variance)))
    with torch.no_grad():
        loss, figures = model.loss(batch)
    assert float(figures["reconstruction"]) == pytest.approx(sum(reconstructions) / 2, rel=1e-5)
    if beta:
        assert float(figures["kl"]) == pytest.approx(sum(kls) / 2, rel=1e-5)
    assert float(loss) == pytest.approx((sum(reconstructions) + (beta or 0) * sum(kls)) / 2, rel=1e-5)


def test_divergences_are_those_of_torch():
    mean, log_variance = torch.randn(2, 6, 5, dtype=torch.float64)
    one = torch.distributions.Normal(mean, (log_variance / 2).exp())
    other = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    expected = torch.distributions.kl_divergence(one, other).sum(1)
    torch.testing.assert_close(divergences(mean, log_variance), expected, rtol=1e-12, atol=1e-12)


def test_draws_have_the_mean_and_deviation_and_pass_gradients():
    torch.manual_seed(0)
    mean, log_variance = torch.tensor([[1.5, -2.0]]), torch.tensor([[math.log(4.0), math.log(0.25)]])
    draws = reparametrised(mean.expand(40_000, -1), log_variance.expand(40_000, -1))
    torch.testing.assert_close(draws.mean(0), mean[0], atol=0.05, rtol=0)
    torch.testing.assert_close(draws.std(0), torch.tensor([2.0, 0.5]), atol=0.05, rtol=0)

    def drawn(mean, log_variance):
        torch.manual_seed(1)  # the same noise in every call
        return reparametrised(mean, log_variance)

    inputs = [torch.randn(3, 2, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(drawn, inputs)


def test_training_draws_and_validation_does_not():
    model, batch = make_model("vae"), make_batch()
    with torch.no_grad():
        assert model.loss(batch)[0] == model.loss(batch)[0]
        model.train()
        torch.manual_seed(1)
        first = model.loss(batch)[0]
        assert model.loss(batch)[0] != first


def test_latents_are_means_and_deviations():
    model, batch = make_model("vae"), make_batch()
    with torch.no_grad():
        rows = model.vectors(batch, "vae_latents")
        code = model.code(model.encoder(batch.only_stream().values.flatten(1)))
    assert rows.shape == (2, 1, 6)
    torch.testing.assert_close(rows[:, 0], torch.cat([code[:, :3], (0.5 * code[:, 3:]).exp()], 1))
    assert make_model("ae").vectors(batch, "ae_latents").shape == (2, 1, 3)


def given(model, condition):
    """The latents of `make_batch` where the network is given `condition` (2, classes) beside the segments."""
    segments = make_batch().only_stream().values.flatten(1)
    mean, log_variance = model.code(model.encoder(torch.cat([segments, condition], 1))).chunk(2, 1)
    return torch.cat([mean, (log_variance / 2).exp()], 1)


@torch.no_grad()
def test_what_stands_for_the_label():
    posteriors = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]])
    one_hot = torch.eye(CLASSES)[[1, 3]]
    for condition, labels, expected in (
        ("uniform", None, torch.full((2, CLASSES), 0.25)),
        ("predicted", None, posteriors),
        ("oracle", (1, 3), one_hot),
    ):
        model = make_model("cvae", condition=condition)
        batch = make_batch(labels, posteriors if condition == "predicted" else None)
        torch.testing.assert_close(model.vectors(batch, "cvae_latents")[:, 0], given(model, expected))
        assert model.needs_labels == (condition == "oracle")


def test_latents_without_what_stands_for_the_label_are_refused():
    with pytest.raises(SertkError, match="condition oracle needs the labels"):
        make_model("cvae", condition="oracle").vectors(make_batch(None), "cvae_latents")
    with pytest.raises(SertkError, match="condition predicted needs the feature type"):
        make_model("cvae", condition="predicted").vectors(make_batch(), "cvae_latents")


def test_autoencoders_classify_nothing():
    with pytest.raises(SertkError, match="vae is an autoencoder: it classifies nothing"):
        make_model("vae").posteriors(make_batch())


def test_the_lstm_takes_the_last_frame_of_each_sequence():
    torch.manual_seed(0)
    config = build_model_config({"name": "lstm", "lstm_units": 4}, "test", "model.")
    model = build_network(config, Shape({"toy": DIMS}, CLASSES))
    values, lengths = torch.randn(3, 9, DIMS), torch.tensor([4, 9, 1])
    with torch.no_grad():
        scores = model(Batch(torch.arange(3), {"toy": Padded(values, lengths)})).scores
        for row, length in enumerate(lengths.tolist()):
            states, _ = model.lstm(values[row : row + 1, :length])
            torch.testing.assert_close(scores[row], model.output(states[0, -1]))
