"""One step of a model on one fold: its training, and the features it leaves for the steps after it."""

import logging
import sys

import torch

from sertk.core.errors import SertkError
from sertk.core.files import naming
from sertk.experiments.experiment import part_folder, start_run
from sertk.inference.vectors import extract_features
from sertk.kaldi.datadir import DataDir
from sertk.models.base import FittedModel
from sertk.protocols.rules import Fold
from sertk.training.checkpoint import load_matching
from sertk.training.fit import fit
from sertk.training.loop import make_optimiser, train
from sertk.training.tasks import FOLD_TASKS

log = logging.getLogger(__name__)


def train_step(run, config, step, device):
    """Trains a step, whose name is None for the last one, and extracts what its config says.

    `run` has run_dir, data, splits, fold, labels and seed, as sertk-train's options. Goes on with what was cut off.
    """
    folder = part_folder(run.run_dir, step)
    fold = start_run(folder, config, run.seed, run.splits, run.fold, device)
    log_to(folder / "train.log")
    train_on(run, config, folder, fold, device)
    held = crossfit_parts(run.data, fold.train, config.crossfit) if config.crossfit else []
    for number, part in enumerate(held, 1):
        log.info("crossfit %d of %d, without %d utterances", number, len(held), len(part))
        rest = sorted(set(fold.train) - set(part))
        train_on(run, config, folder / f"crossfit{number}", Fold(rest, fold.valid, part), device)
    if config.extract:
        extract_features(run, step, held, device)


def train_on(run, config, folder, fold, device):
    """Trains the model of a config on a Fold, into a folder."""
    if config.task not in FOLD_TASKS:
        raise SertkError(f"the task {config.task} has no folds: sertk-train-asr trains it")
    torch.manual_seed(run.seed)
    task = FOLD_TASKS[config.task](config, run.data, run.run_dir, fold, run.labels, device)
    log.info(
        "%s: %d training and %d validation utterances, on %s",
        config.model.name,
        len(task.train.utterances),
        len(task.valid.utterances),
        device,
    )
    if config.init:
        path = part_folder(run.run_dir, config.init) / "checkpoints" / "best.pt"
        log.info("%d weight tensors taken over from %s", len(load_matching(task.model, path)), path)
    if isinstance(task.model, FittedModel):
        fit(task, folder, run.seed)
    else:
        log.info("%d weights", sum(parameter.numel() for parameter in task.model.parameters()))
        train(task, config.training, make_optimiser(config.optimiser, task.model), folder, run.seed)


def crossfit_parts(data_dir, utterances, parts):
    """The utterances in `parts` lists that share no speaker: every `parts`th of the sorted speakers, from each on."""
    utt2spk = DataDir(data_dir).table("utt2spk")
    speakers = sorted({utt2spk[utterance] for utterance in utterances})
    if len(speakers) < parts:
        raise SertkError(
            f"crossfit: {parts} parts of {len(speakers)} training speakers: a smaller number, or another protocol"
        )
    part_of = {speaker: place % parts for place, speaker in enumerate(speakers)}
    return [[utt for utt in utterances if part_of[utt2spk[utt]] == number] for number in range(parts)]


class RunLog(logging.FileHandler):
    """A log in which a line that cannot be written, as on a full disk, is an error."""

    def handleError(self, record):
        with naming(self.baseFilename):
            raise sys.exc_info()[1]


def log_to(path):
    handler = RunLog(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logging.getLogger().addHandler(handler)
