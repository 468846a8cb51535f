"""Encoders on this machine: a folder for each, with its weights by our names and what they are.

CACHE/NAME/encoder.yaml has the fields of a Spec, the SHA-256 of weights.safetensors beside it (`digest`), and what that
was made from (`source`). PyTorch is loaded where weights are written and read alone: configs are checked without it.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sertk.core.errors import SertkError
from sertk.core.files import file_digest, folder_aside, read_yaml, write_yaml
from sertk.core.locks import locked_folder
from sertk.core.typed import mistake
from sertk.encoders.registry import Spec, names, shipped_spec, spec_of

if TYPE_CHECKING:
    import torch

    from sertk.encoders.base import Encoder

ROOT = "SERTK_ENCODERS"  # the environment variable that names another folder
SPEC, WEIGHTS = "encoder.yaml", "weights.safetensors"
PATIENCE = 600.0  # seconds that another process is given to write the same encoder


@dataclass(frozen=True)
class Cached:
    """An encoder in the cache."""

    name: str
    folder: Path
    spec: Spec
    digest: str  # SHA-256 of its weights


def cache_root() -> Path:
    """The folder of all encoders: $SERTK_ENCODERS, else sertk/encoders in the user's cache."""
    if own := os.environ.get(ROOT):
        return Path(own).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if os.path.isabs(cache) else Path.home() / ".cache") / "sertk" / "encoders"


def is_name(name: str) -> bool:
    """Whether an encoder may be called so."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name) is not None


def cached_names() -> list[str]:
    """The encoders in the cache, sorted."""
    return sorted(path.parent.name for path in cache_root().glob(f"*/{SPEC}") if is_name(path.parent.name))


def find(name: str) -> Cached:
    """An encoder of the cache; raises SertkError where it is not there."""
    if is_name(name) and (cache_root() / name / SPEC).exists():
        return read_cached(name)
    if name in names():
        raise SertkError(f"{name} is not in the cache {cache_root()}: run sertk-get-encoder {name}")
    cached = ", ".join(cached_names()) or "none"
    raise SertkError(f"no encoder {name!r} (there are: {', '.join(names())}; in the cache {cache_root()}: {cached})")


def read_cached(name: str) -> Cached:
    path = cache_root() / name / SPEC
    data = read_yaml(path)
    if not isinstance(data, dict):
        raise mistake(path, "", f": expected a mapping; {remedy(path.parent)}")
    digest, _ = data.pop("digest", None), data.pop("source", None)
    if not isinstance(digest, str):
        raise mistake(path, "digest", f" is missing; {remedy(path.parent)}")
    return Cached(name, path.parent, spec_of(data, path), digest)


def remedy(folder: Path) -> str:
    return f"remove the folder {folder} and run sertk-get-encoder {folder.name} again"


def known_spec(name: str) -> Spec:
    """What an encoder is, by the cache, else as it is shipped; raises SertkError for an unknown one."""
    if name in names() and name not in cached_names():
        return shipped_spec(name)
    return find(name).spec


def add(name: str, spec: Spec, weights: Mapping[str, torch.Tensor], source: str) -> Cached:
    """Puts an encoder, its weights by our names, into the cache; one of that name is replaced.

    `source` says what the weights were made from. Raises SertkError where the cache cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    if not is_name(name):
        raise SertkError(f"{name!r} is no name of an encoder: letters, digits, - and _ only")
    folder = cache_root() / name
    # copies, as safetensors refuses tensors that share memory
    alone = {key: value.detach().cpu().contiguous().clone() for key, value in weights.items()}
    with locked_folder(folder, PATIENCE), folder_aside(folder) as aside:
        try:
            save_file(alone, aside / WEIGHTS)
        except SafetensorError as error:
            raise SertkError(f"{folder}: cannot be written: {error}") from error
        digest = file_digest(aside / WEIGHTS, "sha256")
        write_yaml(aside / SPEC, {**dataclasses.asdict(spec), "digest": digest, "source": source})
        shutil.copymode(aside / SPEC, aside / WEIGHTS)  # safetensors lets the user alone read them
    return Cached(name, folder, spec, digest)


def load(cached: Cached, device: torch.device) -> Encoder:
    """The network of an encoder with its weights, in float32 and eval mode; raises SertkError for damaged files.

    Random numbers that come after it are what they are without it.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from sertk.encoders.formats import build_encoder, check_weights

    path = cached.folder / WEIGHTS
    try:
        found = file_digest(path, "sha256")
        if found != cached.digest:
            raise SertkError(
                f"{path}: damaged: its sha256 is {found}, should be {cached.digest}; {remedy(cached.folder)}"
            )
        weights = load_file(path)
    except OSError as error:
        raise SertkError(f"{path}: {error.strerror or error}; {remedy(cached.folder)}") from error
    except SafetensorError as error:
        raise SertkError(f"{path}: damaged: {error}; {remedy(cached.folder)}") from error
    check_weights(cached.spec, weights, path)
    with torch.random.fork_rng(devices=[]):
        encoder = build_encoder(cached.spec)
    encoder.load_state_dict(weights)
    return encoder.float().to(device).eval()
