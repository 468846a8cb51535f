"""Posteriors of every frame, of models that have them, and the sequences of labels read off them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from sertk.batches.means import batches
from sertk.batches.streams import Dataset
from sertk.inference.trained import LoadedModel
from sertk.kaldi.archives import MatrixWriter
from sertk.kaldi.datadir import write_table
from sertk.models.base import Batch


@runtime_checkable
class FrameClassifier(Protocol):
    """A model that classifies every frame, or says that it is none of the classes."""

    def frame_posteriors(self, batch: Batch) -> Tensor:
        """(batch, frames, classes + 1), the blank last."""
        ...

    def path(self, frame_posteriors: Tensor) -> Tensor:
        """The classes on the best path through one utterance's posteriors (frames, classes + 1)."""
        ...


def write_frames(trained: LoadedModel, model: FrameClassifier, dataset: Dataset, folder: Path) -> None:
    """Writes frames.ark and frames.scp, a matrix (frames, classes + 1) per utterance, the blank last, and `text`.

    `model` is the network of `trained`. `text` has the classes on each utterance's best path, as Kaldi's tables of
    words.
    """
    paths = {}
    with MatrixWriter(f"ark,scp:{folder}/frames.ark,{folder}/frames.scp") as writer:
        for utterance, posteriors in frame_posteriors(trained, model, dataset):
            writer.write(utterance, posteriors.numpy())
            paths[utterance] = " ".join(trained.classes[label] for label in model.path(posteriors))
    write_table(folder / "text", paths)


@torch.inference_mode()
def frame_posteriors(trained: LoadedModel, model: FrameClassifier, dataset: Dataset) -> Iterator[tuple[str, Tensor]]:
    """Yields each utterance of a normalised Dataset with its posteriors (frames, classes + 1) on the CPU."""
    for batch in batches(dataset, trained.config.segment, trained.device, "decode_hop", "frames"):
        posteriors = model.frame_posteriors(batch).float().cpu()
        for item, length, rows in zip(batch.items.tolist(), batch.only_stream().lengths.tolist(), posteriors):
            yield dataset.utterances[item], rows[:length]
