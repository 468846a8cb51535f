"""Three recordings and what Kaldi's own tools made of them; see data/kaldi_reference/README.md."""

from pathlib import Path

import numpy as np

from sertk.kaldi.archives import open_matrices

FOLDER = Path(__file__).resolve().parent / "data" / "kaldi_reference"


def reference(name, dtype=np.float32):
    """The matrices of NAME.ark, by utterance or speaker."""
    return dict(open_matrices(f"ark:{FOLDER}/{name}.ark", dtype))
