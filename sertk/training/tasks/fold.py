"""Tasks on a fold of a labelled corpus."""

from collections.abc import Sequence

import torch

from sertk.batches.dataset import feature_options, load_dataset
from sertk.batches.streams import Dataset, balanced_weights
from sertk.config.schema import Config
from sertk.core.errors import SertkError
from sertk.experiments.layout import own_feats
from sertk.experiments.run import Run
from sertk.kaldi.datadir import DataDir
from sertk.kaldi.labels import Labels
from sertk.models.base import known
from sertk.models.transfer import Transfer
from sertk.protocols.rules import Fold
from sertk.training.pretrained import pretrained_weights
from sertk.training.tasks.base import Task


def check_classes(dataset: Dataset, classes: Sequence[str]) -> None:
    """Raises SertkError unless each of `classes` has an utterance to learn it from."""
    there = set(known(dataset.labels, "labels").tolist())
    lacking = [name for label, name in enumerate(classes) if label not in there]
    if lacking:
        raise SertkError(
            f"the fold's training split has no utterance of {', '.join(lacking)}: choose another protocol, "
            "or a label set without this class"
        )


class FoldTask(Task):
    """Training of the model of a config in a Run, on the lists of a Fold, with features of the run's own."""

    def __init__(self, config: Config, run: Run, lists: Fold, device: torch.device):
        inputs, own = run.experiment.inputs, own_feats(run.path)
        labels = Labels.read(inputs.data, inputs.label_set)
        train, valid = (
            load_dataset(config, inputs.data, labels.labelled(utterances), own, labels)
            for utterances in (lists.train, lists.valid)
        )
        check_classes(train, labels.classes)
        self.feature_options = feature_options(config, inputs.data, own)
        super().__init__(config, train, valid, DataDir(inputs.data).table("utt2spk"), labels.classes, device)
        if config.encoder and isinstance(self.model, Transfer) and self.model.pretrained is not None:
            self.model.pretrained.load_state_dict(pretrained_weights(config.encoder, run.path))
        if config.training.imbalance == "weights":
            train.weights = balanced_weights(known(train.labels, "labels"))
