"""Attention over the frames of a recurrent layer that keeps their number, for CTC (Zhao et al. 2019).

Every layer takes values (batch, frames, dims), the paper's C, and lengths (batch,) on the CPU. It gives
(batch, frames, dims), zero beyond each length; what stands there in the values does not matter.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sertk.layers.recurrent import length_mask

Energy = Literal["kernel", "frame", "window"]


def zero_padding(values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Values zero beyond lengths (batch,), in float32 at least, and the mask (batch, frames, 1)."""
    mask = length_mask(lengths, values.shape[1], values.device)[..., None]
    return values.to(torch.promote_types(values.dtype, torch.float32)).masked_fill(~mask, 0), mask


class WindowAttention(nn.Module):
    """U_t = sum_j alpha_{t,j} C_{t+j} over the offsets j of a window of `scope` frames around t (Eqs. 3-5).

    The weights alpha are a softmax over the offsets, separately for each of `features`: as many as dims, or 1
    that all dims share. The window ends where the sequence does. The energy of offset j is the tanh of

    kernel: what a convolution over `scope` frames, of every dim alone or of all dims, gives at t + j;
    frame: what a linear map (dims, features) gives of C_{t+j};
    window: row j of a matrix (scope, scope) times the window around t, of every dim alone.

    None has a bias, and frames outside the sequence are zero. Raises ValueError for an even scope.
    """

    def __init__(self, dims: int, features: int, scope: int, energy: Energy):
        super().__init__()
        if scope < 1 or scope % 2 == 0:
            raise ValueError(f"the scope is {scope} frames: it must be odd, to lie evenly around a frame")
        self.scope, self.reach, self.kind = scope, scope // 2, energy
        self.energy = {
            "kernel": lambda: nn.Conv1d(dims, features, scope, padding="same", groups=features, bias=False),
            "frame": lambda: nn.Linear(dims, features, bias=False),
            "window": lambda: nn.Linear(scope, scope, bias=False),
        }[energy]()

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        values, mask = zero_padding(values, lengths)
        # the softmax is left as its two sums: exponentials of a tanh are safe without subtracting the maximum
        sums, totals = (self.sums_by_window if self.kind == "window" else self.sums_by_frame)(values, mask)
        return (sums / totals.masked_fill(~mask, 1)).masked_fill(~mask, 0)

    def sums_by_frame(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Sums over the window around each frame, of exponentials times values and of exponentials."""
        if self.kind == "kernel":
            energies = self.energy(values.transpose(1, 2)).transpose(1, 2)
        else:
            energies = self.energy(values)
        # a frame has the same energy in every window: sums slide, and nothing is `scope` times as large
        weights = energies.to(values).tanh().exp() * mask
        return self.sliding_sum(weights * values), self.sliding_sum(weights)

    def sliding_sum(self, values: Tensor) -> Tensor:
        """Sums of values (batch, frames, dims) over the window around each frame, of the same shape."""
        return F.avg_pool2d(values, (self.scope, 1), stride=1, padding=(self.reach, 0), divisor_override=1)

    def sums_by_window(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The same where a frame's energy depends on the window."""
        windows = self.windows(values)
        energies = torch.einsum("ij,bjtd->bitd", self.energy.weight, windows)
        weights = energies.to(values).tanh().exp() * self.windows(mask)
        return (weights * windows).sum(1), weights.sum(1)

    def windows(self, values: Tensor) -> Tensor:
        """Values at each offset from each frame, a view (batch, scope, frames, dims)."""
        padded = F.pad(values, (0, 0, self.reach, self.reach))
        return padded.unfold(1, values.shape[1], 1).transpose(2, 3)


class LocalAttention(WindowAttention):
    """Window attention with one weight per offset for all dims.

    The paper names it and gives no equation. An energy by window has none per offset that all dims share.
    """

    def __init__(self, dims: int, scope: int = 9, energy: Energy = "kernel"):
        if energy == "window":
            raise ValueError("local attention has no energy by window")
        super().__init__(dims, 1, scope, energy)


class ComponentAttention(WindowAttention):
    """Window attention with weights of every dim's own.

    The paper leaves the shape of W in Eq. 3 open. The energy by frame is as in Das et al. 2018; that by
    window is the product W C read literally.
    """

    def __init__(self, dims: int, scope: int = 9, energy: Energy = "kernel"):
        super().__init__(dims, dims, scope, energy)


class QuantumAttention(nn.Module):
    """Frames weighted by how they lie between the first and the last one of their sequence (Eqs. 6-8).

    e_t = <C_last, C_t> <C_t, C_first> / <C_last, C_first> and U_t = tanh(e_t) C_t, without parameters. The
    divisor may vanish: its size is raised to `least`, zero counting as positive.
    """

    least = 1e-6

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        values, _ = zero_padding(values, lengths)
        first, last = values[:, :1], values[torch.arange(len(lengths)), lengths - 1][:, None]
        pairs = (values, first), (values, last), (first, last)
        to_first, to_last, across = ((one * other).sum(-1, keepdim=True) for one, other in pairs)
        divisor = torch.where(across < 0, -1, 1) * across.abs().clamp(min=self.least)
        return (to_last * to_first / divisor).tanh() * values
