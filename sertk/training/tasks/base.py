"""What all tasks share: normalised data, the model, batches, and what a checkpoint keeps."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from sertk.batches.normalise import Normaliser
from sertk.batches.streams import Dataset, make_sampler
from sertk.config.schema import Config, to_mapping
from sertk.models.base import Batch, EmotionModel
from sertk.models.build import build_model


class Task:
    """Training of one model on the Datasets `train` and `valid`.

    Subclasses have `validate`, and set `feature_options`, how the features of each type were made, None where nobody
    knows. `speakers` is the speaker of every utterance. The global normalisation is fitted on `train` alone, and
    speakers' statistics are taken within each Dataset.
    """

    feature_options: Mapping[str, dict[str, Any] | None]

    def __init__(
        self,
        config: Config,
        train: Dataset,
        valid: Dataset,
        speakers: Mapping[str, str],
        classes: list[str],
        device: torch.device,
    ):
        self.config, self.train, self.valid, self.classes, self.device = config, train, valid, classes, device
        self.normalisers = {name: Normaliser(config.normalise_of(name)) for name in config.streams}
        for name, normaliser in self.normalisers.items():
            normaliser.fit_apply_(train.streams[name], [speakers[utt] for utt in train.utterances])
            normaliser.apply_(valid.streams[name], [speakers[utt] for utt in valid.utterances])
        for dataset in (train, valid):
            dataset.normalisers = self.normalisers
            dataset.to(device)
        self.dims = {name: stream.dims for name, stream in train.streams.items()}
        self.model = build_model(config, self.dims, len(classes)).to(device)
        self.sampler = make_sampler(train, config.segment, "train_hop", config.training.imbalance == "upsample")

    def validate(self, model: EmotionModel) -> dict[str, float]:
        """Metrics of a model, the task's own or the mean of its weights, by name; also what epochs are chosen by."""
        raise NotImplementedError

    def epoch_batches(self, generator: torch.Generator, epoch: int) -> list[Tensor]:
        """The index chunks of an epoch (from 0); `gather_all` makes a Batch of each."""
        return self.sampler.epoch_batches(generator, epoch, self.config.training)

    def gather_all(self, chunks: Sequence[Tensor]) -> Iterator[Batch]:
        """Yields the Batch of each chunk, on the device of the task."""
        return self.sampler.gather_all(chunks, self.device)

    def export(self) -> dict[str, Any]:
        """What decoding needs beside the weights, as plain data and tensors."""
        return {
            "config": to_mapping(self.config),
            "classes": self.classes,
            "dims": self.dims,
            "feature_options": self.feature_options,
            "normalisers": {name: normaliser.state() for name, normaliser in self.normalisers.items()},
        }
