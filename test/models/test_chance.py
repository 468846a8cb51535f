"""The systems that do not listen, against counts by hand and against what chance gives."""

import numpy as np
import pytest
import torch
from sklearn.metrics import recall_score

from sertk.batches.streams import Dataset, Stream, make_sampler
from sertk.config.schema import build_model_config
from sertk.models.base import Batch, Padded, Shape
from sertk.models.build import build_network

CPU = torch.device("cpu")


def fitted(name, labels, classes, seed=1, frames=None):
    config = build_model_config({"name": name}, "test", "model.")
    model = build_network(config, Shape({"toy": 2}, classes, frames))
    model.fit(utterances(len(labels), labels), None, seed)
    return model


def utterances(count, labels=None):
    """A Dataset of `count` utterances of one to nine frames."""
    random = np.random.default_rng(0)
    matrices = [random.normal(size=(1 + place % 9, 2)).astype(np.float32) for place in range(count)]
    return Dataset([str(place) for place in range(count)], {"toy": Stream(matrices)}, {}, labels)


def drawn(model, dataset, order, batch_size):
    """The classes (utterances,) for a Dataset that is decoded in some order, in its own order."""
    sampler, posteriors = make_sampler(dataset, None, "decode_hop"), torch.empty(len(order), model.classes)
    for items in order.split(batch_size):
        posteriors[items] = model.posteriors(sampler.gather(items, CPU))
    assert set(posteriors.flatten().tolist()) == {0, 1} and (posteriors.sum(1) == 1).all()
    return posteriors.argmax(1)


@pytest.mark.parametrize(
    "labels, shares, first",
    [
        ([2, 0, 2, 1, 2], [0.2, 0.2, 0.6], 2),
        ([1, 0, 0, 1, 1, 0, 2], [3 / 7, 3 / 7, 1 / 7], 0),  # as many of two: the first of these
    ],
)
def test_most_frequent_has_the_shares_of_the_training_part(labels, shares, first):
    model = fitted("most_frequent", torch.tensor(labels), 3, frames=9)
    batch = Batch(torch.arange(4), {"toy": Padded(torch.randn(4, 9, 2), torch.full((4,), 9))})
    posteriors = model.posteriors(batch)
    torch.testing.assert_close(posteriors, torch.tensor([shares] * 4))
    assert posteriors.argmax(1).tolist() == [first] * 4


@pytest.mark.parametrize("classes", [2, 4, 7])
def test_random_is_right_once_in_as_many_times_as_there_are_classes(classes):
    labels = torch.arange(4200) % 7 % classes
    predicted = drawn(fitted("random", labels, classes), utterances(4200), torch.arange(4200), 600)
    share = 1 / classes
    counts = np.bincount(predicted, minlength=classes)
    assert abs(counts - 4200 * share).max() < 4 * np.sqrt(4200 * share * (1 - share))
    rarest = int(labels.bincount().min())
    by_chance = 4 * np.sqrt(share * (1 - share) / (rarest * classes))  # four standard deviations, or more
    assert abs(recall_score(labels, predicted, average="macro") - share) < by_chance


def test_random_depends_on_the_seed_and_not_on_batches_or_their_order():
    dataset, labels = utterances(800), torch.arange(800) % 4
    in_order = torch.arange(800)
    expected = drawn(fitted("random", labels, 4, seed=1), dataset, in_order, 100)
    shuffled = torch.randperm(800, generator=torch.Generator().manual_seed(0))
    assert torch.equal(drawn(fitted("random", labels[:20], 4, seed=1), dataset, shuffled, 37), expected)
    other = drawn(fitted("random", labels, 4, seed=2), dataset, in_order, 100)
    assert 0.18 < float((other == expected).float().mean()) < 0.32  # a quarter, and four standard deviations
