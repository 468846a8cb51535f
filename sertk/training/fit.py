"""Training of models that are fitted at once, without gradients."""

import json
import logging
import time
from pathlib import Path

from sertk.core.files import write_text
from sertk.experiments.layout import best_checkpoint
from sertk.models.base import FittedModel
from sertk.training.checkpoint import save_best
from sertk.training.tasks.base import Task

log = logging.getLogger(__name__)


def fit(task: Task, model: FittedModel, folder: Path, seed: int) -> None:
    """Fits a task's model, validates it, and writes metrics.jsonl, with one line for all, and checkpoints/best.pt."""
    begun = time.monotonic()
    model.fit(task.train, task.valid, seed)
    model.to(task.device)
    seconds = time.monotonic() - begun
    line = {"epoch": 0, **task.validate(model), "seconds": round(seconds, 3)}
    log.info("  ".join(f"{key} {value:.4g}" for key, value in line.items()))
    write_text(folder / "metrics.jsonl", json.dumps(line) + "\n")
    save_best(best_checkpoint(folder), task, model, epoch=0)
