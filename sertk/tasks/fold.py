"""What all tasks share: the data of a fold, the model, batches, and what a checkpoint keeps."""

from sertk.config import to_mapping
from sertk.datadir import DataDir
from sertk.errors import SertkError
from sertk.features.normalise import Normaliser
from sertk.labels import Labels
from sertk.models import MODELS
from sertk.models.base import FittedModel, Shape
from sertk.tasks.dataset import load_dataset
from sertk.training.data import balanced_weights, make_sampler


def check_classes(dataset, classes):
    """Raises SertkError unless each of `classes` has an utterance to learn it from."""
    there = set(dataset.labels.tolist())
    lacking = [name for label, name in enumerate(classes) if label not in there]
    if lacking:
        raise SertkError(
            f"the fold's training part has no utterance of {', '.join(lacking)}: choose another protocol, "
            "or a label set without this class"
        )


class FoldTask:
    """Training of one model on one fold; subclasses have `validate(model)`, the metrics of a model as a dict.

    `run_dir` may hold features of its own. The global normalisation is fitted on `fold.train` alone, and
    speakers' statistics are taken within each part.
    """

    def __init__(self, config, data_dir, run_dir, fold, label_set, device):
        self.config, self.device = config, device
        labels = Labels.read(data_dir, label_set)
        self.classes = labels.classes
        speakers = DataDir(data_dir).table("utt2spk")
        self.train, self.valid = (
            load_dataset(config, data_dir, labels.labelled(part), run_dir, labels)
            for part in (fold.train, fold.valid)
        )
        check_classes(self.train, self.classes)
        self.normalisers = {name: Normaliser(config.normalise) for name in config.features}
        for name, normaliser in self.normalisers.items():
            normaliser.fit_apply_(self.train.streams[name], [speakers[utt] for utt in self.train.utterances])
            normaliser.apply_(self.valid.streams[name], [speakers[utt] for utt in self.valid.utterances])
        for dataset in (self.train, self.valid):
            dataset.normalisers = self.normalisers
            dataset.to(device)
        dims = {name: stream.dims for name, stream in self.train.streams.items()}
        self.shape = Shape(dims, len(self.classes), config.segment.frames if config.segment else None)
        self.model = MODELS[config.model.name](config.model, self.shape).to(device)
        upsample = config.training.imbalance == "upsample"
        if upsample and isinstance(self.model, FittedModel):
            raise SertkError(f"training.imbalance is upsample, but {config.model.name} has no epochs: take weights")
        if config.training.imbalance == "weights":
            self.train.weights = balanced_weights(self.train.labels)
        self.sampler = make_sampler(self.train, config.segment, "train_hop", upsample)

    def epoch_batches(self, generator):
        """The index chunks of one epoch; `gather` makes a Batch of each."""
        return self.sampler.epoch_windows(generator).split(self.config.training.batch_size)

    def gather(self, chunk):
        return self.sampler.gather(chunk, self.device)

    def export(self):
        """What decoding needs beside the weights, as plain data and tensors."""
        return {
            "config": to_mapping(self.config),
            "classes": self.classes,
            "dims": self.shape.dims,
            "normalisers": {name: normaliser.state() for name, normaliser in self.normalisers.items()},
        }
