"""Weights of encoders as others store them, read by our names, and the networks that they must fit."""

import dataclasses
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sertk.core.errors import SertkError
from sertk.core.files import PathLike, read_json
from sertk.core.typed import show
from sertk.encoders import ctranslate2, wav2vec2, whisper
from sertk.encoders.base import Encoder
from sertk.encoders.build import new_encoder
from sertk.encoders.ctranslate2 import shape_text
from sertk.encoders.registry import Spec, sizes_of

CTRANSLATE2 = "model.bin"
HUGGINGFACE = ("model.safetensors", "pytorch_model.bin")  # each may be in pieces, with an index NAME.index.json
DECODER = ("decoder.", "proj_out.")  # of Hugging Face's and OpenAI's Whisper, not read at all

MODEL_TYPES = {"whisper": ("whisper",), "wav2vec2": ("wav2vec2", "hubert"), "wavlm": ("wavlm",)}  # in config.json
# Our sizes by what others call them
HUGGINGFACE_SIZES = {
    "whisper": {
        "d_model": "dims",
        "encoder_layers": "layers",
        "encoder_attention_heads": "heads",
        "num_mel_bins": "mel_bins",
    },
    "wav2vec2": {
        "hidden_size": "dims",
        "num_hidden_layers": "layers",
        "num_attention_heads": "heads",
        "intermediate_size": "feedforward",
        "feat_extract_norm": "feature_norm",
        "conv_bias": "feature_bias",
        "do_stable_layer_norm": "norm_first",
        "conv_dim": "channels",
        "conv_kernel": "kernels",
        "conv_stride": "strides",
        "num_conv_pos_embeddings": "position_kernel",
        "num_conv_pos_embedding_groups": "position_groups",
    },
}
HUGGINGFACE_SIZES["wavlm"] = {
    **HUGGINGFACE_SIZES["wav2vec2"],
    "num_buckets": "buckets",
    "max_bucket_distance": "max_distance",
}
OPENAI_SIZES = {"n_audio_state": "dims", "n_audio_layer": "layers", "n_audio_head": "heads", "n_mels": "mel_bins"}

Convert = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


def build_encoder(spec: Spec) -> Encoder:
    """The network of a Spec, its weights random."""
    return new_encoder(spec.network)


def read_weights(spec: Spec, path: PathLike) -> dict[str, Tensor]:
    """The weights of an encoder by our names, float16 where they are stored so, else float32.

    `path` is a Hugging Face folder, a CTranslate2 folder or its model.bin, OpenAI's .pt, or a state dict of
    torchaudio's. Raises SertkError for anything else, a damaged file, and weights that are not those of the Spec.
    """
    path = Path(path)
    try:
        read = reader_of(path)
        weights = read(spec, path)
    except OSError as error:
        raise SertkError(f"{error.filename or path}: {error.strerror or error}") from error
    check_weights(spec, weights, path)
    return {name: value if value.dtype == torch.float16 else value.float() for name, value in weights.items()}


def reader_of(path: Path) -> Callable[[Spec, Path], dict[str, Tensor]]:
    """What reads the format that a path holds."""
    if path.is_dir():
        if huggingface_file(path):
            return read_huggingface
        if (path / CTRANSLATE2).exists():
            return read_ctranslate2
        expected = ", ".join((*HUGGINGFACE, CTRANSLATE2))
        raise SertkError(f"{path}: a folder without weights (expected one of {expected})")
    if path.name.startswith(HUGGINGFACE):
        return lambda spec, file: read_huggingface(spec, file.parent)
    return read_ctranslate2 if ctranslate2.is_model(path) else read_pytorch


def huggingface_file(folder: Path) -> Path | None:
    """The file with a Hugging Face model's weights, or the index of several; None: there is none."""
    names = [name for each in HUGGINGFACE for name in (each, f"{each}.index.json")]
    return next((folder / name for name in names if (folder / name).exists()), None)


def read_huggingface(spec: Spec, folder: Path) -> dict[str, Tensor]:
    config = read_json(folder / "config.json")
    found = config.get("model_type") if isinstance(config, dict) else None
    if found not in MODEL_TYPES[spec.kind]:
        expected = " or ".join(MODEL_TYPES[spec.kind])
        raise SertkError(f"{folder}/config.json: model_type is {show(found)}, expected {expected}: another encoder")
    check_sizes(spec, config, HUGGINGFACE_SIZES[spec.kind], f"{folder}/config.json")
    path = huggingface_file(folder)
    if path is None:
        raise SertkError(f"{folder}: no weights (expected {' or '.join(HUGGINGFACE)})")
    weights: dict[str, Tensor] = {}
    for each in pieces_of(path):
        weights.update(read_safetensors(each) if each.suffix == ".safetensors" else tensors(load_pytorch(each), each))
    convert = whisper.from_huggingface if spec.kind == "whisper" else wav2vec2.from_huggingface
    return converted(convert, weights, path)


def pieces_of(path: Path) -> list[Path]:
    """The files with weights: `path` itself, or those that it is the index of."""
    if not path.name.endswith(".index.json"):
        return [path]
    index = read_json(path)
    names = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(names, dict) or not all(isinstance(each, str) and "/" not in each for each in names.values()):
        raise SertkError(f"{path}: no index of weights: expected weight_map with a file for each")
    return [path.parent / name for name in sorted(set(names.values()))]


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """A file's tensors, but for a decoder's."""
    open(path, "rb").close()  # as safetensors does not say why a file cannot be read
    try:
        with safe_open(path, framework="pt") as handle:
            return {name: handle.get_tensor(name) for name in handle.keys() if is_encoder(name)}  # noqa: SIM118
    except SafetensorError as error:
        raise SertkError(f"{path}: not a safetensors file, or a damaged one ({error}); get it again") from error


def read_pytorch(spec: Spec, path: Path) -> dict[str, Tensor]:
    """OpenAI's file, or a state dict of torchaudio's."""
    content = load_pytorch(path)
    if spec.kind != "whisper":
        state = {name.removeprefix("model."): value for name, value in tensors(content, path).items()}
        return converted(wav2vec2.from_torchaudio, state, path)
    if not isinstance(content, dict) or not {"dims", "model_state_dict"} <= set(content):
        raise SertkError(f"{path}: no file of OpenAI's Whisper: expected dims and model_state_dict")
    dims = content["dims"]
    check_sizes(spec, dims if isinstance(dims, dict) else {}, OPENAI_SIZES, path)
    return converted(whisper.from_openai, tensors(content["model_state_dict"], path), path)


def load_pytorch(path: Path) -> Any:
    """The content of a PyTorch file, on the CPU and as data alone; what is not used stays on the disk."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except OSError:
        raise
    except Exception as error:  # PyTorch's own words advise what is not safe
        raise SertkError(f"{path}: not weights in a format that is known, or a damaged file") from error


def tensors(content: object, path: Path) -> dict[str, Tensor]:
    """A state dict, but for a decoder's tensors."""
    if not isinstance(content, dict) or not content or not all(isinstance(each, Tensor) for each in content.values()):
        raise SertkError(f"{path}: no weights of an encoder: expected a mapping of names to tensors alone")
    return {name: value for name, value in content.items() if isinstance(name, str) and is_encoder(name)}


def is_encoder(name: str) -> bool:
    return not name.removeprefix("model.").startswith(DECODER)


def read_ctranslate2(spec: Spec, path: Path) -> dict[str, Tensor]:
    path = path / CTRANSLATE2 if path.is_dir() else path
    if spec.kind != "whisper":
        raise SertkError(f"{path}: a CTranslate2 file; those are read of Whisper alone, and this is a {spec.kind}")
    if not ctranslate2.is_model(path):
        raise SertkError(f"{path}: no CTranslate2 file; get it again")
    weights = ctranslate2.read_model(path, "WhisperSpec", "encoder/")
    heads = weights.get("encoder/num_heads")
    if heads is not None and not heads.ndim:
        check_sizes(spec, {"encoder/num_heads": int(heads)}, {"encoder/num_heads": "heads"}, path)
    return converted(whisper.from_ctranslate2, weights, path)


def converted(convert: Convert, weights: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Weights by our names; raises SertkError where one of several that belong together is missing."""
    try:
        return convert(weights)
    except (KeyError, RuntimeError) as error:
        raise SertkError(f"{path}: weights of another encoder: {' '.join(str(error).split())}") from error


def check_sizes(spec: Spec, found: Mapping[str, Any], names: Mapping[str, str], path: PathLike) -> None:
    """Raises SertkError unless sizes that a file states, by its own `names`, are those of the Spec."""
    sizes = dataclasses.asdict(sizes_of(spec, "encoder"))
    for theirs, ours in names.items():
        expected = sizes[ours]
        value = found.get(theirs, expected)
        if (tuple(value) if isinstance(value, list) else value) != expected:
            raise SertkError(f"{path}: {theirs} is {show(value)}, expected {show(expected)}: another encoder")


def check_weights(spec: Spec, weights: Mapping[str, Tensor], path: PathLike) -> None:
    """Raises SertkError unless names and shapes are those of the Spec's network, and all values finite."""
    for what in mistakes(spec, weights):
        raise SertkError(f"{path}: {what}")


def mistakes(spec: Spec, weights: Mapping[str, Tensor]) -> Iterator[str]:
    """What is wrong with weights, worst first."""
    with torch.device("meta"):
        expected = build_encoder(spec).state_dict()
    for name in expected:
        if name not in weights:
            yield f"{name} is missing: another encoder, or another size of it"
    for name in weights:
        if name not in expected:
            yield f"{name} is no weight of this encoder: another encoder, or another size of it"
    for name, value in weights.items():
        if value.shape != expected[name].shape:
            shapes = f"{shape_text(tuple(value.shape))}, expected {shape_text(tuple(expected[name].shape))}"
            yield f"{name} is {shapes}: another encoder, or another size of it"
        if not value.is_floating_point():
            yield f"{name} has whole numbers, expected floating point"
    for name, value in weights.items():
        if not value.isfinite().all():
            yield f"{name} is not finite everywhere; get the file again"
