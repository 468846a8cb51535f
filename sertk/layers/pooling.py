"""Pooling of feature maps to scores or vectors: (batch, channels, height, width) in."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def bilinear_pool(maps: Tensor) -> Tensor:
    """Second-order statistics of all places, scaled to length 1, then signed square roots: (batch, channels^2).

    Li et al. 2018, Eqs. 2 and 3, in the paper's order.
    """
    places = maps.flatten(2)
    second_order = (places @ places.transpose(1, 2)).flatten(1)
    scaled = F.normalize(second_order, dim=1)
    # the gradient of a root at zero is infinite
    return scaled.sign() * (scaled.abs() + 1e-12).sqrt()


class AttentionPool(nn.Module):
    """Scores as sums over all places of a map per class (top-down) times one that all share (bottom-up).

    forward: (batch, channels, height, width) to (batch, classes); Li et al. 2018, Eq. 8. The bottom-up map is
    a softmax over the places unless `softmax` is false. `pooling` is what is done last over the places: their sum,
    or their mean, which the paper writes and which after a softmax divides the scores by the number of places.
    """

    def __init__(self, channels: int, classes: int, softmax: bool = True, pooling: Literal["sum", "mean"] = "sum"):
        super().__init__()
        self.softmax, self.pooling = softmax, pooling
        self.top_down = nn.Conv2d(channels, classes, 1)
        self.bottom_up = nn.Conv2d(channels, 1, 1)

    def maps(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """The top-down maps (batch, classes, height, width) and the bottom-up one (batch, 1, height, width)."""
        bottom_up = self.bottom_up(values)
        if self.softmax:
            bottom_up = bottom_up.flatten(1).float().softmax(1).view_as(bottom_up)
        return self.top_down(values), bottom_up

    def forward(self, values: Tensor) -> Tensor:
        top_down, bottom_up = self.maps(values)
        weighted = torch.einsum("bkhw,bhw->bk", top_down.float(), bottom_up.squeeze(1).float())
        return weighted / bottom_up[0].numel() if self.pooling == "mean" else weighted
