"""Vectors of a trained model's layers, for figures and as features of the trainings that follow."""

from collections.abc import Iterable, Iterator, Sequence

import torch

from sertk.batches.streams import Dataset
from sertk.experiments.run import Run
from sertk.inference.decoding import write_rows
from sertk.inference.inputs import read_labelled, read_split
from sertk.inference.trained import LoadedModel, TrainedModel
from sertk.kaldi.archives import MatrixWriter
from sertk.models.base import known


def write_vectors(
    pairs: Iterable[tuple[LoadedModel, Dataset]], layer: str, wspecifier: str, mean: bool = False
) -> None:
    """Writes a matrix (rows, dims) of the layer's vectors for each utterance; `pairs` are of a model and a Dataset.

    With `mean` it is the one row that is the mean of them.
    """
    with MatrixWriter(wspecifier) as writer:
        for trained, dataset in pairs:
            matrices = (rows.numpy() for rows in trained.vectors(dataset, layer))
            if mean:
                matrices = (rows.mean(0, keepdims=True) for rows in matrices)
            write_rows(writer, dataset.utterances, matrices)


def extract_features(run: Run, part: str | None, held_out: Sequence[Sequence[str]], device: torch.device) -> None:
    """Writes what a trained part's config names as `extract` into the Run's own features, for all splits of the fold.

    `held_out` are the utterances that the part's crossfit trainings were held out of, which each extract theirs;
    without any, the part itself extracts the training split.
    """
    trained = TrainedModel(run.path, device, part)
    layer = known(trained.config.extract, "features")
    scp = trained.own_feats / f"{layer}.scp"
    scp.parent.mkdir(exist_ok=True)
    write_vectors(pairs(run, trained, held_out), layer, f"ark,scp:{scp.with_suffix('.ark')},{scp}")


def pairs(run: Run, trained: TrainedModel, held_out: Sequence[Sequence[str]]) -> Iterator[tuple[TrainedModel, Dataset]]:
    """Each trained model of a part with the Dataset of what it extracts, one at a time."""
    inputs = run.experiment.inputs
    for number, utterances in enumerate(held_out, 1):
        own = trained.crossfit(number)
        yield own, read_labelled(own, inputs.data, utterances, inputs.label_set).dataset
    for split in ("valid", "test") if held_out else ("train", "valid", "test"):
        yield trained, read_split(trained, run, split).dataset
