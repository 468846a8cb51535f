"""Streams, windows and batches against windows cut one by one."""

import math

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_sample_weight

from sertk.batches.normalise import Normaliser
from sertk.batches.streams import (
    Dataset,
    Stream,
    UtteranceSampler,
    WindowSampler,
    balanced_weights,
    load_stream,
    stack_matrices,
    upsampled,
)
from sertk.config.schema import Normalise, Segment, Training
from sertk.core.errors import SertkError
from sertk.kaldi.archives import MatrixWriter

LENGTHS = (7, 23, 1)


def make_dataset(window_steps=()):
    random = np.random.default_rng(0)
    matrices = [random.normal(size=(length, 2)).astype(np.float32) for length in LENGTHS]
    dataset = Dataset(["a", "b", "c"], {"toy": Stream(matrices)}, {"toy": Normaliser(window_steps)})
    dataset.labels = torch.tensor([1, 0, 1])
    return dataset, matrices


def window_by_hand(matrix, centre, frames):
    """Rows centre - frames // 2 onwards, the edges repeated."""
    rows = [min(max(centre - frames // 2 + nth, 0), len(matrix) - 1) for nth in range(frames)]
    return torch.from_numpy(matrix[rows])


@pytest.mark.parametrize("hop", [1, 4, 10, 50])
def test_decoding_windows_are_centred_on_every_hop_th_frame(hop):
    dataset, matrices = make_dataset()
    sampler = WindowSampler(dataset, Segment(frames=9), hop)
    windows = sampler.all_windows()
    expected = [(item, centre) for item, length in enumerate(LENGTHS) for centre in range(0, length, hop)]
    assert windows.tolist() == [list(pair) for pair in expected]
    batch = sampler.gather(windows, torch.device("cpu"))
    for row, (item, centre) in enumerate(expected):
        assert torch.equal(batch.streams["toy"].values[row], window_by_hand(matrices[item], centre, 9))
    assert batch.labels.tolist() == [[1, 0, 1][item] for item, _ in expected]


def test_an_epoch_has_its_own_shift_and_order_and_never_loses_an_utterance():
    dataset, _ = make_dataset()
    sampler = WindowSampler(dataset, Segment(frames=9), hop=10)

    def epoch(seed):
        return sampler.epoch_windows(torch.Generator().manual_seed(seed)).tolist()

    assert epoch(1) == epoch(1)
    assert sorted(epoch(1)) != sorted(epoch(2))
    for seed in range(20):
        windows = epoch(seed)
        assert {item for item, _ in windows} == {0, 1, 2}
        assert all(0 <= centre < LENGTHS[item] for item, centre in windows)
        centres = sorted(centre for item, centre in windows if item == 1)
        assert set(np.diff(centres).tolist()) <= {10}


@pytest.mark.parametrize("hop", [1, 4, 10, 50])
def test_windows_inside_cover_their_utterance_and_short_ones_are_filled_with_zeros(hop):
    dataset, matrices = make_dataset()
    sampler = WindowSampler(dataset, Segment(frames=9, pad="zero"), hop)
    windows = sampler.all_windows()
    values = sampler.gather(windows, torch.device("cpu")).streams["toy"].values
    for item, matrix in enumerate(matrices):
        starts = windows[windows[:, 0] == item, 1].tolist()
        last = max(0, len(matrix) - 9)
        assert starts == [*range(0, last, hop), last]
        for start, window in zip(starts, values[windows[:, 0] == item]):
            expected = np.zeros((9, 2), np.float32)
            expected[: len(matrix) - start] = matrix[start : start + 9]
            assert torch.equal(window, torch.from_numpy(expected))


def test_an_epoch_of_windows_inside_moves_their_beginning():
    dataset, _ = make_dataset()
    sampler = WindowSampler(dataset, Segment(frames=9, pad="zero"), hop=10)
    epochs = [sampler.epoch_windows(torch.Generator().manual_seed(seed)).tolist() for seed in range(20)]
    for windows in epochs:
        assert {item for item, _ in windows} == {0, 1, 2}
        assert all(0 <= start <= max(0, LENGTHS[item] - 9) for item, start in windows)
    assert len({tuple(sorted(map(tuple, windows))) for windows in epochs}) > 1


def test_without_jitter_only_the_order_changes():
    dataset, _ = make_dataset()
    sampler = WindowSampler(dataset, Segment(frames=9, jitter=False), hop=3)
    windows = sampler.epoch_windows(torch.Generator().manual_seed(1))
    assert sorted(windows.tolist()) == sampler.all_windows().tolist()
    assert windows.tolist() != sampler.all_windows().tolist()


def test_upsampling_repeats_rare_classes_until_all_are_as_frequent():
    labels = torch.tensor([3, 0, 0, 3, 1, 0, 0, 0, 3])  # no 2; five, one and three of the others
    drawn = [upsampled(labels, torch.Generator().manual_seed(seed)).tolist() for seed in range(5)]
    for places in drawn:
        counts = np.bincount(places, minlength=9)
        assert [int(counts[labels == label].sum()) for label in (0, 1, 3)] == [5, 5, 5]
        assert counts[labels == 0].tolist() == [1] * 5
        assert sorted(counts[labels == 3]) == [1, 2, 2]
    assert len({tuple(np.bincount(places)) for places in drawn}) > 1  # other ones are left over


@pytest.mark.parametrize("segment", [None, Segment(frames=9)])
def test_an_upsampled_epoch_has_the_repeated_utterances(segment):
    dataset, _ = make_dataset()  # labels 1 0 1
    sampler = UtteranceSampler(dataset, True) if segment is None else WindowSampler(dataset, segment, 100, True)
    windows = sampler.epoch_windows(torch.Generator().manual_seed(1))
    items = windows if segment is None else windows[:, 0]
    assert sorted(items.tolist()) == [0, 1, 1, 2]


def lengths_of_batches(seed, epoch=1, **training):
    """The batches of an epoch over 60 utterances of 100 to 1000 frames, as lists of their lengths."""
    lengths = np.geomspace(100, 1000, 60).round().astype(int)
    matrices = [np.zeros((length, 1), np.float32) for length in np.random.default_rng(0).permutation(lengths)]
    dataset = Dataset([str(number) for number in range(60)], {"toy": Stream(matrices)}, {"toy": Normaliser([])})
    generator = torch.Generator().manual_seed(seed)
    batches = UtteranceSampler(dataset).epoch_batches(generator, epoch, Training(batch_size=6, **training))
    found = [dataset.lengths()[batch].tolist() for batch in batches]
    assert sorted(sum(found, [])) == lengths.tolist() and {len(batch) for batch in found} == {6}
    return found


def test_batches_of_like_lengths_come_in_any_order_and_are_not_of_the_same_utterances_in_every_epoch():
    epochs = [lengths_of_batches(seed, batches="length") for seed in (1, 2, 1)]
    assert epochs[0] == epochs[2]
    for batches in epochs[:2]:
        assert max(max(batch) / min(batch) for batch in batches) < 1.6  # neighbours differ by 4%, the noise by 10%
        longest = [max(batch) for batch in batches]
        assert longest != sorted(longest)
    assert {frozenset(batch) for batch in epochs[0]} != {frozenset(batch) for batch in epochs[1]}
    assert max(max(batch) / min(batch) for batch in lengths_of_batches(1)) > 3


def test_the_first_epoch_goes_from_short_to_long_utterances_where_that_is_asked_for():
    first = sum(lengths_of_batches(1, epoch=0, sortagrad=True), [])
    assert first == sorted(first)
    for epoch, sortagrad in ((1, True), (0, False)):
        other = sum(lengths_of_batches(1, epoch=epoch, sortagrad=sortagrad), [])
        assert other != sorted(other)


def test_balanced_weights_are_scikit_learns():
    labels = torch.tensor([3, 0, 0, 3, 1, 0, 0, 0])
    expected = compute_sample_weight("balanced", labels.numpy())
    np.testing.assert_allclose(balanced_weights(labels).numpy(), expected, rtol=1e-6)


def test_whole_utterances_are_padded_with_zeros():
    dataset, matrices = make_dataset()
    batch = UtteranceSampler(dataset).gather(torch.tensor([2, 1, 0]), torch.device("cpu"))
    stream = batch.streams["toy"]
    assert stream.lengths.tolist() == [1, 23, 7]
    for row, item in enumerate([2, 1, 0]):
        assert torch.equal(stream.values[row, : LENGTHS[item]], torch.from_numpy(matrices[item]))
        assert not stream.values[row, LENGTHS[item] :].any()


def test_stretched_utterances_are_interpolated_and_all_their_streams_alike():
    dataset, matrices = make_dataset()
    coarse = [matrix[::2] for matrix in matrices]
    dataset.streams["coarse"] = Stream(coarse)
    sampler, training = UtteranceSampler(dataset), Training(tempo=(0.8, 1.25))
    sampler.epoch_batches(torch.Generator().manual_seed(3), 0, training)
    factors = sampler.tempos.tolist()
    assert 0.8 <= min(factors) < 1 < max(factors) <= 1.25
    batch = sampler.gather(torch.tensor([2, 1, 0]), torch.device("cpu"))
    for name, own in (("toy", matrices), ("coarse", coarse)):
        stream = batch.streams[name]
        for row, item in enumerate([2, 1, 0]):
            places = np.arange(int((len(own[item]) - 1) / factors[item]) + 1) * factors[item]
            expected = [np.interp(places, range(len(own[item])), column) for column in own[item].T]
            assert int(stream.lengths[row]) == len(places)
            np.testing.assert_allclose(stream.values[row, : len(places)].T, expected, atol=1e-5)
            assert not stream.values[row, len(places) :].any()


def test_tempos_are_drawn_anew_in_each_epoch_and_again_after_a_restart():
    dataset, _ = make_dataset()
    drawn = []
    for seed in (1, 2, 1):
        sampler = UtteranceSampler(dataset)
        sampler.epoch_batches(torch.Generator().manual_seed(seed), 0, Training(tempo=(0.5, 2.0)))
        drawn.append(sampler.tempos.tolist())
    assert drawn[0] == drawn[2] != drawn[1]
    sampler.epoch_batches(torch.Generator().manual_seed(1), 0, Training(tempo=(0.9, 0.9)))
    assert sampler.tempos.tolist() == pytest.approx([0.9] * 3)


def test_window_normalisation_is_taken_over_each_window_alone():
    dataset, matrices = make_dataset([Normalise("mean", "window"), Normalise("minmax", "window", (-1.0, 1.0))])
    sampler = WindowSampler(dataset, Segment(frames=5), 3)
    windows = sampler.all_windows()
    values = sampler.gather(windows, torch.device("cpu")).streams["toy"].values
    item, centre = windows[4].tolist()
    window = window_by_hand(matrices[item], centre, 5)
    window = window - window.mean(0)
    expected = (window - window.min()) / (window.max() - window.min()) * 2 - 1
    torch.testing.assert_close(values[4], expected)
    assert torch.isfinite(values).all()  # utterance c has one frame, so its windows are constant


def test_the_mu_law_by_hand():
    normaliser = Normaliser([Normalise("mulaw", "window")])
    values = normaliser.apply_windows(torch.tensor([[[-1.0, -0.1], [0.0, 0.5], [1.0, 0.01]]]))
    expected = [math.copysign(math.log(1 + 255 * abs(x)) / math.log(256), x) for x in (-1, -0.1, 0, 0.5, 1, 0.01)]
    assert values.flatten().tolist() == pytest.approx(expected, abs=1e-6)


def test_streams_are_read_in_the_order_asked_for(tmp_path):
    with MatrixWriter(f"ark,scp:{tmp_path}/x.ark,{tmp_path}/x.scp") as writer:
        for number, name in enumerate("abc"):
            writer.write(name, np.full((number + 1, 2), number, dtype=np.float32))
    stream = load_stream(tmp_path / "x.scp", ["c", "a"])
    assert stream.lengths.tolist() == [3, 1]
    assert stream.rows(0).tolist() == [[2, 2]] * 3
    assert stream.rows(1).tolist() == [[0, 0]]
    with pytest.raises(SertkError, match="x.scp: lacks 1 of 2 utterances: d; run stage 1 again"):
        load_stream(tmp_path / "x.scp", ["a", "d"])


def test_matrices_of_different_dims_are_refused():
    with pytest.raises(SertkError, match="b has 3 dims, others 2"):
        stack_matrices({"a": np.ones((4, 2)), "b": np.ones((4, 3))}, "here")
    with pytest.raises(SertkError, match=r"a: expected a matrix"):
        stack_matrices({"a": np.ones(4)}, "here")
