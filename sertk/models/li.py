"""Li et al. 2018, An Attention Pooling based Representation Learning Method for Speech Emotion Recognition."""

import torch
from torch import Tensor, nn

from sertk.core.errors import SertkError
from sertk.layers.pooling import AttentionPool, bilinear_pool
from sertk.models.base import Batch, Output, Shape, WindowModel
from sertk.models.registry import AttentionCnnConfig, SpectrogramCnnConfig

HALVED = 2  # of the 3 x 3 layers, how many are followed by a 2 x 2 maximum


class SpectrogramCnn(WindowModel):
    """Convolutions over a window of a spectrogram (frames, bins), seen as an image of bins by frames."""

    def __init__(self, config: SpectrogramCnnConfig, shape: Shape):
        super().__init__(config, shape, max(config.widths))
        if shape.only_dims() < max(config.heights):
            raise SertkError(f"{config.name}: {shape.only_dims()} bins are below a filter of {max(config.heights)}")
        self.cell = 2 ** min(HALVED, len(config.channels))  # bins, and frames, that a place of the maps stands for
        if min(shape.only_dims(), self.frames) <= self.cell:  # an even filter takes one off
            raise SertkError(
                f"{config.name}: nothing would be left of {shape.only_dims()} bins x {shape.frames} frames"
            )
        shapes = zip(config.heights, config.widths, config.filters)
        self.first = nn.ModuleList(
            convolution(1, filters, (height, width), ((height - 1) // 2, (width - 1) // 2))
            for height, width, filters in shapes
        )
        before = (sum(config.filters), *config.channels)
        self.rest = nn.Sequential(
            *(
                convolution(*pair, 3, 1, halved=number < HALVED)
                for number, pair in enumerate(zip(before, config.channels))
            )
        )
        self.channels = before[-1]

    def maps(self, batch: Batch) -> Tensor:
        """The last layer's maps (batch, channels, height, width)."""
        values, _ = self.only_windows(batch)
        # Channels last in memory: a quarter faster on a CPU, and what tensor cores take
        image = values.transpose(1, 2)[:, None].contiguous(memory_format=torch.channels_last)
        first = [branch(image) for branch in self.first]
        height, width = (min(size) for size in zip(*(maps.shape[2:] for maps in first)))
        return self.rest(torch.cat([maps[:, :, :height, :width] for maps in first], 1))


class AverageCnn(SpectrogramCnn):
    """The comparison: global average pooling, one linear layer, softmax."""

    def __init__(self, config: SpectrogramCnnConfig, shape: Shape):
        super().__init__(config, shape)
        self.output = nn.Linear(self.pooled_dims(), shape.classes)

    def pooled_dims(self) -> int:
        return self.channels

    def pooled(self, batch: Batch) -> Tensor:
        """(batch, pooled dims)."""
        return self.maps(batch).mean((2, 3))

    def forward(self, batch: Batch) -> Output:
        return Output(self.output(self.pooled(batch)))


class BilinearCnn(AverageCnn):
    """With second-order pooling in the average's place: the products of all pairs of channels."""

    def pooled_dims(self) -> int:
        return self.channels**2

    def pooled(self, batch: Batch) -> Tensor:
        return bilinear_pool(self.maps(batch).float())


class AttentionCnn(SpectrogramCnn):
    """The proposed network: attention pooling in the place of the output layer."""

    def __init__(self, config: AttentionCnnConfig, shape: Shape):
        super().__init__(config, shape)
        self.attention = AttentionPool(self.channels, shape.classes, config.softmax, config.pooling)

    def forward(self, batch: Batch) -> Output:
        return Output(self.attention(self.maps(batch)))

    def attention_maps(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The top-down maps (batch, classes, height, width) and the bottom-up one (batch, 1, height, width)."""
        return self.attention.maps(self.maps(batch))


def convolution(
    before: int, after: int, kernel: int | tuple[int, int], padding: int | tuple[int, int], halved: bool = False
) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU; halved maxima come before the ReLU, which they commute with."""
    halving = [nn.MaxPool2d(2)] if halved else []
    layer = nn.Conv2d(before, after, kernel, padding=padding)
    stack = nn.Sequential(layer, nn.BatchNorm2d(after), *halving, nn.ReLU(inplace=True))
    return stack.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  # torch declares it not
