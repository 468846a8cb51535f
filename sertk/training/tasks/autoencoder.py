"""The task of reconstructing segments, whose codes are features for other tasks."""

import logging

import torch

from sertk.batches.means import batches
from sertk.models.base import EmotionModel
from sertk.training.tasks.fold import FoldTask

log = logging.getLogger(__name__)

COLLAPSED = 1.0  # nats in all dims together, below which codes say next to nothing of what they stand for


class AutoencoderTask(FoldTask):
    """Training and validation of an autoencoder on one fold."""

    @torch.no_grad()
    def validate(self, model: EmotionModel) -> dict[str, float]:
        """valid_loss and the model's own figures, such as valid_reconstruction, means over segments.

        Segments are as far apart as in training. A divergence near zero is warned of.
        """
        model.eval()
        sums, windows = {}, 0
        for batch in batches(self.valid, self.config.segment, self.device, "train_hop", "validation"):
            loss, figures = model.loss(batch)
            windows += len(batch.items)
            for name, value in {"loss": loss, **figures}.items():
                sums[name] = sums.get(name, 0) + float(value) * len(batch.items)
        metrics = {f"valid_{name}": value / windows for name, value in sums.items()}
        if metrics.get("valid_kl", COLLAPSED) < COLLAPSED:
            log.warning("the posterior has collapsed: codes differ by %.2g nats from the prior", metrics["valid_kl"])
        return metrics
