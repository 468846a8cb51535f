"""The weights that encoders in the loop begin with."""

import torch
from torch import Tensor

from sertk.config.encoder import RECOGNISER, EncoderLayers
from sertk.core.files import PathLike
from sertk.encoders import cache
from sertk.experiments.encoders import cached_encoder, checkpoint, kept_recogniser
from sertk.training.checkpoint import read_checkpoint


def pretrained_weights(encoder: EncoderLayers, run_dir: PathLike) -> dict[str, Tensor]:
    """Those of the encoder that a run's config names; raises SertkError where they are not to be had."""
    if encoder.name == RECOGNISER:
        weights = read_checkpoint(checkpoint(kept_recogniser(run_dir, encoder)))["model"]
        return {f"network.{name}": value for name, value in weights.items()}
    return cache.load(cached_encoder(encoder, run_dir), torch.device("cpu")).state_dict()
