"""Linear classifiers against scikit-learn, and what they choose by cross-validation."""

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from sertk.batches.streams import Dataset, Stream, balanced_weights
from sertk.config.schema import build_model_config
from sertk.core.errors import SertkError
from sertk.models.base import Batch, Padded, Shape
from sertk.models.build import build_network
from sertk.models.linear import STRENGTHS, fit_scale, speaker_shares

STREAMS = {"encoder:1": 5, "encoder:10": 4, "encoder:2": 6}
ORDER = ("encoder:1", "encoder:10", "encoder:2")  # in which they make one vector; any would do


def make_model(classes, classifier, dims=None, choose=False, **options):
    config = build_model_config({"name": "linear", "classifier": classifier, **options}, "test", "model.")
    return build_network(config, Shape(dims or STREAMS, classes, None, choose))


def clouds(classes, number=60, signal=1.0, told_by=ORDER, seed=0, dims=None):
    """Vectors {stream: (number, dims)} of noise, which in the streams `told_by` is moved by the class, and labels."""
    random = np.random.default_rng(seed)
    labels = np.arange(number) % classes
    vectors = {}
    for name, size in (dims or STREAMS).items():
        values = random.normal(size=(number, size)) * np.linspace(0.5, 2, size)
        if name in told_by:
            values += signal * random.normal(size=(classes, size))[labels]
        vectors[name] = values.astype(np.float32)
    return vectors, labels


def dataset(vectors, labels, speakers=None, weights=None):
    streams = {name: Stream([row[None] for row in rows]) for name, rows in vectors.items()}
    speakers = speakers or [f"s{number // 3 % 7}" for number in range(len(labels))]
    names = [f"u{number}" for number in range(len(labels))]
    return Dataset(names, streams, {}, torch.from_numpy(labels), weights, speakers=speakers)


def batch(vectors):
    ones = torch.ones(len(next(iter(vectors.values()))), dtype=torch.int64)
    return Batch(ones, {name: Padded(torch.from_numpy(rows)[:, None], ones) for name, rows in vectors.items()})


def joined(vectors):
    return np.concatenate([vectors[name] for name in ORDER], 1).astype(np.float64)


def fitted(model, *data, **more):
    model.fit(dataset(*data, **more), None, 1)
    return model


def unscaled(model, vectors):
    """Posteriors before they are scaled."""
    return model(batch(vectors)).scores.softmax(1)


@pytest.mark.parametrize("C", [0.01, 1.0])
@pytest.mark.parametrize("classes", [2, 4])
def test_support_vector_machines_are_scikit_learns(classes, C):
    train, labels = clouds(classes)
    test, _ = clouds(classes, seed=1)
    reference = SVC(C=C, kernel="linear", break_ties=True).fit(joined(train), labels)
    expected = reference.decision_function(joined(test))
    scores = fitted(make_model(classes, "svm", C=C), train, labels)(batch(test)).scores.numpy()
    expected = np.stack([-expected, expected], 1) if classes == 2 else expected
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    assert len({*scores.argmax(1)}) == classes
    np.testing.assert_array_equal(scores.argmax(1), reference.predict(joined(test)))


@pytest.mark.parametrize("C", [0.01, 1.0])
@pytest.mark.parametrize("classes", [2, 4])
def test_logistic_regression_is_scikit_learns(classes, C):
    train, labels = clouds(classes)
    test, _ = clouds(classes, seed=1)
    reference = LogisticRegression(C=C, max_iter=1000).fit(joined(train), labels)
    model = fitted(make_model(classes, "logistic", C=C), train, labels)
    np.testing.assert_allclose(unscaled(model, test), reference.predict_proba(joined(test)), atol=1e-5)


@pytest.mark.parametrize("shrinkage", [0.2, 0.9, 1.0])
@pytest.mark.parametrize("classes", [2, 4])
def test_linear_discriminants_are_scikit_learns(classes, shrinkage):
    """And Bayes' rule of normal densities. Scikit-learn shrinks scaled features; those that need none are compared."""
    train, labels = clouds(classes)
    test, _ = clouds(classes, seed=1)
    model = fitted(make_model(classes, "lda", shrinkage=shrinkage), train, labels)
    vectors, others = joined(train), joined(test)
    means = np.stack([vectors[labels == label].mean(0) for label in range(classes)])
    covariance = np.mean([np.cov(vectors[labels == label].T, bias=True) for label in range(classes)], axis=0)
    shrunk = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    logs = np.array([[-0.5 * (x - mean) @ np.linalg.inv(shrunk) @ (x - mean) for mean in means] for x in others])
    densities = np.exp(logs - logs.max(1, keepdims=True))
    np.testing.assert_allclose(unscaled(model, test), densities / densities.sum(1, keepdims=True), atol=1e-5)
    if shrinkage < 1:
        unit = vectors / np.sqrt(np.diag(covariance))
        own = {"encoder:1": unit.astype(np.float32)}
        reference = LinearDiscriminantAnalysis("lsqr", shrinkage=shrinkage, priors=np.full(classes, 1 / classes))
        expected = reference.fit(own["encoder:1"].astype(np.float64), labels).predict_proba(own["encoder:1"])
        model = fitted(make_model(classes, "lda", {"encoder:1": 15}, shrinkage=shrinkage), own, labels)
        np.testing.assert_allclose(unscaled(model, own), expected, atol=1e-4)


def test_posteriors_are_scaled_by_what_makes_those_of_others_likeliest():
    random = np.random.default_rng(0)
    labels = random.integers(3, size=200)
    scores = 20 * (np.eye(3)[labels] + random.normal(size=(200, 3)))  # far too sure

    def likelihood(scale):
        scaled = np.exp(scale * (scores - scores.max(1, keepdims=True)))
        return np.log(scaled[np.arange(200), labels] / scaled.sum(1)).mean()

    grid = np.exp(np.linspace(-5, 1, 2000))
    assert fit_scale(scores, labels) == pytest.approx(max(grid, key=likelihood), rel=0.01) != pytest.approx(1, rel=0.5)
    lost = scores.copy()
    lost[:50, 0] = np.where(labels[:50] == 0, -np.inf, lost[:50, 0])  # of a class that the others did not have
    kept = np.isfinite(lost[np.arange(200), labels])
    assert 0 < kept.sum() < 200 and fit_scale(lost, labels) == fit_scale(scores[kept], labels[kept])
    train, labels = clouds(3, signal=0.3)
    model = fitted(make_model(3, "lda", shrinkage=0.1), train, labels)
    expected = (model(batch(train)).scores * model.scale).softmax(1)
    torch.testing.assert_close(model.posteriors(batch(train)), expected.float())
    assert 0 < float(model.scale) < 0.5


@pytest.mark.parametrize("classifier", ["svm", "logistic"])
def test_weights_of_utterances_are_those_of_scikit_learn(classifier):
    train, labels = clouds(3, number=61, signal=0.5)
    labels[labels == 2] = np.arange((labels == 2).sum()) % 4 // 3 * 2  # few of the last class
    weights = balanced_weights(torch.from_numpy(labels))
    model = fitted(make_model(3, classifier, C=0.1), train, labels, weights=weights)
    kind = SVC(C=0.1, kernel="linear") if classifier == "svm" else LogisticRegression(C=0.1, max_iter=1000)
    reference = kind.fit(joined(train), labels, weights.numpy())
    np.testing.assert_allclose(model(batch(train)).scores, reference.decision_function(joined(train)), atol=1e-4)
    alike = fitted(make_model(3, classifier, C=0.1), train, labels)(batch(train)).scores
    assert (alike - model(batch(train)).scores).abs().max() > 0.01


@pytest.mark.parametrize("classifier", ["lda", "logistic", "svm"])
@pytest.mark.parametrize("told_by", STREAMS)
def test_the_stream_that_tells_the_classes_is_chosen(classifier, told_by):
    train, labels = clouds(3, told_by=(told_by,), signal=3.0)
    model = fitted(make_model(3, classifier, choose=True), train, labels)
    chosen = model.chosen()
    assert chosen.pop("layer") == told_by.partition(":")[2]
    ((key, strength),) = chosen.items()
    assert key == ("shrinkage" if classifier == "lda" else "C") and strength in STRENGTHS[key]
    test, _ = clouds(3, told_by=(told_by,), signal=3.0)
    assert (model(batch(test)).scores.argmax(1).numpy() == labels).mean() > 0.9
    others = {name: np.full_like(rows, 9) if name != told_by else rows for name, rows in test.items()}
    torch.testing.assert_close(model(batch(others)).scores, model(batch(test)).scores)  # it takes no other


@pytest.mark.parametrize("classifier", ["lda", "logistic", "svm"])
def test_the_strength_of_the_best_uar_in_cross_validation_is_chosen(classifier):
    """By scikit-learn, over the speakers of each share at a time; ties go to the first."""
    train, labels = clouds(3, number=70, signal=0.4)
    labels[::5] = 0
    speakers = [f"s{number // 5 % 8}" for number in range(70)]
    model = fitted(make_model(3, classifier), train, labels, speakers=speakers)
    shares = speaker_shares(speakers)
    ((key, found),) = model.chosen().items()
    uars = []
    for strength in STRENGTHS[key]:
        predicted = np.empty(70, int)
        for share in range(5):
            rest = {name: rows[shares != share] for name, rows in train.items()}
            own = {name: rows[shares == share] for name, rows in train.items()}
            alone = fitted(make_model(3, classifier, **{key: strength}), rest, labels[shares != share])
            predicted[shares == share] = alone(batch(own)).scores.argmax(1)
        uars.append(np.mean([(predicted[labels == label] == label).mean() for label in range(3)]))
    assert len(set(uars)) > 1
    assert found == STRENGTHS[key][int(np.argmax(uars))]
    given = fitted(make_model(3, classifier, **{key: found}), train, labels)
    torch.testing.assert_close(model(batch(train)).scores, given(batch(train)).scores)


def test_speakers_are_never_in_both_parts_of_cross_validation():
    speakers = [f"s{number % 13}" for number in range(100)]
    shares = speaker_shares(speakers)
    assert sorted({*shares}) == [0, 1, 2, 3, 4]
    assert len({*zip(speakers, shares.tolist())}) == 13
    assert sorted({*speaker_shares(["a", "b", "a", "c"]).tolist()}) == [0, 1, 2]


def test_a_stream_that_tells_speakers_alone_is_not_chosen():
    """It tells the class of each speaker's every utterance; with others of the speaker in training it would win."""
    random, classes, speakers = np.random.default_rng(0), 2, 12
    speaker = np.repeat(np.arange(speakers), 6)
    labels = speaker % classes  # each speaker has one class, but for one utterance
    labels[::6] = 1 - labels[::6]
    known = np.eye(speakers)[speaker] * 40 + 0.01 * random.normal(size=(len(labels), speakers))
    told = random.normal(size=(len(labels), 3)) + 0.4 * (2 * labels[:, None] - 1)
    vectors = {"encoder:1": known.astype(np.float32), "encoder:2": told.astype(np.float32)}
    names = [f"s{number}" for number in speaker]
    for classifier in ("lda", "logistic", "svm"):
        model = make_model(classes, classifier, {"encoder:1": speakers, "encoder:2": 3}, choose=True)
        assert fitted(model, vectors, labels, names).chosen()["layer"] == "2"
        mixed = [f"u{number}" for number in range(len(labels))]  # were utterances taken for speakers
        model = make_model(classes, classifier, {"encoder:1": speakers, "encoder:2": 3}, choose=True)
        assert fitted(model, vectors, labels, mixed).chosen()["layer"] == "1"


@pytest.mark.parametrize("choose", [True, False])
def test_one_speaker_is_too_few_to_choose_by(choose):
    train, labels = clouds(2)
    with pytest.raises(SertkError, match="one training speaker: nothing can be chosen by cross-validation"):
        fitted(make_model(2, "svm", choose=choose), train, labels, speakers=["s1"] * 60)
    model = fitted(make_model(2, "svm", C=0.1), train, labels, speakers=["s1"] * 60)
    assert model.chosen() == {}


def test_what_was_chosen_is_kept_with_the_weights():
    train, labels = clouds(3, told_by=("encoder:2",), signal=3.0)
    model = fitted(make_model(3, "svm", choose=True), train, labels)
    other = make_model(3, "svm", choose=True)
    other.load_state_dict(model.state_dict())
    assert other.chosen() == model.chosen()
    assert torch.equal(other.posteriors(batch(train)), model.posteriors(batch(train)))


def test_a_vector_for_each_utterance_is_needed():
    frames = Padded(torch.zeros(2, 9, 5), torch.tensor([9, 4]))
    model = fitted(make_model(2, "svm", {"encoder:1": 5}, C=1.0), *clouds(2, dims={"encoder:1": 5}))
    with pytest.raises(SertkError, match="9 frames; this model takes one vector for each"):
        model(Batch(torch.arange(2), {"encoder:1": frames}))


@pytest.mark.parametrize("classifier", ["lda", "logistic", "svm"])
@pytest.mark.parametrize("classes", [2, 3, 4])
def test_a_class_of_one_speaker_alone_is_learnt_too(classifier, classes):
    """It is missing in the part of cross-validation that this speaker is held out of."""
    train, labels = clouds(classes, signal=3.0)
    speakers = [f"s{number // classes % 4}" if label else "s0" for number, label in enumerate(labels)]
    if classes == 2:  # and with two classes only one is left
        speakers = ["s0" if label else "s1" for label in labels]
    model = fitted(make_model(classes, classifier, choose=True), train, labels, speakers)
    assert set(model.chosen()) == {"layer", model.config.strength}
    assert (model(batch(train)).scores.argmax(1).numpy() == labels).mean() > 0.8


def test_discriminants_of_one_utterance_each_are_the_nearest():
    vectors = np.array([[0, 0], [4, 0], [0, 6]], np.float32)
    model = fitted(make_model(3, "lda", {"encoder:1": 2}, shrinkage=0.5), {"encoder:1": vectors}, np.arange(3))
    others = np.array([[1.9, 0], [2.1, 0.1], [0, 3.1], [1, 2.9]], np.float32)
    assert model(batch({"encoder:1": others})).scores.argmax(1).tolist() == [0, 1, 2, 0]
