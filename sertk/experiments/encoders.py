"""The speech recogniser whose layer an experiment takes: which it is, what it learnt from, and its copy."""

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sertk.config.schema import Asr, Config, to_mapping
from sertk.core.errors import SertkError
from sertk.core.files import PathLike, file_digest, read_json, read_yaml, write_aside
from sertk.experiments.layout import CONFIG, best_checkpoint, experiment_of, read_config
from sertk.experiments.run import config_of_run
from sertk.models.registry import DeepSpeechConfig

KEPT = "asr"  # the folder in an experiment


def checkpoint(folder: PathLike) -> Path:
    path = best_checkpoint(folder)
    if not path.is_file():
        raise SertkError(f"{path}: no trained speech recogniser there; egs/asr/run.sh trains one")
    return path


def network_of(path: PathLike) -> str:
    """How configs name the recogniser of a checkpoint."""
    return file_digest(path, "sha256")[:12]


def pretrained_config(asr_exp: PathLike) -> Config:
    """The Config of a recogniser's experiment; raises SertkError for an experiment of another task."""
    config = config_of_run(read_config(asr_exp), Path(asr_exp) / CONFIG)
    if config.task != "asr":
        raise SertkError(f"{asr_exp}: {config.model.name} is no speech recogniser; egs/asr/run.sh trains one")
    return config


def with_pretrained(parts: Mapping[str, Config], asr_exp: PathLike | None) -> dict[str, Config]:
    """The parts {name: Config} with the recogniser of the experiment folder `asr_exp` filled in.

    Raises SertkError where there is none, it has not the layer that a part takes, or it cannot run in the loop.
    """
    if not any(config.asr for config in parts.values()):
        return dict(parts)
    if not asr_exp:
        raise SertkError("the model takes a layer of a speech recogniser: --asr_exp names its experiment folder")
    network = network_of(checkpoint(asr_exp))
    own = pretrained_config(asr_exp)
    loop = {"source": to_mapping(own), "tokens": read_yaml(Path(asr_exp) / "card.yaml")["tokens"]}
    layers = own.model.gru_layers if isinstance(own.model, DeepSpeechConfig) else 0
    for config in parts.values():
        if config.asr and config.asr.layer > layers:
            raise SertkError(f"{asr_exp}: its network has {layers} recurrent layers: no asr.layer {config.asr.layer}")
        if config.asr and config.asr.in_loop and {transform.scope for transform in own.normalise} - {"utterance"}:
            raise SertkError(f"{asr_exp}: not normalised per utterance alone: it cannot run with asr.in_loop=true")

    def filled(asr: Asr | None) -> Asr | None:
        return asr and dataclasses.replace(asr, network=network, **(loop if asr.in_loop else {}))

    return {name: dataclasses.replace(config, asr=filled(config.asr)) for name, config in parts.items()}


def decoded_sets(asr_exp: PathLike) -> dict[str, Any]:
    """What has been decoded with a recogniser: {data folder's name: its results, with `cer`, a share}, sorted."""
    paths = sorted(Path(asr_exp).glob("decode_*/results.json"))
    return {path.parent.name.removeprefix("decode_"): read_json(path) for path in paths}


def describe_pretrained(asr_exp: PathLike) -> dict[str, Any]:
    """For the protocol card: the experiment's name, its hours of training, and character error rates, shares."""
    folder = Path(asr_exp)
    return {
        "experiment": folder.resolve().name,
        "train_hours": read_yaml(folder / "card.yaml")["train"]["hours"],
        "cer": {name: round(each["cer"], 4) for name, each in decoded_sets(folder).items()},
    }


def keep_pretrained(exp_dir: PathLike, asr_exp: PathLike) -> None:
    """Copies the recogniser into the experiment, so that what is trained on it can be used without `asr_exp`."""
    kept = best_checkpoint(Path(exp_dir) / KEPT)
    if kept.exists():
        return
    kept.parent.mkdir(parents=True, exist_ok=True)
    with open(checkpoint(asr_exp), "rb") as source, write_aside(kept, "wb") as copy:
        shutil.copyfileobj(source, copy)


def kept_pretrained(run_dir: PathLike, asr: Asr) -> Path:
    """The folder of the recogniser that a run's experiment keeps; raises SertkError where it is not the config's."""
    folder = experiment_of(run_dir) / KEPT
    path = best_checkpoint(folder)
    if not path.is_file() or network_of(path) != asr.network:
        raise SertkError(
            f"{path}: not the recogniser that {run_dir} was trained with; copy the best.pt of that one there"
        )
    return folder
