"""What a trained model sees when it is used: splits of folds, data folders, archives, normalised as it asks for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sertk.batches.dataset import dataset_of_rspecifiers, feature_options, is_own, load_dataset
from sertk.batches.streams import Dataset
from sertk.config.schema import differing_keys
from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.core.typed import show
from sertk.experiments.run import Run
from sertk.features.notes import options_of
from sertk.inference.trained import LoadedModel, TrainedModel
from sertk.kaldi.archives import open_matrices, read_text_table
from sertk.kaldi.datadir import SPLITS, DataDir, require_all
from sertk.kaldi.labels import Labels
from sertk.models.base import known

Cmvn = Mapping[str, Mapping[str, np.ndarray]]  # {feature type: {speaker: Kaldi CMVN statistics (2, dims + 1)}}


@dataclass(frozen=True)
class Input:
    """A normalised Dataset, the speaker of each utterance, and its label where that is known."""

    dataset: Dataset
    speakers: Sequence[str | None]
    references: list[str] | None = None


def read_split(trained: TrainedModel, run: Run, split: str) -> Input:
    """The labelled utterances of a split of the fold that `trained`, a part of the Run, was trained on.

    Raises SertkError for a split that no fold has, and where the lists or labels are no longer those of the training.
    """
    if split not in SPLITS:
        raise SertkError(f"no split {split!r}: expected one of {', '.join(SPLITS)}")
    run.check_part(trained.part)
    inputs = run.experiment.inputs
    return read_labelled(trained, inputs.data, getattr(run.lists(), split), inputs.label_set)


def read_labelled(trained: TrainedModel, data_dir: PathLike, utterances: Iterable[str], label_set: str) -> Input:
    """Those of `utterances` that have a label; raises SertkError where the model was trained for other classes."""
    labels = Labels.read(data_dir, label_set)
    if labels.classes != trained.classes:
        raise SertkError(
            f"{trained.folder}: trained for the classes {trained.classes}, {label_set} has {labels.classes}"
        )
    utterances = labels.labelled(utterances)
    seen = labels if trained.model.needs_labels else None
    dataset = load_like_training(trained, data_dir, utterances, trained.own_feats, seen)
    speakers = known(dataset.speakers, "speakers")
    trained.normalise(dataset, speakers)
    return Input(dataset, speakers, [labels.by_utterance[utterance] for utterance in utterances])


def load_like_training(
    trained: LoadedModel,
    data_dir: PathLike,
    utterances: list[str],
    own_dir: PathLike | None = None,
    labels: Labels | None = None,
) -> Dataset:
    """What `load_dataset` gives for a trained model; SertkError for features that were made with other options."""
    for name, made in feature_options(trained.config, data_dir, own_dir).items():
        require_options(trained, name, made, f"{data_dir}/feats/{name}.scp")
    return load_dataset(trained.config, data_dir, utterances, own_dir, labels)


def require_options(trained: LoadedModel, name: str, made: Mapping[str, Any] | None, where: PathLike) -> None:
    """Raises SertkError where features were `made` with other options than those that the model was trained on."""
    before = trained.feature_options.get(name)
    if made and before and (keys := differing_keys(before, made)):
        values = ", ".join(f"{key} {show(made.get(key))}, in the training {show(before.get(key))}" for key in keys)
        raise SertkError(
            f"{where}: made with other options than {trained.where} was trained on ({values}); make it anew"
        )


def read_data_dir(trained: TrainedModel, data_dir: PathLike, cmvn: Cmvn) -> Input:
    """All utterances of a data folder; raises SertkError where an earlier part has to extract their features."""
    for name in trained.config.streams:
        if is_own(name, trained.own_feats):
            raise SertkError(
                f"{name} is what an earlier part of {trained.run_dir} extracts: let sertk-extract --part ... --layer "
                f"{name} do so, and decode with --feats {name}=RSPECIFIER"
            )
    utt2spk = DataDir(data_dir).table("utt2spk")
    speakers = list(utt2spk.values())
    dataset = load_like_training(trained, data_dir, list(utt2spk))
    return Input(trained.normalise(dataset, speakers, cmvn), speakers)


def read_cmvn(rspecifiers: Mapping[str, str]) -> Cmvn:
    """{feature type: {speaker: Kaldi CMVN statistics (2, dims + 1)}} of {feature type: rspecifier}."""
    return {name: dict(open_matrices(rspecifier, np.float64)) for name, rspecifier in rspecifiers.items()}


def read_archives(trained: LoadedModel, feats: Mapping[str, str], utt2spk: str | None, cmvn: Cmvn) -> Input:
    """All utterances of archives, {feature type: rspecifier}."""
    if trained.needs_speakers() and not utt2spk:
        raise SertkError("the model normalises per speaker: give --utt2spk")
    for name, rspecifier in feats.items():
        require_options(trained, name, options_of(rspecifier), rspecifier)
    dataset = dataset_of_rspecifiers(trained.config, feats)
    table = read_text_table(utt2spk) if utt2spk else {}
    if utt2spk:
        require_all(utt2spk, table, dataset.utterances, "add their speakers")
    speakers = [table.get(utterance) for utterance in dataset.utterances]
    return Input(trained.normalise(dataset, speakers, cmvn), speakers)
