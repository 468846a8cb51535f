"""The task of reconstructing segments, whose codes are features for other tasks."""

import logging

import torch

from sertk.command import progress
from sertk.decoding.means import BATCH_FRAMES
from sertk.tasks.fold import FoldTask
from sertk.training.data import make_sampler

log = logging.getLogger(__name__)

COLLAPSED = 1.0  # nats in all dims together, below which codes say next to nothing of what they stand for


class AutoencoderTask(FoldTask):
    """Training and validation of an autoencoder on one fold."""

    @torch.no_grad()
    def validate(self, model):
        """valid_loss and the model's own figures, such as valid_reconstruction, means over segments.

        Segments are as far apart as in training. A divergence near zero is warned of.
        """
        model.eval()
        sampler = make_sampler(self.valid, self.config.segment, "train_hop")
        windows, sums = sampler.all_windows(), {}
        for chunk in progress(windows.split(max(1, BATCH_FRAMES // self.config.segment.frames)), "validation"):
            loss, figures = model.loss(sampler.gather(chunk, self.device))
            for name, value in {"loss": loss, **figures}.items():
                sums[name] = sums.get(name, 0) + float(value) * len(chunk)
        metrics = {f"valid_{name}": value / len(windows) for name, value in sums.items()}
        if metrics.get("valid_kl", COLLAPSED) < COLLAPSED:
            log.warning("the posterior has collapsed: codes differ by %.2g nats from the prior", metrics["valid_kl"])
        return metrics
