"""Lakomkin et al. 2017, Reusing Neural Speech Representations for Auditory Emotion Recognition: the SER networks."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from sertk.config.schema import ASR, is_asr
from sertk.core.errors import SertkError
from sertk.core.typed import require
from sertk.layers.recurrent import Bigru, masked_mean
from sertk.models.base import EmotionModel, Output


@dataclass(frozen=True)
class PooledConfig:
    name: str
    dropout: float = 0.25  # of the means

    def __post_init__(self):
        require(0 <= self.dropout < 1, "dropout", "between 0 and 1")


@dataclass(frozen=True)
class GruConfig(PooledConfig):
    gru_units: int = 96  # per direction
    gru_layers: int = 2

    def __post_init__(self):
        super().__post_init__()
        for key in ("gru_units", "gru_layers"):
            require(getattr(self, key) >= 1, key, "1 or more")


class PooledModel(EmotionModel):
    """Means over the frames of whole utterances, dropout, softmax; subclasses have `pooled(batch)` (batch, dims)."""

    Config = PooledConfig
    layers = ("pooled", *EmotionModel.layers)

    def __init__(self, config, shape, dims):
        super().__init__()
        if shape.frames is not None:
            raise SertkError(f"{config.name} takes whole utterances: leave segment out of the config")
        self.dropout = config.dropout
        self.output = nn.Linear(dims, shape.classes)

    def forward(self, batch):
        return Output(self.output(F.dropout(self.pooled(batch), self.dropout, self.training)))

    def vectors(self, batch, layer):
        return self.pooled(batch)[:, None] if layer == "pooled" else super().vectors(batch, layer)


class MeanPool(PooledModel):
    """The mean of one stream: MP-x, where this is layer x of a speech recogniser."""

    def __init__(self, config, shape):
        super().__init__(config, shape, shape.only_dims())

    def pooled(self, batch):
        stream = batch.only_stream()
        return masked_mean(stream.values, stream.lengths)


class Gru(PooledModel):
    """Bidirectional GRU layers on one stream: the baseline, and RNN-x on layer x of a speech recogniser."""

    Config = GruConfig

    def __init__(self, config, shape):
        super().__init__(config, shape, 2 * config.gru_units)
        self.gru = Bigru(shape.only_dims(), config.gru_units, config.gru_layers)

    def pooled(self, batch):
        stream = batch.only_stream()
        return masked_mean(self.gru(stream.values, stream.lengths), stream.lengths)


class Progressive(PooledModel):
    """The baseline's mean beside that of a speech recogniser's layer."""

    Config = GruConfig

    def __init__(self, config, shape):
        self.own, self.reused = split_streams(config.name, shape.dims)
        super().__init__(config, shape, 2 * config.gru_units + shape.dims[self.reused])
        self.gru = Bigru(shape.dims[self.own], config.gru_units, config.gru_layers)

    def pooled(self, batch):
        own, reused = batch.streams[self.own], batch.streams[self.reused]
        means = masked_mean(self.gru(own.values, own.lengths), own.lengths), masked_mean(reused.values, reused.lengths)
        return torch.cat(means, 1)


def split_streams(name, dims):
    """The one stream of features and the one of a recogniser's layer; raises SertkError for others."""
    reused = [stream for stream in dims if is_asr(stream)]
    own = [stream for stream in dims if stream not in reused]
    if (len(own), len(reused)) != (1, 1):
        raise SertkError(f"{name} takes one feature type and one layer of a speech recogniser ({ASR})")
    return own[0], reused[0]
