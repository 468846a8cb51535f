"""Encoders' networks from what is said of them."""

from collections.abc import Mapping
from typing import Any

from sertk.encoders.base import Encoder
from sertk.encoders.registry import sizes_of_kind
from sertk.encoders.wav2vec2 import Wav2vec2Encoder
from sertk.encoders.whisper import WhisperEncoder

NETWORKS = {"whisper": WhisperEncoder, "wav2vec2": Wav2vec2Encoder, "wavlm": Wav2vec2Encoder}


def new_encoder(source: Mapping[str, Any]) -> Encoder:
    """The network, with new weights, of a mapping with `kind` and `sizes`; raises SertkError for impossible ones."""
    return NETWORKS[source["kind"]](sizes_of_kind(source["kind"], source["sizes"], "encoder.source"))
