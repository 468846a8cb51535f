"""Recordings that can be read, and are of no use."""

import numpy as np
import pytest
import soundfile

from sertk.features.audio import load_audio, read_utterances
from sertk.features.recording import open_recording

RATE = 16000
SPEECH = (0.1 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)
OTHER = (0.1 * np.random.default_rng(1).standard_normal(RATE)).astype(np.float32)
CANCEL = "its channels cancel each other in their mean: take one (`sox FILE OUT.wav remix 1`)"


def warnings_of(path, samples, channel=None):
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    with open_recording(path, channel) as recording:
        assert sum(map(len, recording.blocks(0.3))) == len(samples)
    found = []
    load_audio(str(path), channel, found.append)
    assert found == recording.warnings
    return [warning.removeprefix(f"{path}: ") for warning in found]


@pytest.mark.parametrize(
    "samples, warning",
    [
        (SPEECH * 0, "silence, its samples are all 0"),
        (SPEECH * 0 + 0.25, "silence, its samples are all 0.25"),
        (np.zeros((RATE, 2)), "silence, its samples are all 0"),
        (np.stack([SPEECH, -SPEECH], 1), CANCEL),
        (np.stack([SPEECH, -0.99 * SPEECH], 1), CANCEL),
        (np.stack([SPEECH + 0.2, -SPEECH, SPEECH, -SPEECH], 1), CANCEL),
    ],
)
def test_silence_and_channels_that_cancel_each_other(tmp_path, samples, warning):
    assert warnings_of(tmp_path / "a.wav", samples) == [warning]


@pytest.mark.parametrize(
    "samples",
    [
        SPEECH,
        1e-3 * SPEECH,
        np.concatenate([0 * SPEECH, SPEECH]),
        np.stack([SPEECH, SPEECH], 1),
        np.stack([SPEECH, OTHER], 1),
        np.stack([SPEECH, 0 * SPEECH], 1),
        np.stack([SPEECH, -0.5 * SPEECH], 1),
        np.stack([0.01 * SPEECH + 0.3, 0.01 * SPEECH - 0.3], 1),
    ],
)
def test_what_needs_no_warning(tmp_path, samples):
    assert warnings_of(tmp_path / "a.wav", samples) == []


def test_one_channel_does_not_cancel_itself(tmp_path):
    assert warnings_of(tmp_path / "a.wav", np.stack([SPEECH, -SPEECH], 1), channel=1) == []
    silent = warnings_of(tmp_path / "a.wav", np.stack([SPEECH, 0 * SPEECH], 1), channel=1)
    assert silent == ["silence, its samples are all 0"]


def test_segments_of_silence_are_named_themselves(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.concatenate([SPEECH, 0 * SPEECH]), RATE)
    (tmp_path / "wav.scp").write_text(f"rec {tmp_path}/a.wav\n")
    (tmp_path / "segments").write_text("one rec 0 1\ntwo rec 1 2\n")
    found = []
    read = read_utterances(tmp_path / "wav.scp", tmp_path / "segments", on_warning=found.append)
    assert [utterance for utterance, _, _ in read] == ["one", "two"]
    assert found == ["two: silence, its samples are all 0"]
