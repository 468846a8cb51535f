"""Models from their configs."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol

from sertk.encoders.base import Encoder
from sertk.encoders.build import new_encoder
from sertk.models.base import EmotionModel, Shape, known
from sertk.models.deepspeech import as_deepspeech
from sertk.models.encoder_streams import ENCODER, encoder_stream
from sertk.models.recogniser import Recogniser
from sertk.models.registry import MODELS, ModelConfig
from sertk.models.transfer import Transfer


class Windows(Protocol):
    """The Segment of a training's Config."""

    @property
    def frames(self) -> int: ...


class Reused(Protocol):
    """The EncoderLayers of a training's Config."""

    @property
    def name(self) -> str: ...

    @property
    def layer(self) -> int | tuple[int, ...] | str: ...

    @property
    def layers(self) -> tuple[int, ...]: ...

    @property
    def in_loop(self) -> bool: ...

    @property
    def unfreeze(self) -> tuple[int, ...]: ...

    @property
    def weighted(self) -> bool: ...

    @property
    def source(self) -> dict[str, Any] | None: ...

    @property
    def tokens(self) -> int | None: ...


class Described(Protocol):
    """What a training's Config says of its model."""

    @property
    def model(self) -> ModelConfig: ...

    @property
    def features(self) -> tuple[str, ...]: ...

    @property
    def segment(self) -> Windows | None: ...

    @property
    def encoder(self) -> Reused | None: ...

    @property
    def recogniser(self) -> "Described | None": ...


def build_network(config: ModelConfig, shape: Shape) -> EmotionModel:
    """The network of a model's own config, with new weights."""
    network = MODELS[config.name].network
    if isinstance(network, str):
        module, name = network.split(":")
        network = getattr(import_module(f"sertk.models.{module}"), name)
    return network(config, shape)


def build_model(config: Described, dims: Mapping[str, int], classes: int) -> EmotionModel:
    """The model of a training's Config with new weights, for streams of `dims` {feature type: dims} and `classes`.

    `classes` is a number: of emotions, or of a speech recogniser's tokens.
    """
    frames = config.segment.frames if config.segment else None
    encoder = config.encoder
    if encoder is None:
        return build_network(config.model, Shape(dict(dims), classes, frames))
    pretrained, streams = None, dict(dims)
    if encoder.in_loop:
        pretrained = build_encoder(config, encoder, streams.pop(ENCODER))
        streams |= {encoder_stream(layer): pretrained.dims for layer in encoder.layers}
    weighted = encoder.weighted and not MODELS[config.model.name].several
    if weighted:
        (width,) = {streams.pop(encoder_stream(layer)) for layer in encoder.layers}
        streams[ENCODER] = width
    model = build_network(config.model, Shape(streams, classes, frames, encoder.layer == "auto"))
    if not (weighted or pretrained):
        return model
    return Transfer(model, encoder.layers, pretrained, encoder.unfreeze, weighted)


def build_encoder(config: Described, encoder: Reused, dims: int) -> Encoder:
    """The network of an encoder in the loop with new weights; `dims` are those of what it takes."""
    own = config.recogniser
    if own is None:
        return new_encoder(known(encoder.source, "the encoder's kind and sizes"))
    tokens = known(encoder.tokens, "the recogniser's tokens")
    (feature_type,) = own.features
    return Recogniser(as_deepspeech(build_model(own, {feature_type: dims}, tokens)), feature_type)
