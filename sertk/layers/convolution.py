"""Convolutions whose kernels are wider than high."""

import torch.nn.functional as F
from torch import Tensor, nn


class WideConv2d(nn.Conv2d):
    """nn.Conv2d without padding, dilation or groups, computed with rows and columns exchanged.

    On a CPU the gradients of wide kernels with a stride take two to three times as long as those of high ones.
    """

    def __init__(self, channels: int, filters: int, kernel: tuple[int, int], stride: tuple[int, int]):
        super().__init__(channels, filters, kernel, stride)

    def forward(self, input: Tensor) -> Tensor:
        values, weight = input.transpose(2, 3), self.weight.transpose(2, 3)
        return F.conv2d(values, weight, self.bias, self.stride[::-1]).transpose(2, 3)
