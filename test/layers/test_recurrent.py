"""Recurrent layers and means: padding is never seen."""

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sertk.layers.gru import scan_gru
from sertk.layers.recurrent import Bigru, Blstm, length_mask, masked_mean

LAYERS = pytest.mark.parametrize("kind", [Blstm, Bigru])


@LAYERS
def test_padded_sequences_give_what_they_give_alone(kind):
    torch.manual_seed(0)
    layer = kind(3, 4, 2).eval()
    lengths = torch.tensor([7, 4, 1])
    values = torch.randn(3, 7, 3)
    with torch.no_grad():
        together = layer(values, lengths)
        for row, length in enumerate(lengths.tolist()):
            alone = layer(values[row : row + 1, :length], lengths[row : row + 1])
            torch.testing.assert_close(together[row, :length], alone[0], atol=1e-6, rtol=1e-6)
            assert not together[row, length:].any()


@pytest.mark.parametrize("lengths", [[4, 9, 1], [9, 9, 9]])
@pytest.mark.parametrize("kind, options", [(Blstm, {}), (Bigru, {}), (Bigru, {"bias": False})])
def test_values_and_gradients_are_those_of_packed_sequences(kind, options, lengths):
    torch.manual_seed(0)
    layer = kind(3, 4, 2, **options).double()
    lengths = torch.tensor(lengths)
    values = torch.randn(3, 9, 3, dtype=torch.float64, requires_grad=True)
    wanted = torch.randn(3, 9, 8, dtype=torch.float64)
    packed = pack_padded_sequence(values, lengths, batch_first=True, enforce_sorted=False)
    reference, _ = pad_packed_sequence(layer.rnn(packed)[0], batch_first=True)
    results = layer(values, lengths)
    torch.testing.assert_close(results, reference)
    weights = [values, *layer.parameters()]
    torch.testing.assert_close(
        torch.autograd.grad((results * wanted).sum(), weights), torch.autograd.grad((reference * wanted).sum(), weights)
    )


@LAYERS
def test_dropout_stands_between_the_layers_in_training_alone(kind):
    torch.manual_seed(0)
    layer, values, lengths = kind(3, 4, 2, dropout=1.0), torch.randn(2, 5, 3), torch.tensor([5, 3])
    other = torch.randn(2, 5, 3)
    torch.testing.assert_close(layer(values, lengths), layer(other, lengths))  # nothing gets through
    assert not torch.allclose(layer.eval()(values, lengths), layer.eval()(other, lengths))


@LAYERS
def test_what_stands_in_the_padding_does_not_matter(kind):
    torch.manual_seed(0)
    layer = kind(3, 4, 1).eval()
    lengths = torch.tensor([5, 2])
    values = torch.randn(2, 5, 3)
    other = values.clone()
    other[1, 2:] = 1e6
    torch.testing.assert_close(layer(values, lengths), layer(other, lengths))


def test_gradients_of_gru_by_finite_differences():
    torch.manual_seed(0)
    shapes = (2, 4, 3, 6), (2, 6, 2), (2, 6)
    given = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(scan_gru, given)


def test_masked_mean_by_hand():
    values = torch.tensor([[[1.0], [3.0], [100.0]], [[2.0], [4.0], [6.0]]])
    assert masked_mean(values, torch.tensor([2, 3])).tolist() == [[2.0], [4.0]]
    assert length_mask(torch.tensor([2, 3]), 3, "cpu").tolist() == [[True, True, False], [True, True, True]]
