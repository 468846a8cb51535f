"""Weights that others stored, in each format, against the network that they were taken from."""

import json
import math
import struct

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sertk.core.errors import SertkError
from sertk.encoders.formats import build_encoder, read_weights
from sertk.encoders.registry import Spec

WHISPER = Spec("whisper", {"dims": 8, "layers": 2, "heads": 2}, "MIT")
CONVOLUTIONS = {"channels": [6, 6], "kernels": [10, 3], "strides": [5, 2], "position_kernel": 4, "position_groups": 2}
WAV2VEC2 = Spec("wav2vec2", {"dims": 8, "layers": 2, "heads": 2, "feedforward": 12, **CONVOLUTIONS}, "MIT")
WAVLM = Spec("wavlm", {**WAV2VEC2.sizes, "buckets": 8, "max_distance": 20}, "MIT")
ANOTHER = "another encoder"

BLOCK = {  # of Whisper: our names, Hugging Face's, OpenAI's, CTranslate2's
    "attention_norm": ("self_attn_layer_norm", "attn_ln", "self_attention/layer_norm"),
    "query": ("self_attn.q_proj", "attn.query", None),
    "key": ("self_attn.k_proj", "attn.key", None),
    "value": ("self_attn.v_proj", "attn.value", None),
    "out": ("self_attn.out_proj", "attn.out", "self_attention/linear_1"),
    "norm": ("final_layer_norm", "mlp_ln", "ffn/layer_norm"),
    "expand": ("fc1", "mlp.0", "ffn/linear_0"),
    "contract": ("fc2", "mlp.2", "ffn/linear_1"),
}
HUGGINGFACE_CONFIG = {
    "model_type": "whisper",
    "d_model": 8,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "num_mel_bins": 80,
}
OPENAI_DIMS = {"n_mels": 80, "n_audio_ctx": 1500, "n_audio_state": 8, "n_audio_head": 2, "n_audio_layer": 2}
TYPES = {torch.float32: 0, torch.int8: 1, torch.int16: 2, torch.int32: 3, torch.float16: 4, torch.bfloat16: 5}


def random_weights(spec, seed=0):
    """The weights of a random encoder, none of them a constant."""
    torch.manual_seed(seed)
    weights = build_encoder(spec).state_dict()
    return {name: value if name == "positions" else torch.randn(value.shape) for name, value in weights.items()}


def renamed(weights, column, blocks, positions, norm):
    """Our weights of Whisper by others' names, those in the named column of BLOCK."""
    theirs = {}
    for name, value in weights.items():
        stem, _, kind = name.rpartition(".")
        if name == "positions":
            theirs[positions] = value
        elif stem == "norm":
            theirs[f"{norm}.{kind}"] = value
        elif stem.startswith("conv"):
            theirs[name] = value
        else:
            _, number, part = stem.split(".")
            theirs[f"{blocks}.{number}.{BLOCK[part][column]}.{kind}"] = value
    return theirs


def as_huggingface(weights):
    """With some of a decoder, which readers are to leave alone."""
    encoder = renamed(weights, 0, "layers", "embed_positions.weight", "layer_norm")
    decoder = {"model.decoder.layers.0.fc1.weight": torch.full((4, 4), math.nan), "proj_out.weight": torch.ones(4, 4)}
    return {**{f"model.encoder.{name}": value for name, value in encoder.items()}, **decoder}


def as_openai(weights):
    encoder = renamed(weights, 1, "blocks", "positional_embedding", "ln_post")
    decoder = {"decoder.blocks.0.mlp.0.weight": torch.full((4, 4), math.nan)}
    return {**{f"encoder.{name}": value for name, value in encoder.items()}, **decoder}


def as_ctranslate2(weights):
    """{name: tensor}, query, key and value in one matrix, the key's bias of zeros."""
    own = {"decoder/embeddings/weight": torch.ones(3, 4), "encoder/num_heads": torch.tensor(2, dtype=torch.int16)}
    for name, value in weights.items():
        kind = name.rpartition(".")[2]
        if not name.startswith("blocks."):
            stem = name.rpartition(".")[0]
            kind = {"weight": "gamma", "bias": "beta"}[kind] if stem == "norm" else kind
            theirs = {"positions": "position_encodings/encodings", "norm": f"layer_norm/{kind}"}
            own["encoder/" + theirs.get(stem or name, f"{stem}/{kind}")] = value
            continue
        _, number, part, _ = name.split(".")
        prefix = f"encoder/layer_{number}/"
        if "norm" in part:
            kind = {"weight": "gamma", "bias": "beta"}[kind]
        if BLOCK[part][2]:
            own[f"{prefix}{BLOCK[part][2]}/{kind}"] = value
        elif part == "query":
            block = f"blocks.{number}"
            key = weights.get(f"{block}.key.{kind}", torch.zeros(len(value)))
            own[f"{prefix}self_attention/linear_0/{kind}"] = torch.cat([value, key, weights[f"{block}.value.{kind}"]])
    return own


def quantised(variables, dtype):
    """The matrices of {name: tensor} in int8, a scale for each row, or in int16 with one scale; with their scales."""
    found = {}
    for name, value in variables.items():
        if not name.startswith("encoder/layer") or not name.endswith("/weight"):
            found[name] = value
            continue
        scale = 127 / value.abs().amax(1) if dtype == torch.int8 else 1024 / value.abs().max()
        rows = scale[:, None] if dtype == torch.int8 else scale
        found[name], found[f"{name}_scale"] = (value * rows).round().to(dtype), scale
    return found


def text(value):
    return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"


def model_bin(variables, version=6, spec="WhisperSpec", aliases=(), own_type=TYPES.get):
    """The bytes of CTranslate2's file."""
    content = struct.pack("<I", version) + text(spec) + struct.pack("<II", 3, len(variables))
    for name, value in variables.items():
        data = value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        content += text(name) + struct.pack(f"<B{value.ndim}I", value.ndim, *value.shape)
        content += struct.pack("<BI", own_type(value.dtype), len(data)) + data
    content += struct.pack("<I", len(aliases))
    return content + b"".join(text(alias) + text(name) for alias, name in aliases)


def write_huggingface(folder, weights, kind="safetensors", **config):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**HUGGINGFACE_CONFIG, **config}))
    theirs = as_huggingface(weights)
    if kind == "safetensors":
        save_file(theirs, folder / "model.safetensors")
    elif kind == "bin":
        torch.save(theirs, folder / "pytorch_model.bin")
    else:
        names = sorted(theirs)
        pieces = {"model-1-of-2.safetensors": names[:9], "model-2-of-2.safetensors": names[9:]}
        for file, own in pieces.items():
            save_file({name: theirs[name] for name in own}, folder / file)
        index = {"weight_map": {name: file for file, own in pieces.items() for name in own}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def write_openai(path, weights, dims=OPENAI_DIMS):
    torch.save({"dims": dims, "model_state_dict": as_openai(weights)}, path)
    return path


def assert_same(found, expected, dtype=torch.float32):
    assert sorted(found) == sorted(expected)
    for name, value in expected.items():
        assert found[name].dtype == dtype
        assert torch.equal(found[name], value.to(dtype)), name


@pytest.fixture
def weights():
    return random_weights(WHISPER)


@pytest.mark.parametrize("kind", ["safetensors", "bin", "index"])
def test_huggingface(tmp_path, weights, kind):
    folder = write_huggingface(tmp_path / "model", weights, kind)
    assert_same(read_weights(WHISPER, folder), weights)
    if kind == "safetensors":
        assert_same(read_weights(WHISPER, folder / "model.safetensors"), weights)


def test_openai(tmp_path, weights):
    assert_same(read_weights(WHISPER, write_openai(tmp_path / "tiny.pt", weights)), weights)
    half = {name: value.half() for name, value in weights.items()}
    assert_same(read_weights(WHISPER, write_openai(tmp_path / "half.pt", half)), half, torch.float16)


@pytest.mark.parametrize("version", [4, 5, 6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_ctranslate2(tmp_path, weights, version, dtype):
    weights = {name: value.to(dtype) for name, value in weights.items()}
    variables = {name: each.to(dtype) if each.ndim else each for name, each in as_ctranslate2(weights).items()}
    (tmp_path / "model.bin").write_bytes(model_bin(variables, version))
    stored = torch.float16 if dtype == torch.float16 else torch.float32
    for path in (tmp_path, tmp_path / "model.bin"):
        assert_same(read_weights(WHISPER, path), {name: each.to(stored) for name, each in weights.items()}, stored)


@pytest.mark.parametrize("dtype, step", [(torch.int8, 127), (torch.int16, 1024)])
def test_quantised_weights_are_right_within_half_a_step(tmp_path, weights, dtype, step):
    (tmp_path / "model.bin").write_bytes(model_bin(quantised(as_ctranslate2(weights), dtype)))
    found = read_weights(WHISPER, tmp_path)
    for name, value in weights.items():
        error = (found[name] - value).abs()
        if name.startswith("blocks") and value.ndim == 2:
            largest = value.abs().amax(1, keepdim=True) if dtype == torch.int8 else largest_beside(weights, name)
            assert bool((error <= largest / step * 0.501).all()), name
            assert bool((error > 0).any()), name
        else:
            assert float(error.max()) == 0, name


def largest_beside(weights, name):
    """The largest value of the matrix that a weight of a block is stored in."""
    block, part, _ = name.rsplit(".", 2)
    parts = ("query", "key", "value") if part in ("query", "key", "value") else (part,)
    return max(float(weights[f"{block}.{each}.weight"].abs().max()) for each in parts)


def test_aliases_of_ctranslate2(tmp_path, weights):
    variables = as_ctranslate2(weights)
    variables["encoder/layer_1/ffn/linear_1/bias"] = variables["encoder/layer_0/ffn/linear_1/bias"]
    weights["blocks.1.contract.bias"] = weights["blocks.0.contract.bias"]
    variables["decoder/zeros"] = variables.pop("encoder/layer_1/ffn/linear_1/bias")
    content = model_bin(variables, aliases=[("encoder/layer_1/ffn/linear_1/bias", "decoder/zeros")])
    (tmp_path / "model.bin").write_bytes(content)
    assert_same(read_weights(WHISPER, tmp_path), weights)
    (tmp_path / "model.bin").write_bytes(model_bin(variables, aliases=[("a", "b")]))
    with pytest.raises(SertkError, match="a is an alias of b, which is missing"):
        read_weights(WHISPER, tmp_path)


def test_every_truncated_model_bin_is_one_error(tmp_path, weights):
    content = model_bin(as_ctranslate2(weights), aliases=[("encoder/copy", "encoder/num_heads")])
    path = tmp_path / "model.bin"
    for length in np.unique(np.geomspace(1, len(content) - 1, 200).astype(int)):
        path.write_bytes(content[:length])
        with pytest.raises(SertkError, match=r"model\.bin: ") as error:
            read_weights(WHISPER, tmp_path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content, message",
    [
        (lambda own: model_bin(own, version=3), "CTranslate2's version 3 of such files, known are 4 to 6"),
        (lambda own: model_bin(own, version=7), "CTranslate2's version 7 of such files, known are 4 to 6"),
        (lambda own: model_bin(own, spec="TransformerSpec"), "holds a TransformerSpec, expected a WhisperSpec"),
        (lambda own: model_bin(own) + b"\0", "1 bytes follow the end"),
        (lambda own: model_bin(own, own_type=lambda _: 9), "is of the unknown type 9"),
        (lambda own: model_bin(own, own_type=lambda _: 1), "damaged: .* has .* bytes"),
        (lambda own: model_bin({**own, "encoder/num_heads": torch.tensor(4, dtype=torch.int16)}), "num_heads is 4"),
        (lambda own: model_bin(own)[:1000] + b"\xff" * 40, "ends too early|damaged|cannot be read"),
        (lambda own: model_bin({}), "positions is missing"),
        (lambda _: b"version https://git-lfs.github.com/spec/v1\n", "no CTranslate2 file"),
        (lambda _: b"", "no CTranslate2 file"),
    ],
)
def test_other_files_called_model_bin(tmp_path, weights, content, message):
    (tmp_path / "model.bin").write_bytes(content(as_ctranslate2(weights)))
    with pytest.raises(SertkError, match=message):
        read_weights(WHISPER, tmp_path)


@pytest.mark.parametrize("scale", [None, torch.ones(3)])
def test_quantised_weights_without_their_scales(tmp_path, weights, scale):
    variables = quantised(as_ctranslate2(weights), torch.int8)
    name = "encoder/layer_1/ffn/linear_0/weight"
    variables[f"{name}_scale"] = scale
    variables = {key: value for key, value in variables.items() if value is not None}
    (tmp_path / "model.bin").write_bytes(model_bin(variables))
    found = "no scale" if scale is None else "3 scales, expected 32"
    with pytest.raises(SertkError, match=f"{name} is quantised and has {found}"):
        read_weights(WHISPER, tmp_path)


@pytest.mark.parametrize("spec", [WAV2VEC2, WAVLM], ids=["wav2vec2", "wavlm"])
def test_torchaudio(tmp_path, spec):
    weights = random_weights(spec)
    positions = "encoder.transformer.pos_conv_embed.conv."
    old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    theirs = {**weights, "aux.weight": torch.ones(3, 8), "aux.bias": torch.ones(3)}
    for name, before in old.items():
        theirs[positions + before] = theirs.pop(positions + name)
    torch.save(theirs, tmp_path / "base.pth")
    assert_same(read_weights(spec, tmp_path / "base.pth"), weights)
    torch.save({f"model.{name}": value for name, value in theirs.items()}, tmp_path / "normalising.pth")
    assert_same(read_weights(spec, tmp_path / "normalising.pth"), weights)
    with pytest.raises(SertkError, match="no file of OpenAI's Whisper"):
        read_weights(WHISPER, tmp_path / "base.pth")


@pytest.mark.parametrize("model_type", ["wav2vec2", "hubert"])
def test_wav2vec2_of_huggingface(tmp_path, model_type):
    weights = random_weights(WAV2VEC2)
    theirs = {}
    for name, value in weights.items():
        name = name.replace("encoder.transformer.", "encoder.").removeprefix("encoder.feature_projection.")
        name = name if name.startswith(("feature_extractor", "encoder")) else f"feature_projection.{name}"
        theirs[f"{model_type}.{name}"] = value
    config = {"model_type": model_type, "hidden_size": 8, "num_hidden_layers": 2, "conv_kernel": [10, 3]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file({**theirs, "lm_head.weight": torch.ones(3, 8)}, tmp_path / "model.safetensors")
    assert_same(read_weights(WAV2VEC2, tmp_path), weights)
    with pytest.raises(SertkError, match=f"model_type is '{model_type}', expected 'wavlm'|expected wavlm"):
        read_weights(WAVLM, tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**config, "conv_kernel": [10, 2]}))
    with pytest.raises(SertkError, match=r"conv_kernel is \[10, 2\], expected \[10, 3\]: another encoder"):
        read_weights(WAV2VEC2, tmp_path)


@pytest.mark.parametrize(
    "config, message",
    [
        ({"model_type": "wavlm"}, "config.json: model_type is 'wavlm', expected whisper: another encoder"),
        ({"model_type": None}, "config.json: model_type is null, expected whisper: another encoder"),
        ({"encoder_attention_heads": 4}, "config.json: encoder_attention_heads is 4, expected 2: another encoder"),
        ({"encoder_layers": 3}, "config.json: encoder_layers is 3, expected 2: another encoder"),
    ],
)
def test_folders_of_another_encoder(tmp_path, weights, config, message):
    write_huggingface(tmp_path, weights, **config)
    with pytest.raises(SertkError, match=message):
        read_weights(WHISPER, tmp_path)


def test_openai_file_of_another_size(tmp_path, weights):
    path = write_openai(tmp_path / "base.pt", weights, {**OPENAI_DIMS, "n_audio_head": 4})
    with pytest.raises(SertkError, match=r"base.pt: n_audio_head is 4, expected 2: another encoder"):
        read_weights(WHISPER, path)


def without(name):
    return lambda weights: weights.pop(name)


def with_value(name, value):
    return lambda weights: weights.update({name: value})


@pytest.mark.parametrize(
    "change, message",
    [
        (without("blocks.1.out.weight"), "blocks.1.out.weight is missing"),
        (with_value("blocks.2.out.weight", torch.ones(8, 8)), "blocks.2.out.weight is no weight of this encoder"),
        (with_value("conv1.weight", torch.ones(8, 128, 3)), "conv1.weight is 8 x 128 x 3, expected 8 x 80 x 3"),
        (with_value("conv1.bias", torch.ones(8, dtype=torch.int32)), "conv1.bias has whole numbers"),
        (with_value("conv1.bias", torch.tensor([math.inf] * 8)), "conv1.bias is not finite everywhere"),
        (with_value("norm.bias", torch.tensor([math.nan] + [1.0] * 7)), "norm.bias is not finite everywhere"),
    ],
)
def test_weights_that_do_not_fit(tmp_path, weights, change, message):
    change(weights)
    with pytest.raises(SertkError, match=f"tiny.pt: {message}"):
        read_weights(WHISPER, write_openai(tmp_path / "tiny.pt", weights))


def test_nothing_but_data_is_unpickled(tmp_path):
    torch.save({"dims": OPENAI_DIMS, "model_state_dict": torch.nn.Linear(2, 2)}, tmp_path / "tiny.pt")
    with pytest.raises(SertkError, match=r"tiny.pt: not weights in a format that is known") as error:
        read_weights(WHISPER, tmp_path / "tiny.pt")
    assert "\n" not in str(error.value)


def test_damaged_and_missing_files(tmp_path, weights):
    path = write_openai(tmp_path / "tiny.pt", weights)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(SertkError, match=r"tiny.pt: not weights in a format that is known, or a damaged file"):
        read_weights(WHISPER, path)
    with pytest.raises(SertkError, match=r"none.pt: No such file"):
        read_weights(WHISPER, tmp_path / "none.pt")
    folder = write_huggingface(tmp_path / "model", weights)
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-10])
    with pytest.raises(SertkError, match=r"model.safetensors: not a safetensors file, or a damaged one"):
        read_weights(WHISPER, folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(SertkError, match=r"a folder without weights \(expected one of model.safetensors, "):
        read_weights(WHISPER, folder)
    write_huggingface(folder, weights, "index")
    (folder / "model-2-of-2.safetensors").unlink()
    with pytest.raises(SertkError, match=r"model-2-of-2.safetensors: No such file"):
        read_weights(WHISPER, folder)
    (folder / "config.json").unlink()
    with pytest.raises(SertkError, match=r"config.json: No such file"):
        read_weights(WHISPER, folder)


def test_ctranslate2_is_for_whisper_alone(tmp_path, weights):
    (tmp_path / "model.bin").write_bytes(model_bin(as_ctranslate2(weights)))
    with pytest.raises(SertkError, match="read of Whisper alone, and this is a wav2vec2"):
        read_weights(WAV2VEC2, tmp_path)
