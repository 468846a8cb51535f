import numpy as np
import pytest
import torch
import torchaudio

from sertk.encoders.registry import Wav2vec2Sizes, WavlmSizes
from sertk.encoders.wav2vec2 import Wav2vec2Encoder, from_huggingface, from_torchaudio
from sertk.features.log_mel import Waveform

LENGTHS = [3000, 16000, 9137, 1, 399]
SMALL = {
    "dims": 24,
    "layers": 3,
    "heads": 4,
    "feedforward": 40,
    "channels": (20, 20, 20, 20, 20, 20, 16),
    "position_kernel": 16,
    "position_groups": 4,
}
LARGE = {"feature_norm": "layer", "feature_bias": True, "norm_first": True}
DISTANCES = {"buckets": 16, "max_distance": 20}  # 49 frames have some in each bucket
KINDS = {
    "wav2vec2 base": Wav2vec2Sizes(**SMALL),
    "wav2vec2 large": Wav2vec2Sizes(**SMALL, **LARGE, normalise=True),
    "wavlm base": WavlmSizes(**SMALL, **DISTANCES),
    "wavlm large": WavlmSizes(**SMALL, **DISTANCES, **LARGE, normalise=True),
}


@pytest.fixture(autouse=True)
def seeded():
    """Other weights in every run would now and then be ones that make much of rounding."""
    torch.manual_seed(0)


@pytest.fixture(params=KINDS)
def encoder(request):
    return perturbed(Wav2vec2Encoder(KINDS[request.param]))


def perturbed(module):
    """With nothing at its initial value, such as zeros, ones, or what is the same in every block."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in module.parameters():
            value += 0.2 * torch.randn(value.shape, generator=generator)
    return module.eval()


def noise(*lengths):
    """Recordings (batch, samples, 1) that are zero beyond their lengths (batch,), neither centred nor of variance 1."""
    generator = torch.Generator().manual_seed(2)
    rows = [0.3 * torch.randn(length, 1, generator=generator) + 0.1 for length in lengths]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), torch.tensor(lengths)


def alone(encoder, values, length, layers):
    return encoder(values[:length][None], torch.tensor([length]), layers)[0]


def same(found, expected, tolerance=1e-5):
    """Equal relative to the largest of what is expected."""
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= tolerance * expected.abs().max()


def test_says_what_it_is(encoder):
    assert (encoder.count, encoder.dims, encoder.shift) == (3, 24, 0.02)
    assert encoder.extractor == Waveform(16000)


def test_padding_changes_nothing(encoder):
    values, lengths = noise(*LENGTHS)
    layers, frames = encoder(values, lengths, [0, 1, 2, 3])
    assert frames.tolist() == [9, 49, 28, 1, 1]
    for number, layer in enumerate(layers):
        for row, own, length, count in zip(layer, values, LENGTHS, frames):
            same(row[:count], alone(encoder, own, length, [number])[0][0])
            assert not row[count:].any()


def test_what_stands_in_the_padding_changes_nothing(encoder):
    values, lengths = noise(*LENGTHS)
    expected, _ = encoder(values, lengths, [0, 1, 2, 3])
    for number, length in enumerate(LENGTHS):
        values[number, length:] = torch.nan
    found, _ = encoder(values, lengths, [0, 1, 2, 3])
    assert all(torch.equal(one, other) for one, other in zip(found, expected))


def test_gradients_of_an_utterance_do_not_depend_on_the_padding(encoder):
    encoder.double().train()  # in float32 what is zero but for rounding, such as keys' biases, would differ
    values, lengths = noise(4000, 9000)
    values = values.double()
    expected = gradients(encoder, values[:1, :4000], lengths[:1])
    for content in (0.0, 5.0, torch.nan):
        values[0, 4000:] = content
        for name, gradient in gradients(encoder, values, lengths).items():
            scale = max(1.0, float(expected[name].abs().max()))
            assert (gradient - expected[name]).abs().max() <= 1e-10 * scale, name


def gradients(encoder, values, lengths):
    """Of a number that each layer of the first utterance plays a part in, by the names of weights."""
    encoder.zero_grad()
    layers, _ = encoder(values, lengths, range(4))
    sum((layer[0] ** 3).sum() for layer in layers).backward()
    return {name: value.grad.clone() for name, value in encoder.named_parameters()}


def test_every_weight_of_an_encoder_learns(encoder):
    assert all(gradient.any() for gradient in gradients(encoder, *noise(16000)).values())


def test_training_drops_nothing(encoder):
    values, lengths = noise(*LENGTHS)
    expected, _ = encoder(values, lengths, [3])
    found, _ = encoder.train()(values, lengths, [3])
    assert torch.equal(found[0], expected[0])


def test_layers_come_as_wanted_and_no_block_behind_them_runs(encoder):
    values, lengths = noise(3000)
    all_of_them, _ = encoder(values, lengths, [0, 1, 2, 3])
    found, _ = encoder(values, lengths, [3, 0, 3])
    assert all(torch.equal(one, all_of_them[number]) for one, number in zip(found, [3, 0, 3]))
    ran = []
    for number in (1, 2, 3):
        encoder.block(number).register_forward_hook(lambda *_, number=number: ran.append(number))
    assert torch.equal(encoder(values, lengths, [2, 0])[0][0], all_of_them[2])
    assert ran == [1, 2]
    ran.clear()
    assert torch.equal(encoder(values, lengths, [0])[0][0], all_of_them[0])
    assert ran == []


def test_frames_of_is_what_comes_out():
    sizes = {**SMALL, "dims": 4, "heads": 1, "layers": 1, "channels": (2,) * 7, "feedforward": 2}
    encoder = perturbed(Wav2vec2Encoder(Wav2vec2Sizes(**sizes)))
    values, _ = noise(2000)
    lengths = torch.arange(1, 2001)
    with torch.inference_mode():
        counts = [alone(encoder, values[0], length, [1])[0].shape[1] for length in lengths.tolist()]
    assert encoder.frames_of(lengths).tolist() == counts
    assert counts[:719] == [1] * 719 and counts[719] == 2 and max(counts) == 6
    assert encoder.frames_of(torch.tensor([16000, 480000])).tolist() == [49, 1499]


def test_short_recordings_are_filled_up_with_zeros():
    encoder = perturbed(Wav2vec2Encoder(KINDS["wav2vec2 base"]))
    values, _ = noise(250)
    filled = torch.nn.functional.pad(values, (0, 0, 0, 150))
    same(alone(encoder, values[0], 250, [3])[0], alone(encoder, filled[0], 400, [3])[0])


@pytest.mark.parametrize("length", [250, 5000])
def test_recordings_are_normalised_by_their_own_samples(length):
    sizes = {**SMALL, **LARGE}
    encoder = perturbed(Wav2vec2Encoder(Wav2vec2Sizes(**sizes, normalise=True)))
    plain = Wav2vec2Encoder(Wav2vec2Sizes(**sizes))
    plain.load_state_dict(encoder.state_dict())
    values, lengths = noise(length, 6000)
    values *= 0.001  # so that 1e-7 is some of the variance
    own = values[0, :length].double().numpy()
    by_hand = torch.from_numpy((own - own.mean()) / np.sqrt(own.var() + 1e-7)).float()
    count = encoder.frames_of(lengths)[0]
    same(encoder(values, lengths, [3])[0][0][:1, :count], alone(plain, by_hand, length, [3])[0])


def test_a_constant_recording_has_finite_layers(encoder):
    values = torch.full((2, 900, 1), 0.25)
    values[1, 1:] = 0.0
    layers, _ = encoder(values, torch.tensor([900, 1]), [0, 1, 2, 3])
    assert all(layer.isfinite().all() for layer in layers)


def torchaudio_model(kind):
    """A model of torchaudio's own making, with dropout and a head, of the sizes of a kind."""
    sizes = KINDS[kind]
    options = {
        "extractor_mode": f"{sizes.feature_norm}_norm",
        "extractor_conv_layer_config": list(zip(sizes.channels, sizes.kernels, sizes.strides)),
        "extractor_conv_bias": sizes.feature_bias,
        "encoder_embed_dim": 24,
        "encoder_projection_dropout": 0.1,
        "encoder_pos_conv_kernel": 16,
        "encoder_pos_conv_groups": 4,
        "encoder_num_layers": 3,
        "encoder_num_heads": 4,
        "encoder_attention_dropout": 0.1,
        "encoder_ff_interm_features": 40,
        "encoder_ff_interm_dropout": 0.1,
        "encoder_dropout": 0.1,
        "encoder_layer_norm_first": sizes.norm_first,
        "encoder_layer_drop": 0.1,
        "aux_num_out": 7,
    }
    if isinstance(sizes, WavlmSizes):
        return torchaudio.models.wavlm_model(**options, encoder_num_buckets=16, encoder_max_distance=20)
    return torchaudio.models.wav2vec2_model(**options)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_torchaudio_give_what_torchaudio_gives(kind):
    theirs = perturbed(torchaudio_model(kind))
    encoder = Wav2vec2Encoder(KINDS[kind])
    encoder.load_state_dict(from_torchaudio(theirs.state_dict()))
    values, lengths = noise(16000)
    found, _ = encoder(values, lengths, [1, 2, 3])
    waveform = values[..., 0]
    if KINDS[kind].normalise:
        waveform = torch.nn.functional.layer_norm(waveform, waveform.shape)  # what torchaudio's bundles do
    expected, _ = theirs.extract_features(waveform)
    if KINDS[kind].norm_first:
        expected[2] = theirs.encoder.transformer.layer_norm(expected[2])  # which extract_features leaves out
    for one, other in zip(found, expected):
        same(one, other, 1e-4 if KINDS[kind].normalise else 1e-5)  # their 1e-5 beside the variance is our 1e-7


def old_names(weights):
    """As PyTorch named the weights of weight_norm until 2.0."""
    old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    renamed = {}
    for name, value in weights.items():
        for new, before in old.items():
            name = name.replace(new, before)
        renamed[name] = value
    assert sum("conv.weight_" in name for name in renamed) == 2
    return renamed


def test_other_spellings_of_torchaudio_are_the_same_weights():
    model = perturbed(torchaudio_model("wavlm base"))
    expected = from_torchaudio(model.state_dict())
    pretraining = {f"wav2vec2.{name}": value for name, value in old_names(model.state_dict()).items()}
    pretraining["mask_generator.mask_embedding"] = pretraining["logit_generator.label_embeddings"] = torch.zeros(3)
    found = from_torchaudio(pretraining)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


BASE = {"dims": 768, "layers": 12, "heads": 12, "feedforward": 3072}
BIG = {"dims": 1024, "layers": 24, "heads": 16, "feedforward": 4096, "feature_norm": "layer", "norm_first": True}


@pytest.mark.parametrize(
    "bundle, sizes",
    [
        ("wav2vec2_base", Wav2vec2Sizes(**BASE)),
        ("wav2vec2_large_lv60k", Wav2vec2Sizes(**BIG, feature_bias=True)),
        ("hubert_large", Wav2vec2Sizes(**BIG)),
        ("wavlm_base", WavlmSizes(**BASE)),  # which WavLM Base+ is too
        ("wavlm_large", WavlmSizes(**BIG)),
    ],
)
def test_encoders_have_the_weights_of_torchaudios_bundles(bundle, sizes):
    with torch.device("meta"):
        encoder, theirs = Wav2vec2Encoder(sizes), getattr(torchaudio.models, bundle)(aux_num_out=32)
    expected = shapes({name: value for name, value in theirs.state_dict().items() if not name.startswith("aux.")})
    assert shapes(encoder.state_dict()) == expected == shapes(from_torchaudio(theirs.state_dict()))


def shapes(weights):
    return {name: tuple(value.shape) for name, value in weights.items()}


def huggingface_model(name, large, suffix="Model"):
    """A tiny model of transformers, all of its weights perturbed, and the sizes of an encoder of its kind."""
    transformers = pytest.importorskip("transformers")
    kind = f"{'wavlm' if name == 'WavLM' else 'wav2vec2'} {'large' if large else 'base'}"
    options = {
        "hidden_size": 24,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 40,
        "conv_dim": SMALL["channels"],
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
        "feat_extract_norm": "layer" if large else "group",
        "conv_bias": large,
        "do_stable_layer_norm": large,
        "vocab_size": 7,
        "pad_token_id": 0,
    }
    if name == "WavLM":
        options |= {"num_buckets": 16, "max_bucket_distance": 20}
    config = getattr(transformers, f"{name}Config")(**options)
    return perturbed(getattr(transformers, f"{name}{suffix}")(config)), KINDS[kind]


@pytest.mark.parametrize("large", [False, True], ids=["base", "large"])
@pytest.mark.parametrize("name", ["Wav2Vec2", "Hubert", "WavLM"])
def test_every_layer_is_that_of_hugging_face(name, large):
    theirs, sizes = huggingface_model(name, large)
    encoder = Wav2vec2Encoder(sizes)
    encoder.load_state_dict(from_huggingface(theirs.state_dict()))
    values, lengths = noise(16000, 9137, 400)
    with torch.inference_mode():
        layers, frames = encoder(values, lengths, [0, 1, 2, 3])
        for row, (own, length, count) in enumerate(zip(values, lengths.tolist(), frames.tolist())):
            waveform = as_extracted(own[:length, 0]) if large else own[:length, 0]
            expected = theirs(waveform[None], output_hidden_states=True)
            # its hidden_states[3] is without the last norm since transformers 5, and was with it before
            for number, hidden in enumerate([*expected.hidden_states[:3], expected.last_hidden_state]):
                same(layers[number][row : row + 1, :count], hidden)
                same(alone(encoder, own, length, [number])[0], hidden)


def as_extracted(waveform):
    """A waveform (samples,) as Hugging Face's feature extractor gives it."""
    from transformers import Wav2Vec2FeatureExtractor

    extractor = Wav2Vec2FeatureExtractor(do_normalize=True)
    return extractor(waveform.numpy(), sampling_rate=16000, return_tensors="pt").input_values[0]


@pytest.mark.parametrize("name, suffix", [("Wav2Vec2", "ForPreTraining"), ("Hubert", "ForCTC"), ("WavLM", "ForCTC")])
def test_heads_of_hugging_face_are_left_out(name, suffix):
    theirs, sizes = huggingface_model(name, False, suffix)
    encoder = Wav2vec2Encoder(sizes)
    weights = from_huggingface(old_names(theirs.state_dict()))
    assert weights.keys() == encoder.state_dict().keys()
    encoder.load_state_dict(weights)
    values, lengths = noise(3000)
    with torch.inference_mode():
        expected = getattr(theirs, theirs.base_model_prefix)(values[..., 0]).last_hidden_state
        same(encoder(values, lengths, [3])[0][0], expected)
