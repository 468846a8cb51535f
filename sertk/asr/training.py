"""The training of a speech recogniser in an experiment folder."""

import contextlib
import logging
from pathlib import Path
from typing import Any

import torch

from sertk.asr.task import AsrTask
from sertk.batches.streams import Dataset
from sertk.config.schema import Config, to_mapping
from sertk.core.distributed import is_first, start
from sertk.core.files import PathLike, file_digest, write_json, write_yaml
from sertk.experiments.environment import environment, write_command
from sertk.experiments.inputs import data_digests
from sertk.experiments.layout import CARD, CONFIG, read_config
from sertk.experiments.run import hold_folder, warn_of_former
from sertk.experiments.storing import store
from sertk.kaldi.datadir import DataDir, write_table
from sertk.text.tokens import Tokens
from sertk.training.loop import make_optimiser, train
from sertk.training.part import logging_to

log = logging.getLogger(__name__)


def train_asr(
    config: Config, train_dir: PathLike, dev_dir: PathLike, exp_dir: PathLike, seed: int, device: torch.device
) -> None:
    """Trains the recogniser of a config on the data folder `train_dir`; `dev_dir` chooses the epoch.

    EXP_DIR has the tokens already, and gets what the run of a fold gets, card.yaml, which says what it was trained
    on, and left_out_train and left_out_dev, which name the utterances that it was not, and why. Goes on with what
    was cut off. Raises SertkError for other settings or data than before.
    """
    exp_dir = Path(exp_dir)
    start(device)
    with contextlib.ExitStack() as stack:
        if is_first():
            stack.enter_context(hold_folder(exp_dir))
            describe_training(exp_dir, config, train_dir, dev_dir, seed, device)
            stack.enter_context(logging_to(exp_dir / "train.log"))
        train_in(exp_dir, config, train_dir, dev_dir, seed, device)


def describe_training(
    exp_dir: Path, config: Config, train_dir: PathLike, dev_dir: PathLike, seed: int, device: torch.device
) -> None:
    """Notes what is trained; raises SertkError where the folder holds a training with other settings or data."""
    folders = {"train": Path(train_dir), "dev": Path(dev_dir)}
    run = {
        "seed": seed,
        "texts": {name: file_digest(folder / "text", "sha256") for name, folder in folders.items()},
        "data": {name: data_digests(folder, config, DataDir(folder).utterances) for name, folder in folders.items()},
    }
    path = exp_dir / CONFIG
    if path.exists() and "data" not in read_config(exp_dir).get("run", run):
        warn_of_former(exp_dir)
        del run["data"]
    store(path, {**to_mapping(config), "run": run})
    write_command(exp_dir)
    write_json(exp_dir / "environment.json", environment(device))


def train_in(
    exp_dir: Path, config: Config, train_dir: PathLike, dev_dir: PathLike, seed: int, device: torch.device
) -> None:
    torch.manual_seed(seed)
    task = AsrTask(config, train_dir, dev_dir, Tokens(exp_dir / "tokens.model"), device)
    sizes = {"train": describe(task.train, train_dir), "dev": describe(task.valid, dev_dir)}
    if is_first():
        write_yaml(exp_dir / CARD, {**sizes, "tokens": len(task.classes), "seed": seed})
        for name, left_out in task.left_out.items():
            write_table(exp_dir / f"left_out_{name}", left_out)
    for name, size in sizes.items():
        log.info("%s: %d utterances, %.2f hours", name, size["utterances"], size["hours"])
    log.info("%d weights, on %s", sum(parameter.numel() for parameter in task.model.parameters()), device)
    train(task, config.training, make_optimiser(config.optimiser, task.model), exp_dir, seed)


def describe(dataset: Dataset, data_dir: PathLike) -> dict[str, Any]:
    """How much of a data folder a Dataset has."""
    hours = DataDir(data_dir).hours(dataset.utterances)
    return {"utterances": len(dataset.utterances), "hours": round(hours, 3)}
