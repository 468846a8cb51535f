"""Recurrent layers and means that never see padding."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sertk.layers.gru import scan_gru


class Bidirectional(nn.Module):
    """Bidirectional recurrent layers over sequences of different lengths.

    forward: values (batch, frames, dims) and lengths (batch,) on the CPU, to (batch, frames, 2 * units),
    zero beyond each length, the forward direction first. Values on the CPU are not packed: the gradient of a packed
    sequence takes time with the square of its length there (LSTM, 480 frames: 20 times as long).
    """

    fast_where_equal: bool  # whether PyTorch's own is the faster one on a CPU where no sequence has padding

    def __init__(self, rnn: nn.RNNBase):
        super().__init__()
        self.rnn = rnn  # holds the weights, and does the work on other devices

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        equal = bool((lengths == values.shape[1]).all())
        if values.device.type == "cpu" and not (equal and self.fast_where_equal):
            return self.padded(values, lengths)
        if equal:  # packing would only cost time
            return self.rnn(values)[0]
        packed = pack_padded_sequence(values, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=values.shape[1])[0]

    def padded(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Layer by layer, the backward direction on sequences that are reversed within their lengths."""
        order = reversed_frames(lengths, values.shape[1])[..., None]
        for layer in range(self.rnn.num_layers):
            if layer:
                values = F.dropout(values, self.rnn.dropout, self.training)
            forward, backward = self.layer(layer, values, values.gather(1, order.expand_as(values)))
            values = torch.cat([forward, backward.gather(1, order.expand_as(backward))], -1)
        return values * length_mask(lengths, values.shape[1], values.device)[..., None]

    def layer(self, layer: int, *inputs: Tensor) -> Sequence[Tensor]:
        """What each direction of a layer gives for its own input (batch, frames, dims): (batch, frames, units)."""
        raise NotImplementedError

    def weights(self, layer: int) -> list[list[Tensor]]:
        """Of each direction the weights of the input and of the state, and both biases where there are any."""
        return [[getattr(self.rnn, f"{name}_l{layer}{suffix}") for name in self.names] for suffix in ("", "_reverse")]

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the weights of a layer, without its number and direction."""
        return ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if self.rnn.bias else ()))


class Blstm(Bidirectional):
    """LSTM layers."""

    fast_where_equal = True  # both directions in one fused kernel

    def __init__(self, dims: int, units: int, layers: int, dropout: float = 0.0):
        between = dropout if layers > 1 else 0.0
        super().__init__(nn.LSTM(dims, units, layers, batch_first=True, bidirectional=True, dropout=between))

    def layer(self, layer: int, *inputs: Tensor) -> Sequence[Tensor]:
        start = inputs[0].new_zeros(1, len(inputs[0]), self.rnn.hidden_size)
        return [
            torch.lstm(values, (start, start), weights, True, 1, 0.0, self.training, False, True)[0]
            for values, weights in zip(inputs, self.weights(layer))
        ]


class Bigru(Bidirectional):
    """GRU layers, as PyTorch defines them."""

    fast_where_equal = False

    def __init__(self, dims: int, units: int, layers: int = 1, dropout: float = 0.0, bias: bool = True):
        between = dropout if layers > 1 else 0.0
        super().__init__(nn.GRU(dims, units, layers, bias=bias, batch_first=True, bidirectional=True, dropout=between))

    def layer(self, layer: int, *inputs: Tensor) -> Sequence[Tensor]:
        of_inputs, of_states, *biases = zip(*self.weights(layer))
        from_inputs = torch.stack(
            [F.linear(values, *weights) for values, weights in zip(inputs, zip(of_inputs, *biases[:1]))]
        )
        bias = torch.stack(biases[1]) if biases else from_inputs.new_zeros(2, from_inputs.shape[-1])
        states = scan_gru(from_inputs.transpose(1, 2), torch.stack(of_states), bias)
        return states.transpose(1, 2).unbind()


def reversed_frames(lengths: Tensor, frames: int) -> Tensor:
    """Indices (batch, frames) that put each sequence, but not its padding, into the opposite order."""
    frame = torch.arange(frames)
    return torch.where(frame < lengths[:, None], lengths[:, None] - 1 - frame, frame)


def length_mask(lengths: Tensor, frames: int, device: torch.device) -> Tensor:
    """True for the frames inside each sequence: lengths (batch,) to (batch, frames)."""
    return torch.arange(frames, device=device) < lengths.to(device)[:, None]


def masked_mean(values: Tensor, lengths: Tensor) -> Tensor:
    """Mean over the valid frames: (batch, frames, dims) and lengths (batch,) to (batch, dims)."""
    mask = length_mask(lengths, values.shape[1], values.device)
    return (values * mask[..., None]).sum(1) / lengths.to(values)[:, None]
