"""The training loop: one for every task, resumable at any step."""

import contextlib
import json
import logging
import math
import signal
import time
from pathlib import Path

import torch

from sertk.command import progress as progress_bar
from sertk.errors import SertkError
from sertk.files import write_text
from sertk.training.checkpoint import Progress, load_checkpoint, save_best, save_checkpoint

log = logging.getLogger(__name__)


class Interrupted(Exception):
    """SIGTERM came; a checkpoint has been written."""


def train(task, training, optimiser, run_dir, seed):
    """Trains `task.model` until early stopping or the last epoch, going on from run_dir/checkpoints/latest.pt.

    Writes metrics.jsonl and checkpoints/{latest,best}.pt. On the CPU, training that was cut off at any moment
    and started again ends with bit-identical weights. Raises Interrupted after SIGTERM, and SertkError when
    the loss is not finite.
    """
    checkpoints = Path(run_dir) / "checkpoints"
    state = Progress()
    if (checkpoints / "latest.pt").exists():
        state = load_checkpoint(checkpoints / "latest.pt", task, optimiser)
        log.info("going on from epoch %d, step %d", state.epoch + 1, state.step)
    with stop_on_sigterm() as stopped:
        while not finished(state, training):
            train_epoch(task, training, optimiser, state, seed, checkpoints / "latest.pt", stopped)
            finish_epoch(task, training, optimiser, state, checkpoints)
            write_text(Path(run_dir) / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in state.history))
            save_checkpoint(checkpoints / "latest.pt", task, optimiser, state)
            if stopped.is_set and not finished(state, training):
                raise Interrupted
    log.info("training ended after epoch %d; the best epoch was %d", state.epoch, state.best_epoch)


def finished(state, training):
    waited = state.epoch - state.best_epoch
    patient = training.select == "last" or waited < training.patience
    return state.epoch >= training.max_epochs or (state.epoch > 0 and not patient)


def train_epoch(task, training, optimiser, state, seed, latest, stopped):
    """The batches of one epoch that are not done yet; writes checkpoints on the way and after SIGTERM."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + state.epoch)
    chunks = task.epoch_batches(generator)
    loss_sum = torch.tensor(state.loss_sum, dtype=torch.float64, device=task.device)
    precision = autocast_dtype(training.precision, task.device)
    begun = time.monotonic() - state.seconds
    task.model.train()
    saved = time.monotonic()
    bar = progress_bar(chunks[state.step :], f"epoch {state.epoch + 1}")
    for chunk in bar:
        loss_sum += train_step(task, optimiser, task.gather(chunk), training.grad_clip, precision)
        state.step += 1
        due = training.checkpoint_seconds and time.monotonic() - saved > training.checkpoint_seconds
        if state.step < len(chunks) and (due or stopped.is_set):
            state.loss_sum, state.seconds = float(loss_sum), time.monotonic() - begun
            save_checkpoint(latest, task, optimiser, state)
            saved = time.monotonic()
            if stopped.is_set:
                raise Interrupted
    state.loss_sum, state.seconds = float(loss_sum), time.monotonic() - begun


def train_step(task, optimiser, batch, grad_clip, precision):
    """One update; returns the loss, detached, on the task's device."""
    with autocast(task.device, precision):
        loss, _ = task.model.loss(batch)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    if grad_clip:
        torch.nn.utils.clip_grad_norm_(task.model.parameters(), grad_clip)
    optimiser.step()
    return loss.detach()


def finish_epoch(task, training, optimiser, state, checkpoints):
    """Validates, logs the epoch, and keeps the model if it is the best so far."""
    steps, loss = state.step, state.loss_sum / state.step
    if not math.isfinite(loss):
        raise SertkError(f"epoch {state.epoch + 1}: the training loss is {loss}; try a smaller optimiser.lr")
    begun = time.monotonic()
    with autocast(task.device, autocast_dtype(training.precision, task.device)):
        metrics = task.validate()
    state.epoch += 1
    line = {
        "epoch": state.epoch,
        "train_loss": loss,
        **metrics,
        "lr": optimiser.param_groups[0]["lr"],
        "steps": steps,
        "seconds": round(state.seconds + time.monotonic() - begun, 3),
    }
    state.history.append(line)
    state.step, state.loss_sum, state.seconds = 0, 0.0, 0.0
    log.info("  ".join(f"{key} {value:.4g}" for key, value in line.items()))
    if is_best(metrics, training.select, state.best_value):
        state.best_value = metrics.get(training.select)
        state.best_epoch = state.epoch
        save_best(checkpoints / "best.pt", task, state.epoch)


def is_best(metrics, select, best_value):
    if select == "last" or best_value is None:
        return True
    smaller_is_better = select in ("valid_loss", "valid_cer")
    return metrics[select] < best_value if smaller_is_better else metrics[select] > best_value


def make_optimiser(config, model):
    """The torch optimiser for an Optimiser config, fused where torch can."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    options = {"lr": config.lr, "weight_decay": config.weight_decay}
    if config.name == "adam":
        return torch.optim.Adam(parameters, betas=config.betas, fused=True, **options)
    if config.name == "sgd":
        return torch.optim.SGD(
            parameters, momentum=config.momentum, nesterov=config.nesterov, fused=True, **options
        )
    return torch.optim.RMSprop(parameters, foreach=True, **options)


def autocast_dtype(precision, device):
    """The dtype matrix products are taken in; `auto` is bfloat16 where the hardware multiplies it natively."""
    if precision != "auto":
        return getattr(torch, precision)
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if native else torch.float32


def autocast(device, dtype):
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)


@contextlib.contextmanager
def stop_on_sigterm():
    """Within the block SIGTERM only sets `is_set` of the object it yields, so that a step ends before a checkpoint."""

    class Flag:
        is_set = False

    def set_flag(*_):
        Flag.is_set = True

    before = signal.signal(signal.SIGTERM, set_flag)
    try:
        yield Flag
    finally:
        signal.signal(signal.SIGTERM, before)
