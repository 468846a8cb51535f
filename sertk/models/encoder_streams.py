"""The names of streams that are a layer of a speech recogniser."""

ASR = "asr"  # in YAML, where the config says which layer it is; resolved to asr:LAYER


def asr_stream(layer: int) -> str:
    """The name of a recurrent layer, counted from 1."""
    return f"{ASR}:{layer}"


def is_asr(stream: str) -> bool:
    """Whether a stream is a speech recogniser's layer."""
    return stream.partition(":")[0] == ASR
