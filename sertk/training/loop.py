"""The training loop: one for every task, resumable at any update."""

import contextlib
import json
import logging
import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sertk.config.schema import Optimiser, Training
from sertk.core.command import progress as progress_bar
from sertk.core.distributed import any_is, is_first, sum_gradients, summed, wait_for_all
from sertk.core.errors import SertkError
from sertk.core.files import PathLike, write_text
from sertk.experiments.layout import best_checkpoint, latest_checkpoint
from sertk.models.base import Batch, EmotionModel
from sertk.training.checkpoint import Progress, load_checkpoint, save_best, save_checkpoint
from sertk.training.schedule import is_best, learning_rate
from sertk.training.tasks.base import Task

Tensors = tuple[Tensor, ...] | list[Tensor]

log = logging.getLogger(__name__)


class Interrupted(Exception):
    """SIGTERM came; a checkpoint has been written."""


@dataclass
class Stop:
    """Whether SIGTERM came."""

    is_set: bool = False


class MeanOfWeights(AveragedModel):
    """The running mean of a model's weights, a model itself."""

    module: EmotionModel


@dataclass
class Trainer:
    """One training: what is trained, how, where it is written, and how far it is."""

    task: Task
    training: Training
    optimiser: torch.optim.Optimizer
    average: MeanOfWeights | None
    folder: Path
    seed: int
    progress: Progress

    @property
    def latest(self) -> Path:
        return latest_checkpoint(self.folder)

    @property
    def kept(self) -> EmotionModel:
        """The model that is validated and written to best.pt."""
        return self.average.module if self.average else self.task.model

    def save(self) -> None:
        if is_first():
            save_checkpoint(self.latest, self.task, self.optimiser, self.average, self.progress)

    def finished(self) -> bool:
        """Whether no epoch follows: all are done, patience is over, or the learning rate is too low."""
        progress, training = self.progress, self.training
        patient = training.select == "last" or progress.epoch - progress.best_epoch < training.patience
        over = not patient or self.learning_rate() < training.least_lr
        return progress.epoch >= training.max_epochs or (progress.epoch > 0 and over)

    def learning_rate(self) -> float:
        """Of the epoch that is under way or follows."""
        group = self.optimiser.param_groups[0]
        return learning_rate(group.setdefault("initial_lr", group["lr"]), self.training, self.progress.history)


def train(task: Task, training: Training, optimiser: torch.optim.Optimizer, folder: PathLike, seed: int) -> None:
    """Trains `task.model` until early stopping or the last epoch, going on from FOLDER/checkpoints/latest.pt.

    Writes metrics.jsonl and checkpoints/{latest,best}.pt. On the CPU, training that was cut off at any moment
    and started again ends with bit-identical weights. Raises Interrupted after SIGTERM, and SertkError when
    the loss is not finite, or the best epoch's checkpoint is gone.
    """
    average = mean_of_weights(task.model, training.average) if training.average else None
    progress = Progress(precision=choose_precision(training.precision, task.device))
    trainer = Trainer(task, training, optimiser, average, Path(folder), seed, progress)
    if trainer.latest.exists():
        trainer.progress = load_checkpoint(trainer.latest, task, optimiser, average)
        log.info("going on from epoch %d, update %d", trainer.progress.epoch + 1, trainer.progress.updates)
        keep_best(trainer)
        require_best(trainer)
    with stop_on_sigterm() as stopped:
        while not trainer.finished():
            train_epoch(trainer, stopped)
            finish_epoch(trainer)
            if any_is(stopped.is_set) and not trainer.finished():
                raise Interrupted
    epoch, best = trainer.progress.epoch, trainer.progress.best_epoch
    log.info("training ended after epoch %d; the best epoch was %d", epoch, best)


def train_epoch(trainer: Trainer, stopped: Stop) -> None:
    """The batches of one epoch that are not done yet; writes checkpoints on the way and after SIGTERM."""
    task, training, progress = trainer.task, trainer.training, trainer.progress
    for group in trainer.optimiser.param_groups:
        group["lr"] = trainer.learning_rate()
    generator = torch.Generator().manual_seed(trainer.seed * 1_000_003 + progress.epoch)
    chunks = task.epoch_batches(generator, progress.epoch)
    sums = {name: torch.tensor(value, dtype=torch.float64) for name, value in progress.sums.items()}
    begun = time.monotonic() - progress.seconds
    saved = time.monotonic()
    task.model.train()
    left = chunks[progress.updates :]
    for batch in progress_bar(task.gather_all(left), f"epoch {progress.epoch + 1}", len(left)):
        figures = update(task, trainer.optimiser, batch, training.grad_clip, progress.precision)
        if trainer.average:
            trainer.average.update_parameters(task.model)
        sums = {name: value.double() + sums.get(name, 0) for name, value in figures.items()}
        progress.updates += 1
        due = training.checkpoint_seconds and time.monotonic() - saved > training.checkpoint_seconds
        stopping = any_is(stopped.is_set)
        if progress.updates < len(chunks) and (due or stopping):
            note_epoch(progress, sums, begun)
            trainer.save()
            saved = time.monotonic()
            if stopping:
                wait_for_all()  # the first process that ends ends all, also the one that writes
                raise Interrupted
    note_epoch(progress, sums, begun)


def note_epoch(progress: Progress, sums: Mapping[str, Tensor], begun: float) -> None:
    """Brings the sums and seconds of the epoch under way into `progress`; raises SertkError if one is not finite."""
    progress.sums = {name: float(value) for name, value in sums.items()}
    progress.seconds = time.monotonic() - begun
    refuse_infinite(progress.sums, progress.epoch + 1)


def refuse_infinite(figures: Mapping[str, float], epoch: int) -> None:
    """Raises SertkError for the first figure that is not finite."""
    for name, value in figures.items():
        if not math.isfinite(value):
            raise SertkError(f"epoch {epoch}: {name} is {value}; try a smaller optimiser.lr")


def update(
    task: Task, optimiser: torch.optim.Optimizer, batch: Batch, grad_clip: float, precision: str
) -> dict[str, Tensor]:
    """One update; returns the loss and the model's figures, detached, on the task's device."""
    with autocast(task.device, precision):
        loss, figures = task.model.loss(batch)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    sum_gradients(task.model.parameters())
    if grad_clip:
        torch.nn.utils.clip_grad_norm_(task.model.parameters(), grad_clip)
    optimiser.step()
    return {"loss": summed(loss.detach()), **{name: value.detach() for name, value in figures.items()}}


def finish_epoch(trainer: Trainer) -> None:
    """Validates, notes the epoch and whether it is the best so far, and writes all that has to be kept of it."""
    progress, training = trainer.progress, trainer.training
    begun = time.monotonic()
    with autocast(trainer.task.device, progress.precision):
        metrics = trainer.task.validate(trainer.kept)
    refuse_infinite(metrics, progress.epoch + 1)
    progress.epoch += 1
    line = {
        "epoch": progress.epoch,
        **{f"train_{name}": value / progress.updates for name, value in progress.sums.items()},
        **metrics,
        "lr": trainer.optimiser.param_groups[0]["lr"],
        "updates": progress.updates,
        "seconds": round(progress.seconds + time.monotonic() - begun, 3),
    }
    progress.history.append(line)
    progress.updates, progress.sums, progress.seconds = 0, {}, 0.0
    log.info("  ".join(f"{key} {value:.4g}" for key, value in line.items()))
    if is_best(metrics, training.select, progress.best_value):
        progress.best_value = metrics.get(training.select)  # None where the last epoch is taken
        progress.best_epoch = progress.epoch
    if is_first():
        write_text(trainer.folder / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in progress.history))
    trainer.save()
    keep_best(trainer)


def keep_best(trainer: Trainer) -> None:
    """Writes best.pt if the epoch that has just ended is the best.

    It comes after latest.pt and again when training goes on, so that best.pt is always of the epoch that
    latest.pt names, also where training was killed between the two.
    """
    if is_first() and trainer.progress.updates == 0 and 0 < trainer.progress.epoch == trainer.progress.best_epoch:
        save_best(best_checkpoint(trainer.folder), trainer.task, trainer.kept, trainer.progress.epoch)


def require_best(trainer: Trainer) -> None:
    best, epoch = best_checkpoint(trainer.folder), trainer.progress.best_epoch
    if is_first() and epoch and not best.is_file():
        raise SertkError(f"{best}: gone, and with it the best epoch, {epoch}; remove {best.parent} to train anew")


def make_optimiser(config: Optimiser, model: nn.Module) -> torch.optim.Optimizer:
    """The torch optimiser for an Optimiser config, fused where torch can."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    options: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay}
    if config.name == "adam":
        return torch.optim.Adam(parameters, betas=config.betas, fused=True, **options)
    if config.name == "sgd":
        return torch.optim.SGD(parameters, momentum=config.momentum, nesterov=config.nesterov, fused=True, **options)
    return torch.optim.RMSprop(parameters, foreach=True, **options)


def mean_of_weights(model: EmotionModel, decay: float) -> MeanOfWeights:
    """A MeanOfWeights whose exponential mean starts short and lengthens to 1 / (1 - decay) updates."""

    def average(means: Tensors, values: Tensors, updates: Tensor | int) -> None:
        longest = (1 + float(updates)) / (10 + float(updates))
        get_ema_multi_avg_fn(min(decay, longest))(means, values, updates)

    return MeanOfWeights(model, multi_avg_fn=average)


def choose_precision(precision: str, device: torch.device) -> str:
    """The precision of matrix products; `auto` is bfloat16 where the hardware multiplies it natively."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bfloat16" if native else "float32"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    return torch.autocast(device.type, getattr(torch, precision), enabled=precision != "float32")


@contextlib.contextmanager
def stop_on_sigterm() -> Iterator[Stop]:
    """Within the block SIGTERM only sets `is_set` of the object it yields, so that updates end before a checkpoint.

    Python takes signals in its main thread alone, so a training in another one is ended at once.
    """
    stopped = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def set_flag(*_: object) -> None:
        stopped.is_set = True

    before = signal.signal(signal.SIGTERM, set_flag)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGTERM, before)
