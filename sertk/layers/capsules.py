"""Convolutional capsules and dynamic routing (Sabour et al. 2017, as used by Jalal et al. 2019)."""

from typing import Literal

import torch
from torch import Tensor, nn


def squash(vectors: Tensor) -> Tensor:
    """Shrinks vectors (..., dims) to lengths in [0, 1), keeping their direction (Jalal 2019, Eq. 2)."""
    squared = vectors.square().sum(-1, keepdim=True)
    return vectors * (squared / (1 + squared) / (squared + 1e-9).sqrt())


class ConvCapsules(nn.Module):
    """Convolution units over time whose outputs are squashed into capsules.

    forward: (batch, frames, channels) to (batch, count, dims). With Q units of F filters and P output
    positions, the layouts are

    flattened: one capsule per unit, Q capsules of F * P dims (the paper's Fig. 2);
    position: one capsule per unit and position, Q * P capsules of F dims, unit by unit;
    grid: one capsule per filter and position, F * P capsules of Q dims.

    `groups` is how many capsules in a row share a transformation in the routing layer.
    """

    def __init__(
        self,
        channels: int,
        frames: int,
        units: int,
        filters: int,
        kernel: int,
        stride: int,
        layout: Literal["flattened", "position", "grid"] = "flattened",
    ):
        super().__init__()
        self.units, self.filters, self.layout = units, filters, layout
        self.conv = nn.Conv1d(channels, units * filters, kernel, stride)
        positions = (frames - kernel) // stride + 1
        if positions < 1:
            raise ValueError(f"{frames} frames are fewer than the kernel's {kernel}")
        self.count, self.dims, self.groups = {
            "flattened": (units, filters * positions, 1),
            "position": (units * positions, filters, positions),
            "grid": (filters * positions, units, 1),
        }[layout]

    def forward(self, values: Tensor) -> Tensor:
        maps = self.conv(values.transpose(1, 2)).relu()
        maps = maps.unflatten(1, (self.units, self.filters)).float()  # (batch, Q, F, P)
        if self.layout == "flattened":
            return squash(maps.flatten(2))
        if self.layout == "position":
            return squash(maps.transpose(2, 3).flatten(1, 2))
        return squash(maps.flatten(2).transpose(1, 2))


class RoutingCapsules(nn.Module):
    """Class capsules that lower capsules are routed to by agreement (Jalal 2019, Eqs. 1-4).

    forward: (batch, count, dims) to (batch, classes, class_dims). Every `groups` lower capsules in a
    row share one transformation. Gradients flow through the last iteration only, as the coupling is an
    assignment and not a parameter.
    """

    def __init__(self, count: int, dims: int, classes: int, class_dims: int = 16, iterations: int = 3, groups: int = 1):
        super().__init__()
        self.iterations, self.groups = iterations, groups
        # class capsules start at about the same small length, however many lower ones are summed
        scale = 0.3 * count**-0.5
        self.weight = nn.Parameter(scale * torch.randn(count // groups, classes, class_dims, dims))

    def forward(self, lower: Tensor) -> Tensor:
        with torch.autocast(lower.device.type, enabled=False):
            grouped = lower.unflatten(1, (-1, self.groups))  # (batch, units, groups, dims)
            votes = torch.einsum("bugd,ukod->bugko", grouped, self.weight).flatten(1, 2)
            return route(votes, self.iterations)


def route(votes: Tensor, iterations: int) -> Tensor:
    """Routing by agreement: votes (batch, count, classes, dims) to (batch, classes, dims)."""
    fixed = votes.detach()
    logits = torch.zeros_like(fixed[..., 0])
    for _ in range(iterations - 1):
        upper = squash(torch.einsum("bqk,bqko->bko", logits.softmax(-1), fixed))
        logits = logits + torch.einsum("bko,bqko->bqk", upper, fixed)
    return squash(torch.einsum("bqk,bqko->bko", logits.softmax(-1), votes))


def margin_losses(
    lengths: Tensor, labels: Tensor, present: float = 0.9, absent: float = 0.1, absent_weight: float = 0.5
) -> Tensor:
    """Sabour et al. 2017, Eq. 4: lengths (batch, classes) in [0, 1) and labels (batch,) to losses (batch,)."""
    target = torch.zeros_like(lengths).scatter_(1, labels[:, None], 1.0)
    misses = target * (present - lengths).clamp(min=0).square()
    alarms = (1 - target) * (lengths - absent).clamp(min=0).square()
    return (misses + absent_weight * alarms).sum(1)
