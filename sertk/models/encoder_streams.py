"""The names of streams that are layers of a pretrained encoder."""

ENCODER = "encoder"  # in YAML, where the config says which layers; also the one stream that several become, weighted


def encoder_stream(layer: int) -> str:
    """The name of a layer's stream."""
    return f"{ENCODER}:{layer}"


def is_encoder(stream: str) -> bool:
    """Whether a stream is of an encoder."""
    return stream.partition(":")[0] == ENCODER
