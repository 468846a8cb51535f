"""Latif et al. 2018, Variational Autoencoders for Learning Latent Representations of Speech Emotion: the networks.

Autoencoders of short segments; an LSTM over the sequence of an utterance's latent vectors is pooled.Lstm.
"""

from collections.abc import Sequence
from itertools import chain, pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sertk.core.errors import SertkError
from sertk.models.base import Batch, Shape, WindowModel, known, mean_loss
from sertk.models.registry import AutoencoderConfig, ConditionalConfig, VariationalConfig


class Autoencoder(WindowModel):
    """Fully connected, with ReLU; a segment (frames, dims) is one vector, and its code is its latent vector."""

    def __init__(self, config: AutoencoderConfig, shape: Shape):
        super().__init__(config, shape)
        self.classes, self.latent = shape.classes, config.latent
        size, extra = self.frames * shape.only_dims(), self.condition_dims()
        self.encoder = perceptron((size + extra, *config.hidden))
        self.code = nn.Linear(config.hidden[-1], self.code_dims())
        self.decoder = perceptron((config.latent + extra, *reversed(config.hidden)))
        self.output = nn.Linear(config.hidden[0], size)

    @property
    def sequences(self) -> tuple[str, ...]:
        return self.layers

    def condition_dims(self) -> int:
        return 0

    def code_dims(self) -> int:
        return self.latent

    def segments(self, batch: Batch) -> Tensor:
        """(batch, frames * dims)."""
        return self.only_windows(batch)[0].flatten(1)

    def reconstruction_losses(self, segments: Tensor, latent: Tensor) -> Tensor:
        """The squared errors of reconstructions from `latent` (batch, latent dims), summed over dims: (batch,)."""
        return (self.output(self.decoder(latent)).float() - segments).square().sum(1)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        segments = self.segments(batch)
        losses = self.reconstruction_losses(segments, self.code(self.encoder(segments)))
        reconstruction = mean_loss(losses, batch.weights)
        return reconstruction, {"reconstruction": reconstruction}

    def posteriors(self, batch: Batch) -> Tensor:
        name = self.config.name
        raise SertkError(f"{name} is an autoencoder: it classifies nothing; its latent vectors can be extracted")

    def latents(self, batch: Batch) -> Tensor:
        """(batch, latent)."""
        return self.code(self.encoder(self.segments(batch)))


class VariationalAutoencoder(Autoencoder):
    """The code is a mean and a standard deviation per latent dim; both together are the latent vector.

    The loss is the negative evidence lower bound with squared errors: reconstruction + beta * divergence of the
    code's normal distribution from N(0, 1), summed over dims, mean over the batch (Eq. 2). In training the latent is
    drawn, mean + deviation * noise; in validation it is the mean.
    """

    def __init__(self, config: VariationalConfig, shape: Shape):
        super().__init__(config, shape)
        self.beta = config.beta

    def code_dims(self) -> int:
        return 2 * self.latent

    def distribution(self, segments: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the codes: (batch, latent) each, float32."""
        return self.code(self.encoder(torch.cat([segments, condition], 1))).float().chunk(2, 1)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        segments, condition = self.segments(batch), self.told(batch)
        mean, log_variance = self.distribution(segments, condition)
        latent = reparametrised(mean, log_variance) if self.training else mean
        losses = self.reconstruction_losses(segments, torch.cat([latent, condition], 1))
        reconstruction = mean_loss(losses, batch.weights)
        divergence = mean_loss(divergences(mean, log_variance), batch.weights)
        figures = {"reconstruction": reconstruction, "kl": divergence}
        return reconstruction + self.beta * divergence, figures

    def told(self, batch: Batch) -> Tensor:
        """What the network is told in training beside a segment: (batch, condition dims), here nothing."""
        return batch.only_stream().values.new_empty(len(batch.items), 0)

    def guessed(self, batch: Batch) -> Tensor:
        """What stands for that when latents are extracted."""
        return self.told(batch)

    def latents(self, batch: Batch) -> Tensor:
        """Means and standard deviations: (batch, 2 * latent)."""
        mean, log_variance = self.distribution(self.segments(batch), self.guessed(batch))
        return torch.cat([mean, (log_variance / 2).exp()], 1)


class ConditionalAutoencoder(VariationalAutoencoder):
    """Encoder and decoder are also given the utterance's label, one-hot, in training.

    The label is unknown when an utterance is to be recognised, so that `condition` says what stands for it in the
    extraction of latents, for training, validation and test split alike: all classes alike, the posteriors of
    another recogniser, or, as in the paper, the label itself.
    """

    config: ConditionalConfig

    def condition_dims(self) -> int:
        return self.classes

    def told(self, batch: Batch) -> Tensor:
        return F.one_hot(known(batch.labels, "labels"), self.classes).float()

    def guessed(self, batch: Batch) -> Tensor:
        name = self.config.name
        if self.config.condition == "uniform":
            device = batch.only_stream().values.device
            return torch.full((len(batch.items), self.classes), 1 / self.classes, device=device)
        if self.config.condition == "oracle":
            if batch.labels is None:
                raise SertkError(f"{name} with condition oracle needs the labels of what it is used on")
            return self.told(batch)
        if batch.conditions is None:
            raise SertkError(f"{name} with condition predicted needs the feature type that `conditions` names")
        return batch.conditions


def perceptron(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers of these sizes, each followed by ReLU."""
    pairs = ((nn.Linear(before, after), nn.ReLU()) for before, after in pairwise(sizes))
    return nn.Sequential(*chain.from_iterable(pairs))


def reparametrised(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Draws from normal distributions so that gradients reach their parameters: mean + deviation * noise."""
    return mean + (log_variance / 2).exp() * torch.randn_like(mean)


def divergences(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)) in nats, summed over dims: (batch, dims) each to (batch,)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
