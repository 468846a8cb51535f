"""Emotion recognisers with the speech recogniser, whose layer they take, in the loop."""

import dataclasses
from collections.abc import Iterable

from torch import Tensor

from sertk.models.base import Batch, EmotionModel, Output, Padded
from sertk.models.deepspeech import DeepSpeech


class Transfer(EmotionModel):
    """A model on a recogniser's layer, which it computes from the recogniser's own features.

    The layer's stream holds those features when a Batch comes in. The recogniser is as in its evaluation, also while
    it trains: batch normalisation keeps its statistics, and only the recurrent layers `unfreeze`, from 1, learn.
    """

    def __init__(self, model: EmotionModel, pretrained: DeepSpeech, stream: str, unfreeze: Iterable[int] = ()):
        super().__init__(model.config, model.shape)
        self.model, self.pretrained, self.stream = model, pretrained, stream
        for parameter in pretrained.parameters():
            parameter.requires_grad = False
        for layer in unfreeze:
            for parameter in pretrained.grus[layer - 1].parameters():
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

    def train(self, mode: bool = True):
        super().train(mode)
        self.pretrained.eval()
        self.pretrained.grus.train(mode)  # the same without dropout, but cuDNN has no gradients in evaluation
        return self

    def seen(self, batch: Batch) -> Batch:
        """The Batch as the model takes it."""
        layer = self.pretrained.layers.index(self.stream) + 1
        values = Padded(*self.pretrained.hidden(batch.streams[self.stream], layer))
        return dataclasses.replace(batch, streams={**batch.streams, self.stream: values})

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
