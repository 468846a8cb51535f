"""Training of models that are fitted at once, without gradients."""

import logging
import time

import torch
from threadpoolctl import threadpool_limits

from sertk.training.checkpoint import save_best

log = logging.getLogger(__name__)


def fit(task, run_dir, seed):
    """Fits `task.model`, logs its validation and writes run_dir/checkpoints/best.pt."""
    begun = time.monotonic()
    with threadpool_limits(torch.get_num_threads()):
        task.model.fit(task.train, task.valid, seed)
    task.model.to(task.device)
    seconds = time.monotonic() - begun
    metrics = "  ".join(f"{name} {value:.4g}" for name, value in task.validate(task.model).items())
    log.info("fitted in %.1f s  %s", seconds, metrics)
    save_best(run_dir / "checkpoints" / "best.pt", task, task.model, epoch=0)
