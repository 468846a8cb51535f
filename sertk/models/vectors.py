"""Classifiers of utterances that are one vector each: functionals, supervectors."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sertk.core.device import torch_threads
from sertk.core.errors import SertkError
from sertk.models.base import Batch, EmotionModel, FittedModel, Frames, Output, Shape, Utterances, known, only
from sertk.models.registry import SvmConfig, VectorCnnConfig

ROWS = 2048  # utterances whose kernel with all support vectors is held at a time


def only_vectors(stream: Frames) -> Tensor:
    """The vectors (batch, dims) of a stream with one frame per utterance; raises SertkError for more."""
    if not bool((stream.lengths == 1).all()):
        raise SertkError(f"an utterance has {int(stream.lengths.max())} frames; this model takes one vector for each")
    return stream.values.reshape(len(stream.lengths), -1)


class Svm(FittedModel):
    """A support vector machine with a radial basis function kernel, trained one class against another.

    Scores are one-versus-rest decisions as scikit-learn makes them: the pairs a class wins, and the sum of its
    decisions squeezed into (-1/3, 1/3) to break ties; with two classes, the decision and its negative.
    """

    config: SvmConfig
    first: Tensor  # class of each pair
    second: Tensor
    support: Tensor
    coefficients: Tensor
    intercept: Tensor
    gamma: Tensor

    def __init__(self, config: SvmConfig, shape: Shape):
        super().__init__(config, shape)
        first, second = torch.triu_indices(shape.classes, shape.classes, 1)
        self.register_buffer("first", first, persistent=False)
        self.register_buffer("second", second, persistent=False)

    def fit(self, train: Utterances, valid: Utterances, seed: int) -> None:
        from sklearn.svm import SVC  # needed here alone: a fitted model is used without it

        stream, labels = only(train.streams), known(train.labels, "labels")
        gamma: Any = self.config.gamma or "scale"  # scikit-learn says text, and takes a number
        svc = SVC(C=self.config.cost, gamma=gamma, decision_function_shape="ovo")
        weights = None if train.weights is None else train.weights.numpy()
        with torch_threads():
            svc.fit(only_vectors(stream).double().cpu().numpy(), labels.numpy(), weights)
        sign = -1 if self.classes == 2 else 1  # with two classes scikit-learn's decision is for the second
        self.learn(
            support=svc.support_vectors_,
            coefficients=sign * pair_coefficients(svc),
            intercept=sign * svc.intercept_,
            gamma=np.float64(svc._gamma),
        )

    def forward(self, batch: Batch) -> Output:
        vectors = only_vectors(batch.only_stream()).double()
        pairs = torch.cat([self.pair_decisions(rows) for rows in vectors.split(ROWS)])
        return Output(votes(pairs, self.first, self.second, self.classes))

    def pair_decisions(self, vectors: Tensor) -> Tensor:
        """Vectors (batch, dims) to (batch, pairs), positive where the first class of a pair wins."""
        kernel = torch.exp(-self.gamma * torch.cdist(vectors, self.support).square())
        return kernel @ self.coefficients.mT + self.intercept


def votes(pairs: Tensor, first: Tensor, second: Tensor, classes: int) -> Tensor:
    """Scores (batch, classes) of decisions (batch, pairs), above 0 for a pair's class in `first`, else in `second`."""
    if classes == 2:
        return torch.cat([pairs, -pairs], 1)
    wins = (pairs >= 0).to(pairs)
    totals, won = pairs.new_zeros(2, len(pairs), classes)
    totals.index_add_(1, first, pairs).index_add_(1, second, -pairs)
    won.index_add_(1, first, wins).index_add_(1, second, 1 - wins)
    return won + totals / (3 * (totals.abs() + 1))


def pair_coefficients(svc: Any) -> np.ndarray:
    """One row per pair of classes (pairs, support vectors), from libsvm's packed form."""
    classes = len(svc.n_support_)
    owner = np.repeat(np.arange(classes), svc.n_support_)
    rows = np.zeros((classes * (classes - 1) // 2, len(owner)))
    for row, (first, second) in zip(rows, zip(*np.triu_indices(classes, 1))):
        row[owner == first] = svc.dual_coef_[second - 1, owner == first]
        row[owner == second] = svc.dual_coef_[first, owner == second]
    return rows


class VectorCnn(EmotionModel):
    """A convolutional network along the vector's dims, one hidden layer, softmax."""

    def __init__(self, config: VectorCnnConfig, shape: Shape):
        super().__init__(config, shape)
        dims = shape.only_dims() >> len(config.filters)
        if dims < 1:
            raise SertkError(
                f"{shape.only_dims()} dims cannot be halved {len(config.filters)} times: fewer model.filters"
            )
        layers = []
        for before, after in zip((1, *config.filters), config.filters):
            layers += [nn.Conv1d(before, after, config.kernel, padding="same"), nn.ReLU(), nn.MaxPool1d(2)]
        self.network = nn.Sequential(
            *layers,
            nn.Flatten(),
            nn.Dropout(config.dropout),
            nn.Linear(config.filters[-1] * dims, config.units),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.units, shape.classes),
        )

    def forward(self, batch: Batch) -> Output:
        return Output(self.network(only_vectors(batch.only_stream())[:, None]))
