"""Emotion recognisers on the layers of an encoder: with the encoder in the loop, or on the layers' weighted mean."""

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sertk.encoders.base import Encoder, encode
from sertk.models.base import Batch, EmotionModel, Output, Padded
from sertk.models.encoder_streams import ENCODER, encoder_stream


class Transfer(EmotionModel):
    """A model on layers of an encoder.

    With `pretrained` the encoder computes them from the stream `encoder` of a Batch, which holds what it takes; it is
    as in its evaluation, also while the model trains, and only the blocks of the layers `unfreeze`, from 1, learn.
    With `weighted` their mean is the model's stream `encoder`, by weights that are learnt, a softmax, as SUPERB has it
    (Yang et al. 2021, Section 3).
    """

    def __init__(
        self,
        model: EmotionModel,
        layers: Sequence[int],
        pretrained: Encoder | None = None,
        unfreeze: Sequence[int] = (),
        weighted: bool = False,
    ):
        super().__init__(model.config, model.shape)
        self.model, self.pretrained, self.taken, self.weighted = model, pretrained, layers, weighted
        if weighted:
            self.layer_scores = nn.Parameter(torch.zeros(len(layers)))
        if pretrained is not None:
            for parameter in pretrained.parameters():
                parameter.requires_grad = False
            for layer in unfreeze:
                for parameter in pretrained.block(layer).parameters():
                    parameter.requires_grad = True

    @property
    def layers(self) -> tuple[str, ...]:
        return self.model.layers

    @property
    def sequences(self) -> tuple[str, ...]:
        return self.model.sequences

    @property
    def framewise(self) -> tuple[str, ...]:
        return self.model.framewise

    def chosen(self) -> dict[str, object]:
        weights = self.layer_scores.softmax(0).tolist() if self.weighted else []
        return {**self.model.chosen(), **{f"weight of layer {layer}": each for layer, each in zip(self.taken, weights)}}

    def train(self, mode: bool = True):
        super().train(mode)
        if self.pretrained is not None:
            self.pretrained.eval()
            self.pretrained.allow_gradients(mode)
        return self

    def seen(self, batch: Batch) -> Batch:
        """The Batch as the model takes it."""
        streams = dict(batch.streams)
        if self.pretrained is not None:
            own = streams.pop(ENCODER)
            values, lengths = encode(self.pretrained, own.values, own.lengths, self.taken)
            streams |= {encoder_stream(layer): Padded(each, lengths) for layer, each in zip(self.taken, values)}
        if self.weighted:
            layers = [streams.pop(encoder_stream(layer)) for layer in self.taken]
            weights = self.layer_scores.softmax(0)
            mean = torch.stack([weight * each.values for weight, each in zip(weights, layers)]).sum(0)
            streams[ENCODER] = Padded(mean, layers[0].lengths)
        return dataclasses.replace(batch, streams=streams)

    def forward(self, batch: Batch) -> Output:
        return self.model(self.seen(batch))

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        return self.model.loss(self.seen(batch))

    def posteriors(self, batch: Batch) -> Tensor:
        return self.model.posteriors(self.seen(batch))

    def vectors(self, batch: Batch, layer: str) -> Tensor:
        return self.model.vectors(self.seen(batch), layer)

    def frame_vectors(self, batch: Batch, layer: str) -> Padded:
        return self.model.frame_vectors(self.seen(batch), layer)
