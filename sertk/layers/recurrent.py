"""Recurrent layers and means that never see padding."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Blstm(nn.Module):
    """Bidirectional LSTM layers over sequences of different lengths.

    forward: values (batch, frames, dims) and lengths (batch,) on the CPU, to (batch, frames, 2 * units),
    zero beyond each length. The values on the CPU are not packed: the gradient of a packed sequence takes
    time with the square of its length there (480 frames: 20 times as long).
    """

    def __init__(self, dims, units, layers, dropout=0.0):
        super().__init__()
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(dims, units, layers, batch_first=True, bidirectional=True, dropout=between)

    def forward(self, values, lengths):
        frames = values.shape[1]
        if bool((lengths == frames).all()):  # packing would only cost time
            return self.lstm(values)[0]
        if values.device.type == "cpu":
            return self.padded(values, lengths)
        packed = pack_padded_sequence(values, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=frames)[0]

    def padded(self, values, lengths):
        """Layer by layer, the backward direction on sequences that are reversed within their lengths."""
        order = reversed_frames(lengths, values.shape[1])[..., None]
        for layer in range(self.lstm.num_layers):
            if layer:
                values = F.dropout(values, self.lstm.dropout, self.training)
            backward = self.direction(values.gather(1, order.expand_as(values)), f"l{layer}_reverse")
            values = torch.cat([self.direction(values, f"l{layer}"), backward.gather(1, order.expand_as(backward))], -1)
        return values * length_mask(lengths, values.shape[1], values.device)[..., None]

    def direction(self, values, name):
        weights = [getattr(self.lstm, f"{part}_{name}") for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        start = values.new_zeros(1, len(values), self.lstm.hidden_size)
        return torch.lstm(values, (start, start), weights, True, 1, 0.0, self.training, False, True)[0]


def reversed_frames(lengths, frames):
    """Indices (batch, frames) that put each sequence, but not its padding, into the opposite order."""
    frame = torch.arange(frames)
    return torch.where(frame < lengths[:, None], lengths[:, None] - 1 - frame, frame)


def length_mask(lengths, frames, device):
    """True for the frames inside each sequence: lengths (batch,) to (batch, frames)."""
    return torch.arange(frames, device=device) < lengths.to(device)[:, None]


def masked_mean(values, lengths):
    """Mean over the valid frames: (batch, frames, dims) and lengths (batch,) to (batch, dims)."""
    mask = length_mask(lengths, values.shape[1], values.device)
    return (values * mask[..., None]).sum(1) / lengths.to(values)[:, None]
