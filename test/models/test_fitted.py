"""Gaussian mixtures and support vector machines against scikit-learn's own answers."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture
from sklearn.svm import SVC

from sertk.batches.streams import Dataset, Stream
from sertk.core.errors import SertkError
from sertk.models.base import Batch, Padded, Shape
from sertk.models.gmm import ClassGmms
from sertk.models.registry import GmmConfig, SvmConfig
from sertk.models.vectors import Svm


def toy_vectors(classes, each=20, dims=5):
    random = np.random.default_rng(classes)
    labels = np.repeat(np.arange(classes), each)
    return (random.normal(size=(len(labels), dims)) + random.normal(size=(classes, dims))[labels]), labels


def dataset_of(matrices, labels, weights=None):
    return Dataset(
        list(map(str, range(len(matrices)))), {"toy": Stream(matrices)}, {}, torch.as_tensor(labels), weights
    )


def batch_of(vectors):
    values = torch.as_tensor(vectors)[:, None]
    return Batch(torch.arange(len(values)), {"toy": Padded(values, torch.ones(len(values), dtype=torch.int64))})


@pytest.mark.parametrize("classes", [2, 3, 8])
@pytest.mark.parametrize("weighted", [False, True])
def test_svm_decisions_are_scikit_learns(classes, weighted):
    vectors, labels = toy_vectors(classes)
    weights = np.random.default_rng(0).uniform(0.5, 3, len(labels)) if weighted else None
    unseen = toy_vectors(classes, 30)[0] + 0.3
    reference = SVC(C=2.0, gamma="scale", decision_function_shape="ovr", break_ties=classes > 2).fit(
        vectors, labels, weights
    )
    model = Svm(SvmConfig("svm", cost=2.0), Shape({"toy": 5}, classes))
    model.fit(
        dataset_of(list(vectors[:, None]), labels, None if weights is None else torch.as_tensor(weights)), None, 1
    )
    decisions = reference.decision_function(unseen)
    if classes == 2:
        decisions = np.stack([-decisions, decisions], 1)
    scores = model(batch_of(unseen)).scores.numpy()
    np.testing.assert_allclose(scores, decisions, atol=1e-9)
    expected = np.exp(decisions) / np.exp(decisions).sum(1, keepdims=True)
    np.testing.assert_allclose(model.posteriors(batch_of(unseen)).numpy(), expected, atol=1e-6)
    assert (scores.argmax(1) == reference.predict(unseen)).all()


def test_supervectors_are_scikit_learns_posteriors():
    random = np.random.default_rng(0)
    labels = np.arange(12) % 2
    matrices = [
        random.normal(3 * label, 1 + label, (int(length), 4))
        for label, length in zip(labels, random.integers(20, 60, 12))
    ]
    model = ClassGmms(GmmConfig("class_gmms", components=3), Shape({"toy": 4}, 2))
    model.fit(dataset_of(matrices, labels), None, seed=7)
    lengths = torch.tensor([len(matrix) for matrix in matrices])
    padded = torch.nn.utils.rnn.pad_sequence([torch.as_tensor(matrix) for matrix in matrices], batch_first=True)
    batch = Batch(torch.arange(12), {"toy": Padded(padded, lengths)})
    supervectors, scores = model.vectors(batch, "supervector").numpy(), model(batch).scores.numpy()
    assert supervectors.shape == (12, 1, 6)
    for label in (0, 1):
        frames = np.concatenate([matrix for matrix, own in zip(matrices, labels) if own == label])
        mixture = GaussianMixture(3, covariance_type="diag", random_state=7).fit(frames)
        for matrix, supervector, score in zip(matrices, supervectors, scores):
            expected = mixture.predict_proba(matrix).mean(0)
            np.testing.assert_allclose(supervector[0, 3 * label : 3 * label + 3], expected, atol=1e-6)
            assert score[label] == pytest.approx(mixture.score(matrix), abs=1e-6)


def test_too_few_frames_for_the_mixtures_are_named():
    model = ClassGmms(GmmConfig("class_gmms", components=9), Shape({"toy": 1}, 2))
    with pytest.raises(SertkError, match="class 1 of 2 has 8 training frames"):
        model.fit(dataset_of([np.zeros((4, 1))] * 4, [0, 1, 0, 1]), None, 1)


def test_the_models_are_there_without_scikit_learn():
    check = (
        "import sys, sertk.models.gmm, sertk.models.vectors; sys.exit(bool({'sklearn', 'scipy'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
