"""The attention-BLSTM-CTC network: losses, decisions and figures against torch's CTC and plain loops."""

import math

import pytest
import torch
import torch.nn.functional as F

from sertk.config.schema import build_model_config
from sertk.core.errors import SertkError
from sertk.models.base import Batch, Padded, Shape
from sertk.models.build import build_network

CLASSES = 3
LENGTHS = torch.tensor([9, 15, 4])


def make_model(**options):
    torch.manual_seed(0)
    config = build_model_config({"name": "blstm_ctc", "lstm_units": 5, **options}, "test", "model.")
    return build_network(config, Shape({"toy": 6}, CLASSES)).eval()


def make_batch(numbers=(2, 3, 1), **more):
    values = torch.randn(3, 15, 6, generator=torch.Generator().manual_seed(1))
    numbers = None if numbers is None else torch.tensor(numbers)
    return Batch(torch.arange(3), {"toy": Padded(values, LENGTHS)}, torch.tensor([2, 0, 1]), numbers=numbers, **more)


@torch.no_grad()
def alone(model, batch, row):
    """log P of one utterance's frames, computed without the others."""
    stream = batch.only_stream()
    length = int(stream.lengths[row])
    one = Padded(stream.values[row : row + 1, :length], stream.lengths[row : row + 1])
    return model.log_probs(Batch(torch.arange(1), {"toy": one}))[0][0]


@pytest.mark.parametrize("attention", ["none", "local", "component", "quantum"])
def test_frames_do_not_depend_on_the_batch_or_its_padding(attention):
    model, batch = make_model(attention=attention), make_batch()
    with torch.no_grad():
        together = model.frame_posteriors(batch)
    for row, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(together[row, :length], alone(model, batch, row).exp(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(together.sum(-1), torch.ones(3, 15))


@pytest.mark.parametrize("repeats, numbers", [(1, (2, 3, 1)), (2, (2, 3, 1)), (1, (0, 5, 2))])
def test_the_loss_is_that_of_the_repeated_label(repeats, numbers):
    model, batch = make_model(repeats=repeats), make_batch(numbers)
    expected = []
    for row, (label, number) in enumerate(zip([2, 0, 1], numbers)):
        count = max(1, number * repeats)
        log_probs = alone(model, batch, row)[:, None].double()
        target = torch.full((1, count), label)
        expected.append(
            F.ctc_loss(
                log_probs, target, torch.tensor([len(log_probs)]), torch.tensor([count]), blank=CLASSES, reduction="sum"
            )
        )
    with torch.no_grad():
        loss, figures = model.loss(batch)
    assert float(loss) == pytest.approx(float(sum(expected)) / 3, rel=1e-5)
    assert float(figures["capped"]) == 0


def test_labels_that_do_not_fit_are_cut_down_and_counted():
    model = make_model()
    with torch.no_grad():
        loss, figures = model.loss(make_batch((9, 3, 40)))  # 9 frames take 5 labels, 4 take 2
        expected, _ = model.loss(make_batch((5, 3, 2)))
    assert float(loss) == pytest.approx(float(expected)) and math.isfinite(loss)
    assert float(figures["capped"]) == pytest.approx(2 / 3)


def biased(model, bias):
    """The model with an output layer that gives the same scores in every frame."""
    with torch.no_grad():
        model.output.weight.zero_()
        model.output.bias.copy_(torch.tensor(bias))
    return model


def test_nothing_but_blanks_is_counted_and_decided_by_the_posteriors():
    model = biased(make_model(), [0.0, 1.0, 0.5, 4.0])
    with torch.no_grad():
        assert float(model.loss(make_batch())[1]["empty"]) == 1
        posteriors = model.posteriors(make_batch())
        assert len(model.path(model.frame_posteriors(make_batch())[0])) == 0
    shares = torch.tensor([0.0, 1.0, 0.5], dtype=torch.float64).softmax(0)
    torch.testing.assert_close(posteriors, shares.expand(3, -1))


def test_a_path_is_its_labels_without_blanks_and_repetitions():
    model = make_model()
    path = [3, 0, 0, 3, 0, 2, 2, 3, 3, 1]
    assert model.path(F.one_hot(torch.tensor(path), CLASSES + 1).float()).tolist() == [0, 0, 2, 1]
    with torch.no_grad():
        assert float(biased(model, [4.0, 0.0, 0.0, 1.0]).loss(make_batch())[1]["empty"]) == 0


def test_the_likelihood_decision_is_the_posterior_of_each_class_repeated():
    model, numbers = make_model(decision="likelihood"), (2, 3, 2)
    batch = make_batch(numbers)
    with torch.no_grad():
        posteriors = model.posteriors(batch)
    for row, number in enumerate(numbers):
        log_probs = alone(model, batch, row)[:, None].double()
        length, count = torch.tensor([len(log_probs)]), torch.tensor([number])
        logs = torch.stack(
            [
                -F.ctc_loss(log_probs, torch.full((1, number), label), length, count, blank=CLASSES, reduction="sum")
                for label in range(CLASSES)
            ]
        )
        torch.testing.assert_close(posteriors[row], logs.softmax(0), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("decision", ["greedy", "likelihood"])
def test_numbers_are_asked_for_where_they_are_needed(decision):
    model, batch = make_model(decision=decision), make_batch(None)
    message = "blstm_ctc needs the number of words or phonemes of each utterance"
    with pytest.raises(SertkError, match=message):
        model.loss(batch)
    if decision == "greedy":
        assert model.posteriors(batch).shape == (3, CLASSES)
    else:
        with pytest.raises(SertkError, match=message):
            model.posteriors(batch)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"scope": 4}, "model.scope is 4, expected an odd number of frames"),
        ({"attention": "local", "energy": "window"}, "model.energy is 'window', expected kernel or frame"),
        ({"attention": "global"}, "model.attention is 'global', expected one of none, local"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(SertkError, match=message):
        make_model(**options)
