"""Every extractor in trainings of every kind, whose recognition gives what their decoding gave."""

import numpy as np
import pytest
from tone_systems import QUICK, RATE, tone

from sertk import load_recognizer
from sertk.features.extractor import Extractor
from sertk.features.registry import EXTRACTORS, load_extractor
from sertk.kaldi.archives import open_matrices

TYPES = {
    "fbank": "extractor: fbank\nnum_mel_bins: 8\n",
    "mfcc": "extractor: mfcc\nnum_ceps: 5\nframe_shift: 20\n",
    "mfcc_pitch": "extractor: mfcc_pitch\nnum_ceps: 5\ndelta_order: 1\n",
    "spectrogram": "extractor: spectrogram\nbins: 20\n",
    "log_mel": "extractor: log_mel\n",
    "waveform": "extractor: waveform\nsample_frequency: 500\n",
    "functionals": "extractor: opensmile\n",
    "lld": "extractor: opensmile\nfeature_level: lld\n",
}
EDGE = "segment: {frames: 21, train_hop: 15, decode_hop: 10}\nmodel: {name: blstm, lstm_units: 4}\n" + QUICK
TRAININGS = {
    "edge": EDGE,
    "zero": EDGE.replace("hop: 10", "hop: 10, pad: zero"),
    "whole": "model: {name: lstm, lstm_units: 4}\n" + QUICK,
    "svm": "model: {name: svm}\n",
}
FRAMED = [(kind, training) for kind in TYPES if kind != "functionals" for training in ("edge", "zero", "whole")]
FRAMED.remove(("waveform", "whole"))  # thousands of frames for a recurrent network
WHOLE = [("functionals", training) for training in TRAININGS]
TIMES = {  # of the frames of 1 s of sound: how many, how far apart and how long they are in s, by hand
    "fbank": (98, 0.01, 0.025),
    "mfcc": (49, 0.02, 0.025),
    "mfcc_pitch": (98, 0.01, 0.025),
    "spectrogram": (97, 0.01, 0.04),
    "lld": (96, 0.01, 0.06),
    "log_mel": (100, 0.01, 0.025),
    "waveform": (500, 0.002, 0.002),
}
BEFORE = {"log_mel": 0.0125}  # seconds of the first frame's window that lie before the recording


def type_file(folder, kind):
    path = folder / f"{kind}.type.yaml"
    path.write_text(TYPES[kind])
    if "opensmile" in TYPES[kind]:
        pytest.importorskip("opensmile", reason="openSMILE is not installed (extra egemaps)")
    return path


def recognizer_of(systems, kind, training):
    """The run of a system of one of TYPES and TRAININGS, and its recognizer."""
    options = type_file(systems.folder, kind)
    if not (systems.data / "feats" / f"{kind}.scp").exists():
        systems.make_feats(kind, "--config", str(options))
    run = systems.run(f"{kind}_{training}", f"features: [{kind}]\nnormalise: global\n{TRAININGS[training]}")
    return run, load_recognizer(run, "cpu")


def test_all_extractors_are_here():
    assert {content.split()[1] for content in TYPES.values()} == set(EXTRACTORS)


@pytest.mark.parametrize("kind", TYPES)
def test_extractors_are_what_they_say(tmp_path, kind):
    extractor = load_extractor(config=type_file(tmp_path, kind))
    assert isinstance(extractor, Extractor)
    frames, shift, length = TIMES.get(kind, (1, None, 0.06))
    samples = tone(1, 1.0, int(extractor.sample_frequency))
    assert extractor(samples).shape == (frames, extractor.dims)
    rate = extractor.sample_frequency
    assert extractor.shortest == length * rate
    assert extractor.shift == (shift and shift * rate)
    assert extractor.margin[0] == BEFORE.get(kind, 0) * rate
    assert len(extractor(samples[: extractor.shortest])) >= 1


@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind != "functionals"])
def test_a_sound_is_in_the_frames_around_it(tmp_path, kind):
    """A click changes the frames whose windows hold it and those within the context, and no others before it."""
    extractor = load_extractor(config=type_file(tmp_path, kind))
    rate = int(extractor.sample_frequency)
    samples, place = tone(1, 1.0, rate), rate // 2
    clicked = samples.copy()
    clicked[place] += 0.5
    changed = np.flatnonzero((extractor(clicked) != extractor(samples)).any(axis=1))
    starts = np.arange(TIMES[kind][0]) * extractor.shift - extractor.margin[0]
    inside = np.flatnonzero((starts <= place) & (place < starts + extractor.shortest))
    assert set(inside[1:-1]) <= set(changed)  # windows fade out at their ends
    if extractor.context is not None:
        around = extractor.context * rate
        within = (starts - around <= place) & (place < starts + extractor.shortest + around)
        assert set(changed) <= set(np.flatnonzero(within))


@pytest.mark.parametrize("kind, training", FRAMED + WHOLE)
def test_recognition_gives_the_posteriors_of_decoding(systems, kind, training):
    run, recognizer = recognizer_of(systems, kind, training)
    decoded = dict(open_matrices(f"scp:{run}/decode_test/posteriors.scp"))
    results = dict(recognizer.recognize([systems.wavs[utterance] for utterance in decoded]))
    assert len(decoded) == 3
    for utterance, posteriors in decoded.items():
        result = results[systems.wavs[utterance]]
        np.testing.assert_allclose(list(result.posteriors.values()), posteriors, atol=1e-6)


@pytest.mark.parametrize("kind, training", FRAMED + WHOLE)
def test_windows_have_the_times_of_their_frames(systems, kind, training):
    _, recognizer = recognizer_of(systems, kind, training)
    times = recognizer((tone(1, 1.0), RATE)).times
    if (kind, training) not in FRAMED or training == "whole":
        assert times.tolist() == [[0, 1]]
        return
    frames, shift, length = TIMES[kind]
    firsts = [*range(-10, frames - 10, 10)] if training == "edge" else [*range(0, frames - 21, 10), frames - 21]
    expected = np.array([[first * shift, (first + 20) * shift + length] for first in firsts]) - BEFORE.get(kind, 0)
    np.testing.assert_allclose(times, expected.clip(0, 1), atol=1e-9)


@pytest.mark.parametrize("kind, training", [pair for pair in FRAMED + WHOLE if pair[1] in ("edge", "svm")])
def test_long_recordings_are_heard_in_pieces(systems, kind, training, monkeypatch):
    """In windows of the model's own as in a short recording, or each piece as a recording by itself."""
    _, recognizer = recognizer_of(systems, kind, training)
    samples = tone(3, 2.5)
    whole = recognizer((samples, RATE))
    monkeypatch.setattr("sertk.predicting.recognizer.LONGEST", 1.0)
    cut = recognizer((samples, RATE))
    if recognizer.chain.slides:
        assert kind not in ("functionals", "lld")
        np.testing.assert_allclose(cut.times, whole.times, atol=1e-9)
        # F0 tracks of pieces differ a little
        np.testing.assert_allclose(cut.rows, whole.rows, atol=0.02 if kind == "mfcc_pitch" else 1e-5)
    else:
        assert cut.times.tolist() == [[0, 1], [1, 2], [1.5, 2.5]]
        for (start, end), row in zip(cut.times, cut.rows):
            alone = recognizer((samples[int(start * RATE) : int(end * RATE)], RATE))
            np.testing.assert_allclose(row, list(alone.posteriors.values()), atol=1e-6)
