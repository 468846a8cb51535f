"""The task of classifying the emotion of utterances: data, model, loss, validation, and what a checkpoint keeps."""

from pathlib import Path

import torch

from sertk.archives import open_matrices
from sertk.config import Config, build, to_mapping
from sertk.datadir import DataDir, read_table
from sertk.decoding.means import utterance_means
from sertk.errors import SertkError
from sertk.experiment import step_folder
from sertk.features.normalise import Normaliser
from sertk.labels import Labels
from sertk.models import MODELS
from sertk.models.base import FittedModel, Shape
from sertk.scoring.metrics import confusion_matrix, scores
from sertk.training.checkpoint import read_checkpoint
from sertk.training.data import Dataset, balanced_weights, load_stream, make_sampler, stack_matrices
from sertk.training.waves import load_waves


def own_feats(run_dir, feature_type):
    """Where an earlier step of a run leaves the vectors that it extracts."""
    return Path(run_dir) / "feats" / f"{feature_type}.scp"


def find_feats(feature_type, data_dir, run_dir=None):
    """The table of a feature type: one made inside the run, else the data folder's."""
    own = own_feats(run_dir, feature_type) if run_dir else None
    path = own if own and own.exists() else DataDir(data_dir).feats_path(feature_type)
    if not path.exists():
        raise SertkError(f"{path}: no {feature_type} features; stage 1 makes them")
    return path


def load_dataset(config, data_dir, utterances, run_dir=None, labels=None):
    """The Dataset of `utterances`, not yet normalised; the run's own features are those of its fold's utterances."""
    if not utterances:
        raise SertkError(f"{data_dir}: no utterance is left: the lists and the label set have none in common")
    streams = {
        name: load_waves(name, data_dir, utterances) if config.on_the_fly
        else load_stream(find_feats(name, data_dir, run_dir), utterances)
        for name in config.features
    }
    return Dataset(
        utterances, streams, {}, torch.tensor(labels.indices(utterances)) if labels else None,
        numbers=read_numbers(Path(data_dir) / config.numbers, utterances) if config.numbers else None,
    )


def read_numbers(path, utterances):
    """The integers of a data folder's table (utterances,), or None without it: not every use of a model needs them."""
    if not path.exists():
        return None
    table = read_table(path)
    missing = [utterance for utterance in utterances if utterance not in table]
    if missing:
        raise SertkError(f"{path}: {len(missing)} utterances are missing, the first is {missing[0]}")
    wrong = [utterance for utterance in utterances if not table[utterance].isdecimal()]
    if wrong:
        raise SertkError(f"{path}: {wrong[0]}: expected a whole number, got {table[wrong[0]]!r}")
    return torch.tensor([int(table[utterance]) for utterance in utterances])


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


def check_classes(dataset, classes):
    """Raises SertkError unless each of `classes` has an utterance to learn it from."""
    there = set(dataset.labels.tolist())
    lacking = [name for label, name in enumerate(classes) if label not in there]
    if lacking:
        raise SertkError(
            f"the fold's training part has no utterance of {', '.join(lacking)}: choose another protocol, "
            "or a label set without this class"
        )


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

    def validate(self, model):
        """valid_loss (cross-entropy of the utterances' posteriors), valid_uar and valid_accuracy of `model`.

        Windows are as far apart as in training.
        """
        model.eval()
        posteriors = utterance_means(model.posteriors, self.valid, self.config.segment, self.device, "train_hop")
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
    """The trained model of a run folder, or of one of its earlier steps; raises SertkError when there is none."""

    def __init__(self, run_dir, device, step=None):
        self.run_dir, self.folder = Path(run_dir), step_folder(run_dir, step)
        path = self.folder / "checkpoints" / "best.pt"
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
        self.model = MODELS[self.config.model.name](self.config.model, shape)
        self.model.load_state_dict(checkpoint["model"])
        self.model.to(device).eval()

    def needs_speakers(self):
        return any(step.scope == "speaker" for step in self.config.normalise)

    def normalise(self, dataset, speakers, cmvn=None):
        """Normalises a Dataset in place, moves it to the device and returns it.

        `speakers` has the speaker of each utterance; `cmvn` is {feature type: {speaker: statistics}}.
        """
        for name, stream in dataset.streams.items():
            if stream.dims != self.dims[name]:
                raise SertkError(f"{name}: {stream.dims} dims, the model was trained with {self.dims[name]}")
            self.normalisers[name].apply_(stream, speakers, (cmvn or {}).get(name))
        dataset.normalisers = self.normalisers
        return dataset.to(self.device)

    def posteriors(self, dataset):
        """(utterances, classes) in float64, rows sum to 1, of a normalised Dataset."""
        return utterance_means(self.model.posteriors, dataset, self.config.segment, self.device)

    def vectors(self, dataset, layer):
        """The vectors of one of the model's layers, (utterances, rows, dims) in float64, of a normalised Dataset."""
        layers = self.model.layers
        if layer not in layers:
            raise SertkError(f"{self.config.model.name} has no layer {layer!r} (there are: {', '.join(layers)})")
        return utterance_means(
            lambda batch: self.model.vectors(batch, layer), dataset, self.config.segment, self.device
        )
