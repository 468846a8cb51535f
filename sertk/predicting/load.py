"""Systems that can recognise, from where they are: packed models, run folders, experiment folders."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sertk.core.device import find_device
from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.evaluation.metrics import METRICS
from sertk.evaluation.results import is_scored, read_results
from sertk.experiments.experiment import require_trained
from sertk.experiments.layout import CARD, experiment_of, find_run, part_folder, read_config, read_mapping
from sertk.features.registry import describe_extractor, feature_types, load_extractor
from sertk.inference.trained import LoadedModel, TrainedModel, load_pretrained
from sertk.predicting.chain import Chain
from sertk.predicting.package import read_package
from sertk.predicting.recognizer import Recognizer


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
    return Recognizer(*load_system(path, find_device(device), fold, seed, feats_config), path)


def load_system(
    path: PathLike,
    device: torch.device,
    fold: int | None = None,
    seed: int | None = None,
    feats_config: Mapping[str, str] | None = None,
) -> tuple[dict[str, LoadedModel], dict[str, Any]]:
    """({part name: LoadedModel}, card) of what `load_recognizer` takes."""
    if Path(path).is_dir():
        run_dir = find_run(path, fold, seed)
        require_trained(run_dir)
        parts, card = load_run(run_dir, device), run_card(run_dir)
    else:
        if fold is not None or seed is not None:
            raise SertkError(f"{path}: a packed model is of one fold and seed: no --fold, no --seed")
        parts, card = read_package(path, device)
    for feature_type, description in (feats_config or {}).items():
        shipped = description in feature_types()
        extractor = load_extractor(description) if shipped else load_extractor(config=description)
        for model in parts.values():
            if feature_type in model.config.taken:
                model.feature_options[feature_type] = describe_extractor(extractor)
    return Chain(parts, path).parts, card


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
    reused = [model.config.asr for model in models.values() if model.config.asr and not model.config.asr.in_loop]
    pretrained: dict[str, LoadedModel] = {"asr": load_pretrained(run_dir, reused[0], device)} if reused else {}
    return pretrained | {f"steps/{name}" if name else "model": model for name, model in models.items()}


def run_card(run_dir: PathLike) -> dict[str, Any]:
    """The experiment's card with the run's fold and seed, and the scores where the experiment has some."""
    config, experiment = read_config(run_dir), experiment_of(run_dir)
    run = config.get("run", {})
    card = {"model": config["model"]["name"], "trained": {"fold": run.get("fold"), "seed": run.get("seed")}}
    if (experiment / CARD).is_file():
        card |= read_mapping(experiment / CARD) | {"trained": card["trained"]}
    if is_scored(experiment):
        results = read_results(experiment)
        card["scores"] = {name: results[name] for name in METRICS} | {
            "intervals": results["intervals"],
            "folds_scored": results["folds_scored"],
            "warnings": results["warnings"],
        }
        own = [each for each in results["folds"] if (each["fold"], each["seed"]) == (run.get("fold"), run.get("seed"))]
        card["trained"] |= {name: each[name] for each in own for name in METRICS}
    return card
