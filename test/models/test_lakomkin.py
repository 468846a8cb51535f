"""The networks of Lakomkin et al. 2017 by hand."""

import pytest
import torch

from sertk.config.schema import build_model_config
from sertk.core.errors import SertkError
from sertk.models.base import Batch, Padded, Shape
from sertk.models.build import build_network


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
    model, long, short = make_model("mean_pool", {"asr:1": 3}), rows(5, 3), rows(2, 3)
    scores = model(make_batch(asr_1=[long, short])).scores
    expected = torch.stack([long.mean(0), short.mean(0)]) @ model.output.weight.T + model.output.bias
    torch.testing.assert_close(scores, expected)


def test_gru_is_pytorchs_over_each_utterance_alone():
    model, long, short = make_model("gru", {"toy": 3}, gru_units=4), rows(5, 3), rows(2, 3)
    means = torch.stack([model.gru.rnn(each[None])[0][0].mean(0) for each in (long, short)])
    torch.testing.assert_close(model.vectors(make_batch(toy=[long, short]), "pooled")[:, 0], means)
    assert model.output.in_features == 8


def test_progressive_has_the_baselines_mean_beside_the_layers():
    model = make_model("progressive", {"toy": 3, "asr:2": 7}, gru_units=4)
    own, reused = [rows(5, 3), rows(2, 3)], [rows(3, 7), rows(1, 7)]
    pooled = model.pooled(make_batch(toy=own, asr_2=reused))
    means = torch.stack([model.gru.rnn(each[None])[0][0].mean(0) for each in own])
    torch.testing.assert_close(pooled, torch.cat([means, torch.stack([each.mean(0) for each in reused])], 1))


def test_dropout_is_of_training_alone():
    model, batch = make_model("mean_pool", {"asr:1": 40}, dropout=0.5), make_batch(asr_1=[rows(5, 40), rows(2, 40)])
    torch.testing.assert_close(model(batch).scores, model(batch).scores)
    model.train()
    assert not torch.allclose(model(batch).scores, model(batch).scores)


def test_sizes_of_the_published_baseline():
    model = make_model("gru", {"mfcc13_pitch": 27})
    layers = [2 * 3 * 96 * (dims + 96 + 2) for dims in (27, 192)]
    assert sum(parameter.numel() for parameter in model.parameters()) == sum(layers) + 192 * 4 + 4


@pytest.mark.parametrize("dims", [{"toy": 3}, {"asr:2": 3}, {"toy": 3, "other": 3}, {"toy": 3, "asr:1": 3, "asr:2": 3}])
def test_progressive_refuses_other_streams(dims):
    with pytest.raises(SertkError, match="one feature type and one layer of a speech recogniser"):
        make_model("progressive", dims)
