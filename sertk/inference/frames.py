"""Posteriors of every frame, of models that have them, and the sequences of labels read off them."""

import torch

from sertk.batches.means import batches
from sertk.kaldi.archives import MatrixWriter
from sertk.kaldi.datadir import write_table


def write_frames(trained, dataset, folder):
    """Writes frames.ark and frames.scp, a matrix (frames, classes + 1) per utterance, the blank last, and `text`.

    `text` has the classes on each utterance's best path, as Kaldi's tables of words.
    """
    paths = {}
    with MatrixWriter(f"ark,scp:{folder}/frames.ark,{folder}/frames.scp") as writer:
        for utterance, posteriors in frame_posteriors(trained, dataset):
            writer.write(utterance, posteriors.numpy())
            paths[utterance] = " ".join(trained.classes[label] for label in trained.model.path(posteriors))
    write_table(folder / "text", paths)


@torch.inference_mode()
def frame_posteriors(trained, dataset):
    """Yields each utterance of a normalised Dataset with its posteriors (frames, classes + 1) on the CPU."""
    for batch in batches(dataset, trained.config.segment, trained.device, "decode_hop", "frames"):
        posteriors = trained.model.frame_posteriors(batch).float().cpu()
        for item, length, rows in zip(batch.items.tolist(), batch.only_stream().lengths.tolist(), posteriors):
            yield dataset.utterances[item], rows[:length]
