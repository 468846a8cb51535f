"""Gaussian mixtures of each class, whose posteriors averaged over an utterance are its supervector."""

import math

import numpy as np
import torch
from torch import Tensor

from sertk.core.command import progress
from sertk.core.device import torch_threads
from sertk.core.errors import SertkError
from sertk.layers.recurrent import masked_mean
from sertk.models.base import Batch, FittedModel, Output, Utterances, known, only
from sertk.models.registry import GmmConfig


class ClassGmms(FittedModel):
    """One mixture of Gaussians with diagonal covariances per class, fitted to the class's frames.

    As a classifier of its own it scores by the mean log-likelihood of the frames. Its layer `supervector`
    has the posteriors of the components, normalised within each class, averaged over the frames: one row of
    classes * components values, class by class (Jalal et al. 2019, Section 4).
    """

    config: GmmConfig
    weights: Tensor
    means: Tensor
    precisions: Tensor

    def fit(self, train: Utterances, valid: Utterances, seed: int) -> None:
        from sklearn.mixture import GaussianMixture  # needed here alone: a fitted model is used without it

        stream, labels = only(train.streams), known(train.labels, "labels")
        mixtures = []
        for label in progress(range(self.classes), "mixtures"):
            items = (labels == label).nonzero().flatten().tolist()
            frames = [stream.rows(item).cpu().numpy() for item in items]
            if sum(map(len, frames)) < self.config.components:
                raise SertkError(
                    f"class {label + 1} of {self.classes} has {sum(map(len, frames))} training frames, fewer than "
                    f"model.components, {self.config.components}"
                )
            mixture = GaussianMixture(
                self.config.components, covariance_type="diag", max_iter=self.config.iterations, random_state=seed
            )
            with torch_threads():
                mixtures.append(mixture.fit(np.concatenate(frames).astype(np.float64)))
        self.learn(
            weights=np.stack([mixture.weights_ for mixture in mixtures]),
            means=np.stack([mixture.means_ for mixture in mixtures]),
            precisions=np.stack([mixture.precisions_ for mixture in mixtures]),
        )

    def joint(self, values: Tensor) -> Tensor:
        """The log of weight times density of each component: (..., dims) to (..., classes, components)."""
        constant = self.weights.log() + 0.5 * (
            self.precisions.log() - math.log(2 * math.pi) - self.means.square() * self.precisions
        ).sum(-1)
        values = values.double()
        linear = torch.einsum("...d,kmd->...km", values, self.means * self.precisions)
        return constant + linear - 0.5 * torch.einsum("...d,kmd->...km", values.square(), self.precisions)

    def forward(self, batch: Batch) -> Output:
        stream = batch.only_stream()
        return Output(masked_mean(self.joint(stream.values).logsumexp(-1), stream.lengths))

    def supervectors(self, batch: Batch) -> Tensor:
        """(batch, classes * components)."""
        stream = batch.only_stream()
        posteriors = self.joint(stream.values).softmax(-1).flatten(2)
        return masked_mean(posteriors, stream.lengths)
