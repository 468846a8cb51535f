"""Streams in pieces of any size against the same computation at once."""

import numpy as np
import pytest
from tone_systems import RATE, tone

from sertk import load_recognizer
from sertk.features.audio import resample
from sertk.features.registry import load_extractor
from sertk.predicting.live import Framer, Resampler


def pieces_of(samples, seed=0):
    """Cuts samples into pieces of 0 to 0.2 s."""
    random, place = np.random.default_rng(seed), 0
    while place < len(samples):
        size = int(random.integers(0, RATE // 5))
        yield samples[place : place + size]
        place += size


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100, 48000, 96000])
def test_resampling_in_pieces(rate):
    samples = tone(1, 1.3, rate)
    resampler = Resampler(rate, RATE)
    made = [resampler.push(piece) for piece in pieces_of(samples)]
    made = np.concatenate([*made, resampler.push(samples[:0], last=True)])
    expected = resample(samples, rate, RATE)
    assert len(made) == len(expected)
    np.testing.assert_allclose(made, expected, atol=1e-5)
    assert len(resampler.kept) < 4 * resampler.margin + 2 * resampler.period  # what is past is dropped


@pytest.mark.parametrize("feature_type", ["fbank40", "mfcc23", "spectrogram400"])
def test_frames_in_pieces(feature_type):
    extractor, samples = load_extractor(feature_type), tone(2, 1.3)
    framer = Framer(extractor)
    frames = [framer.push(piece) for piece in pieces_of(samples)]
    frames = np.concatenate([*frames, framer.push(samples[:0], last=True)])
    np.testing.assert_allclose(frames, extractor(samples), atol=1e-4)


def test_features_of_a_whole_recording_do_not_come_in_frames():
    pytest.importorskip("opensmile", reason="openSMILE is not installed (extra egemaps)")
    with pytest.raises(ValueError, match="only known of a whole recording"):
        Framer(load_extractor("egemaps"))


def heard(recognizer, samples, rate, **windows):
    """Times and rows of a stream, and for each window how much was heard when it came, in seconds."""
    listener, times, rows, when, seconds = recognizer.listen(rate, **windows), [], [], [], 0.0
    for piece in pieces_of(samples):
        seconds += len(piece) / rate
        own_times, own_rows = listener.push(piece)
        times, rows = [*times, *own_times], [*rows, *own_rows]
        when += [seconds] * len(own_rows)
    own_times, own_rows = listener.close()
    return np.array([*times, *own_times]), np.array([*rows, *own_rows]), np.array(when), listener


@pytest.mark.parametrize(
    "kind, rate, tolerance", [("windows", 16000, 1e-5), ("inside", 44100, 1e-5), ("pitch", 48000, 0.02)]
)
def test_a_stream_gives_the_windows_of_the_file_when_they_end(systems, kind, rate, tolerance):
    recognizer = load_recognizer(systems.run(kind), "cpu")
    samples = tone(4, 2.5, rate)
    times, rows, when, listener = heard(recognizer, samples, rate)
    whole = recognizer((samples, rate))
    np.testing.assert_allclose(times, whole.times, atol=1e-6)
    np.testing.assert_allclose(rows, whole.rows, atol=tolerance)
    assert len(when) > 10
    lag = when - times[: len(when), 1]
    assert lag.min() > 0 or listener.delay == 0
    assert lag.max() <= listener.delay + 0.2 + 0.03  # its own, a piece, a frame


def test_a_stream_of_whole_utterances_gives_those_of_the_file(systems):
    recognizer, samples = load_recognizer(systems.run("ctc"), "cpu"), tone(4, 2.6)
    times, rows, when, _ = heard(recognizer, samples, RATE, window=1.0, hop=0.5)
    whole = recognizer((samples, RATE), window=1.0, hop=0.5)
    np.testing.assert_allclose(times, whole.times)
    np.testing.assert_allclose(rows, whole.rows, atol=1e-6)
    assert (when >= times[: len(when), 1] - 1e-9).all() and (when - times[: len(when), 1]).max() < 0.2
