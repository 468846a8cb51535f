"""The speech recogniser: lengths, masks, and the loss by all paths."""

import itertools
import runpy
from pathlib import Path

import pytest
import torch

from sertk.config.schema import build_model_config
from sertk.core.errors import SertkError
from sertk.models.base import Batch, Padded, Shape
from sertk.models.build import build_network
from sertk.models.deepspeech import SHORTEST, DeepSpeech, as_deepspeech, input_frame, output_lengths

TOKENS = 2
BENCH = Path(__file__).resolve().parents[2] / "tools" / "bench_asr.py"


def make_model(bins=81, **options):
    torch.manual_seed(0)
    sizes = {"gru_units": 4, "gru_layers": 2, "channels": 2, **options}
    config = build_model_config({"name": "deepspeech", **sizes}, "test", "model.")
    return DeepSpeech(config, Shape({"spectrogram": bins}, TOKENS))


def make_batch(values, lengths, texts=None):
    tokens = None
    if texts:
        padded = torch.nn.utils.rnn.pad_sequence([torch.tensor(text) for text in texts], batch_first=True)
        tokens = Padded(padded, torch.tensor([len(text) for text in texts]))
    inside = torch.arange(values.shape[1]) < lengths[:, None]
    return Batch(torch.arange(len(values)), {"spectrogram": Padded(values * inside[..., None], lengths)}, tokens=tokens)


def test_sizes_of_the_published_network():
    config = build_model_config({"name": "deepspeech"}, "test", "model.")
    model = DeepSpeech(config, Shape({"spectrogram161": 161}, 28))
    assert model.grus[0].rnn.input_size == 672 and model.output.out_features == 29
    grus = [2 * 3 * 1000 * (dims + 1000) for dims in (672, 1000, 1000, 1000, 1000)]  # without biases
    convolutions = 32 * (11 * 41 + 1) + 32 * (32 * 11 * 21 + 1)
    norms = 2 * (32 + 32 + 5 * 1000)
    total = sum(parameter.numel() for parameter in model.parameters())
    assert total == sum(grus) + convolutions + norms + 29 * 1000


@pytest.mark.parametrize("frames, expected", [(31, 1), (32, 1), (33, 2), (100, 35), (401, 186)])
def test_output_lengths(frames, expected):
    assert output_lengths(frames) == expected
    model = make_model().eval()
    output = model(make_batch(torch.randn(1, frames, 81), torch.tensor([frames])))
    assert output.scores.shape == (1, expected, TOKENS + 1) and output.lengths.tolist() == [expected]


def test_frames_are_centred_on_those_of_the_input_that_they_are_made_of():
    model = make_model().eval()
    for convolution in model.convolutions:  # so that nothing is cut off or cancels out
        for parameter in convolution.parameters():
            torch.nn.init.constant_(parameter, 1e-3)
    frames = 70
    silence = torch.zeros(1, frames, 81)
    lengths = torch.tensor([frames])
    reached = torch.zeros(frames, output_lengths(frames), dtype=torch.bool)
    with torch.no_grad():
        expected, _ = model.convolve(Padded(silence, lengths))
        for frame in range(frames):
            impulse = silence.clone()
            impulse[0, frame] = 1
            reached[frame] = (model.convolve(Padded(impulse, lengths))[0] != expected)[0].any(-1)
    for frame, inputs in enumerate(reached.T):
        inputs = inputs.nonzero().flatten()
        assert len(inputs) == SHORTEST and inputs.float().mean() == input_frame(frame) == 2 * frame + 15


def test_an_input_below_one_frame_of_the_output_is_filled_up_with_zeros():
    model = make_model().eval()
    values = torch.randn(1, 20, 81)
    longer = torch.nn.functional.pad(values, (0, 0, 0, SHORTEST - 20))
    short, long = (
        model(make_batch(each, torch.tensor([length]))).scores for each, length in ((values, 20), (longer, SHORTEST))
    )
    torch.testing.assert_close(short, long)


@pytest.mark.parametrize("directions", ["sum", "concat"])
def test_logits_do_not_depend_on_the_batch(directions):
    model = make_model(directions=directions)
    lengths = torch.tensor([90, 140, 33, 12])
    values = torch.randn(4, 140, 81)
    model(make_batch(values, lengths))  # in training, so that running statistics are not those of the beginning
    model.eval()
    together = model(make_batch(values, lengths))
    for row, length in enumerate(lengths.tolist()):
        alone = model(make_batch(values[row : row + 1, :length], lengths[row : row + 1]))
        frames = int(together.lengths[row])
        torch.testing.assert_close(together.scores[row, :frames], alone.scores[0], atol=1e-5, rtol=1e-5)


def test_loss_is_minus_the_logarithm_of_all_paths():
    model = make_model().eval()
    lengths, texts = torch.tensor([37, 35]), [[0, 1], [1, 1]]
    batch = make_batch(torch.randn(2, 37, 81), lengths, texts)
    log_probs, frames = (each.detach() for each in model.log_probs(batch))
    assert frames.tolist() == [4, 3]
    expected = []
    for rows, length, text in zip(log_probs.exp().double(), frames.tolist(), texts):
        total = 0.0
        for path in itertools.product(range(TOKENS + 1), repeat=length):
            labels = [symbol for symbol, _ in itertools.groupby(path) if symbol != TOKENS]
            total += float(rows[range(length), path].prod()) if labels == text else 0.0
        expected.append(-torch.log(torch.tensor(total)))
    loss, _ = model.loss(batch)
    assert float(loss) == pytest.approx(float(sum(expected) / 2), rel=1e-5)


@pytest.mark.parametrize("lengths, training", [([90, 90, 90], True), ([90, 61, 40], False)])
def test_loss_and_gradients_are_those_of_packed_sequences(lengths, training):
    """Of different lengths in evaluation, as the normalisation of padded batches in training is another one."""
    model = make_model(channels=32, gru_layers=3)
    model(make_batch(torch.randn(2, 80, 81), torch.tensor([80, 80])))  # so that running statistics have moved
    reference = runpy.run_path(BENCH)["Reference"](81, 4, 3, TOKENS + 1)
    reference.take_weights(model)
    batch = make_batch(torch.randn(3, 90, 81), torch.tensor(lengths), [[0, 1], [1, 1], [0]])
    stream = batch.only_stream()
    ours, _ = model.train(training).loss(batch)
    theirs = reference.train(training).loss(stream.values.transpose(1, 2)[:, None], stream.lengths, batch.tokens)
    torch.testing.assert_close(ours, theirs)
    ours.backward()
    theirs.backward()
    parts = [(getattr(model, name), getattr(reference, name)) for name in ("grus", "norms", "output")]
    parts += zip(model.convolution_norms, reference.convolutions[1::3])
    for own, other in parts:
        for weight, expected in zip(own.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(weight.grad, expected.grad, atol=1e-4, rtol=1e-4)
    for own, other in zip(model.convolutions, reference.convolutions[::3]):
        torch.testing.assert_close(own.weight.grad, other.weight.grad.transpose(2, 3), atol=1e-4, rtol=1e-4)


def test_layers_are_the_recurrent_ones():
    model = make_model(gru_layers=3).eval()
    batch = make_batch(torch.randn(1, 60, 81), torch.tensor([60]))
    assert model.layers == ("gru1", "gru2", "gru3")
    shapes = [model.frame_vectors(batch, layer).values.shape for layer in model.layers]
    assert shapes == [(1, output_lengths(60), 4)] * 3
    scores = model.output(
        model.normed(-1, model.frame_vectors(batch, "gru3").values, torch.ones(1, output_lengths(60)).bool())
    )
    torch.testing.assert_close(scores, model(batch).scores)


def test_too_few_bins_are_refused():
    with pytest.raises(SertkError, match="40 bins are too few"):
        make_model(bins=40)


def test_other_models_recognise_no_words():
    network = make_model()
    assert as_deepspeech(network) is network
    config = build_model_config({"name": "mean_pool"}, "test", "model.")
    with pytest.raises(SertkError, match="mean_pool is no speech recogniser"):
        as_deepspeech(build_network(config, Shape({"toy": 6}, 2)))
