"""Emotion recognisers with the speech recogniser, whose layer they take, in the loop."""

import dataclasses

from torch import nn

from sertk.models.base import Padded


class Transfer(nn.Module):
    """A model on a recogniser's layer, which it computes from the recogniser's own features: what `EmotionModel`s do.

    The layer's stream holds those features when a Batch comes in. The recogniser is as in its evaluation, also while
    it trains: batch normalisation keeps its statistics, and only the recurrent layers `unfreeze`, from 1, learn.
    """

    def __init__(self, model, pretrained, stream, unfreeze=()):
        super().__init__()
        for name in ("layers", "sequences", "framewise", "needs_labels", "needs_numbers"):
            setattr(self, name, getattr(model, name))
        self.model, self.pretrained, self.stream = model, pretrained, stream
        for parameter in pretrained.parameters():
            parameter.requires_grad = False
        for layer in unfreeze:
            for parameter in pretrained.grus[layer - 1].parameters():
                parameter.requires_grad = True

    def train(self, mode=True):
        super().train(mode)
        self.pretrained.eval()
        self.pretrained.grus.train(mode)  # the same without dropout, but cuDNN has no gradients in evaluation
        return self

    def seen(self, batch):
        """The Batch as the model takes it."""
        layer = self.pretrained.layers.index(self.stream) + 1
        values = Padded(*self.pretrained.hidden(batch.streams[self.stream], layer))
        return dataclasses.replace(batch, streams={**batch.streams, self.stream: values})

    def forward(self, batch):
        return self.model(self.seen(batch))

    def loss(self, batch):
        return self.model.loss(self.seen(batch))

    def posteriors(self, batch):
        return self.model.posteriors(self.seen(batch))

    def vectors(self, batch, layer):
        return self.model.vectors(self.seen(batch), layer)
