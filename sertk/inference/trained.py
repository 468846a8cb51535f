"""Trained models, as decoding and extraction use them."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sertk.batches.means import frame_rows, utterance_means, utterance_rows
from sertk.batches.normalise import Normaliser
from sertk.batches.streams import Dataset, Stream
from sertk.config.former import current_export
from sertk.config.schema import Config
from sertk.core.errors import SertkError
from sertk.core.files import PathLike, file_digest
from sertk.core.forms import misfit
from sertk.core.typed import build
from sertk.experiments.layout import best_checkpoint, own_feats, part_folder, trained_path, weights_told
from sertk.models.build import build_model
from sertk.training.checkpoint import read_checkpoint, whole

EXPORTED = {  # by a task, into a checkpoint
    "config": {},
    "classes": [str],
    "dims": {str: int},
    "normalisers": {str: {}},
    "feature_options?": {str: ({}, None)},
}


class LoadedModel:
    """A trained model with its config, classes and normalisation, as a checkpoint holds them; `where` is for errors."""

    def __init__(self, checkpoint: Mapping[str, Any], where: PathLike, device: torch.device):
        exported = current_export(checkpoint["task"])
        if wrong := misfit(exported, EXPORTED, "task"):
            raise ValueError(wrong)
        self.config = build(Config, exported["config"], where)
        self.classes: list[str] = exported["classes"]
        self.device, self.where = device, where
        self.normalisers = {
            name: Normaliser.from_state(self.config.normalise_of(name), state)
            for name, state in exported["normalisers"].items()
        }
        self.dims: dict[str, int] = exported["dims"]
        self.feature_options: dict[str, dict[str, Any] | None] = exported.get("feature_options", {})
        self.model = build_model(self.config, self.dims, len(self.classes))
        self.model.load_state_dict(checkpoint["model"])
        self.model.to(device).eval()

    def try_out(self) -> None:
        """Raises ValueError, or what the model raises, unless it makes finite values of the right size of silence."""
        frames, extract = self.config.segment.frames if self.config.segment else 1, self.config.extract
        streams = {name: Stream([np.zeros((frames, dims), np.float32)]) for name, dims in self.dims.items()}
        ones = torch.ones(1, dtype=torch.int64)
        silence = Dataset(["silence"], streams, {}, 0 * ones, None, ones, torch.zeros(1, len(self.classes)))
        self.normalise(silence, ["nobody"])
        layer = self.model.layers[-1] if self.config.task == "asr" else extract
        made = next(self.vectors(silence, layer)) if layer else self.posteriors(silence)
        if not bool(torch.isfinite(made).all()) or not (layer or made.shape == (1, len(self.classes))):
            raise ValueError("the model makes no posteriors of its classes")

    def needs_speakers(self) -> bool:
        scopes = [transform.scope for name in self.config.streams for transform in self.config.normalise_of(name)]
        return "speaker" in scopes

    def normalise(
        self,
        dataset: Dataset,
        speakers: Sequence[str | None],
        cmvn: Mapping[str, Mapping[str, np.ndarray]] | None = None,
    ) -> Dataset:
        """Normalises a Dataset in place, moves it to the device and returns it.

        `speakers` has the speaker of each utterance; `cmvn` is {feature type: {speaker: statistics}}.
        """
        for name, stream in dataset.streams.items():
            if stream.dims != self.dims[name]:
                raise SertkError(f"{name}: {stream.dims} dims, the model was trained with {self.dims[name]}")
            self.normalisers[name].apply_(stream, speakers, (cmvn or {}).get(name))
        dataset.normalisers = self.normalisers
        return dataset.to(self.device)

    def posteriors(self, dataset: Dataset) -> Tensor:
        """(utterances, classes) in float64, rows sum to 1, of a normalised Dataset."""
        return utterance_means(self.model.posteriors, dataset, self.config.segment, self.device)

    def vectors(self, dataset: Dataset, layer: str) -> Iterator[Tensor]:
        """Yields the vectors of one of the model's layers for each utterance of a normalised Dataset: (rows, dims)."""
        layers = self.model.layers
        if layer not in layers:
            raise SertkError(f"{self.config.model.name} has no layer {layer!r} (there are: {', '.join(layers)})")
        where = dataset, self.config.segment, self.device
        if layer in self.model.framewise:
            yield from frame_rows(lambda batch: self.model.frame_vectors(batch, layer), *where)
        else:
            gather = utterance_rows if layer in self.model.sequences else utterance_means
            yield from gather(lambda batch: self.model.vectors(batch, layer), *where)


class TrainedModel(LoadedModel):
    """The trained model of a run folder, or of one of its earlier parts; raises SertkError when there is none."""

    def __init__(self, run_dir: PathLike, device: torch.device, part: str | None = None):
        self.run_dir, self.part, self.folder = Path(run_dir), part, part_folder(run_dir, part)
        self.own_feats = own_feats(run_dir)
        path = best_checkpoint(self.folder)
        checkpoint = read_checkpoint(path)
        with whole(path):
            super().__init__(checkpoint, path, device)
            self.try_out()
        trained = trained_path(self.folder)
        told = weights_told(trained)
        if told and told != self.weights_digest:
            raise SertkError(f"{path}: not the weights that {trained} tells; put those back, or train the run anew")

    @cached_property
    def weights_digest(self) -> str:
        """The SHA-256 of the checkpoint, by which trained.json names it."""
        return file_digest(best_checkpoint(self.folder), "sha256")

    def crossfit(self, number: int) -> "TrainedModel":
        """The model that the same part trained without some speakers of the training split; `number` counts from 1."""
        return TrainedModel(self.run_dir, self.device, f"{self.part}/crossfit{number}")
