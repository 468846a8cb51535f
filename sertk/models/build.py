"""Models from their configs."""

from collections.abc import Mapping
from importlib import import_module
from typing import Protocol

from sertk.models.asr_streams import is_asr
from sertk.models.base import EmotionModel, Shape, known
from sertk.models.deepspeech import as_deepspeech
from sertk.models.registry import MODELS, ModelConfig
from sertk.models.transfer import Transfer


class Windows(Protocol):
    """The Segment of a training's Config."""

    @property
    def frames(self) -> int: ...


class Reused(Protocol):
    """The Asr of a training's Config."""

    @property
    def in_loop(self) -> bool: ...

    @property
    def unfreeze(self) -> tuple[int, ...]: ...

    @property
    def tokens(self) -> int | None: ...

    @property
    def pretrained(self) -> "Described": ...


class Described(Protocol):
    """What a training's Config says of its model."""

    @property
    def model(self) -> ModelConfig: ...

    @property
    def features(self) -> tuple[str, ...]: ...

    @property
    def segment(self) -> Windows | None: ...

    @property
    def asr(self) -> Reused | None: ...


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
    if not (config.asr and config.asr.in_loop):
        return build_network(config.model, Shape(dict(dims), classes, frames))
    (stream,) = filter(is_asr, dims)
    own = config.asr.pretrained
    tokens = known(config.asr.tokens, "the recogniser's tokens")
    pretrained = as_deepspeech(build_model(own, {own.features[0]: dims[stream]}, tokens))
    model = build_network(config.model, Shape({**dims, stream: pretrained.width}, classes, frames))
    return Transfer(model, pretrained, stream, config.asr.unfreeze)
