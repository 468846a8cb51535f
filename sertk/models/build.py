"""Models from their configs."""

from importlib import import_module

from sertk.models.asr_streams import is_asr
from sertk.models.base import EmotionModel, Shape
from sertk.models.registry import MODELS, ModelConfig
from sertk.models.transfer import Transfer


def build_network(config: ModelConfig, shape: Shape) -> EmotionModel:
    """The network of a model's own config, with new weights."""
    module, name = MODELS[config.name].network.split(":")
    return getattr(import_module(f"sertk.models.{module}"), name)(config, shape)


def build_model(config, dims, classes):
    """The model of a training's Config with new weights, for streams of `dims` {feature type: dims} and `classes`.

    `classes` is a number: of emotions, or of a speech recogniser's tokens.
    """
    frames = config.segment.frames if config.segment else None
    if not (config.asr and config.asr.in_loop):
        return build_network(config.model, Shape(dims, classes, frames))
    (stream,) = filter(is_asr, dims)
    own = config.asr.pretrained
    pretrained = build_model(own, {own.features[0]: dims[stream]}, config.asr.tokens)
    model = build_network(config.model, Shape({**dims, stream: pretrained.width}, classes, frames))
    return Transfer(model, pretrained, stream, config.asr.unfreeze)
