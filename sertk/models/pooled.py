"""Networks that are no paper's proposal: they classify the mean over a sequence's frames, or its last state."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sertk.layers.recurrent import Bigru, Blstm, masked_mean
from sertk.models.base import Batch, EmotionModel, Output, Padded, Shape
from sertk.models.registry import BlstmConfig, GruConfig, LstmConfig, PooledConfig


class Pooled(EmotionModel):
    """The mean over the frames of one stream, dropout, softmax; subclasses make `output`, the last linear layer."""

    output: nn.Linear

    def __init__(self, config: PooledConfig | BlstmConfig, shape: Shape):
        super().__init__(config, shape)
        self.dropout = config.dropout

    def hidden(self, stream: Padded) -> Tensor:
        """What the mean is of, (batch, frames, dims), from a Padded."""
        return stream.values

    def pooled(self, batch: Batch) -> Tensor:
        """(batch, dims)."""
        stream = batch.only_stream()
        return masked_mean(self.hidden(stream), stream.lengths)

    def forward(self, batch: Batch) -> Output:
        return Output(self.output(F.dropout(self.pooled(batch), self.dropout, self.training)))


class MeanPool(Pooled):
    """The features' own mean: MP-x of Lakomkin et al. 2017, where they are layer x of a speech recogniser."""

    def __init__(self, config: PooledConfig, shape: Shape):
        super().__init__(config, shape)
        self.output = nn.Linear(shape.only_dims(), shape.classes)


class Gru(Pooled):
    """Bidirectional GRU layers: the baseline of Lakomkin et al. 2017, and RNN-x on layer x of a speech recogniser."""

    def __init__(self, config: GruConfig, shape: Shape):
        super().__init__(config, shape)
        self.output = nn.Linear(2 * config.gru_units, shape.classes)
        self.gru = Bigru(shape.only_dims(), config.gru_units, config.gru_layers)

    def hidden(self, stream: Padded) -> Tensor:
        return self.gru(stream.values, stream.lengths)


class MeanBlstm(Pooled):
    """BLSTM layers: a baseline of Jalal et al. 2019."""

    def __init__(self, config: BlstmConfig, shape: Shape):
        super().__init__(config, shape)
        self.blstm = Blstm(shape.only_dims(), config.lstm_units, config.lstm_layers, config.dropout)
        self.output = nn.Linear(2 * config.lstm_units, shape.classes)

    def hidden(self, stream: Padded) -> Tensor:
        return self.blstm(stream.values, stream.lengths)


class Lstm(EmotionModel):
    """LSTM layers, the last state, softmax: what Latif et al. 2018 put on the latent vectors of an utterance."""

    def __init__(self, config: LstmConfig, shape: Shape):
        super().__init__(config, shape)
        self.lstm = nn.LSTM(shape.only_dims(), config.lstm_units, config.lstm_layers, batch_first=True)
        self.output = nn.Linear(config.lstm_units, shape.classes)

    def last(self, batch: Batch) -> Tensor:
        """The last layer's state at each sequence's last frame: (batch, units)."""
        stream = batch.only_stream()
        states, _ = self.lstm(stream.values)
        return states[torch.arange(len(states)), stream.lengths - 1]

    def forward(self, batch: Batch) -> Output:
        return Output(self.output(self.last(batch)))
