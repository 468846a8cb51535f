"""One part of a run: the training of one model on one fold."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from sertk.config.schema import Config
from sertk.core.errors import SertkError
from sertk.core.files import PathLike, naming
from sertk.core.messages import OneLine
from sertk.experiments.layout import best_checkpoint
from sertk.experiments.run import Run
from sertk.kaldi.datadir import DataDir
from sertk.models.base import FittedModel
from sertk.protocols.rules import Fold
from sertk.training.checkpoint import load_matching
from sertk.training.fit import fit
from sertk.training.loop import make_optimiser, train
from sertk.training.tasks import FOLD_TASKS

log = logging.getLogger(__name__)


def train_part(run: Run, part: str | None, device: torch.device) -> list[list[str]]:
    """Trains a part of a Run, whose name is None for the last one, going on with what was cut off.

    Returns the utterances that each crossfit training was held out of, a list of lists.
    """
    config, folder = run.config(part), run.part_folder(part)
    lists = run.start(part, device)
    held_out = speaker_shares(run.experiment.inputs.data, lists.train, config.crossfit) if config.crossfit else []
    with logging_to(folder / "train.log"):
        train_on(run, config, folder, lists, device)
        for number, share in enumerate(held_out, 1):
            log.info("crossfit %d of %d, without %d utterances", number, len(held_out), len(share))
            rest = sorted(set(lists.train) - set(share))
            train_on(run, config, folder / f"crossfit{number}", Fold(rest, lists.valid, share), device)
    return held_out


def train_on(run: Run, config: Config, folder: Path, lists: Fold, device: torch.device) -> None:
    """Trains the model of a config on the lists of a Fold, into a folder."""
    if config.task not in FOLD_TASKS:
        raise SertkError(f"the task {config.task} has no folds: sertk-train-asr trains it")
    torch.manual_seed(run.seed)
    task = FOLD_TASKS[config.task](config, run, lists, device)
    log.info(
        "%s: %d training and %d validation utterances, on %s",
        config.model.name,
        len(task.train.utterances),
        len(task.valid.utterances),
        device,
    )
    if config.init:
        path = best_checkpoint(run.part_folder(config.init))
        log.info("%d weight tensors taken over from %s", len(load_matching(task.model, path)), path)
    if isinstance(task.model, FittedModel):
        fit(task, task.model, folder, run.seed)
    else:
        log.info("%d weights", sum(parameter.numel() for parameter in task.model.parameters()))
        train(task, config.training, make_optimiser(config.optimiser, task.model), folder, run.seed)


def speaker_shares(data_dir: PathLike, utterances: Sequence[str], number: int) -> list[list[str]]:
    """The utterances in `number` lists that share no speaker: every `number`th of the sorted speakers, from each on."""
    utt2spk = DataDir(data_dir).table("utt2spk")
    speakers = sorted({utt2spk[utterance] for utterance in utterances})
    if len(speakers) < number:
        raise SertkError(
            f"crossfit: {number} shares of {len(speakers)} training speakers: a smaller number, or another protocol"
        )
    share_of = {speaker: place % number for place, speaker in enumerate(speakers)}
    return [[utt for utt in utterances if share_of[utt2spk[utt]] == share] for share in range(number)]


class RunLog(logging.FileHandler):
    """A log in which a line that cannot be written, as on a full disk, is an error."""

    def handleError(self, record: logging.LogRecord) -> None:
        with naming(self.baseFilename):
            raise  # what writing raised


@contextlib.contextmanager
def logging_to(path: PathLike) -> Iterator[None]:
    """Within the block all that is logged is also written to the end of a file, with the time.

    That is also what sertk itself says of a training in a program that does not ask to be told.
    """
    handler = RunLog(path, encoding="utf-8")
    handler.setFormatter(OneLine("%(asctime)s %(message)s"))
    root, own = logging.getLogger(), logging.getLogger("sertk")
    level = own.level
    root.addHandler(handler)
    if not own.isEnabledFor(logging.INFO):
        own.setLevel(logging.INFO)
    try:
        yield
    finally:
        own.setLevel(level)
        root.removeHandler(handler)
        handler.close()
