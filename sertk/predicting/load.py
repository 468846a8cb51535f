"""Systems that can recognise, from where they are: packed models, run folders, experiment folders."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sertk.config.former import current_card
from sertk.core.device import find_device
from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.evaluation.metrics import METRICS
from sertk.evaluation.results import is_scored, read_results
from sertk.experiments.experiment import require_trained
from sertk.experiments.layout import CARD, experiment_of, find_run, part_folder, read_chosen, read_config, read_mapping
from sertk.features.registry import describe_extractor, feature_types, load_extractor
from sertk.inference.encoding import load_encoder_of
from sertk.inference.trained import LoadedModel, TrainedModel
from sertk.predicting.chain import Chain
from sertk.predicting.package import read_package
from sertk.predicting.recognizer import Recognizer
from sertk.predicting.system import System, archived_encoder


def load_recognizer(
    path: PathLike,
    device: str | torch.device = "auto",
    fold: int | None = None,
    seed: int | None = None,
    feats_config: Mapping[str, str] | None = None,
) -> Recognizer:
    """The Recognizer of a packed model, a run folder (EXP/fold1/seed1), or an experiment folder with `fold` and `seed`.

    `device` is auto (a GPU if there is one), cpu, cuda or cuda:N. `feats_config` is {feature type: YAML file or shipped
    type} for features of which no record says how they were made. Raises SertkError for what cannot be loaded.
    """
    return Recognizer(load_system(path, find_device(device), fold, seed, feats_config), path)


def load_system(
    path: PathLike,
    device: torch.device,
    fold: int | None = None,
    seed: int | None = None,
    feats_config: Mapping[str, str] | None = None,
) -> System:
    """The System of what `load_recognizer` takes."""
    if Path(path).is_dir():
        run_dir = find_run(path, fold, seed)
        require_trained(run_dir)
        parts = load_run(run_dir, device)
        encoder = archived_encoder(parts)
        loaded = load_encoder_of(encoder, run_dir, device) if encoder else None
        system = System(parts, run_card(run_dir), loaded)
    else:
        if fold is not None or seed is not None:
            raise SertkError(f"{path}: a packed model is of one fold and seed: no --fold, no --seed")
        system = read_package(path, device)
    for feature_type, description in (feats_config or {}).items():
        shipped = description in feature_types()
        extractor = load_extractor(description) if shipped else load_extractor(config=description)
        for model in system.parts.values():
            if feature_type in model.config.taken:
                model.feature_options[feature_type] = describe_extractor(extractor)
    return dataclasses.replace(system, parts=Chain(system, path).parts)


def load_run(run_dir: PathLike, device: torch.device) -> dict[str, LoadedModel]:
    """{part name: TrainedModel} of a run, each after those whose features it takes; the last one is `model`."""
    names = sorted(folder.name for folder in (Path(run_dir) / "steps").glob("*") if (folder / "checkpoints").is_dir())
    makers = {read_config(part_folder(run_dir, name))["extract"]: name for name in names}
    models: dict[str | None, LoadedModel] = {}

    def load(name=None):
        model = TrainedModel(run_dir, device, name)
        for feature_type in {*model.config.taken} & makers.keys():
            if makers[feature_type] not in models:
                load(makers[feature_type])
        models[name] = model

    load()
    return {f"steps/{name}" if name else "model": model for name, model in models.items()}


def run_card(run_dir: PathLike) -> dict[str, Any]:
    """The experiment's card with the run's fold and seed, and the scores where the experiment has some."""
    config, experiment = read_config(run_dir), experiment_of(run_dir)
    run = config.get("run", {})
    card = {"model": config["model"]["name"], "trained": {"fold": run.get("fold"), "seed": run.get("seed")}}
    if (experiment / CARD).is_file():
        card |= current_card(read_mapping(experiment / CARD)) | {"trained": card["trained"]}
    if is_scored(experiment):
        results = read_results(experiment)
        card["scores"] = {name: results[name] for name in METRICS} | {
            "intervals": results["intervals"],
            "folds_scored": results["folds_scored"],
            "warnings": results["warnings"],
        }
        own = [each for each in results["folds"] if (each["fold"], each["seed"]) == (run.get("fold"), run.get("seed"))]
        card["trained"] |= {name: each[name] for each in own for name in METRICS}
    if chosen := read_chosen(run_dir):
        card["trained"]["chosen"] = chosen
    return card
