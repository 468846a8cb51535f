"""Batch normalisation that sees no padding and, in distributed training, all processes' batches as one."""

import torch
from torch import Tensor, nn

from sertk.core.distributed import summed

MOMENTUM = 0.1  # of the newest batch in the running statistics
EPSILON = 1e-5


class MaskedBatchNorm(nn.Module):
    """Batch normalisation over the valid frames of sequences (Ioffe & Szegedy 2015; sequence-wise: Amodei et al. 2016).

    forward: values (batch, channels, frames, ...), where every channel has its own statistics, and a mask (batch,
    frames) of the valid frames; results are of the same shape, zero in the padding. In training the statistics are
    those of the batch, with gradients, and running means are kept for evaluation.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        beyond = values.ndim - 3
        over_channels = (1, -1, *[1] * (values.ndim - 2))
        valid = mask[:, None, :].reshape(len(mask), 1, -1, *[1] * beyond).to(torch.float32)
        values = values.float()
        if self.training:
            places = [axis for axis in range(values.ndim) if axis != 1]
            count = summed(valid.sum() * values[0, 0, 0].numel())
            mean = summed((values * valid).sum(places)) / count
            centred = (values - mean.view(over_channels)) * valid
            variance = summed(centred.square().sum(places)) / count
            self.keep(mean.detach(), variance.detach() * count / (count - 1).clamp(min=1))
        else:
            mean, variance = self.running_mean, self.running_var
            centred = (values - mean.view(over_channels)) * valid
        scale = self.weight * (variance + EPSILON).rsqrt()
        return centred * scale.view(over_channels) + self.bias.view(over_channels) * valid

    def keep(self, mean: Tensor, variance: Tensor) -> None:
        """Brings the statistics of a batch, (channels,) each, into the running ones."""
        self.running_mean.lerp_(mean, MOMENTUM)
        self.running_var.lerp_(variance, MOMENTUM)
