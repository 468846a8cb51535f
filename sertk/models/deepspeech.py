"""A speech recogniser in the style of DeepSpeech 2 (Amodei et al. 2016), with the sizes of Lakomkin et al. 2017."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from sertk.core.distributed import summed
from sertk.core.errors import SertkError
from sertk.layers.batchnorm import MaskedBatchNorm
from sertk.layers.convolution import WideConv2d
from sertk.layers.ctc import best_path, collapse, ctc_losses
from sertk.layers.recurrent import Bigru, length_mask
from sertk.models.base import Batch, EmotionModel, Output, Padded, Shape, known
from sertk.models.registry import DeepSpeechConfig

# Of each convolution: kernel and stride, over frames and over bins
CONVOLUTIONS = (((11, 41), (2, 2)), ((11, 21), (1, 2)))
SHORTEST = 31  # frames of the input that give one frame of the output
STRIDE = 2  # frames of the input from one frame of the output to the next

Frames = TypeVar("Frames", int, Tensor, np.ndarray)


def output_lengths(frames: Frames) -> Frames:
    """How many frames the network has for so many of its input, a number or a tensor, SHORTEST or more."""
    for (kernel, _), (stride, _) in CONVOLUTIONS:
        frames = (frames - kernel) // stride + 1
    return frames


def input_frame(frame: Frames) -> Frames:
    """The frame of the input in the middle of the SHORTEST that the convolutions make a `frame` of.

    Both count from 0; it is a number or an array.
    """
    for (kernel, _), (stride, _) in reversed(CONVOLUTIONS):
        frame = frame * stride + kernel // 2
    return frame


class DeepSpeech(EmotionModel):
    """Two convolutions over frames and bins, bidirectional GRUs, and CTC over the tokens, the blank last.

    All but the first GRU and the output come after batch normalisation. A layer's vectors are those of a GRU
    layer, one for every second frame of the input.
    """

    config: DeepSpeechConfig

    def __init__(self, config: DeepSpeechConfig, shape: Shape):
        super().__init__(config, shape)
        self.blank = shape.classes
        bins = shape.only_dims()
        self.convolutions, self.convolution_norms = nn.ModuleList(), nn.ModuleList()
        for number, (kernel, stride) in enumerate(CONVOLUTIONS):
            if bins < kernel[1]:
                raise SertkError(f"{config.name}: {shape.only_dims()} bins are too few for its convolutions")
            before = config.channels if number else 1
            self.convolutions.append(WideConv2d(before, config.channels, kernel, stride))
            self.convolution_norms.append(MaskedBatchNorm(config.channels))
            bins = (bins - kernel[1]) // stride[1] + 1
        self.width = config.gru_units * (1 if config.directions == "sum" else 2)  # of a layer's vectors
        dims = [bins * config.channels] + [self.width] * (config.gru_layers - 1)
        self.grus = nn.ModuleList(Bigru(each, config.gru_units, bias=False) for each in dims)
        self.norms = nn.ModuleList(MaskedBatchNorm(self.width) for _ in dims)  # each after its GRU
        self.output = nn.Linear(self.width, shape.classes + 1, bias=False)

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(f"gru{number + 1}" for number in range(self.config.gru_layers))

    @property
    def framewise(self) -> tuple[str, ...]:
        return self.layers

    def convolve(self, stream: Padded) -> tuple[Tensor, Tensor]:
        """(batch, frames, channels * bins) and lengths; an input below SHORTEST frames is filled up with zeros."""
        values, lengths = stream.values, stream.lengths.clamp(min=SHORTEST)
        values = F.pad(values, (0, 0, 0, max(0, SHORTEST - values.shape[1])))[:, None]
        for convolution, norm, (kernel, stride) in zip(self.convolutions, self.convolution_norms, CONVOLUTIONS):
            values = convolution(values)
            lengths = (lengths - kernel[0]) // stride[0] + 1
            mask = length_mask(lengths, values.shape[2], values.device)
            values = F.hardtanh(norm(values, mask), 0, 20)
        return values.transpose(1, 2).flatten(2), lengths

    def layers_of(self, stream: Padded, layers: Sequence[int]) -> tuple[list[Tensor], Tensor]:
        """What some GRUs, from 1, give for a Padded: each (batch, frames, units), and lengths."""
        values, lengths = self.convolve(stream)
        mask = length_mask(lengths, values.shape[1], values.device)
        found = {}
        for number, gru in enumerate(self.grus[: max(layers)], 1):
            if found:
                values = self.normed(number - 2, values, mask)
            values = gru(values, lengths)
            if self.config.directions == "sum":
                forward, backward = values.chunk(2, -1)
                values = forward + backward
            found[number] = values
        return [found[layer] for layer in layers], lengths

    def hidden(self, stream: Padded) -> tuple[Tensor, Tensor]:
        """What the last GRU gives for a Padded: (batch, frames, units), and lengths."""
        (values,), lengths = self.layers_of(stream, [self.config.gru_layers])
        return values, lengths

    def normed(self, number: int, values: Tensor, mask: Tensor) -> Tensor:
        """What a GRU's batch normalisation makes of values (batch, frames, units); `mask` (batch, frames)."""
        return self.norms[number](values.transpose(1, 2), mask).transpose(1, 2)

    def frame_scores(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Scores per frame (batch, frames, tokens + 1), and the lengths."""
        values, lengths = self.hidden(batch.only_stream())
        mask = length_mask(lengths, values.shape[1], values.device)
        return self.output(self.normed(-1, values, mask)), lengths

    def forward(self, batch: Batch) -> Output:
        return Output(*self.frame_scores(batch))

    def log_probs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log posteriors per frame (batch, frames, tokens + 1), and the lengths."""
        scores, lengths = self.frame_scores(batch)
        return scores.float().log_softmax(-1), lengths

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The mean over the utterances of all processes of -log P(text): what those of this process add to it."""
        losses = self.losses(*self.log_probs(batch), known(batch.tokens, "texts"))
        return losses.sum() / summed(losses.new_tensor(float(len(losses)))), {}

    def losses(self, log_probs: Tensor, lengths: Tensor, tokens: Padded) -> Tensor:
        """-log P(text) of each utterance (batch,), in nats; infinite where the text does not fit."""
        return ctc_losses(log_probs, lengths, tokens.values, tokens.lengths)

    def paths(self, log_probs: Tensor, lengths: Tensor) -> list[list[int]]:
        """The tokens on the best path of each utterance, a list of lists."""
        return [collapse(path, self.blank).tolist() for path in best_path(log_probs, lengths)]

    def frame_vectors(self, batch: Batch, layer: str) -> Padded:
        (values,), lengths = self.layers_of(batch.only_stream(), [self.layers.index(layer) + 1])
        return Padded(values, lengths)

    def posteriors(self, batch: Batch) -> Tensor:
        raise SertkError(f"{self.config.name} recognises words, not classes")


def as_deepspeech(model: EmotionModel) -> DeepSpeech:
    """The model itself, where it recognises words; raises SertkError where it does not."""
    if not isinstance(model, DeepSpeech):
        raise SertkError(f"{model.config.name} is no speech recogniser")
    return model
