"""Whisper's encoder against Hugging Face's, and what holds for recordings of any length."""

import numpy as np
import pytest
import torch
from tiny_encoders import WHISPER, random_encoder

from sertk.encoders.base import OVERLAP, WINDOW, encode
from sertk.encoders.registry import WhisperSizes
from sertk.encoders.whisper import WhisperEncoder, from_huggingface, scaled, sinusoids
from sertk.features.log_mel import LogMel


@pytest.fixture
def encoder():
    return random_encoder(WHISPER)


def log_mels(*lengths, bins=80):
    """Frames (batch, frames, bins) with the range of log-mel values, and lengths; what lies beyond is 9, not 0."""
    generator = torch.Generator().manual_seed(3)
    rows = [2 * torch.randn(length, bins, generator=generator) - 4 for length in lengths]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=9.0), torch.tensor(lengths)


def theirs(bins=80):
    """A small WhisperModel of Hugging Face's, its weights random, and ours with the same."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    config = transformers.WhisperConfig(
        d_model=32,
        encoder_layers=3,
        encoder_attention_heads=4,
        encoder_ffn_dim=128,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=16,
        num_mel_bins=bins,
        vocab_size=60,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=3,
    )
    torch.manual_seed(0)
    model = transformers.WhisperModel(config).eval()
    fixed = "encoder.embed_positions.weight"
    weights = {
        name: value if name == fixed else value + 0.05 * torch.randn_like(value)
        for name, value in model.state_dict().items()
    }
    model.load_state_dict(weights)
    own = WhisperEncoder(WhisperSizes(32, 3, 4, bins)).eval()
    own.load_state_dict(from_huggingface(weights))
    return model.encoder, own


@pytest.mark.parametrize("bins", [80, 128])
def test_every_hidden_state_is_hugging_faces(bins):
    reference, own = theirs(bins)
    values, lengths = log_mels(3000, bins=bins)
    with torch.inference_mode():
        taken = scaled(values, torch.ones(1, 3000, 1, dtype=torch.bool)).transpose(1, 2)
        expected = reference(taken, output_hidden_states=True).hidden_states  # the last one is after the norm
        layers, frames = own(values, lengths, [0, 1, 2, 3])
    assert len(expected) == 4 and frames.tolist() == [1500]
    for layer, state in zip(layers, expected):
        assert state.std() > 0.1
        torch.testing.assert_close(layer, state, atol=1e-5, rtol=1e-5)


def test_positions_are_hugging_faces():
    reference, _ = theirs()
    torch.testing.assert_close(sinusoids(1500, 32), reference.embed_positions.weight.data)


@pytest.mark.parametrize("bins", [80, 128])
def test_features_are_those_of_hugging_faces_extractor(bins):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    extractor = transformers.WhisperFeatureExtractor(feature_size=bins)
    noise = 0.1 * np.random.default_rng(0).standard_normal(16000 + 77).astype(np.float32)
    noise[4000:9000] *= 1e-6  # far below the largest value, which is where they are cut
    features = torch.from_numpy(LogMel(bins)(noise))
    expected = torch.from_numpy(np.asarray(extractor._torch_extract_fbank_features(noise[None])[0])).T
    own = scaled(features[None], torch.ones(1, len(features), 1, dtype=torch.bool))[0]
    torch.testing.assert_close(own, expected, atol=1e-4, rtol=0)
    whole = features > features.max() - 8
    assert 0 < (~whole).sum() < features.numel() / 2
    torch.testing.assert_close(features[whole], (4 * expected - 4)[whole], atol=1e-4, rtol=0)  # before all that


def test_says_what_it_is(encoder):
    assert (encoder.count, encoder.dims, encoder.shift) == (3, 8, 0.02)
    assert encoder.extractor == LogMel(80)
    assert encoder.block(2) is encoder.blocks[1]


def test_padding_changes_nothing(encoder):
    lengths = [*range(1, 21), 90, 47]
    values, counts = log_mels(*lengths)
    with torch.inference_mode():
        layers, frames = encoder(values, counts, [3, 0, 2])
        assert frames.tolist() == [(length + 1) // 2 for length in lengths] == encoder.frames_of(counts).tolist()
        for row, length in enumerate(lengths):
            alone, own = encoder(values[row : row + 1, :length], counts[row : row + 1], [3, 0, 2])
            for layer, expected in zip(layers, alone):
                torch.testing.assert_close(layer[row, : own[0]], expected[0], atol=1e-5, rtol=1e-5)
                assert not layer[row, own[0] :].any()


def test_blocks_behind_the_last_wanted_layer_do_not_run(encoder, monkeypatch):
    values, lengths = log_mels(20)
    expected = encoder(values, lengths, [0, 1])[0]
    for block in encoder.blocks[1:]:
        monkeypatch.setattr(block, "forward", None)
    for own, other in zip(encoder(values, lengths, [0, 1])[0], expected):
        torch.testing.assert_close(own, other)


def windows_by_hand(encoder, values, layers):
    """The layers of one long utterance (frames, bins): windows of 30 s, 28 s apart, joined in the middle of 2 s."""
    window, hop = 3000, 2800
    starts = [0]
    while starts[-1] + window < len(values):
        starts.append(starts[-1] + hop)
    windows = [values[None, start : start + window] for start in starts]
    pieces = [encoder(piece, torch.tensor([piece.shape[1]]), layers)[0] for piece in windows]
    joined = []
    for place in range(len(layers)):
        frames = []
        for frame in range((len(values) + 1) // 2):
            number = max(0, min(len(starts) - 1, (frame - 50) // (hop // 2)))  # each seam lies 1 s into a window
            frames.append(pieces[number][place][0, frame - starts[number] // 2])
        joined.append(torch.stack(frames))
    return joined


@pytest.mark.parametrize("frames", [3000, 3001, 5800, 5801, 7500])
def test_long_recordings_are_seen_in_windows(encoder, frames):
    assert (WINDOW, OVERLAP) == (30.0, 2.0)
    values, lengths = log_mels(frames)
    with torch.inference_mode():
        layers, found = encode(encoder, values, lengths, [0, 3])
        assert found.tolist() == encoder.frames_of(lengths).tolist() == [(frames + 1) // 2]
        for layer, expected in zip(layers, windows_by_hand(encoder, values[0], [0, 3])):
            torch.testing.assert_close(layer[0], expected, atol=1e-5, rtol=1e-5)


def test_long_and_short_recordings_share_a_batch(encoder):
    values, lengths = log_mels(3210, 40)
    with torch.inference_mode():
        (layer,), found = encode(encoder, values, lengths, [2])
        assert found.tolist() == [1605, 20]
        torch.testing.assert_close(layer[0], windows_by_hand(encoder, values[0], [2])[0], atol=1e-5, rtol=1e-5)
        alone = encoder(values[1:, :40], lengths[1:], [2])[0][0][0]
        torch.testing.assert_close(layer[1, :20], alone, atol=1e-5, rtol=1e-5)
        assert not layer[1, 20:].any()
