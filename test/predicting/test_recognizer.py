"""Recognition of recordings against sertk-decode, which takes them through archives."""

import functools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
import torch
from patience import wait_until
from tone_systems import OF_RECOGNISER, OF_WHISPER, RATE, tone

from sertk import load_recognizer
from sertk.bin import pack
from sertk.core.errors import SertkError, UsageError
from sertk.inference.trained import TrainedModel
from sertk.predicting.recognizer import in_order

KINDS = ["windows", "inside", "pitch", "ctc", "speaker", "svm", "latents", *OF_RECOGNISER, *OF_WHISPER]


def array_of(posteriors):
    return np.array(list(posteriors.values()))


@pytest.mark.parametrize("kind", KINDS)
def test_files_get_the_posteriors_of_decoding_and_a_packed_model_the_same_bits(systems, kind, tmp_path):
    decoded = systems.decoded(kind)
    recognizer = load_recognizer(systems.run(kind), "cpu")
    packed = tmp_path / "model.zip"
    assert pack.main([str(systems.run(kind).parents[1]), str(packed)]) == 0
    paths = {systems.wavs[utterance]: utterance for utterance in decoded}
    results = dict(recognizer.recognize(paths, speakers=dict.fromkeys(paths, "s4")))
    again = dict(load_recognizer(packed, "cpu").recognize(paths, speakers=dict.fromkeys(paths, "s4")))
    assert list(results) == list(paths)
    for path, result in results.items():
        np.testing.assert_allclose(array_of(result.posteriors), decoded[paths[path]], atol=1e-6)
        assert result.label == max(result.posteriors, key=result.posteriors.get)
        np.testing.assert_array_equal(again[path].rows, result.rows)
    if "speaker" not in kind:  # where a file alone has statistics of its own
        path = next(iter(paths))
        for audio in (path, str(path), soundfile.read(path, dtype="int16")):
            np.testing.assert_allclose(recognizer(audio).rows, results[path].rows, atol=1e-6)


@pytest.mark.parametrize("kind", ["windows", "ctc", "speaker"])
def test_recordings_of_all_lengths_in_threads_keep_their_order(systems, kind, tmp_path, monkeypatch):
    monkeypatch.setattr("sertk.predicting.recognizer.LONGEST", 1.0)
    monkeypatch.setattr("sertk.predicting.recognizer.GROUP_SECONDS", {"cpu": 1.5})
    recognizer = load_recognizer(systems.run(kind), "cpu")
    lengths = [0.4, 1.5, 0.5, 0.6, 0.01, 0.7, 2.3, 0.4, 0.5, 1.2, 0.8]
    paths = [tmp_path / f"{number}.wav" for number in range(len(lengths))]
    for number, (path, length) in enumerate(zip(paths, lengths)):
        soundfile.write(path, tone(number, length), RATE)
    alone = {path: next(recognizer.recognize([path]))[1] for path in paths}
    monkeypatch.setattr("torch.get_num_threads", lambda: 3)
    together = list(recognizer.recognize(paths))
    assert [path for path, _ in together] == paths
    for path, result in together:
        if isinstance(alone[path], SertkError):
            assert str(result) == str(alone[path])
        else:
            assert result.seconds == alone[path].seconds
            np.testing.assert_array_equal(result.times, alone[path].times)
            np.testing.assert_allclose(result.rows, alone[path].rows, atol=1e-6)


def test_threads_compute_alone_in_order_and_not_far_ahead():
    before, begun = torch.get_num_threads(), []

    def task(number):
        begun.append(number)
        if number % 3 == 0:
            wait_until(lambda: number + 1 in begun)  # which ends earlier
        return number, torch.get_num_threads()

    torch.set_num_threads(3)
    try:
        results = in_order((functools.partial(task, number) for number in range(12)), 2, 4)
        assert next(results) == (0, 1)
        assert max(begun) <= 4
        assert list(results) == [(number, 1) for number in range(1, 12)]
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.get_num_threads).result() == 3
    finally:
        torch.set_num_threads(before)


def test_windows_have_times_of_their_frames(systems):
    result = load_recognizer(systems.run("windows"), "cpu")((tone(1, 1.0), RATE))
    # 98 frames, windows of 31 around every tenth; a frame is 25 ms long, one each 10 ms
    centres = np.arange(0, 98, 10)
    assert len(result.windows) == len(centres)
    for window, centre in zip(result.windows, centres):
        assert window.start == pytest.approx(max(0, (centre - 15) / 100))
        assert window.end == pytest.approx(min(1.0, (centre + 15) / 100 + 0.025))
        assert sum(window.posteriors.values()) == pytest.approx(1)
    inside = load_recognizer(systems.run("inside"), "cpu")((tone(1, 1.0), RATE))
    assert inside.times[:, 0] == pytest.approx([0, 0.15, 0.3, 0.45, 0.58])


@pytest.mark.parametrize("kind", ["windows", "inside"])
def test_long_recordings_get_the_windows_of_short_ones(systems, kind, monkeypatch):
    recognizer = load_recognizer(systems.run(kind), "cpu")
    audio = tone(3, 4.13), RATE
    whole = recognizer(audio)
    monkeypatch.setattr("sertk.predicting.recognizer.LONGEST", 2.0)
    monkeypatch.setattr("sertk.predicting.recognizer.BLOCK", 0.7)
    cut = recognizer(audio)
    np.testing.assert_allclose(cut.times, whole.times, atol=1e-9)
    np.testing.assert_allclose(cut.rows, whole.rows, atol=1e-6)


def test_whole_utterances_are_cut_into_windows(systems, tmp_path):
    recognizer, samples = load_recognizer(systems.run("ctc"), "cpu"), tone(2, 3.3)
    soundfile.write(tmp_path / "long.wav", samples, RATE, subtype="FLOAT")
    for audio in ((samples, RATE), tmp_path / "long.wav"):
        result = recognizer(audio, window=1.0, hop=0.5)
        assert result.times.tolist() == [[0, 1], [0.5, 1.5], [1, 2], [1.5, 2.5], [2, 3], [2.3, 3.3]]
        for (start, end), row in zip(result.times, result.rows):
            alone = recognizer((samples[round(start * RATE) : round(end * RATE)], RATE))
            np.testing.assert_allclose(row, array_of(alone.posteriors), atol=1e-6)
    assert recognizer((samples, RATE)).times.tolist() == [[0, 3.3]]
    assert recognizer((samples, RATE), window=1.65).times.tolist() == [[0, 1.65], [1.65, 3.3]]
    with pytest.raises(UsageError, match="no gaps"):
        recognizer((samples, RATE), window=1.0, hop=2.0)
    with pytest.raises(UsageError, match="windows of its own"):
        load_recognizer(systems.run("windows"), "cpu")((samples, RATE), window=1.0)


def test_speakers_are_pooled_over_all_their_files(systems):
    recognizer = load_recognizer(systems.run("speaker"), "cpu")
    first, second, *_ = paths = list(systems.wavs.values())
    pooled = dict(recognizer.recognize(paths, speakers=dict.fromkeys(paths, "one")))
    chain = recognizer.chain
    pieces = [chain.piece(*soundfile.read(path, dtype="float32")) for path in paths]
    frames = np.concatenate([piece.features["own"] for piece in pieces]).astype(np.float64)
    own = (pieces[0].features["own"] - frames.mean(0)) / frames.std(0)
    batch = chain.final.model
    from sertk.models.base import Batch, Padded

    with torch.inference_mode():
        values = torch.from_numpy(own.astype(np.float32))[None]
        expected = batch.posteriors(Batch(torch.arange(1), {"own": Padded(values, torch.tensor([len(own)]))}))
    np.testing.assert_allclose(pooled[first].rows, expected.numpy(), atol=1e-5)
    alone = dict(recognizer.recognize([first, second]))
    assert np.abs(alone[first].rows - pooled[first].rows).max() > 1e-4


def test_what_cannot_be_recognised_is_said(systems, tmp_path):
    with pytest.raises(SertkError, match="told the labels"):
        load_recognizer(systems.run("oracle"), "cpu")
    with pytest.raises(SertkError, match="numbers of words"):
        load_recognizer(systems.run("likelihood"), "cpu")
    with pytest.raises(SertkError, match="no readable|not a packed|no trained|No such file"):
        load_recognizer(tmp_path / "nowhere")
    with pytest.raises(SertkError, match="no trained system"):
        load_recognizer(tmp_path)
    with pytest.raises(SertkError, match="no run with this fold and seed, .*fold1/seed1"):
        load_recognizer(systems.run("ctc").parents[1], "cpu", seed=7)
    recognizer = load_recognizer(systems.run("ctc"), "cpu")
    for samples, rate, message in (
        (np.zeros(100, np.float32), RATE, "too short"),
        (np.full(9000, np.nan), RATE, "NaN"),
        (np.zeros((2, 2, 2)), RATE, "expected samples"),
        (np.zeros(9000), 0, "sampling rate"),
        (np.array(["a"]), RATE, "expected samples"),
    ):
        with pytest.raises(SertkError, match=message):
            recognizer((samples, rate))


def test_features_of_unknown_making_have_to_be_described(systems, tmp_path):
    trained = TrainedModel(systems.run("ctc"), torch.device("cpu"))
    assert trained.feature_options["own"]["num_mel_bins"] == 12
    note = systems.data / "feats" / "own.ark.yaml"
    kept = note.read_text()
    from sertk.batches.dataset import feature_options

    note.unlink()
    assert feature_options(trained.config, systems.data) == {"own": None}
    note.write_text(kept)
    run_dir = tmp_path / "exp" / "x" / "fold1" / "seed1"
    run_dir.parent.mkdir(parents=True)
    import shutil

    shutil.copytree(systems.run("ctc"), run_dir)
    (run_dir / "trained.json").unlink()  # which tells the weights
    path = run_dir / "checkpoints" / "best.pt"
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint["task"]["feature_options"]
    torch.save(checkpoint, path)
    with pytest.raises(SertkError, match="--feats_config own=FILE"):
        load_recognizer(run_dir, "cpu")
    described = load_recognizer(run_dir, "cpu", feats_config={"own": systems.folder / "own_type.yaml"})
    audio = tone(5, 1.0), RATE
    np.testing.assert_array_equal(described(audio).rows, load_recognizer(systems.run("ctc"), "cpu")(audio).rows)
