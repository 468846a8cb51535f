"""Jalal et al. 2019, Learning Temporal Clusters Using Capsule Routing for Speech Emotion Recognition."""

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import nn

from sertk.config import require
from sertk.errors import SertkError
from sertk.layers.capsules import ConvCapsules, RoutingCapsules, margin_loss
from sertk.layers.recurrent import Blstm, masked_mean
from sertk.models.base import EmotionModel, Output


@dataclass(frozen=True)
class BlstmConfig:
    name: str
    lstm_units: int = 256  # per direction
    lstm_layers: int = 2
    dropout: float = 0.0  # between the LSTM layers and after them

    def __post_init__(self):
        for key in ("lstm_units", "lstm_layers"):
            require(getattr(self, key) >= 1, key, "1 or more")
        require(0 <= self.dropout < 1, "dropout", "between 0 and 1")


@dataclass(frozen=True)
class BlstmCapsuleConfig(BlstmConfig):
    capsules: int | None = None  # convolution units; null: 4 for two classes, else 10 (Section 3)
    filters: int = 90  # of each unit
    kernel: int = 9  # frames
    stride: int = 2  # frames
    layout: Literal["flattened", "position", "grid"] = "flattened"
    class_dims: int = 16
    routings: int = 3
    loss: Literal["margin", "cross_entropy"] = "margin"

    def __post_init__(self):
        super().__post_init__()
        for key in ("filters", "kernel", "stride", "class_dims", "routings"):
            require(getattr(self, key) >= 1, key, "1 or more")
        require(self.capsules is None or self.capsules >= 1, "capsules", "1 or more, or null")


class MeanBlstm(EmotionModel):
    """The baseline: BLSTM layers, mean over time, softmax."""

    Config = BlstmConfig

    def __init__(self, config, shape):
        super().__init__()
        self.blstm = Blstm(shape.only_dims(), config.lstm_units, config.lstm_layers, config.dropout)
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(2 * config.lstm_units, shape.classes)

    def forward(self, batch):
        stream = batch.only_stream()
        hidden = self.blstm(stream.values, stream.lengths)
        return Output(self.output(self.dropout(masked_mean(hidden, stream.lengths))))


class BlstmCapsule(EmotionModel):
    """The proposed network: BLSTM layers, convolutional capsules, routing to one capsule per class.

    Scores are the lengths of the class capsules, in [0, 1); posteriors are the lengths over their sum.
    """

    Config = BlstmCapsuleConfig

    def __init__(self, config, shape):
        super().__init__()
        if shape.frames is None:
            raise SertkError("blstm_capsule classifies windows: its config needs segment.frames")
        if shape.frames < config.kernel:
            raise SertkError(f"segment.frames is {shape.frames}, below model.kernel, {config.kernel}")
        self.loss_name = config.loss
        self.frames = shape.frames
        self.blstm = Blstm(shape.only_dims(), config.lstm_units, config.lstm_layers, config.dropout)
        self.dropout = nn.Dropout(config.dropout)
        units = config.capsules or (4 if shape.classes == 2 else 10)
        self.lower = ConvCapsules(
            2 * config.lstm_units, shape.frames, units, config.filters, config.kernel, config.stride, config.layout
        )
        self.upper = RoutingCapsules(
            self.lower.count, self.lower.dims, shape.classes, config.class_dims, config.routings, self.lower.groups
        )

    def forward(self, batch):
        stream = batch.only_stream()
        if not bool((stream.lengths == self.frames).all()):
            raise ValueError(f"blstm_capsule takes windows of {self.frames} frames")
        hidden = self.dropout(self.blstm(stream.values, stream.lengths))
        capsules = self.upper(self.lower(hidden))
        return Output((capsules.square().sum(-1) + 1e-9).sqrt())

    def loss(self, batch):
        lengths = self(batch).scores
        if self.loss_name == "margin":
            return margin_loss(lengths, batch.labels), {}
        return F.cross_entropy(lengths, batch.labels), {}

    def posteriors(self, batch):
        lengths = self(batch).scores
        return lengths / lengths.sum(-1, keepdim=True)
