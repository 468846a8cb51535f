"""CTC of repeated labels against all paths written out, against PyTorch's loss and against plain loops."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from sertk.layers.ctc import collapse, ctc_losses, greedy_scores, longest_repetition, repetition_log_likelihood


def random_log_probs(*shape, seed=0, spread=2.0):
    logits = spread * torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return logits.log_softmax(-1)


def collapse_loop(path, blank):
    """The labels of a path, a list."""
    return [label for label, _ in itertools.groupby(path) if label != blank]


def likelihoods_of_all_paths(probs, count):
    """P(class repeated count times) for every class, summed over every path; probs (frames, classes + 1)."""
    frames, symbols = probs.shape
    totals = [0.0] * (symbols - 1)
    for path in itertools.product(range(symbols), repeat=frames):
        labels = collapse_loop(path, symbols - 1)
        if len(labels) == count and len(set(labels)) == 1:
            totals[labels[0]] += torch.stack([row[label] for row, label in zip(probs, path)]).prod().item()
    return totals


def greedy_loop(posteriors):
    """The decision for one sequence, posteriors (frames, classes + 1)."""
    blank = posteriors.shape[1] - 1
    labels = collapse_loop(posteriors.argmax(1).tolist(), blank)
    most = max(labels.count(label) for label in range(blank))
    tied = [label for label in range(blank) if labels.count(label) == most]
    return max(tied, key=lambda label: sum(row[label].item() for row in posteriors))


@pytest.mark.parametrize(
    "path, labels", [([0, 0, 1, 1, 0], [0, 1, 0]), ([2, 0, 2, 2, 0, 0], [0, 0]), ([2, 2], []), ([1], [1])]
)
def test_collapse_by_hand(path, labels):
    assert collapse(torch.tensor(path), 2).tolist() == labels


def test_collapse_of_random_paths():
    for path in torch.randint(4, (50, 12), generator=torch.Generator().manual_seed(0)):
        assert collapse(path, 1).tolist() == collapse_loop(path.tolist(), 1)


def test_likelihoods_by_all_paths():
    lengths, counts = torch.tensor([6, 5, 5, 2, 1, 4]), torch.tensor([2, 3, 1, 1, 1, 2])
    log_probs = random_log_probs(6, 6, 3)
    likelihoods = repetition_log_likelihood(log_probs, lengths, counts).exp()
    for row, (length, count) in enumerate(zip(lengths.tolist(), counts.tolist())):
        expected = likelihoods_of_all_paths(log_probs[row, :length].exp(), count)
        assert likelihoods[row].tolist() == pytest.approx(expected, rel=1e-9)


def test_likelihoods_and_their_gradients_are_those_of_the_ctc_loss():
    lengths, counts = torch.tensor([40, 31, 40, 12, 9]), torch.tensor([7, 16, 1, 3, 5])
    log_probs = random_log_probs(5, 40, 5).requires_grad_()
    likelihoods = repetition_log_likelihood(log_probs, lengths, counts)
    transposed = log_probs.transpose(0, 1)
    losses = torch.stack(
        [
            F.ctc_loss(transposed, torch.full((5, 16), label), lengths, counts, blank=4, reduction="none")
            for label in range(4)
        ],
        1,
    )
    torch.testing.assert_close(likelihoods, -losses)
    # the gradient of the loss is that with respect to the logits
    logits = log_probs.detach().requires_grad_()
    again = repetition_log_likelihood(logits.log_softmax(-1), lengths, counts)
    torch.testing.assert_close(
        torch.autograd.grad(again.sum(), logits)[0], torch.autograd.grad(-losses.sum(), log_probs)[0]
    )


@pytest.mark.parametrize("counts", [[2, 0, 1], [0, 0, 0]])
def test_the_loss_of_no_label_is_that_of_blanks_alone(counts):
    log_probs, lengths = random_log_probs(3, 5, 4), torch.tensor([5, 3, 4])
    targets = torch.tensor([[0, 2], [1, 1], [2, 0]], dtype=torch.int32)[:, : max(counts)]
    losses = ctc_losses(log_probs.float(), lengths, targets, torch.tensor(counts))
    for row, count in enumerate(counts):
        if count == 0:
            expected = -float(log_probs[row, : lengths[row], -1].sum())
            assert float(losses[row]) == pytest.approx(expected, rel=1e-6)


def test_cudnn_which_loses_empty_targets_is_never_asked(monkeypatch):
    """PyTorch takes it only for a blank of 0 and int32 targets in one row: one of the three would do."""
    asked = []
    original = F.ctc_loss
    monkeypatch.setattr(F, "ctc_loss", lambda *args, **named: asked.append((args, named)) or original(*args, **named))
    ctc_losses(random_log_probs(1, 4, 3), torch.tensor([4]), torch.zeros(1, 2, dtype=torch.int32), torch.tensor([2]))
    ((_, targets, *_), named) = asked.pop()
    assert named["blank"] == 2 and targets.dtype == torch.int64 and targets.ndim == 2


def test_what_does_not_fit_has_no_likelihood_and_no_gradient():
    lengths, counts = torch.tensor([6, 6, 5, 4]), torch.tensor([3, 4, 3, 3])
    assert longest_repetition(lengths).tolist() == [3, 3, 3, 2]
    assert [longest_repetition(frames) for frames in (1, 2, 3)] == [1, 1, 2]
    log_probs = random_log_probs(4, 6, 3).requires_grad_()
    likelihoods = repetition_log_likelihood(log_probs, lengths, counts)
    assert (likelihoods == -torch.inf).all(1).tolist() == [False, True, False, True]
    likelihoods[likelihoods.isfinite()].sum().backward()
    assert torch.isfinite(log_probs.grad).all()


def test_impossible_symbols_give_minus_infinity_and_never_nan():
    log_probs = torch.tensor([[0.5, 0.0, 0.5], [0.5, 0.0, 0.5]]).log()[None]
    likelihoods = repetition_log_likelihood(log_probs, torch.tensor([2]), torch.tensor([1]))
    assert likelihoods.exp().tolist() == [[pytest.approx(0.75), 0.0]]


def test_padding_and_the_other_sequences_do_not_matter():
    log_probs = random_log_probs(2, 9, 4)
    other = log_probs.clone()
    other[1, 5:] = torch.nan
    lengths, counts = torch.tensor([9, 5]), torch.tensor([4, 2])
    together = repetition_log_likelihood(other, lengths, counts)
    torch.testing.assert_close(together, repetition_log_likelihood(log_probs, lengths, counts))
    alone = repetition_log_likelihood(log_probs[1:, :5], lengths[1:], counts[1:])
    torch.testing.assert_close(together[1:], alone)
    torch.testing.assert_close(greedy_scores(other, lengths), greedy_scores(log_probs, lengths))


def test_a_label_is_repeated_once_or_more():
    with pytest.raises(ValueError, match="not 0 times"):
        repetition_log_likelihood(random_log_probs(1, 3, 2), torch.tensor([3]), torch.tensor([0]))


@pytest.mark.parametrize("blank_bias", [0.0, 2.0, 6.0])
def test_greedy_decisions_by_a_loop(blank_bias):
    logits = torch.randn(200, 12, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    logits[..., -1] += blank_bias
    lengths = torch.randint(1, 13, (200,), generator=torch.Generator().manual_seed(1))
    scores = greedy_scores(logits.log_softmax(-1), lengths)
    torch.testing.assert_close(scores.sum(1), torch.ones(200, dtype=torch.float64))
    expected = [greedy_loop(row[:length].softmax(-1)) for row, length in zip(logits, lengths.tolist())]
    assert scores.argmax(1).tolist() == expected


def test_greedy_scores_by_hand():
    probs = torch.tensor(
        [
            [[0.6, 0.1, 0.3], [0.6, 0.1, 0.3], [0.1, 0.2, 0.7], [0.4, 0.5, 0.1]],  # one each: 1.7 to 0.9
            [[0.3, 0.1, 0.6], [0.1, 0.3, 0.6], [0.1, 0.2, 0.7], [0.9, 0.0, 0.1]],  # blanks; the last is padding
            [[0.9, 0.0, 0.1], [0.3, 0.4, 0.3], [0.1, 0.3, 0.6], [0.3, 0.4, 0.3]],  # one to two, though 1.6 to 1.1
        ]
    )
    scores = greedy_scores(probs.log(), torch.tensor([4, 3, 4]))
    expected = [
        [(1 + 1.7 / 2.6) / 3, (1 + 0.9 / 2.6) / 3],
        [0.5 / 1.1, 0.6 / 1.1],
        [(1 + 1.6 / 2.7) / 4, (2 + 1.1 / 2.7) / 4],
    ]
    torch.testing.assert_close(scores, torch.tensor(expected, dtype=torch.float64))


def test_greedy_scores_survive_posteriors_that_vanish():
    log_probs = torch.tensor([[[-300.0, -200.0, 0.0], [-300.0, -250.0, 0.0]]])
    assert greedy_scores(log_probs, torch.tensor([2])).tolist() == [[pytest.approx(0.0), pytest.approx(1.0)]]
