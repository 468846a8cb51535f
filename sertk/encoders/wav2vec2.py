"""wav2vec 2.0, HuBERT and WavLM: convolutions over the waveform, then Transformer blocks.

Baevski et al. 2020, wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations (Section 2); Hsu
et al. 2021, HuBERT: Self-Supervised Speech Representation Learning by Masked Prediction of Hidden Units (Section II);
Chen et al. 2022, WavLM: Large-Scale Self-Supervised Pre-Training for Full Stack Speech Processing (Section IV-A).
data2vec has five positional convolutions where these have one, and is none of them.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchaudio.models import wav2vec2_model, wavlm_model

from sertk.encoders.base import Encoder
from sertk.encoders.registry import Wav2vec2Sizes, WavlmSizes
from sertk.features.log_mel import Waveform
from sertk.layers.recurrent import length_mask

LEAST = 1e-7  # added to the variance of a recording, as Hugging Face's feature extractor does


class Wav2vec2Encoder(Encoder):
    """torchaudio's modules, with its names of weights, such that padding changes nothing.

    Nothing is dropped or masked in training either. Recordings shorter than a frame are filled up with zeros to one.
    """

    def __init__(self, sizes: Wav2vec2Sizes):
        super().__init__()
        self.extractor = Waveform(16000.0)
        self.count, self.dims = sizes.layers, sizes.dims
        self.kernels, self.strides = sizes.kernels, sizes.strides
        self.shift = math.prod(sizes.strides) / self.extractor.sample_frequency
        self.shortest = receptive_field(sizes.kernels, sizes.strides)  # samples that a frame sees
        self.group_norm, self.norm_first = sizes.feature_norm == "group", sizes.norm_first
        self.normalise, self.relative = sizes.normalise, isinstance(sizes, WavlmSizes)
        modules = modules_of(sizes)
        self.feature_extractor, self.encoder = modules.feature_extractor, modules.encoder

    def frames_of(self, lengths: Tensor) -> Tensor:
        lengths = lengths.clamp(min=self.shortest)
        for kernel, stride in zip(self.kernels, self.strides):
            lengths = (lengths - kernel) // stride + 1
        return lengths

    def forward(self, values: Tensor, lengths: Tensor, layers: Sequence[int]) -> tuple[list[Tensor], Tensor]:
        waveforms = values.squeeze(-1)
        inside = length_mask(lengths, waveforms.shape[1], waveforms.device)
        if self.normalise:
            waveforms = normalised(waveforms, inside, lengths)
        waveforms = waveforms.masked_fill(~inside, 0.0)
        waveforms = F.pad(waveforms, (0, max(0, self.shortest - waveforms.shape[1])))
        values = self.encoder.feature_projection(self.convolved(waveforms, lengths))
        lengths = self.frames_of(lengths)
        inside = length_mask(lengths, values.shape[1], values.device)
        values = self.positioned(values.masked_fill(~inside[..., None], 0.0))
        found = self.blocks(values, None if bool((lengths == values.shape[1]).all()) else inside, set(layers))
        return [found[layer].masked_fill(~inside[..., None], 0.0) for layer in layers], lengths

    def block(self, layer: int) -> nn.Module:
        return self.encoder.transformer.layers[layer - 1]

    def convolved(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """Waveforms (batch, samples) and lengths (batch,) to (batch, frames, channels of the last convolution).

        No frame inside the lengths sees what is outside, as no convolution pads; but a group norm would.
        """
        values = waveforms[:, None]
        for number, layer in enumerate(self.feature_extractor.conv_layers):
            values = layer.conv(values)
            if number == 0 and self.group_norm:
                frames = (lengths.clamp(min=self.shortest) - self.kernels[0]) // self.strides[0] + 1
                values = norm_over_time(values, frames, layer.layer_norm)
            elif layer.layer_norm is not None:
                values = layer.layer_norm(values)
            values = F.gelu(values)
        return values.transpose(1, 2)

    def positioned(self, values: Tensor) -> Tensor:
        """Projected frames (batch, frames, dims), zero beyond the lengths, to what the first block takes."""
        transformer = self.encoder.transformer
        values = values + transformer.pos_conv_embed(values)
        return values if self.norm_first else transformer.layer_norm(values)

    def blocks(self, values: Tensor, inside: Tensor | None, wanted: set[int]) -> dict[int, Tensor]:
        """The layers `wanted` by their numbers; `inside` (batch, frames) is false where there is padding."""
        mask, padding = None, None
        if inside is not None and self.relative:  # of the type of the weights, as the bias is that it is added to
            weight = self.encoder.transformer.layer_norm.weight
            padding = weight.new_zeros(inside.shape).masked_fill(~inside, -torch.inf)
        elif inside is not None:
            mask = inside[:, None, None, :].expand(-1, 1, inside.shape[1], -1)
        found = {0: values}
        bias = None  # of WavLM's attention, by the distance of two frames: the first block's, which all use
        for number in range(1, max(wanted) + 1):
            values, bias = self.block(number)(values, mask, bias, padding)
            if number in wanted:
                last = number == self.count and self.norm_first
                found[number] = self.encoder.transformer.layer_norm(values) if last else values
        return found


def modules_of(sizes: Wav2vec2Sizes) -> Any:
    """torchaudio's Wav2Vec2Model of those sizes, without anything behind the blocks."""
    options: dict[str, Any] = {
        "extractor_mode": f"{sizes.feature_norm}_norm",
        "extractor_conv_layer_config": list(zip(sizes.channels, sizes.kernels, sizes.strides)),
        "extractor_conv_bias": sizes.feature_bias,
        "encoder_embed_dim": sizes.dims,
        "encoder_pos_conv_kernel": sizes.position_kernel,
        "encoder_pos_conv_groups": sizes.position_groups,
        "encoder_num_layers": sizes.layers,
        "encoder_num_heads": sizes.heads,
        "encoder_ff_interm_features": sizes.feedforward,
        "encoder_layer_norm_first": sizes.norm_first,
        "encoder_projection_dropout": 0.0,
        "encoder_attention_dropout": 0.0,
        "encoder_ff_interm_dropout": 0.0,
        "encoder_dropout": 0.0,
        "encoder_layer_drop": 0.0,
        "aux_num_out": None,
    }
    if isinstance(sizes, WavlmSizes):
        return wavlm_model(**options, encoder_num_buckets=sizes.buckets, encoder_max_distance=sizes.max_distance)
    return wav2vec2_model(**options)


def receptive_field(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """How many samples one frame behind all convolutions sees."""
    field = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides)):
        field = (field - 1) * stride + kernel
    return field


def normalised(waveforms: Tensor, inside: Tensor, lengths: Tensor) -> Tensor:
    """Waveforms (batch, samples), each of mean 0 and variance 1 over what is `inside` (batch, samples)."""
    counts = lengths.to(waveforms)[:, None]
    centred = waveforms - waveforms.masked_fill(~inside, 0.0).sum(1, keepdim=True) / counts
    variance = centred.masked_fill(~inside, 0.0).square().sum(1, keepdim=True) / counts
    return centred / (variance + LEAST).sqrt()


def norm_over_time(values: Tensor, frames: Tensor, norm: nn.Module) -> Tensor:
    """Values (batch, channels, frames) with a group norm of each utterance's own `frames` (batch,), zero beyond."""
    longest = values.shape[2]
    if bool((frames == longest).all()):
        return norm(values)
    rows = zip(values.split(1), frames.tolist())
    return torch.cat([F.pad(norm(row[..., :count]), (0, longest - count)) for row, count in rows])


POSITIONS = "encoder.transformer.pos_conv_embed.conv."
WEIGHT_NORM = {  # PyTorch's names of a weight's magnitude and direction, until 2.0 and since
    f"{POSITIONS}weight_g": f"{POSITIONS}parametrizations.weight.original0",
    f"{POSITIONS}weight_v": f"{POSITIONS}parametrizations.weight.original1",
}


def from_torchaudio(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our weights of those of a model of torchaudio's, without what stands behind the blocks."""
    own = {name.removeprefix("wav2vec2."): value for name, value in weights.items()}
    kept = ("feature_extractor.", "encoder.")
    return {WEIGHT_NORM.get(name, name): value for name, value in own.items() if name.startswith(kept)}


def from_huggingface(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our weights of those of Hugging Face's Wav2Vec2Model, HubertModel or WavLMModel, with or without a head."""
    renamed: dict[str, Tensor] = {}
    for name, value in weights.items():
        for prefix in ("wav2vec2.", "hubert.", "wavlm."):
            name = name.removeprefix(prefix)
        if name.startswith("feature_extractor."):
            renamed[name] = value
        elif name.startswith("feature_projection."):
            renamed[f"encoder.{name}"] = value
        elif name.startswith("encoder."):
            renamed[f"encoder.transformer.{name.removeprefix('encoder.')}"] = value
    renamed = {WEIGHT_NORM.get(name, name): value for name, value in renamed.items()}
    return joined(renamed) if any("gru_rel_pos" in name for name in renamed) else renamed


def joined(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """WavLM's weights, with query, key and value of each block in one matrix, as torchaudio keeps them."""
    own = {}
    for name, value in weights.items():
        block, _, part = name.rpartition(".attention.")
        if part.startswith("q_proj."):
            kind = part.removeprefix("q_proj.")
            parts = [weights[f"{block}.attention.{each}_proj.{kind}"] for each in "qkv"]
            own[f"{block}.attention.attention.in_proj_{kind}"] = torch.cat(parts)
        elif part.startswith("out_proj."):
            own[f"{block}.attention.attention.{part}"] = value
        elif not part.startswith(("k_proj.", "v_proj.")):
            own[name] = value
    return own
