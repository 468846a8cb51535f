"""Whisper's encoder (Radford et al. 2023, Robust Speech Recognition via Large-Scale Weak Supervision, Section 2.2)."""

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sertk.encoders.base import Encoder
from sertk.encoders.registry import WhisperSizes
from sertk.features.log_mel import LogMel
from sertk.layers.recurrent import length_mask

POSITIONS = 1500  # frames of 20 ms, 30 s
RANGE = 8.0  # powers of ten below the largest value of a recording, where its log-mel values are cut


class WhisperEncoder(Encoder):
    """Two convolutions, sinusoids, pre-norm Transformer blocks, and a final norm, over log-mel frames of 10 ms."""

    shift = 0.02
    positions: Tensor  # (POSITIONS, dims)

    def __init__(self, sizes: WhisperSizes):
        super().__init__()
        self.extractor = LogMel(sizes.mel_bins)
        self.count, self.dims = sizes.layers, sizes.dims
        self.conv1 = nn.Conv1d(sizes.mel_bins, sizes.dims, 3, padding=1)
        self.conv2 = nn.Conv1d(sizes.dims, sizes.dims, 3, stride=2, padding=1)
        self.register_buffer("positions", sinusoids(POSITIONS, sizes.dims))
        self.blocks = nn.ModuleList(Block(sizes.dims, sizes.heads) for _ in range(sizes.layers))
        self.norm = nn.LayerNorm(sizes.dims)

    def frames_of(self, lengths: Tensor) -> Tensor:
        return (lengths + 1) // 2

    def forward(self, values: Tensor, lengths: Tensor, layers: Sequence[int]) -> tuple[list[Tensor], Tensor]:
        inside = length_mask(lengths, values.shape[1], values.device)[..., None]
        values = scaled(values, inside) * inside
        values = F.gelu(self.conv1(values.transpose(1, 2))) * inside.transpose(1, 2)
        values = F.gelu(self.conv2(values)).transpose(1, 2)
        lengths = self.frames_of(lengths)
        values = values + self.positions[: values.shape[1]]
        inside = length_mask(lengths, values.shape[1], values.device)
        mask = None if bool((lengths == values.shape[1]).all()) else inside[:, None, None, :]
        found = {0: values}
        for number, block in enumerate(self.blocks[: max(layers)], 1):
            values = block(values, mask)
            found[number] = self.norm(values) if number == self.count else values
        return [found[layer] * inside[..., None] for layer in layers], lengths

    def block(self, layer: int) -> nn.Module:
        return self.blocks[layer - 1]


class Block(nn.Module):
    """Self-attention and two linear layers, each after a norm and beside a connection around it."""

    def __init__(self, dims: int, heads: int):
        super().__init__()
        self.heads = heads
        self.attention_norm, self.norm = nn.LayerNorm(dims), nn.LayerNorm(dims)
        self.query, self.key, self.value = (
            nn.Linear(dims, dims),
            nn.Linear(dims, dims, bias=False),
            nn.Linear(dims, dims),
        )
        self.out = nn.Linear(dims, dims)
        self.expand, self.contract = nn.Linear(dims, 4 * dims), nn.Linear(4 * dims, dims)

    def forward(self, values: Tensor, mask: Tensor | None) -> Tensor:
        """Values (batch, frames, dims); `mask` (batch, 1, 1, frames) is false where there is padding."""
        normed = self.attention_norm(values)
        query, key, value = (
            layer(normed).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        attended = F.scaled_dot_product_attention(query, key, value, mask)
        values = values + self.out(attended.transpose(1, 2).flatten(2))
        return values + self.contract(F.gelu(self.expand(self.norm(values))))


def scaled(values: Tensor, inside: Tensor) -> Tensor:
    """Log-mel values (batch, frames, bins) as Whisper takes them; `inside` (batch, frames, 1) is no padding."""
    largest = values.where(inside, -torch.inf).amax((1, 2), keepdim=True)
    return (values.maximum(largest - RANGE) + 4) / 4


def sinusoids(positions: int, dims: int) -> Tensor:
    """(positions, dims): sines, then cosines, of wavelengths from 2 pi to 10,000 times that."""
    rates = torch.exp(-math.log(10000) / (dims // 2 - 1) * torch.arange(dims // 2))
    angles = torch.arange(positions)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)


# The names of weights in other formats, of a block without its number: theirs to ours
HUGGINGFACE = {
    "self_attn_layer_norm": "attention_norm",
    "self_attn.q_proj": "query",
    "self_attn.k_proj": "key",
    "self_attn.v_proj": "value",
    "self_attn.out_proj": "out",
    "final_layer_norm": "norm",
    "fc1": "expand",
    "fc2": "contract",
}
OPENAI = {
    "attn_ln": "attention_norm",
    "attn.query": "query",
    "attn.key": "key",
    "attn.value": "value",
    "attn.out": "out",
    "mlp_ln": "norm",
    "mlp.0": "expand",
    "mlp.2": "contract",
}
CTRANSLATE2 = {
    "self_attention/layer_norm": "attention_norm",
    "self_attention/linear_1": "out",
    "ffn/layer_norm": "norm",
    "ffn/linear_0": "expand",
    "ffn/linear_1": "contract",
}


def from_huggingface(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our weights of those of a Hugging Face model, with or without its decoder."""
    prefix = "model.encoder." if any(name.startswith("model.") for name in weights) else "encoder."
    whole = {"embed_positions.weight": "positions", "layer_norm": "norm"}
    return rename(under(prefix, weights), "layers.", HUGGINGFACE, whole, ".")


def from_openai(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our weights of those of OpenAI's own file."""
    whole = {"positional_embedding": "positions", "ln_post": "norm"}
    return rename(under("encoder.", weights), "blocks.", OPENAI, whole, ".")


def from_ctranslate2(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our weights of those of a CTranslate2 model, which keeps query, key and value in one matrix."""
    own = {}
    for name, value in under("encoder/", weights).items():
        if not value.ndim:  # a setting
            continue
        name = name.replace("gamma", "weight").replace("beta", "bias")
        if "self_attention/linear_0" in name:
            block, _, kind = name.partition("/self_attention/linear_0/")
            for part, rows in zip(("query", "key", "value"), value.chunk(3)):
                own[f"{block}/{part}/{kind}"] = rows
        else:
            own[name] = value
    whole = {"position_encodings/encodings": "positions", "layer_norm": "norm"}
    renamed = rename(own, "layer_", {**CTRANSLATE2, **{name: name for name in ("query", "key", "value")}}, whole, "/")
    return {name: value for name, value in renamed.items() if not name.endswith("key.bias")}  # zeros


def under(prefix: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def rename(
    weights: Mapping[str, Tensor], blocks: str, inner: Mapping[str, str], whole: Mapping[str, str], slash: str
) -> dict[str, Tensor]:
    """Weights by our names: `inner` are those within a block, which begins with `blocks`, `whole` those outside."""
    renamed = {}
    for name, value in weights.items():
        number, _, rest = name.removeprefix(blocks).partition(slash)
        if name.startswith(blocks) and number.isdigit():
            stem, _, kind = rest.rpartition(slash)
            renamed[f"blocks.{number}.{inner.get(stem, stem)}.{kind}"] = value
        else:
            stem, _, kind = name.rpartition(slash)
            renamed[whole[name] if name in whole else f"{whole.get(stem, stem)}.{kind}"] = value
    return renamed
