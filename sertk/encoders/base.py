"""What all encoders have in common."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from sertk.features.extractor import Extractor


class Encoder(nn.Module):
    """A pretrained network that turns features of a waveform into the vectors of its layers.

    Layer 0 is what the first block takes, layer `count` what comes out of the whole network. Padding changes nothing:
    an utterance gives the same in any batch.
    """

    extractor: Extractor  # of what it takes
    count: int  # the last layer
    dims: int  # of every layer
    shift: float  # seconds from one frame of a layer to the next

    def frames_of(self, lengths: Tensor) -> Tensor:
        """How many frames the layers have for so many frames of the input (batch,), 1 or more."""
        raise NotImplementedError

    def forward(self, values: Tensor, lengths: Tensor, layers: Sequence[int]) -> tuple[list[Tensor], Tensor]:
        """Values (batch, frames, dims) and lengths (batch,), on the CPU, to `layers` and the lengths of all of them.

        Each layer is (batch, frames of the layer, dims), zero beyond the lengths. Blocks behind the last one that is
        wanted do not run.
        """
        raise NotImplementedError

    def allow_gradients(self, training: bool) -> None:
        """Makes gradients possible in evaluation, where a block needs more than that for it."""

    def block(self, layer: int) -> nn.Module:
        """The block that a layer, from 1, comes out of."""
        raise NotImplementedError


WINDOW = 30.0  # seconds that an encoder sees at once
OVERLAP = 2.0  # seconds that two windows of a longer recording share; each gives the half that is farther from its end


def encode(encoder: Encoder, values: Tensor, lengths: Tensor, layers: Sequence[int]) -> tuple[list[Tensor], Tensor]:
    """As `Encoder.forward`, of utterances of any length: those above WINDOW are seen in windows, one at a time."""
    if int(lengths.max()) <= inputs_of(encoder, WINDOW):
        return encoder(values, lengths, layers)
    rows = [
        [torch.cat(pieces) for pieces in zip(*windows_of(encoder, own[:length], layers))]
        for own, length in zip(values, lengths.tolist())
    ]
    found = torch.tensor([len(each[0]) for each in rows])
    return [pad_sequence(list(each), batch_first=True) for each in zip(*rows)], found


def windows_of(encoder: Encoder, values: Tensor, layers: Sequence[int]) -> Iterator[list[Tensor]]:
    """Yields the layers of one utterance (frames, dims) window by window: lists of (frames of the layer, dims)."""
    window, hop = inputs_of(encoder, WINDOW), inputs_of(encoder, WINDOW - OVERLAP)
    behind = round((WINDOW - OVERLAP) / encoder.shift)  # frames of the layers from one window to the next
    margin = (int(encoder.frames_of(torch.tensor(window))) - behind) // 2
    starts = range(0, max(1, len(values) - (window - hop)), hop)
    for start in starts:
        piece = values[start : start + window]
        found, _ = encoder(piece[None], torch.tensor([len(piece)]), layers)
        first, last = margin if start else 0, None if start == starts[-1] else behind + margin
        yield [layer[0, first:last] for layer in found]


def inputs_of(encoder: Encoder, seconds: float) -> int:
    """So many seconds in frames of what an encoder takes."""
    return round(seconds * encoder.extractor.sample_frequency / (encoder.extractor.shift or 1))
