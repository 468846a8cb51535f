"""What an experiment is trained and tested on, and the digests by which each run knows it again."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from sertk.config.schema import Config
from sertk.core.files import PathLike, file_digest
from sertk.features.notes import noted_options
from sertk.kaldi.archives import archives_digest
from sertk.kaldi.datadir import DataDir
from sertk.kaldi.digests import lines_digest, recordings_digest, table_digest
from sertk.models.encoder_streams import is_encoder


@dataclass(frozen=True)
class Inputs:
    """The data folder, the folder of fold lists, and the label set."""

    data: Path
    splits: Path
    label_set: str

    @property
    def labels(self) -> Path:
        return self.data / "labels" / self.label_set

    @property
    def labels_digest(self) -> str:
        """The SHA-256 of the table of labels."""
        return file_digest(self.labels, "sha256")


def data_digests(
    data_dir: PathLike, config: Config, utterances: Sequence[str], own: Collection[str | None] = ()
) -> dict[str, str]:
    """What a data folder has of `utterances` for a config, {what: SHA-256}; nothing of what is not there.

    `own` are the feature types that earlier parts of a run extract. Archives of an encoder's layers are not looked at
    where recordings have hashes: their names tell its weights.
    """
    folder = DataDir(data_dir)
    hashed = folder.has("utt2hash")
    archived = [
        config.archive_name(name)
        for name in config.taken
        if not (config.computed_type(name) or name in own or (hashed and is_encoder(name)))
    ]
    digests: dict[str, str | None] = {"speakers": table_digest(folder.path / "utt2spk", utterances)}
    if hashed or any(map(config.computed_type, config.taken)):
        digests["recordings"] = recordings_digest(data_dir, utterances)
    if config.numbers and folder.has(config.numbers):
        digests["counts of words or phonemes"] = table_digest(folder.path / config.numbers, utterances)
    for feature_type in archived:
        digests[f"{feature_type} features"] = features_digest(folder.feats_path(feature_type), utterances, hashed)
    return {what: digest for what, digest in digests.items() if digest}


def features_digest(scp: Path, utterances: Sequence[str], hashed: bool) -> str | None:
    """A SHA-256 of how features were made, where that and the recordings' hashes are known, else of some values.

    Equal options and recordings give equal features, but for the last bits of floating point numbers.
    """
    options = noted_options(scp) if hashed and scp.is_file() else None
    return lines_digest([json.dumps(options, sort_keys=True)]) if options else archives_digest(scp, utterances)
