"""The utterances of a data folder, or of archives, as the Dataset that a config asks for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sertk.batches.streams import Dataset, Stream, load_stream, stack_matrices
from sertk.batches.waves import load_waves, locate_waves
from sertk.config.schema import Config
from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.features.notes import noted_options
from sertk.features.registry import describe_extractor, load_extractor
from sertk.kaldi.archives import open_matrices
from sertk.kaldi.datadir import DataDir, read_counts, require_all
from sertk.kaldi.labels import Labels
from sertk.models.encoder_streams import is_encoder


def is_own(feature_type: str, own_dir: PathLike | None) -> bool:
    """Whether a feature type is one of those in `own_dir`, a folder of tables made inside a run, or None."""
    return own_dir is not None and (Path(own_dir) / f"{feature_type}.scp").exists()


def find_feats(feature_type: str, data_dir: PathLike, own_dir: PathLike | None = None) -> Path:
    """The table of a feature type: that in `own_dir`, made inside a run, else the data folder's."""
    if own_dir is not None and is_own(feature_type, own_dir):
        return Path(own_dir) / f"{feature_type}.scp"
    path = DataDir(data_dir).feats_path(feature_type)
    if not path.exists():
        raise SertkError(
            f"{path}: no {feature_type} features; stage 1 makes them, and stage 2 the layers of an encoder"
        )
    return path


def load_dataset(
    config: Config,
    data_dir: PathLike,
    utterances: list[str],
    own_dir: PathLike | None = None,
    labels: Labels | None = None,
) -> Dataset:
    """The Dataset of `utterances`, not yet normalised; features in `own_dir` go before those of the data folder."""
    if not utterances:
        raise SertkError(f"{data_dir}: no utterance is left: the lists and the label set have none in common")
    streams = {name: load_features(config, name, data_dir, utterances, own_dir) for name in config.streams}
    utt2spk = DataDir(data_dir).table("utt2spk")
    require_all(Path(data_dir) / "utt2spk", utt2spk, utterances, "add their speakers")
    return Dataset(
        utterances,
        streams,
        {},
        torch.tensor(labels.indices(utterances)) if labels else None,
        numbers=read_numbers(Path(data_dir) / config.numbers, utterances) if config.numbers else None,
        conditions=load_vectors(config.conditions, data_dir, utterances, own_dir) if config.conditions else None,
        speakers=[utt2spk[utterance] for utterance in utterances],
    )


def load_features(
    config: Config, name: str, data_dir: PathLike, utterances: Sequence[str], own_dir: PathLike | None = None
) -> Stream:
    """The Stream of one of a config's features, of archives or of recordings."""
    if computed := config.computed_type(name):
        load = load_waves if config.segment else locate_waves
        return load(computed, data_dir, utterances)
    return load_archives(config.archive_name(name), data_dir, utterances, own_dir)


def load_archives(
    feature_type: str, data_dir: PathLike, utterances: Sequence[str], own_dir: PathLike | None = None
) -> Stream:
    """The Stream of a feature type from archives; those of a run lie in `own_dir` itself, wherever the run is moved."""
    scp = find_feats(feature_type, data_dir, own_dir)
    return load_stream(scp, utterances, beside=is_own(feature_type, own_dir))


def feature_options(
    config: Config, data_dir: PathLike, own_dir: PathLike | None = None
) -> dict[str, dict[str, Any] | None]:
    """How the features were made that a config takes from the data folder: {feature type: options or None}.

    The options are for features.registry.make_extractor, with `channel` where one was chosen; None where nobody
    knows, as of archives that other tools made.
    """
    options = {}
    for name in config.taken:
        if computed := config.computed_type(name):
            options[name] = describe_extractor(load_extractor(computed))
        elif not (is_encoder(name) or is_own(name, own_dir)):
            options[name] = noted_options(find_feats(name, data_dir))
    return options


def load_vectors(
    feature_type: str, data_dir: PathLike, utterances: Sequence[str], own_dir: PathLike | None = None
) -> Tensor:
    """One vector for each utterance (utterances, dims) from archives; raises SertkError for sequences."""
    stream = load_archives(feature_type, data_dir, utterances, own_dir)
    if not bool((stream.lengths == 1).all()):
        scp = find_feats(feature_type, data_dir, own_dir)
        raise SertkError(f"{scp}: {utterances[int(stream.lengths.argmax())]} has several rows, expected one vector")
    return stream.values


def read_numbers(path: Path, utterances: Sequence[str]) -> Tensor | None:
    """The integers of a data folder's table (utterances,), or None without it: not every use of a model needs them."""
    if not path.exists():
        return None
    return torch.tensor(list(read_counts(path, utterances).values()))


def dataset_of_rspecifiers(config: Config, rspecifiers: Mapping[str, str]) -> Dataset:
    """The Dataset of whole archives, {feature type: rspecifier}, not yet normalised."""
    for name in config.streams:
        if name not in rspecifiers:
            raise SertkError(f"the model needs {name} features: give --feats {name}=RSPECIFIER")
    matrices = {name: dict(open_matrices(rspecifiers[name])) for name in config.streams}
    utterances = list(matrices[config.streams[0]])
    for name, entries in matrices.items():
        if set(entries) != set(utterances):
            raise SertkError(f"{rspecifiers[name]}: other utterances than in the {config.streams[0]} features")
    streams = {
        name: stack_matrices({utterance: entries[utterance] for utterance in utterances}, rspecifiers[name])
        for name, entries in matrices.items()
    }
    return Dataset(utterances, streams, {})
