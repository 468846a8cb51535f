"""Models from their configs."""

from sertk.config.schema import is_asr
from sertk.models import MODELS
from sertk.models.base import Shape
from sertk.models.transfer import Transfer


def build_model(config, dims, classes):
    """The model of a Config with new weights, for streams of `dims` {feature type: dims} and a number of classes."""
    frames = config.segment.frames if config.segment else None
    if not (config.asr and config.asr.in_loop):
        return MODELS[config.model.name](config.model, Shape(dims, classes, frames))
    (stream,) = filter(is_asr, dims)
    own = config.asr.pretrained
    recogniser = build_model(own, {own.features[0]: dims[stream]}, config.asr.tokens)
    model = MODELS[config.model.name](config.model, Shape({**dims, stream: recogniser.width}, classes, frames))
    return Transfer(model, recogniser, stream, config.asr.unfreeze)
