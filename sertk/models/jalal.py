"""Jalal et al. 2019, Learning Temporal Clusters Using Capsule Routing for Speech Emotion Recognition: the networks.

The proposed one is BlstmCapsule; the others, and pooled.MeanBlstm, are the paper's baselines, whose sizes it does not
give: theirs are those of the proposed network.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from sertk.layers.capsules import ConvCapsules, RoutingCapsules, margin_losses
from sertk.layers.recurrent import Blstm
from sertk.models.base import Batch, Output, Shape, WindowModel, known, mean_loss
from sertk.models.registry import BlstmCapsuleConfig, BlstmConvConfig, CapsuleConfig


class Capsule(WindowModel):
    """Convolutional capsules over the features, routed to one capsule per class.

    Scores are the lengths of the class capsules, in [0, 1); posteriors are the lengths over their sum.
    """

    def __init__(self, config: CapsuleConfig, shape: Shape):
        super().__init__(config, shape, config.kernel)
        self.loss_name = config.loss
        self.lower = ConvCapsules(
            self.make_encoder(shape),
            self.frames,
            config.units(shape.classes),
            config.filters,
            config.kernel,
            config.stride,
            config.layout,
        )
        self.upper = RoutingCapsules(
            self.lower.count, self.lower.dims, shape.classes, config.class_dims, config.routings, self.lower.groups
        )

    def make_encoder(self, shape: Shape) -> int:
        """Makes what comes before the convolutions and returns how many channels they see."""
        return shape.only_dims()

    def encode(self, values: Tensor, lengths: Tensor) -> Tensor:
        """What the convolutions see, (batch, frames, channels), of values (batch, frames, dims)."""
        return values

    def forward(self, batch: Batch) -> Output:
        return Output((self.upper_capsules(batch).square().sum(-1) + 1e-9).sqrt())

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        lengths, labels = self(batch).scores, known(batch.labels, "labels")
        if self.loss_name == "margin":
            losses = margin_losses(lengths, labels)
        else:
            losses = F.cross_entropy(lengths, labels, reduction="none")
        return mean_loss(losses, batch.weights), {}

    def posteriors(self, batch: Batch) -> Tensor:
        lengths = self(batch).scores
        return lengths / lengths.sum(-1, keepdim=True)

    def lower_capsules(self, batch: Batch) -> Tensor:
        """(batch, capsules, dims)."""
        return self.lower(self.encode(*self.only_windows(batch)))

    def upper_capsules(self, batch: Batch) -> Tensor:
        """(batch, classes, dims)."""
        return self.upper(self.lower_capsules(batch))


class BlstmCapsule(Capsule):
    """The proposed network: BLSTM layers, convolutional capsules, routing to one capsule per class."""

    config: BlstmCapsuleConfig

    def make_encoder(self, shape: Shape) -> int:
        config = self.config
        self.blstm = Blstm(shape.only_dims(), config.lstm_units, config.lstm_layers, config.dropout)
        self.dropout = nn.Dropout(config.dropout)
        return 2 * config.lstm_units

    def encode(self, values: Tensor, lengths: Tensor) -> Tensor:
        return self.dropout(self.blstm(values, lengths))


class BlstmCnn(WindowModel):
    """BLSTM layers, the convolutions of the proposed network, maximum over time, softmax."""

    def __init__(self, config: BlstmConvConfig, shape: Shape):
        super().__init__(config, shape, config.kernel)
        filters = config.units(shape.classes) * config.filters
        self.blstm = Blstm(shape.only_dims(), config.lstm_units, config.lstm_layers, config.dropout)
        self.conv = nn.Conv1d(2 * config.lstm_units, filters, config.kernel, config.stride)
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(filters, shape.classes)

    def forward(self, batch: Batch) -> Output:
        hidden = self.dropout(self.blstm(*self.only_windows(batch)))
        highest = self.conv(hidden.transpose(1, 2)).relu().amax(2)
        return Output(self.output(self.dropout(highest)))


class CapsuleBlstm(WindowModel):
    """Convolutional capsules over the features that keep time, then BLSTM layers, mean over time, softmax."""

    def __init__(self, config: BlstmConvConfig, shape: Shape):
        super().__init__(config, shape, config.kernel)
        units = config.units(shape.classes)
        self.lower = ConvCapsules(
            shape.only_dims(), self.frames, units, config.filters, config.kernel, config.stride, "position"
        )
        self.units = units
        self.blstm = Blstm(units * config.filters, config.lstm_units, config.lstm_layers, config.dropout)
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(2 * config.lstm_units, shape.classes)

    def forward(self, batch: Batch) -> Output:
        values, _ = self.only_windows(batch)
        capsules = self.lower(values).unflatten(1, (self.units, -1))  # (batch, units, positions, filters)
        sequence = self.dropout(capsules.transpose(1, 2).flatten(2))
        lengths = sequence.new_full((len(sequence),), sequence.shape[1], device="cpu").long()
        return Output(self.output(self.dropout(self.blstm(sequence, lengths).mean(1))))
