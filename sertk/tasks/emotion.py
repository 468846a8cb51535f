"""The task of classifying the emotion of utterances: data, model, loss, validation, and what a checkpoint keeps."""

from pathlib import Path

import torch

from sertk.archives import open_matrices
from sertk.config import Config, build, to_mapping
from sertk.datadir import DataDir
from sertk.decoding.posteriors import utterance_posteriors
from sertk.errors import SertkError
from sertk.features.normalise import Normaliser
from sertk.labels import Labels
from sertk.models import MODELS
from sertk.models.base import Shape
from sertk.scoring.metrics import confusion_matrix, scores
from sertk.training.checkpoint import read_checkpoint
from sertk.training.data import Dataset, load_stream, make_sampler, stack_matrices


def find_feats(feature_type, data_dir, run_dir):
    """The table of a feature type: one made inside this run, else the data folder's."""
    own = Path(run_dir) / "feats" / f"{feature_type}.scp"
    path = own if own.exists() else DataDir(data_dir).feats_path(feature_type)
    if not path.exists():
        raise SertkError(f"{path}: no {feature_type} features; stage 1 makes them")
    return path


def load_dataset(config, data_dir, run_dir, utterances, labels=None):
    """The Dataset of `utterances`, not yet normalised."""
    if not utterances:
        raise SertkError(f"{data_dir}: no utterance is left: the lists and the label set have none in common")
    streams = {
        name: load_stream(find_feats(name, data_dir, run_dir), utterances) for name in config.features
    }
    return Dataset(utterances, streams, {}, torch.tensor(labels.indices(utterances)) if labels else None)


def dataset_of_rspecifiers(config, rspecifiers):
    """The Dataset of whole archives, {feature type: rspecifier}, not yet normalised."""
    for name in config.features:
        if name not in rspecifiers:
            raise SertkError(f"the model needs {name} features: give --feats {name}=RSPECIFIER")
    matrices = {name: dict(open_matrices(rspecifiers[name])) for name in config.features}
    utterances = list(matrices[config.features[0]])
    for name, entries in matrices.items():
        if set(entries) != set(utterances):
            raise SertkError(f"{rspecifiers[name]}: other utterances than in the {config.features[0]} features")
    streams = {
        name: stack_matrices({utterance: entries[utterance] for utterance in utterances}, rspecifiers[name])
        for name, entries in matrices.items()
    }
    return Dataset(utterances, streams, {})


class EmotionTask:
    """Training and validation of one model on one fold.

    `run_dir` may hold features of its own. The global normalisation is fitted on `fold.train` alone, and
    speakers' statistics are taken within each part.
    """

    def __init__(self, config, data_dir, run_dir, fold, label_set, device):
        self.config, self.device = config, device
        labels = Labels.read(data_dir, label_set)
        self.classes = labels.classes
        speakers = DataDir(data_dir).table("utt2spk")
        self.train, self.valid = (
            load_dataset(config, data_dir, run_dir, labels.labelled(part), labels)
            for part in (fold.train, fold.valid)
        )
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
        self.sampler = make_sampler(self.train, config.segment, "train_hop")

    def epoch_batches(self, generator):
        """The index chunks of one epoch; `gather` makes a Batch of each."""
        return self.sampler.epoch_windows(generator).split(self.config.training.batch_size)

    def gather(self, chunk):
        return self.sampler.gather(chunk, self.device)

    def validate(self, model):
        """valid_loss (cross-entropy of the utterances' posteriors), valid_uar and valid_accuracy of `model`.

        Windows are as far apart as in training.
        """
        posteriors = utterance_posteriors(model, self.valid, self.config.segment, self.device, "train_hop")
        labels = self.valid.labels.cpu()
        own = posteriors.gather(1, labels[:, None]).clamp(min=1e-12)
        confusion = confusion_matrix(labels.numpy(), posteriors.argmax(1).numpy(), len(self.classes))
        values = scores(confusion)
        return {
            "valid_loss": float(-own.log().mean()),
            "valid_uar": float(values["uar"]),
            "valid_accuracy": float(values["accuracy"]),
        }

    def export(self):
        """What decoding needs beside the weights, as plain data and tensors."""
        return {
            "config": to_mapping(self.config),
            "classes": self.classes,
            "dims": self.shape.dims,
            "normalisers": {name: normaliser.state() for name, normaliser in self.normalisers.items()},
        }


class TrainedEmotionModel:
    """A trained model read from a run folder; raises SertkError when there is none."""

    def __init__(self, run_dir, device):
        path = Path(run_dir) / "checkpoints" / "best.pt"
        checkpoint = read_checkpoint(path)
        exported = checkpoint["task"]
        self.config = build(Config, exported["config"], path)
        self.classes, self.device = exported["classes"], device
        self.normalisers = {
            name: Normaliser.from_state(self.config.normalise, state)
            for name, state in exported["normalisers"].items()
        }
        self.dims = exported["dims"]
        segment = self.config.segment
        shape = Shape(self.dims, len(self.classes), segment.frames if segment else None)
        self.model = MODELS[self.config.model.name](self.config.model, shape).to(device)
        self.model.load_state_dict(checkpoint["model"])

    def needs_speakers(self):
        return any(step.scope == "speaker" for step in self.config.normalise)

    def decode(self, dataset, speakers, cmvn=None):
        """Posteriors (utterances, classes) of a Dataset that is not yet normalised, which this does in place.

        `speakers` has the speaker of each utterance; `cmvn` is {feature type: {speaker: statistics}}.
        """
        for name, stream in dataset.streams.items():
            if stream.dims != self.dims[name]:
                raise SertkError(f"{name}: {stream.dims} dims, the model was trained with {self.dims[name]}")
            self.normalisers[name].apply_(stream, speakers, (cmvn or {}).get(name))
        dataset.normalisers = self.normalisers
        dataset.to(self.device)
        return utterance_posteriors(self.model, dataset, self.config.segment, self.device)
