"""Recurrent layers and means that never see padding."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Blstm(nn.Module):
    """Bidirectional LSTM layers over sequences of different lengths.

    forward: values (batch, frames, dims) and lengths (batch,) on the CPU, to (batch, frames, 2 * units),
    zero beyond each length.
    """

    def __init__(self, dims, units, layers, dropout=0.0):
        super().__init__()
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(dims, units, layers, batch_first=True, bidirectional=True, dropout=between)

    def forward(self, values, lengths):
        frames = values.shape[1]
        if bool((lengths == frames).all()):  # packing would only cost time
            return self.lstm(values)[0]
        packed = pack_padded_sequence(values, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=frames)[0]


def length_mask(lengths, frames, device):
    """True for the frames inside each sequence: lengths (batch,) to (batch, frames)."""
    return torch.arange(frames, device=device) < lengths.to(device)[:, None]


def masked_mean(values, lengths):
    """Mean over the valid frames: (batch, frames, dims) and lengths (batch,) to (batch, dims)."""
    mask = length_mask(lengths, values.shape[1], values.device)
    return (values * mask[..., None]).sum(1) / lengths.to(values)[:, None]
