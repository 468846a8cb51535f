"""What a model gives for utterances: means over their windows."""

import torch

from sertk.command import progress
from sertk.training.data import make_sampler

BATCH_FRAMES = 24_000  # decoding batches hold about this many frames


@torch.inference_mode()
def utterance_rows(function, dataset, segment, device):
    """What function(batch) (windows, 1, dims) gives for each utterance's windows, in order: a list of (windows, dims)."""
    sampler = make_sampler(dataset, segment, "decode_hop")
    windows = sampler.all_windows()
    chunks = progress(windows.split(max(1, BATCH_FRAMES // segment.frames)), "extraction")
    rows = torch.cat([function(sampler.gather(chunk, device))[:, 0].cpu() for chunk in chunks])
    return rows.split(windows[:, 0].bincount(minlength=len(dataset.utterances)).tolist())


@torch.inference_mode()
def utterance_means(function, dataset, segment, device, hop_of="decode_hop"):
    """Means of function(batch) (batch, ...) over each utterance's windows: (utterances, ...) in float64 on the CPU.

    `hop_of` is the field of `segment` that says how far apart the windows are.
    """
    sampler = make_sampler(dataset, segment, hop_of)
    windows = sampler.all_windows()
    frames = segment.frames if segment else int(dataset.lengths().max())
    sums = torch.zeros(())
    counts = torch.zeros(len(dataset.utterances), dtype=torch.float64)
    for chunk in progress(windows.split(max(1, BATCH_FRAMES // frames)), "decoding"):
        batch = sampler.gather(chunk, device)
        values = function(batch).double().cpu()
        if not sums.ndim:
            sums = values.new_zeros(len(dataset.utterances), *values.shape[1:])
        sums.index_add_(0, batch.items, values)
        counts.index_add_(0, batch.items, counts.new_ones(len(batch.items)))
    return sums / counts.view(-1, *[1] * (sums.ndim - 1))
