"""Systems on layers of encoders, tested on another corpus."""

import shutil

import numpy as np
import pytest
from tone_systems import OF_RECOGNISER, OF_WHISPER

from sertk.bin import decode
from sertk.kaldi.archives import open_matrices


@pytest.mark.parametrize("kind", [*OF_RECOGNISER, *OF_WHISPER])
def test_layers_come_from_the_recordings_of_the_other_corpus(systems, kind, tmp_path):
    run, other = systems.run(kind), tmp_path / "other"
    shutil.copytree(systems.data, other, ignore=shutil.ignore_patterns("recogniser_*", "tiny_*"))
    (tmp_path / "map.yaml").write_text("".join(f"{name}: [{name}]\n" for name in ("angry", "calm", "sad")))
    options = ["--label_map", str(tmp_path / "map.yaml"), "--labels", "3", "--device", "cpu", "--num_threads", "1"]
    assert decode.main(["--data", str(other), *options, str(run)]) == 0
    expected, posteriors = systems.decoded(kind), dict(open_matrices(f"scp:{run}/decode_other_3/posteriors.scp"))
    assert len(posteriors) > len(expected) > 0
    for utterance, values in expected.items():
        np.testing.assert_allclose(posteriors[utterance], values, atol=1e-5)  # of 16 bits
