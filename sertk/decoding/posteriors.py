"""Posteriors of utterances from a trained model."""

import torch

from sertk.command import progress
from sertk.training.data import make_sampler

BATCH_FRAMES = 24_000  # decoding batches hold about this many frames


@torch.inference_mode()
def utterance_posteriors(model, dataset, segment, device, hop_of="decode_hop"):
    """(utterances, classes) in float64, rows sum to 1: means over each utterance's windows, `hop_of` apart."""
    model.eval()
    sampler = make_sampler(dataset, segment, hop_of)
    windows = sampler.all_windows()
    frames = segment.frames if segment else int(dataset.lengths().max())
    sums = torch.zeros(())
    counts = torch.zeros(len(dataset.utterances), dtype=torch.float64)
    for chunk in progress(windows.split(max(1, BATCH_FRAMES // frames)), "decoding"):
        batch = sampler.gather(chunk, device)
        posteriors = model.posteriors(batch).double().cpu()
        if not sums.ndim:
            sums = posteriors.new_zeros(len(dataset.utterances), posteriors.shape[1])
        sums.index_add_(0, batch.items, posteriors)
        counts.index_add_(0, batch.items, counts.new_ones(len(batch.items)))
    return sums / counts[:, None]
