"""Pretrained encoders of a few random weights, and a cache that holds them."""

import torch

from sertk.encoders import cache
from sertk.encoders.build import new_encoder
from sertk.encoders.registry import Spec

WHISPER = Spec("whisper", {"dims": 8, "layers": 3, "heads": 2}, "MIT")


def random_weights(spec=WHISPER, seed=0):
    """Of which none is a constant, as norms and biases are at first; they make layers that differ by much."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        weights = new_encoder({"kind": spec.kind, "sizes": spec.sizes}).state_dict()
        return {
            name: value if name == "positions" else value + 0.3 * torch.randn(value.shape)
            for name, value in weights.items()
        }


def random_encoder(spec=WHISPER, seed=0):
    encoder = new_encoder({"kind": spec.kind, "sizes": spec.sizes})
    encoder.load_state_dict(random_weights(spec, seed))
    return encoder.eval()


def add_encoder(name="tiny", seed=0, spec=WHISPER):
    """Puts random weights into the cache, whose folder $SERTK_ENCODERS names."""
    return cache.add(name, spec, random_weights(spec, seed), "random")
