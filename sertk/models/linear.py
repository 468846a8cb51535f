"""Linear classifiers of utterances that are vectors: what frozen encoders are judged by."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.special
import torch
from torch import Tensor

from sertk.core.device import torch_threads
from sertk.core.errors import SertkError
from sertk.models.base import Batch, FittedModel, Output, Utterances, known
from sertk.models.registry import LinearConfig
from sertk.models.vectors import only_vectors, pair_coefficients, votes

log = logging.getLogger(__name__)

STRENGTHS = {  # what `auto` chooses from, for vectors of about 1,000 normalised values; the layer by the middle one
    "C": (1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
    "shrinkage": (0.1, 0.3, 0.5, 0.7, 0.9),
}
SCALES = (-10.0, 5.0)  # natural logarithms of the factors of scores, between which one is sought
SHARES = 5  # of the training speakers in cross-validation, at most


class Linear(FittedModel):
    """Linear discriminants, multinomial logistic regression, or support vector machines, one class against another.

    Several streams are one vector, or, where the Shape says `choose`, the model takes the one that suits it best. That
    one, and then how strongly the classifier is regularised, are chosen by the UAR in cross-validation over the
    training speakers, who are never in both parts of it. Scores are log odds, or those of `vectors.Svm`; posteriors
    are their softmax, scaled by what makes those of cross-validation likeliest (Guo et al. 2017, On Calibration of
    Modern Neural Networks). Classes of lda are as likely as each other beforehand.
    """

    config: LinearConfig
    weights: Tensor  # (pairs or classes, dims)
    intercept: Tensor
    stream: Tensor  # the place of the one that was chosen; -1: all
    strength: Tensor
    scale: Tensor  # of the scores, for posteriors that are neither too sure nor too doubtful

    @property
    def names(self) -> list[str]:
        """The streams, in order."""
        return sorted(self.shape.dims)

    def fit(self, train: Utterances, valid: Utterances, seed: int) -> None:
        splits = [train, valid] if self.config.valid_too else [train]
        labels = np.concatenate([known(split.labels, "labels").numpy() for split in splits])
        speakers = [speaker for split in splits for speaker in known(split.speakers, "speakers")]
        weights = None if train.weights is None else class_weights(train, labels)
        vectors = [np.concatenate([vectors_of(split, name) for split in splits]) for name in self.names]
        candidates = dict(enumerate(vectors)) if self.shape.choose else {-1: np.concatenate(vectors, 1)}
        given = getattr(self.config, self.config.strength)
        strengths = STRENGTHS[self.config.strength] if given == "auto" else (given,)
        several = len(candidates) * len(strengths) > 1
        shares = speaker_shares(speakers, needed=several)

        def held_out(stream: int, strength: float) -> np.ndarray:
            return self.held_out(candidates[stream], labels, weights, shares, strength)

        def uar(choice: tuple[int, float]) -> float:
            right = held_out(*choice).argmax(1) == labels
            value = float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))
            log.info("stream %d, %g: cross-validation UAR %.4f", *choice, value)
            return value

        with torch_threads():
            stream, strength = next(iter(candidates)), strengths[len(strengths) // 2]
            if several:
                stream, _ = max(((each, strength) for each in candidates), key=uar)
                _, strength = max(((stream, each) for each in strengths), key=uar)
            scale = fit_scale(held_out(stream, strength), labels) if len({*shares}) > 1 else 1.0
            matrix, intercept = self.fitted(candidates[stream], labels, weights, strength)
        self.learn(weights=matrix, intercept=intercept)
        self.learn(stream=np.int64(stream), strength=np.float64(strength), scale=np.float64(scale))

    def held_out(
        self, vectors: np.ndarray, labels: np.ndarray, weights: np.ndarray | None, shares: np.ndarray, strength: float
    ) -> np.ndarray:
        """Scores (utterances, classes) of each share of the utterances by what the others taught.

        They are -inf for a class that the others do not have, as some speaker may be the only one of it.
        """
        found = np.full((len(labels), self.classes), -np.inf)
        for share in np.unique(shares):
            own, rest = shares == share, shares != share
            there, numbers = np.unique(labels[rest], return_inverse=True)
            if len(there) == 1:
                found[np.ix_(own, there)] = 0
                continue
            matrix, intercept = self.fitted(
                vectors[rest], numbers, None if weights is None else weights[rest], strength
            )
            scores = self.scored(torch.from_numpy(vectors[own] @ matrix.T + intercept), len(there))
            found[np.ix_(own, there)] = scores.numpy()
        return found

    def fitted(
        self, vectors: np.ndarray, labels: np.ndarray, weights: np.ndarray | None, strength: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """The weights (pairs or classes, dims) and intercepts for vectors (utterances, dims)."""
        if self.config.classifier == "lda":
            return discriminants(vectors, labels, strength)
        if self.config.classifier == "logistic":
            from sklearn.linear_model import LogisticRegression  # needed here alone: a fitted model is used without it

            model = LogisticRegression(C=strength, max_iter=1000).fit(vectors, labels, weights)
            return model.coef_, model.intercept_
        from sklearn.svm import SVC

        kernel = vectors @ vectors.T
        svc = SVC(C=strength, kernel="precomputed", decision_function_shape="ovo").fit(kernel, labels, weights)
        sign = -1 if len(svc.classes_) == 2 else 1  # with two classes scikit-learn's decision is for the second
        return sign * pair_coefficients(svc) @ vectors[svc.support_], sign * svc.intercept_

    def scored(self, decisions: Tensor, classes: int) -> Tensor:
        """Scores (batch, classes) of decisions (batch, pairs or classes)."""
        if self.config.classifier == "svm":
            first, second = torch.triu_indices(classes, classes, 1, device=decisions.device)
            return votes(decisions, first, second, classes)
        return decisions if decisions.shape[1] > 1 else torch.cat([-decisions, decisions], 1) / 2

    def forward(self, batch: Batch) -> Output:
        place = int(self.stream)
        names = self.names if place < 0 else [self.names[place]]
        vectors = torch.cat([only_vectors(batch.streams[name]) for name in names], 1).double()
        return Output(self.scored(vectors @ self.weights.mT + self.intercept, self.classes))

    def posteriors(self, batch: Batch) -> Tensor:
        return torch.softmax(self(batch).scores * self.scale, -1).float()

    def chosen(self) -> dict[str, object]:
        layer = {"layer": self.names[int(self.stream)].partition(":")[2]} if self.shape.choose else {}
        key = self.config.strength
        return {**layer, **({key: float(self.strength)} if getattr(self.config, key) == "auto" else {})}


def vectors_of(split: Utterances, name: str) -> np.ndarray:
    """The vectors (utterances, dims) of a stream in double precision."""
    return only_vectors(split.streams[name]).double().cpu().numpy()


def class_weights(train: Utterances, labels: np.ndarray) -> np.ndarray:
    """The weight of each label's class in the training split: labels (utterances,) to (utterances,)."""
    own, weights = known(train.labels, "labels").numpy(), known(train.weights, "weights").numpy()
    of_class = np.zeros(labels.max() + 1)
    of_class[own] = weights
    return of_class[labels]


def discriminants(vectors: np.ndarray, labels: np.ndarray, shrinkage: float) -> tuple[np.ndarray, np.ndarray]:
    """The weights (classes, dims) and intercepts of linear discriminants for vectors (utterances, dims).

    What classes have in common is the mean of their covariances, shrunk towards a multiple of the unit matrix (Friedman
    1989, Regularized Discriminant Analysis); they are as likely as each other beforehand.
    """
    classes = np.unique(labels)
    means = np.stack([vectors[labels == label].mean(0) for label in classes])
    own = [np.atleast_2d(np.cov(vectors[labels == label].T, bias=True)) for label in classes]
    covariance = np.mean(own, axis=0)
    spread = covariance.trace() / len(covariance) or 1.0  # of one utterance each there is none
    unit = np.eye(len(covariance)) * spread
    covariance = (1 - shrinkage) * covariance + shrinkage * unit
    weights = scipy.linalg.solve(covariance, means.T, assume_a="pos").T
    return weights, -0.5 * (weights * means).sum(1)


def fit_scale(scores: np.ndarray, labels: np.ndarray) -> float:
    """The factor of scores (utterances, classes) by which the softmax gives the labels the highest likelihood."""
    own = scores[np.arange(len(labels)), labels]
    scores, own = scores[np.isfinite(own)], own[np.isfinite(own)]
    if not len(own):
        return 1.0

    def loss(log_scale: float) -> float:
        scaled = np.exp(log_scale) * (scores - own[:, None])
        return float(np.mean(scipy.special.logsumexp(scaled, axis=1)))

    return float(np.exp(scipy.optimize.minimize_scalar(loss, bounds=SCALES, method="bounded").x))


def speaker_shares(speakers: Sequence[str], needed: bool = True) -> np.ndarray:
    """The share (utterances,) of cross-validation that each utterance is in, all of a speaker in one.

    Raises SertkError for a single speaker where cross-validation is `needed`.
    """
    from sklearn.model_selection import GroupKFold

    number = min(SHARES, len({*speakers}))
    if number < 2 and needed:
        raise SertkError(
            "one training speaker: nothing can be chosen by cross-validation; give encoder.layer and model.shrinkage"
        )
    shares = np.zeros(len(speakers), np.int64)
    if number > 1:
        placeholder: Any = np.zeros(len(speakers))
        for share, (_, own) in enumerate(GroupKFold(number).split(placeholder, groups=list(speakers))):
            shares[own] = share
    return shares
