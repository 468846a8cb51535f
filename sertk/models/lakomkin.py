"""Lakomkin et al. 2017, Reusing Neural Speech Representations for Auditory Emotion Recognition: the proposed network.

Its baselines, on features or on a layer of an encoder alone, are pooled.Gru and pooled.MeanPool.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sertk.core.errors import SertkError
from sertk.layers.recurrent import Bigru, masked_mean
from sertk.models.base import Batch, Padded, Shape
from sertk.models.encoder_streams import ENCODER, is_encoder
from sertk.models.pooled import Pooled
from sertk.models.registry import GruConfig


class Progressive(Pooled):
    """The baseline's mean beside that of an encoder's layer, of a speech recogniser in the paper."""

    def __init__(self, config: GruConfig, shape: Shape):
        super().__init__(config, shape)
        self.own, self.reused = split_streams(config.name, shape.dims)
        self.output = nn.Linear(2 * config.gru_units + shape.dims[self.reused], shape.classes)
        self.gru = Bigru(shape.dims[self.own], config.gru_units, config.gru_layers)

    def pooled(self, batch: Batch) -> Tensor:
        own, reused = batch.streams[self.own], batch.streams[self.reused]
        means = masked_mean(self.gru(own.values, own.lengths), own.lengths), masked_mean(reused.values, reused.lengths)
        return torch.cat(means, 1)


class ProgressiveLateral(Pooled):
    """A column of GRU layers that takes an encoder's layer, adapted, beside each of its own but the first.

    So Rusu et al. 2016, Progressive Neural Networks, Eq. 2, connect columns: what a layer takes is its own column's
    layer below, and that of the earlier column through an adapter, which is a scale that is learnt, a linear layer and
    a rectifier. The last of the encoder's layers goes to the output, as the mean over time. As frames of the columns
    lie at different times, those of the encoder are taken where the own ones lie.
    """

    def __init__(self, config: GruConfig, shape: Shape):
        super().__init__(config, shape)
        self.own, *self.reused = split_streams(config.name, shape.dims, config.gru_layers)
        width = 2 * config.gru_units
        dims = [shape.dims[self.own]] + [2 * width] * (config.gru_layers - 1)
        self.grus = nn.ModuleList(Bigru(each, config.gru_units) for each in dims)
        self.scales = nn.ParameterList(torch.ones(()) for _ in self.reused)
        self.adapters = nn.ModuleList(nn.Linear(shape.dims[name], width) for name in self.reused)
        self.output = nn.Linear(2 * width, shape.classes)

    def adapted(self, number: int, reused: Padded) -> Tensor:
        return self.adapters[number](self.scales[number] * reused.values).relu()

    def pooled(self, batch: Batch) -> Tensor:
        own, reused = batch.streams[self.own], [batch.streams[name] for name in self.reused]
        places = matching_frames(own.lengths, reused[0].lengths, own.values.shape[1]).to(own.values.device)
        values = own.values
        for number, gru in enumerate(self.grus):
            if number:
                lateral = self.adapted(number - 1, reused[number - 1])
                lateral = lateral.gather(1, places[..., None].expand(-1, -1, lateral.shape[2]))
                values = torch.cat([values, lateral], 2)
            values = gru(values, own.lengths)
        last = masked_mean(self.adapted(len(self.grus) - 1, reused[-1]), reused[-1].lengths)
        return torch.cat([masked_mean(values, own.lengths), last], 1)


def matching_frames(own: Tensor, other: Tensor, frames: int) -> Tensor:
    """The frame of the `other` sequence at the time of each of `frames` of the own one: (batch, frames).

    Both sequences last as long; `own` and `other` (batch,) are their lengths.
    """
    places = (torch.arange(frames) + 0.5) * (other / own)[:, None]
    return places.long().minimum(other[:, None] - 1)


def split_streams(name: str, dims: Mapping[str, int], layers: int = 1) -> list[str]:
    """The one stream of features and those of so many layers of an encoder; raises SertkError for others."""
    reused = [stream for stream in dims if is_encoder(stream)]
    own = [stream for stream in dims if stream not in reused]
    if (len(own), len(reused)) != (1, layers):
        wanted = "one layer" if layers == 1 else f"{layers} layers (encoder.layer: a list)"
        raise SertkError(f"{name} takes one feature type and {wanted} of an encoder ({ENCODER})")
    return own + reused
