"""Experiments that do what the recipes' stages do: made, trained, decoded and scored from Python.

experiment = Experiment.create("exp/blstm", "conf/blstm.yaml", "data/ravdess", "data/ravdess/splits/emobox", "8")
for run in experiment.jobs(folds=[1]):
    run.train()
    run.decode()
results = experiment.score()
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from sertk.core.device import find_device
from sertk.core.files import PathLike
from sertk.experiments import experiment as stored
from sertk.experiments import layout
from sertk.experiments import run as stored_run
from sertk.experiments.layout import DECODED
from sertk.inference.cross import read_other_corpus
from sertk.inference.decoding import write_decoded
from sertk.inference.inputs import read_split
from sertk.inference.trained import TrainedModel
from sertk.inference.vectors import extract_features
from sertk.predicting.load import load_recognizer
from sertk.predicting.recognizer import Recognizer
from sertk.reports.writing import write_results
from sertk.training.part import logging_to, train_part

log = logging.getLogger(__name__)


class Run(stored_run.Run):
    """A run that can be trained and decoded; `device` is auto (a GPU if there is one), cpu, cuda or cuda:N."""

    @classmethod
    def of(cls, path: PathLike, fold: int | None = None, seed: int | None = None) -> "Run":
        """The run in a folder EXP/foldF/seedS, or that of an experiment's folder with a fold and a seed.

        They need not be given where the experiment has one run alone. Raises SertkError where it has several.
        """
        if fold is not None and seed is not None:
            return Experiment(path).run(fold, seed)
        path = layout.find_run(path, fold, seed)
        return cls(Experiment.of(path), *layout.run_numbers(path))

    def train(self, device: str | torch.device = "auto") -> None:
        """Trains all parts, each going on with what was cut off; nothing is done for what is trained already.

        Raises SertkError where the folder holds a training with other settings, lists or labels, and
        training.loop.Interrupted after SIGTERM, when a checkpoint has been written.
        """
        with self.hold():
            for part in self.part_names:
                if self.is_trained(part):
                    self.check_part(part)
                    log.info("%s is trained already", self.part_folder(part))
                else:
                    self._train_part(part, find_device(device))

    def _train_part(self, part, device):
        held_out = train_part(self, part, device)
        if self.config(part).extract:
            with logging_to(self.part_folder(part) / "train.log"):
                extract_features(self, part, held_out, device)
        self.finish(part)

    def decode(self, split: str = "test", device: str | torch.device = "auto") -> Path:
        """Decodes train, valid or test of the run's fold into decode_SPLIT, which it returns.

        Raises SertkError unless the run is trained to its end, on the lists and labels that are there now.
        """
        self.require_trained()
        trained = TrainedModel(self.path, find_device(device))
        write_decoded(trained, read_split(trained, self, split), self.decoded_folder(split))
        return self.decoded_folder(split)

    def decode_corpus(
        self, data: PathLike, label_set: str, label_map: PathLike, device: str | torch.device = "auto"
    ) -> Path:
        """Decodes the data folder of another corpus into decode_CORPUS_LABELS, which it returns.

        `label_map` is a YAML file of which of its labels count as a class. Raises SertkError as `decode` does, and
        for the corpus that the run was trained on.
        """
        self.require_trained()
        trained = TrainedModel(self.path, find_device(device))
        seen, card = read_other_corpus(trained, data, label_set, label_map)
        folder = self.decoded_folder(f"{card['corpus']}_{card['label_set']}")
        write_decoded(trained, seen, folder, card)
        return folder

    def recognizer(self, device: str | torch.device = "auto") -> Recognizer:
        """The Recognizer of the run, for recordings; see load_recognizer. SertkError unless it is trained."""
        self.require_trained()
        return load_recognizer(self.path, device)


class Experiment(stored.Experiment):
    """An experiment that can be scored, and whose runs can be trained and decoded."""

    def run(self, fold: int, seed: int = 1) -> Run:
        return self._trainable(super().run(fold, seed))

    def runs(self) -> Sequence[Run]:
        return [self._trainable(run) for run in super().runs()]

    def jobs(self, folds: Sequence[int] = (), repeats: int = 1, seed: int = 1) -> Sequence[Run]:
        return [self._trainable(run) for run in super().jobs(folds, repeats, seed)]

    def _trainable(self, run: stored_run.Run) -> Run:
        return Run(self, run.fold, run.seed)

    def score(self, decoded: str = DECODED, draws: int = 2000, seed: int = 0) -> dict[str, Any]:
        """Scores what is decoded, writes results.json, RESULTS.md and pictures, and returns the results.

        `decoded` is the folder in the runs; `draws` and `seed` are of the bootstrap.
        """
        return write_results(self.path, draws, seed, decoded)
