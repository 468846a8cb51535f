"""What a model gives for utterances: means over their windows."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from sertk.batches.streams import Dataset, HopOf, make_sampler
from sertk.config.schema import Segment
from sertk.core.command import progress
from sertk.models.base import Batch, Padded

BATCH_FRAMES = 24_000  # decoding batches hold about this many frames


def batches(
    dataset: Dataset,
    segment: Segment | None,
    device: torch.device,
    hop_of: HopOf,
    what: str | None = "decoding",
    share: slice = slice(None),
) -> Iterator[Batch]:
    """Yields the Batches of all windows of a normalised Dataset, or of its utterances without a `segment`, in order.

    `hop_of` is the field of `segment` that says how far apart the windows are, `what` the progress bar's name or None,
    `share` which of the Batches are wanted.
    """
    sampler = make_sampler(dataset, segment, hop_of)
    frames = segment.frames if segment else int(dataset.lengths().max())
    chunks = list(sampler.all_windows().split(max(1, BATCH_FRAMES // max(1, frames))))[share]
    yield from progress(sampler.gather_all(chunks, device), what, len(chunks))


@torch.inference_mode()
def utterance_rows(
    function: Callable[[Batch], Tensor],
    dataset: Dataset,
    segment: Segment | None,
    device: torch.device,
    what: str | None = "extraction",
) -> list[Tensor]:
    """What function(batch) (windows, 1, dims) gives for each utterance, in order: a list of (windows, dims)."""
    rows, items = zip(
        *((function(batch)[:, 0].cpu(), batch.items) for batch in batches(dataset, segment, device, "decode_hop", what))
    )
    return list(torch.cat(rows).split(torch.cat(items).bincount(minlength=len(dataset.utterances)).tolist()))


def frame_rows(
    function: Callable[[Batch], Padded], dataset: Dataset, segment: Segment | None, device: torch.device
) -> Iterator[Tensor]:
    """Yields what function(batch), a Padded (batch, frames, dims), gives for each utterance: (frames, dims)."""
    for batch in batches(dataset, segment, device, "decode_hop", "extraction"):
        with torch.inference_mode():
            rows = function(batch)
        for values, length in zip(rows.values.cpu(), rows.lengths.tolist()):
            yield values[:length]


@torch.inference_mode()
def utterance_means(
    function: Callable[[Batch], Tensor],
    dataset: Dataset,
    segment: Segment | None,
    device: torch.device,
    hop_of: HopOf = "decode_hop",
) -> Tensor:
    """Means of function(batch) (batch, ...) over each utterance's windows: (utterances, ...) in float64 on the CPU."""
    sums = torch.zeros(())
    counts = torch.zeros(len(dataset.utterances), dtype=torch.float64)
    for batch in batches(dataset, segment, device, hop_of):
        values = function(batch).double().cpu()
        if not sums.ndim:
            sums = values.new_zeros(len(dataset.utterances), *values.shape[1:])
        sums.index_add_(0, batch.items, values)
        counts.index_add_(0, batch.items, counts.new_ones(len(batch.items)))
    return sums / counts.view(-1, *[1] * (sums.ndim - 1))
