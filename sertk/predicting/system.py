"""A trained system: its parts, its card, and the encoder that they build on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sertk.config.encoder import EncoderLayers
from sertk.inference.encoding import LoadedEncoder
from sertk.inference.trained import LoadedModel


@dataclass(frozen=True)
class System:
    """Parts {name: LoadedModel} in order, the last one classifies; `encoder` is that whose layers they take."""

    parts: dict[str, LoadedModel]
    card: dict[str, Any]
    encoder: LoadedEncoder | None = None


def archived_encoder(parts: Mapping[str, LoadedModel]) -> EncoderLayers | None:
    """The encoder whose layers parts take as features; None where there is none, or one in the loop of a part."""
    found = (model.config.encoder for model in parts.values())
    return next((encoder for encoder in found if encoder and not encoder.in_loop), None)
