"""Lakomkin et al. 2017, Reusing Neural Speech Representations for Auditory Emotion Recognition: the proposed network.

Its baselines, on features or on a layer of a speech recogniser alone, are pooled.Gru and pooled.MeanPool.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sertk.core.errors import SertkError
from sertk.layers.recurrent import Bigru, masked_mean
from sertk.models.asr_streams import ASR, is_asr
from sertk.models.base import Batch, Shape
from sertk.models.pooled import Pooled
from sertk.models.registry import GruConfig


class Progressive(Pooled):
    """The baseline's mean beside that of a speech recogniser's layer."""

    def __init__(self, config: GruConfig, shape: Shape):
        super().__init__(config, shape)
        self.own, self.reused = split_streams(config.name, shape.dims)
        self.output = nn.Linear(2 * config.gru_units + shape.dims[self.reused], shape.classes)
        self.gru = Bigru(shape.dims[self.own], config.gru_units, config.gru_layers)

    def pooled(self, batch: Batch) -> Tensor:
        own, reused = batch.streams[self.own], batch.streams[self.reused]
        means = masked_mean(self.gru(own.values, own.lengths), own.lengths), masked_mean(reused.values, reused.lengths)
        return torch.cat(means, 1)


def split_streams(name: str, dims: Mapping[str, int]) -> tuple[str, str]:
    """The one stream of features and the one of a recogniser's layer; raises SertkError for others."""
    reused = [stream for stream in dims if is_asr(stream)]
    own = [stream for stream in dims if stream not in reused]
    if (len(own), len(reused)) != (1, 1):
        raise SertkError(f"{name} takes one feature type and one layer of a speech recogniser ({ASR})")
    return own[0], reused[0]
