"""Connectionist temporal classification (Graves et al. 2006) of sequences that repeat one class's label.

log_probs (batch, frames, classes + 1) are natural logarithms with the blank last, so that a class's column is
its index. lengths (batch,) are on the CPU.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from sertk.layers.recurrent import length_mask

Frames = TypeVar("Frames", int, Tensor)


def emits(path: Tensor, blank: int) -> Tensor:
    """True for the frames of paths (..., frames) that start a label: neither blank nor the same as before."""
    changes = path[..., 1:] != path[..., :-1]
    return F.pad(changes, (1, 0), value=True) & (path != blank)


def collapse(path: Tensor, blank: int) -> Tensor:
    """The labels of one path (frames,): what repeats itself becomes one label, then blanks go."""
    return path[emits(path, blank)]


def best_path(log_probs: Tensor, lengths: Tensor) -> Tensor:
    """The most probable symbol of every frame, blank beyond each length: (batch, frames)."""
    mask = length_mask(lengths, log_probs.shape[1], log_probs.device)
    return log_probs.argmax(-1).masked_fill(~mask, log_probs.shape[-1] - 1)


def greedy_scores(log_probs: Tensor, lengths: Tensor) -> Tensor:
    """Scores of the classes by the labels of the best path: (batch, classes), float64, rows sum to 1.

    The class that the collapsed path names most often has the highest score. Posteriors summed over frames
    decide between classes named as often, which are all where the path is blank. A score is the class's count
    plus its share in these sums, divided by the total.
    """
    blank = log_probs.shape[-1] - 1
    mask = length_mask(lengths, log_probs.shape[1], log_probs.device)
    path = best_path(log_probs, lengths)
    counts = (F.one_hot(path, blank + 1) * emits(path, blank)[..., None]).sum(1)[:, :-1]
    # in float64, where small differences of the shares survive beside large counts
    classes = log_probs[..., :-1].double().masked_fill(~mask[..., None], -torch.inf)
    shares = classes.logsumexp(1).softmax(-1)
    return (counts + shares) / (counts.sum(-1, keepdim=True) + 1)


def longest_repetition(frames: Frames) -> Frames:
    """How often a label fits into so many frames, a number or a tensor: blanks must part its repetitions."""
    return (frames + 1) // 2


def shortest_input(labels: Sequence[int]) -> int:
    """The frames that a list of labels needs: one for each, and a blank between equal neighbours."""
    return len(labels) + sum(one == other for one, other in pairwise(labels))


def ctc_losses(log_probs: Tensor, lengths: Tensor, targets: Tensor, counts: Tensor) -> Tensor:
    """-log P(targets) of each sequence (batch,), in nats; infinite where they do not fit.

    targets (batch, labels) are classes, the first `counts` (batch,) of each row; a row may have none, whose loss is
    that of blanks alone. cuDNN would give such a row 0: PyTorch calls it only where the blank is the first symbol and
    the targets are one row of 32-bit numbers, and here they never are.
    """
    blank = log_probs.shape[-1] - 1
    return F.ctc_loss(log_probs.transpose(0, 1), targets.long(), lengths, counts, blank=blank, reduction="none")


def repetition_log_likelihood(log_probs: Tensor, lengths: Tensor, counts: Tensor) -> Tensor:
    """log P(the class repeated `counts` (batch,) times | sequence) for every class: (batch, classes).

    -inf where a sequence is shorter than 2 * count - 1 frames. Raises ValueError for a count below 1.
    """
    if bool((counts < 1).any()):
        raise ValueError(f"a label is repeated once or more, not {int(counts.min())} times")
    batch, frames, symbols = log_probs.shape
    counts, mask = counts.to(log_probs.device), length_mask(lengths, frames, log_probs.device)
    # Even states are blanks, odd ones labels; as all labels are the same, no blank may be skipped. States not
    # yet reached are very improbable instead of impossible: the gradient of log(0 + 0) is not a number.
    states = torch.arange(2 * int(counts.max()) + 1, device=log_probs.device)
    alphas = log_probs.new_full((batch, symbols - 1, len(states)), torch.finfo(log_probs.dtype).min / 4)
    alphas[..., 0] = 0  # before the first frame
    for frame in range(frames):
        label, blank = log_probs[:, frame, :-1, None], log_probs[:, frame, -1:, None]
        moved = F.pad(alphas[..., :-1], (1, 0), value=-torch.inf)
        after = torch.logaddexp(alphas, moved) + torch.where(states % 2 == 1, label, blank)
        alphas = torch.where(mask[:, frame, None, None], after, alphas)
    # the last label, or the blank after it
    ends = 2 * counts[:, None, None] + torch.tensor([-1, 0], device=log_probs.device)
    likelihoods = alphas.gather(2, ends.expand(-1, symbols - 1, -1)).logsumexp(-1)
    possible = counts <= longest_repetition(lengths.to(counts))
    return likelihoods.masked_fill(~possible[:, None], -torch.inf)
