"""Tasks on a fold of a labelled corpus."""

from sertk.batches.dataset import feature_options, load_dataset
from sertk.batches.streams import balanced_weights
from sertk.core.errors import SertkError
from sertk.experiments.pretrained import checkpoint, kept_pretrained
from sertk.kaldi.datadir import DataDir
from sertk.kaldi.labels import Labels
from sertk.models.base import FittedModel
from sertk.training.checkpoint import read_checkpoint
from sertk.training.tasks.base import Task


def check_classes(dataset, classes):
    """Raises SertkError unless each of `classes` has an utterance to learn it from."""
    there = set(dataset.labels.tolist())
    lacking = [name for label, name in enumerate(classes) if label not in there]
    if lacking:
        raise SertkError(
            f"the fold's training part has no utterance of {', '.join(lacking)}: choose another protocol, "
            "or a label set without this class"
        )


class FoldTask(Task):
    """Training of one model on one fold; `run_dir` may hold features of its own."""

    def __init__(self, config, data_dir, run_dir, fold, label_set, device):
        labels = Labels.read(data_dir, label_set)
        train, valid = (
            load_dataset(config, data_dir, labels.labelled(part), run_dir, labels) for part in (fold.train, fold.valid)
        )
        check_classes(train, labels.classes)
        self.feature_options = feature_options(config, data_dir, run_dir)
        super().__init__(config, train, valid, DataDir(data_dir).table("utt2spk"), labels.classes, device)
        if config.asr and config.asr.in_loop:
            weights = read_checkpoint(checkpoint(kept_pretrained(run_dir, config.asr)))["model"]
            self.model.recogniser.load_state_dict(weights)
        if config.training.imbalance == "upsample" and isinstance(self.model, FittedModel):
            raise SertkError(f"training.imbalance is upsample, but {config.model.name} has no epochs: take weights")
        if config.training.imbalance == "weights":
            train.weights = balanced_weights(train.labels)
