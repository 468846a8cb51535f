"""What the preparation of every corpus does."""

import numpy as np
import soundfile

from sertk.corpora.base import Utterance, write_corpus
from sertk.kaldi.datadir import DataDir


def test_warnings_of_recordings_that_are_of_no_use(tmp_path, caplog):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (8000, 2))
    recordings = {"a-1": noise, "a-2": noise[:160], "a-3": noise * 0, "a-4": noise[:, :1] * [1, -0.99]}
    for name, samples in recordings.items():
        soundfile.write(tmp_path / f"{name}.wav", samples, 8000)
    utterances = [Utterance(name, "a", tmp_path / f"{name}.wav", {"x": "y"}) for name in recordings]
    write_corpus(utterances, tmp_path / "data", threads=2)
    assert DataDir(tmp_path / "data").utterances == ["a-1", "a-2", "a-3", "a-4"]
    assert [record.getMessage() for record in caplog.records] == [
        f"warning: {tmp_path}/a-3.wav: silence, its samples are all 0",
        f"warning: {tmp_path}/a-4.wav: its channels cancel each other in their mean: take one (`sox "
        "FILE OUT.wav remix 1`)",
        "warning: 2 recordings are silent, or not read as they should be",
        f"warning: {tmp_path}/a-2.wav: a-2: too short: 0.0200 s, a frame of most feature types needs 0.0250 s",
    ]
