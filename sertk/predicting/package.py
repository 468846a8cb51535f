"""Packed models: one zip with all that recognising needs, and nothing that is executed when it is read.

`model.json` has the format's number, name and card of the system, and of each part config, classes, dims and
feature options; `model.pt` and, of earlier parts, `steps/PART.pt` have weights and normalisation statistics, for
torch.load with weights_only. Our own recogniser, where it is the encoder, is the part `asr`. Of another encoder the
config has the name and the digest; its weights are in the package, as `encoder.pt`, where that was asked for.
"""

import contextlib
import hashlib
import io
import json
import re
import zipfile
from typing import Any

import torch
from torch import nn

from sertk import __version__
from sertk.config.former import FORMER, current_export
from sertk.config.schema import Config, to_mapping
from sertk.core.documents import parse_json
from sertk.core.errors import SertkError
from sertk.core.files import PathLike, write_aside
from sertk.core.typed import build, shorten, show
from sertk.encoders.build import new_encoder
from sertk.inference.encoding import LoadedEncoder, as_encoder, load_cached
from sertk.inference.trained import LoadedModel
from sertk.models.build import build_model
from sertk.predicting.system import System, archived_encoder
from sertk.training.checkpoint import current_names

FORMAT = 1
MANIFEST = "model.json"
RECOGNISER_PART, ENCODER_FILE = "asr", "encoder.pt"
REMEDY = "copy it again, or pack it again (sertk-pack)"
LARGEST_MANIFEST = 2**24  # bytes
LARGEST_WINDOW = 2**26  # values


def write_package(path: PathLike, system: System, with_encoder: bool = False) -> None:
    """Writes a System, with the weights of its encoder if asked for; the same content gives the same bytes.

    Raises SertkError for `with_encoder` where there is no encoder of the cache.
    """
    parts, encoder = dict(system.parts), system.encoder
    if encoder and encoder.trained:
        parts = {RECOGNISER_PART: encoder.trained, **parts}
    contents = {f"{name}.pt": saved(weights_of(model)) for name, model in parts.items()}
    kept = {}
    if with_encoder:
        if encoder is None or encoder.source is None:
            raise SertkError(f"{path}: the system has no encoder of the cache: leave --with_encoder out")
        contents[ENCODER_FILE] = saved(plain_state(encoder.network))
        kept = {"encoder": encoder.source}
    manifest = {
        "format": FORMAT,
        "sertk": __version__,
        "card": system.card,
        "steps": {name: description_of(model) for name, model in parts.items()},
        **kept,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False)
    with write_aside(path, "wb") as handle, zipfile.ZipFile(handle, "w") as package:
        for name, content in {MANIFEST: text.encode(), **contents}.items():
            package.writestr(zipfile.ZipInfo(name), content)  # of 1980, not compressed


def description_of(model: LoadedModel) -> dict[str, Any]:
    return {
        "config": to_mapping(model.config),
        "classes": model.classes,
        "dims": model.dims,
        "feature_options": model.feature_options,
    }


def weights_of(model: LoadedModel) -> dict[str, Any]:
    normalisers = {name: normaliser.state() for name, normaliser in model.normalisers.items()}
    return {"model": plain_state(model.model), "normalisers": normalisers}


def plain_state(network: nn.Module) -> dict[str, torch.Tensor]:
    """The weights in memory of their own, as those that share some would be written with all of it."""
    return {name: value.cpu().clone() for name, value in network.state_dict().items()}


def saved(value: dict[str, Any]) -> bytes:
    content = io.BytesIO()
    torch.save(value, content)
    return content.getvalue()


def read_package(path: PathLike, device: torch.device) -> System:
    """The System of a packed model; an encoder that is not in the package is taken from the cache.

    Raises SertkError for what is none, is damaged, of another format, holds other files, or whose parts do not fit
    each other.
    """
    try:
        with zipfile.ZipFile(path) as package:
            check_entries(package, path)
            manifest = read_manifest(package, path)
            contents = {name: package.read(name) for name in manifest["files"]}
    except OSError as error:
        raise SertkError(f"{path}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise SertkError(
            f"{path}: not a packed model, or damaged, perhaps cut off ({shorten(str(error))}); {REMEDY}"
        ) from error
    for name, digest in manifest["files"].items():
        if hashlib.sha256(contents[name]).hexdigest() != digest:
            raise SertkError(f"{path}: {name} is damaged: its checksum is another; {REMEDY}")
    parts = {
        name: load_part(f"{path}: {name}", description, contents[f"{name}.pt"], device)
        for name, description in manifest["steps"].items()
    }
    recogniser = parts.pop(RECOGNISER_PART, None)
    reused = archived_encoder(parts)
    loaded = None
    if recogniser is not None:
        with refused(path):
            loaded = as_encoder(recogniser, device)
    elif reused and ENCODER_FILE in contents:
        loaded = load_packed_encoder(path, manifest["encoder"], contents[ENCODER_FILE], device)
    elif reused:
        loaded = load_cached(reused, path, device)
    return System(parts, manifest["card"], loaded)


def check_entries(package: zipfile.ZipFile, path: PathLike) -> None:
    """Raises SertkError for entries that are compressed, which could unpack to anything, twice there, or too large."""
    names = [entry.filename for entry in package.infolist()]
    if MANIFEST not in names:
        raise SertkError(f"{path}: no {MANIFEST} in it: not a model that sertk-pack made, or cut off; {REMEDY}")
    if len(set(names)) < len(names):
        raise SertkError(f"{path}: a file is in it twice")
    for entry in package.infolist():
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise SertkError(f"{path}: {entry.filename!r} is compressed, which sertk-pack never does")
    if package.getinfo(MANIFEST).file_size > LARGEST_MANIFEST:
        raise SertkError(f"{path}: {MANIFEST} is above {LARGEST_MANIFEST} bytes")


def read_manifest(package: zipfile.ZipFile, path: PathLike) -> dict[str, Any]:
    """The content of MANIFEST; raises SertkError where it is not as `write_package` writes it, or files are missing."""
    try:
        manifest = parse_json(package.read(MANIFEST))
    except ValueError as error:
        raise SertkError(f"{path}: {MANIFEST} is no JSON: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else None
        raise SertkError(f"{path}: of the format {show(found)}, this version of sertk ({__version__}) reads {FORMAT}")
    parts, files = manifest.get("steps"), manifest.get("files")
    if (
        not isinstance(manifest.get("card"), dict)
        or not isinstance(parts, dict)
        or not parts
        or not isinstance(files, dict)
    ):
        raise SertkError(f"{path}: {MANIFEST} lacks card, parts or files")
    expected = {f"{name}.pt" for name in parts} | ({ENCODER_FILE} if "encoder" in manifest else set())
    extra = sorted({*package.namelist()} - {MANIFEST} - expected)
    if extra or any(not re.fullmatch(r"(steps/)?\w[\w-]*\.pt", name) for name in expected):
        raise SertkError(f"{path}: {extra[0]!r} does not belong there" if extra else f"{path}: impossible part names")
    if set(files) != expected or not expected <= {*package.namelist()}:
        raise SertkError(f"{path}: not the weights of exactly the parts {', '.join(parts)}")
    return manifest


def load_part(where: str, description: Any, content: bytes, device: torch.device) -> LoadedModel:
    """The LoadedModel of a part; raises SertkError where weights, sizes and config do not fit each other."""
    if not isinstance(description, dict) or set(description) != {"config", "classes", "dims", "feature_options"}:
        raise SertkError(f"{where}: config, classes, dims and feature_options expected")
    check_description(where, description)
    weights = read_weights(where, content)
    with refused(where):
        task = {**description, "normalisers": weights["normalisers"]}
        if where.endswith(f" {RECOGNISER_PART}"):  # before version 0.3 it said which layer it is for
            task["config"] = {**task["config"], "extract": None}
        checkpoint = {
            "model": current_names(weights["model"], FORMER in description["config"]),
            "task": current_export(task),
        }
        check_sizes(checkpoint, where)
        model = LoadedModel(checkpoint, where, device)
        frames = model.config.segment.frames if model.config.segment else 1
        if frames * sum(model.dims.values()) > LARGEST_WINDOW:
            raise ValueError(f"windows of {frames} frames")
        model.try_out()
    return model


def read_weights(where: str, content: bytes) -> Any:
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:
        raise SertkError(f"{where}: not readable weights; {REMEDY}") from error


def load_packed_encoder(path: PathLike, source: Any, content: bytes, device: torch.device) -> LoadedEncoder:
    """The encoder whose weights are in a package; raises SertkError where they do not fit its sizes."""
    where = f"{path}: {ENCODER_FILE}"
    weights = read_weights(where, content)
    with refused(where):
        if source["sizes"]["layers"] > len(weights):  # before so many are made
            raise ValueError("fewer weights than layers")
        with torch.device("meta"):
            expected = {name: value.shape for name, value in new_encoder(source).state_dict().items()}
        if expected != {name: value.shape for name, value in weights.items()}:
            raise ValueError("the weights are not of the sizes that the manifest says")
        check_finite(weights)
        network = new_encoder(source)
        network.load_state_dict(weights)
        return LoadedEncoder(network, device, source=source)


def check_description(where: str, description: dict[str, Any]) -> None:
    """Raises SertkError for classes, dims or feature options that can be none."""
    classes, dims, options = (description[key] for key in ("classes", "dims", "feature_options"))
    if not (isinstance(classes, list) and len(set(map(str, classes))) == len(classes) >= 2):
        raise SertkError(f"{where}: classes: expected two names or more")
    if not (isinstance(dims, dict) and all(isinstance(size, int) and 0 < size < 2**20 for size in dims.values())):
        raise SertkError(f"{where}: dims: expected numbers above 0")
    if not isinstance(options, dict):
        raise SertkError(f"{where}: feature_options: expected a mapping")


def check_sizes(checkpoint: dict[str, Any], where: str) -> None:
    """Raises ValueError unless the weights are finite and, before memory is taken, of the config's sizes."""
    weights = checkpoint["model"]
    check_finite(weights)
    with torch.device("meta"):
        task = checkpoint["task"]
        expected = build_model(build(Config, task["config"], where), task["dims"], len(task["classes"])).state_dict()
    if expected and {name: value.shape for name, value in expected.items()} != {
        name: value.shape for name, value in weights.items()
    }:
        raise ValueError("the weights are not of the sizes that the config says")


def check_finite(weights: dict[str, torch.Tensor]) -> None:
    for name, value in weights.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise ValueError(f"{name} is not finite")


@contextlib.contextmanager
def refused(where):
    """Turns what goes wrong with content that sertk-pack did not write into one line."""
    try:
        yield
    except SertkError:
        raise
    except Exception as error:
        raise SertkError(f"{where}: its parts do not fit: {' '.join(str(error).split())[:200]}") from error
