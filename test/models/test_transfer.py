"""The recogniser in the loop against its layers taken beforehand, and what of it learns."""

import copy

import pytest
import torch

from sertk.config.schema import build_model_config
from sertk.layers.batchnorm import MaskedBatchNorm
from sertk.models.base import Batch, Padded, Shape
from sertk.models.deepspeech import DeepSpeech, output_lengths
from sertk.models.lakomkin import Progressive
from sertk.models.transfer import Transfer

LENGTHS = torch.tensor([90, 47])


def make_transfer(unfreeze=()):
    torch.manual_seed(0)
    sizes = {"gru_units": 5, "gru_layers": 3, "channels": 2}
    recogniser = DeepSpeech(
        build_model_config({"name": "deepspeech", **sizes}, "", ""), Shape({"spectrogram161": 81}, 4)
    )
    config = build_model_config({"name": "progressive", "gru_units": 3, "dropout": 0.0}, "", "")
    model = Progressive(config, Shape({"toy": 6, "asr:2": recogniser.width}, 3))
    return Transfer(model, recogniser, "asr:2", unfreeze)


def make_batch():
    own = Padded(torch.randn(2, 60, 6), torch.tensor([60, 33]))
    return Batch(torch.arange(2), {"toy": own, "asr:2": Padded(torch.randn(2, 90, 81), LENGTHS)}, torch.tensor([2, 0]))


def test_the_model_sees_the_layer_as_it_is_archived():
    transfer, batch = make_transfer(), make_batch()
    transfer.train()
    spectrogram = Batch(batch.items, {"spectrogram161": batch.streams["asr:2"]})
    archived = transfer.pretrained.eval().frame_vectors(spectrogram, "asr:2")
    assert archived.lengths.tolist() == output_lengths(LENGTHS).tolist()
    expected = transfer.model(Batch(batch.items, {"toy": batch.streams["toy"], "asr:2": archived}))
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
    transfer, batch = make_transfer(unfreeze), make_batch()
    before = copy.deepcopy(transfer.state_dict())
    optimiser = torch.optim.SGD([each for each in transfer.parameters() if each.requires_grad], lr=1.0)
    transfer.train()
    transfer.loss(batch)[0].backward()
    optimiser.step()
    changed = {name for name, value in transfer.state_dict().items() if not torch.equal(value, before[name])}
    learnt = {name.split(".")[2] for name in changed if name.startswith("pretrained.grus.")}
    assert learnt == {str(layer - 1) for layer in unfreeze}
    assert not [name for name in changed if name.startswith("pretrained.") and ".grus." not in name]
    assert any(name.startswith("model.") for name in changed)
