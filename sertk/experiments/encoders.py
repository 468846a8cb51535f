"""The encoder whose layers an experiment takes: which it is, what it learnt from, and the copy of a recogniser."""

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sertk.config.encoder import RECOGNISER, EncoderLayers
from sertk.config.schema import Config, to_mapping
from sertk.core.errors import SertkError
from sertk.core.files import PathLike, file_digest, read_json, read_yaml, write_aside
from sertk.encoders import cache
from sertk.experiments.layout import CONFIG, best_checkpoint, experiment_of, read_config
from sertk.experiments.run import config_of_run
from sertk.models.encoder_streams import ENCODER
from sertk.models.registry import DeepSpeechConfig

KEPT = "asr"  # the folder in an experiment that holds a copy of its recogniser
DIGITS = 12  # of a digest, by which configs and archives name weights


def checkpoint(folder: PathLike) -> Path:
    path = best_checkpoint(folder)
    if not path.is_file():
        raise SertkError(f"{path}: no trained speech recogniser there; egs/asr/run.sh trains one")
    return path


def digest_of(path: PathLike) -> str:
    """How configs name the weights in a recogniser's checkpoint."""
    return file_digest(path, "sha256")[:DIGITS]


def recogniser_config(asr_exp: PathLike) -> Config:
    """The Config of a recogniser's experiment; raises SertkError for an experiment of another task."""
    config = config_of_run(read_config(asr_exp), Path(asr_exp) / CONFIG)
    if config.task != "asr":
        raise SertkError(f"{asr_exp}: {config.model.name} is no speech recogniser; egs/asr/run.sh trains one")
    return config


def with_encoder(parts: Mapping[str, Config], asr_exp: PathLike | None) -> dict[str, Config]:
    """The parts {name: Config} with what is known of their encoder filled in.

    It is that of the cache, or the recogniser of the experiment folder `asr_exp`. Raises SertkError where there is
    none, it has not the layers that a part takes, or it cannot run in the loop.
    """
    known = {
        name: dataclasses.replace(config, encoder=filled(config.encoder, asr_exp)) if config.encoder else config
        for name, config in parts.items()
    }
    for config in known.values():
        if config.computed_type(ENCODER) == "waveform" and config.training.tempo != (1, 1):
            raise SertkError("training.tempo would change the pitch of what an encoder in the loop hears: give [1, 1]")
    return known


def filled(encoder: EncoderLayers, asr_exp: PathLike | None) -> EncoderLayers:
    if encoder.name == RECOGNISER:
        known, where = of_recogniser(encoder, asr_exp), asr_exp
    else:
        cached = cache.find(encoder.name)
        known, where = {"digest": cached.digest[:DIGITS], "count": cached.spec.layers}, encoder.name
        if encoder.in_loop:
            known["source"] = cached.spec.network
    for layer in (*encoder.given, *encoder.unfreeze):
        if layer > known["count"]:
            raise SertkError(f"{where}: its last layer is {known['count']}: no encoder.layer {layer}")
    return dataclasses.replace(encoder, **known)


def of_recogniser(encoder: EncoderLayers, asr_exp: PathLike | None) -> dict[str, Any]:
    """What is filled in of the recogniser of an experiment folder."""
    if not asr_exp:
        raise SertkError("the model takes a layer of a speech recogniser: --asr_exp names its experiment folder")
    digest, own = digest_of(checkpoint(asr_exp)), recogniser_config(asr_exp)
    scopes = {transform.scope for transform in own.normalise}
    if encoder.in_loop and scopes - {"utterance"}:
        raise SertkError(f"{asr_exp}: not normalised per utterance alone: it cannot run with encoder.in_loop=true")
    if "speaker" in scopes:
        raise SertkError(f"{asr_exp}: normalised per speaker, whom nobody knows of what its layers are made of")
    known = {"digest": digest, "count": own.model.gru_layers if isinstance(own.model, DeepSpeechConfig) else 0}
    if encoder.in_loop:
        known |= {"source": to_mapping(own), "tokens": read_yaml(Path(asr_exp) / "card.yaml")["tokens"]}
    return known


def decoded_sets(asr_exp: PathLike) -> dict[str, Any]:
    """What has been decoded with a recogniser: {data folder's name: its results, with `cer`, a share}, sorted."""
    paths = sorted(Path(asr_exp).glob("decode_*/results.json"))
    return {path.parent.name.removeprefix("decode_"): read_json(path) for path in paths}


def describe_encoder(encoder: EncoderLayers, asr_exp: PathLike | None) -> dict[str, Any]:
    """For the protocol card: the name, and of a recogniser its hours of training and error rates, shares."""
    if encoder.name != RECOGNISER or not asr_exp:
        return {"name": encoder.name, "licence": cache.find(encoder.name).spec.licence}
    folder = Path(asr_exp)
    return {
        "name": RECOGNISER,
        "experiment": folder.resolve().name,
        "train_hours": read_yaml(folder / "card.yaml")["train"]["hours"],
        "cer": {name: round(each["cer"], 4) for name, each in decoded_sets(folder).items()},
    }


def keep_recogniser(exp_dir: PathLike, asr_exp: PathLike) -> None:
    """Copies the recogniser into the experiment, so that what is trained on it can be used without `asr_exp`."""
    kept = best_checkpoint(Path(exp_dir) / KEPT)
    if kept.exists():
        return
    kept.parent.mkdir(parents=True, exist_ok=True)
    with open(checkpoint(asr_exp), "rb") as source, write_aside(kept, "wb") as copy:
        shutil.copyfileobj(source, copy)


def cached_encoder(encoder: EncoderLayers, where: PathLike) -> cache.Cached:
    """The encoder of the cache; raises SertkError, naming `where`, unless its weights are those that a config names."""
    cached = cache.find(encoder.name)
    if cached.digest[:DIGITS] != encoder.digest:
        raise SertkError(
            f"{where}: trained on {encoder.name} with the weights {encoder.digest}, {cached.folder} has "
            f"{cached.digest[:DIGITS]}; sertk-get-encoder {encoder.name} --from PATH --force takes others"
        )
    return cached


def kept_recogniser(run_dir: PathLike, encoder: EncoderLayers) -> Path:
    """The folder of the recogniser that a run's experiment keeps; raises SertkError where it is not the config's."""
    folder = experiment_of(run_dir) / KEPT
    path = best_checkpoint(folder)
    if not path.is_file() or digest_of(path) != encoder.digest:
        raise SertkError(
            f"{path}: not the recogniser that {run_dir} was trained with; copy the best.pt of that one there"
        )
    return folder
