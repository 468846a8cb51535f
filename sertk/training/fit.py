"""Training of models that are fitted at once, without gradients."""

import json
import logging
import time

from sertk.core.files import write_text
from sertk.experiments.layout import best_checkpoint
from sertk.training.checkpoint import save_best

log = logging.getLogger(__name__)


def fit(task, folder, seed):
    """Fits `task.model`, validates it, and writes metrics.jsonl, with one line for all, and checkpoints/best.pt."""
    begun = time.monotonic()
    task.model.fit(task.train, task.valid, seed)
    task.model.to(task.device)
    seconds = time.monotonic() - begun
    line = {"epoch": 0, **task.validate(task.model), "seconds": round(seconds, 3)}
    log.info("  ".join(f"{key} {value:.4g}" for key, value in line.items()))
    write_text(folder / "metrics.jsonl", json.dumps(line) + "\n")
    save_best(best_checkpoint(folder), task, task.model, epoch=0)
