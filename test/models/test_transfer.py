"""Encoders in the loop against their layers taken beforehand, what of them learns, and the weighted mean of layers."""

import copy
import math

import pytest
import torch
from tiny_encoders import WHISPER, random_encoder

from sertk.config.loading import parse_parts
from sertk.config.schema import build_model_config
from sertk.layers.batchnorm import MaskedBatchNorm
from sertk.models.base import Batch, Padded, Shape
from sertk.models.build import build_model, build_network
from sertk.models.deepspeech import DeepSpeech, output_lengths
from sertk.models.lakomkin import Progressive
from sertk.models.recogniser import Recogniser
from sertk.models.transfer import Transfer

LENGTHS = torch.tensor([90, 47])


def make_transfer(unfreeze=()):
    torch.manual_seed(0)
    sizes = {"gru_units": 5, "gru_layers": 3, "channels": 2}
    recogniser = DeepSpeech(
        build_model_config({"name": "deepspeech", **sizes}, "", ""), Shape({"spectrogram161": 81}, 4)
    )
    config = build_model_config({"name": "progressive", "gru_units": 3, "dropout": 0.0}, "", "")
    model = Progressive(config, Shape({"toy": 6, "encoder:2": recogniser.width}, 3))
    return Transfer(model, [2], Recogniser(recogniser, "spectrogram161"), unfreeze)


def make_batch():
    own = Padded(torch.randn(2, 60, 6), torch.tensor([60, 33]))
    streams = {"toy": own, "encoder": Padded(torch.randn(2, 90, 81), LENGTHS)}
    return Batch(torch.arange(2), streams, torch.tensor([2, 0]))


def learnt(transfer, batch):
    """The names of weights, statistics and other buffers that are not what they were after a step of training."""
    before = copy.deepcopy(transfer.state_dict())
    optimiser = torch.optim.SGD([each for each in transfer.parameters() if each.requires_grad], lr=1.0)
    transfer.train()
    transfer.loss(batch)[0].backward()
    optimiser.step()
    return {name for name, value in transfer.state_dict().items() if not torch.equal(value, before[name])}


def test_the_model_sees_the_layer_as_it_is_archived():
    transfer, batch = make_transfer(), make_batch()
    transfer.train()
    spectrogram = Batch(batch.items, {"spectrogram161": batch.streams["encoder"]})
    archived = transfer.pretrained.network.eval().frame_vectors(spectrogram, "gru2")
    assert archived.lengths.tolist() == output_lengths(LENGTHS).tolist()
    expected = transfer.model(Batch(batch.items, {"toy": batch.streams["toy"], "encoder:2": archived}))
    torch.testing.assert_close(transfer(batch).scores, expected.scores)
    torch.testing.assert_close(transfer.posteriors(batch), expected.scores.softmax(-1))
    assert transfer.layers == transfer.model.layers and transfer.vectors(batch, "pooled").shape == (2, 1, 11)


def test_gradients_reach_the_layers_on_a_gpu_too():
    transfer = make_transfer((1,)).train()
    grus = [each for each in transfer.pretrained.modules() if isinstance(each, torch.nn.GRU)]
    assert len(grus) == 3 and all(each.training and not each.dropout for each in grus)  # as cuDNN wants it
    assert not any(each.training for each in transfer.pretrained.modules() if isinstance(each, MaskedBatchNorm))
    assert not any(each.training for each in transfer.eval().modules())


@pytest.mark.parametrize("unfreeze", [(), (2,), (1, 2)])
def test_only_unfrozen_layers_learn_and_statistics_stay(unfreeze):
    changed = learnt(make_transfer(unfreeze), make_batch())
    own = {tuple(name.split(".")[2:4]) for name in changed if name.startswith("pretrained.")}
    assert own == {("grus", str(layer - 1)) for layer in unfreeze}
    assert any(name.startswith("model.") for name in changed)


def whisper_in_loop(layer, unfreeze, model="mean_pool"):
    """The model of a config, with random weights in the encoder in its loop, and what it takes of three recordings."""
    encoder = {"name": "tiny", "layer": layer, "in_loop": True, "unfreeze": unfreeze, "digest": "0123", "count": 3}
    encoder["source"] = {"kind": WHISPER.kind, "sizes": WHISPER.sizes}
    data = {"features": ["encoder"], "encoder": encoder, "model": {"name": model, "dropout": 0.0}}
    config = parse_parts(data, "test")["train"]
    assert config.streams == ("encoder",) and config.computed_type("encoder") == "log_mel80"
    torch.manual_seed(0)
    transfer = build_model(config, {"encoder": 80}, 3)
    transfer.pretrained.load_state_dict(random_encoder().state_dict())
    taken = Padded(2 * torch.randn(3, 50, 80) - 4, torch.tensor([50, 31, 8]))
    return transfer, Batch(torch.arange(3), {"encoder": taken}, torch.tensor([2, 0, 1]))


@pytest.mark.parametrize("layer", [2, "all", [1, 3]])
def test_one_unfrozen_block_of_whisper_learns_alone(layer):
    transfer, batch = whisper_in_loop(layer, [2])
    changed = learnt(transfer, batch)
    own = {name for name in changed if name.startswith("pretrained.")}
    block = {name for name in transfer.state_dict() if name.startswith("pretrained.blocks.1.")}
    assert own == block and len(own) == 15
    assert {"model.output.weight", "model.output.bias"} <= changed
    assert ("layer_scores" in changed) == (layer != 2)


def test_the_layers_of_whisper_in_the_loop_are_those_of_each_utterance():
    transfer, batch = whisper_in_loop([1, 3], [])
    with torch.no_grad():
        transfer.layer_scores.copy_(torch.tensor([0.3, -0.4]))
        scores = transfer.eval()(batch).scores
        one, other = (math.exp(each) / (math.exp(0.3) + math.exp(-0.4)) for each in (0.3, -0.4))
        for item, length in enumerate(batch.streams["encoder"].lengths):
            values = batch.streams["encoder"].values[item : item + 1, :length]
            (first, last), _ = random_encoder()(values, length[None], [1, 3])
            mean = (one * first + other * last)[0].mean(0)
            torch.testing.assert_close(scores[item], transfer.model.output(mean), atol=1e-5, rtol=1e-5)


def weighted(layers=(0, 2, 3), dims=4):
    config = build_model_config({"name": "mean_pool", "dropout": 0.0}, "", "")
    torch.manual_seed(0)
    return Transfer(build_network(config, Shape({"encoder": dims}, 2)), layers, weighted=True)


def test_the_weighted_mean_is_that_of_a_loop():
    transfer, random = weighted(), torch.Generator().manual_seed(1)
    lengths = torch.tensor([5, 2])
    mask = (torch.arange(5) < lengths[:, None])[..., None]
    layers = {layer: torch.randn(2, 5, 4, generator=random) * mask for layer in (0, 2, 3)}
    batch = Batch(torch.arange(2), {f"encoder:{layer}": Padded(each, lengths) for layer, each in layers.items()})
    scores = [0.5, -1.0, 2.0]
    with torch.no_grad():
        transfer.layer_scores.copy_(torch.tensor(scores))
        seen = transfer.seen(batch).streams
    assert list(seen) == ["encoder"] and seen["encoder"].lengths.tolist() == [5, 2]
    shares = [math.exp(score) / sum(map(math.exp, scores)) for score in scores]
    for item in range(2):
        for frame in range(5):
            expected = sum(share * each[item, frame].double() for share, each in zip(shares, layers.values()))
            torch.testing.assert_close(seen["encoder"].values[item, frame].double(), expected, atol=1e-6, rtol=1e-6)
    chosen = transfer.chosen()
    assert list(chosen) == ["weight of layer 0", "weight of layer 2", "weight of layer 3"]
    assert list(chosen.values()) == pytest.approx(shares)


def test_weights_go_to_the_layer_that_tells_the_classes():
    transfer = weighted()
    assert list(transfer.chosen().values()) == pytest.approx([1 / 3] * 3)
    labels = torch.arange(40) % 2
    layers = torch.randn(3, 40, 1, 4, generator=torch.Generator().manual_seed(2))
    layers[1, :, 0, 0] += 4 * labels - 2
    ones = torch.ones(40, dtype=torch.int64)
    streams = {f"encoder:{layer}": Padded(each, ones) for layer, each in zip((0, 2, 3), layers)}
    optimiser = torch.optim.Adam(transfer.parameters(), lr=0.1)
    for _ in range(40):
        optimiser.zero_grad()
        transfer.loss(Batch(torch.arange(40), streams, labels))[0].backward()
        optimiser.step()
    assert transfer.chosen()["weight of layer 2"] > 0.8


def test_a_model_of_one_layer_weighs_nothing():
    assert make_transfer().chosen() == {}
    assert "layer_scores" not in make_transfer().state_dict()
