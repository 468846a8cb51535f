"""Tasks on a fold of a labelled corpus."""

from sertk.batches.dataset import feature_options, load_dataset
from sertk.batches.streams import balanced_weights
from sertk.core.errors import SertkError
from sertk.experiments.layout import own_feats
from sertk.experiments.pretrained import checkpoint, kept_pretrained
from sertk.kaldi.datadir import DataDir
from sertk.kaldi.labels import Labels
from sertk.training.checkpoint import read_checkpoint
from sertk.training.tasks.base import Task


def check_classes(dataset, classes):
    """Raises SertkError unless each of `classes` has an utterance to learn it from."""
    there = set(dataset.labels.tolist())
    lacking = [name for label, name in enumerate(classes) if label not in there]
    if lacking:
        raise SertkError(
            f"the fold's training split has no utterance of {', '.join(lacking)}: choose another protocol, "
            "or a label set without this class"
        )


class FoldTask(Task):
    """Training of the model of a config in a Run, on the lists of a Fold, with features of the run's own."""

    def __init__(self, config, run, lists, device):
        inputs, own = run.experiment.inputs, own_feats(run.path)
        labels = Labels.read(inputs.data, inputs.label_set)
        train, valid = (
            load_dataset(config, inputs.data, labels.labelled(utterances), own, labels)
            for utterances in (lists.train, lists.valid)
        )
        check_classes(train, labels.classes)
        self.feature_options = feature_options(config, inputs.data, own)
        super().__init__(config, train, valid, DataDir(inputs.data).table("utt2spk"), labels.classes, device)
        if config.asr and config.asr.in_loop:
            weights = read_checkpoint(checkpoint(kept_pretrained(run.path, config.asr)))["model"]
            self.model.pretrained.load_state_dict(weights)
        if config.training.imbalance == "weights":
            train.weights = balanced_weights(train.labels)
