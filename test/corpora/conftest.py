"""Recordings of one's own."""

import numpy as np
import pytest
import soundfile
from own_tables import RATE


@pytest.fixture
def folder(tmp_path):
    """A folder with recordings a.wav, b.wav and sub/c d.wav of 0.5, 1 and 1.5 s."""
    (tmp_path / "sub").mkdir()
    for number, name in enumerate(("a.wav", "b.wav", "sub/c d.wav"), 1):
        samples = np.random.default_rng(number).uniform(-0.5, 0.5, number * RATE // 2)
        soundfile.write(tmp_path / name, samples, RATE, subtype="PCM_16")
    return tmp_path
