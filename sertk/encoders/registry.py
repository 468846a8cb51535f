"""Encoders by name: their kinds and sizes, and where weights come from, as YAML files say it; without PyTorch."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from sertk.core.errors import SertkError
from sertk.core.files import PathLike, read_yaml
from sertk.core.typed import Dataclass, Where, build, mistake, require

SHIPPED = Path(__file__).with_name("shipped")


@dataclass(frozen=True)
class WhisperSizes:
    dims: int
    layers: int  # blocks
    heads: int
    mel_bins: int = 80

    def __post_init__(self):
        require(self.dims >= 4 and self.dims % 2 == 0, "dims", "an even number from 4")
        require(self.layers >= 1, "layers", "1 or more")
        require(self.heads >= 1 and self.dims % self.heads == 0, "heads", "a divisor of dims")
        require(self.mel_bins in (80, 128), "mel_bins", "80 or 128")


@dataclass(frozen=True)
class Wav2vec2Sizes:
    """Of wav2vec 2.0 and HuBERT."""

    dims: int
    layers: int  # blocks
    heads: int
    feedforward: int  # dims between the two linear layers of a block
    feature_norm: Literal["group", "layer"] = "group"  # of the convolutions: the first one's alone, or each one's
    feature_bias: bool = False  # of the convolutions
    norm_first: bool = False  # within blocks, with one norm behind the last
    normalise: bool = False  # every recording to mean 0 and variance 1 before anything else
    channels: tuple[int, ...] = (512, 512, 512, 512, 512, 512, 512)  # of each convolution
    kernels: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    strides: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    position_kernel: int = 128
    position_groups: int = 16

    def __post_init__(self):
        for key in ("dims", "layers", "feedforward", "position_kernel", "position_groups"):
            require(getattr(self, key) >= 1, key, "1 or more")
        require(self.heads >= 1 and self.dims % self.heads == 0, "heads", "a divisor of dims")
        require(len({len(self.channels), len(self.kernels), len(self.strides)}) == 1, "kernels", "as many as channels")


@dataclass(frozen=True)
class WavlmSizes(Wav2vec2Sizes):
    buckets: int = 320  # of relative positions
    max_distance: int = 800  # frames, from which on all share a bucket


KINDS: dict[str, type[Dataclass]] = {"whisper": WhisperSizes, "wav2vec2": Wav2vec2Sizes, "wavlm": WavlmSizes}


def convert_mapping(_: object, value: object, path: Where, key: str) -> Any:
    """Stays a mapping here: the class of sizes depends on the kind, and sources are built one by one."""
    if not isinstance(value, dict):
        raise mistake(path, key, ": expected a mapping")
    return value


@dataclass(frozen=True)
class Source:
    """Where weights can be fetched from, one of the two: a file's address, or packages with pieces of one file."""

    format: Literal["openai", "torchaudio", "huggingface", "ctranslate2"]
    url: str | None = None
    packages: tuple[str, ...] = ()  # NAME==VERSION
    pieces: tuple[str, ...] = ()  # paths in the packages, which joined are the file
    sha256: str | None = None  # of the file; null: nobody has published one

    def __post_init__(self):
        require(bool(self.url) != bool(self.packages), "url", "given, or packages in its place")
        require(bool(self.packages) == bool(self.pieces), "pieces", "given with packages, and only with them")
        inside = [not PurePosixPath(piece).is_absolute() and ".." not in piece.split("/") for piece in self.pieces]
        require(all(inside), "pieces", "paths inside the packages")
        require(all(re.fullmatch(r"\w[\w.-]*==[\w.+!-]+", each) for each in self.packages), "packages", "NAME==VERSION")
        digest = self.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", self.sha256)
        require(digest, "sha256", "64 hexadecimal digits, or null")


@dataclass(frozen=True)
class Spec:
    """What an encoder is."""

    kind: Literal["whisper", "wav2vec2", "wavlm"]
    sizes: dict[str, Any] = field(metadata={"convert": convert_mapping})
    licence: str
    rate: int = 16000  # Hz
    about: str = ""  # in a line
    # {"web" or "pypi": what a Source has}
    sources: dict[str, Any] = field(default_factory=dict, metadata={"convert": convert_mapping})

    @property
    def layers(self) -> int:
        """The last layer; the first one is 0."""
        return self.sizes["layers"]

    @property
    def network(self) -> dict[str, Any]:
        """What build.new_encoder makes the network from."""
        return {"kind": self.kind, "sizes": self.sizes}


def names() -> list[str]:
    """Those that are shipped, sorted."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def read_spec(path: PathLike) -> Spec:
    """The Spec of a YAML file; raises SertkError for anything unknown or impossible."""
    return spec_of(read_yaml(path), path)


def spec_of(data: object, path: PathLike) -> Spec:
    """The Spec that a mapping, read from a file, describes; raises SertkError for anything unknown or impossible."""
    spec = build(Spec, data, path)
    sizes_of(spec, path)
    sources_of(spec, path)
    return spec


def sources_of(spec: Spec, path: Where) -> dict[str, Source]:
    """{"web": an address, "pypi": packages}, those that there are; raises SertkError for others."""
    sources = {name: build(Source, source, path, f"sources.{name}.") for name, source in spec.sources.items()}
    for name, source in sources.items():
        if name not in ("web", "pypi"):
            raise mistake(path, "sources", f" has {name}, known are web and pypi")
        if bool(source.url) != (name == "web"):
            raise mistake(path, f"sources.{name}", f" needs {'a url' if name == 'web' else 'packages and pieces'}")
    return sources


def sizes_of(spec: Spec, path: Where) -> Any:
    """The sizes as the dataclass of the spec's kind."""
    return sizes_of_kind(spec.kind, spec.sizes, path)


def sizes_of_kind(kind: str, sizes: Mapping[str, Any], path: Where) -> Any:
    return build(KINDS[kind], sizes, path, "sizes.")


def input_type(kind: str, sizes: Mapping[str, Any]) -> str:
    """The feature type that an encoder takes."""
    return f"log_mel{sizes.get('mel_bins', WhisperSizes.mel_bins)}" if kind == "whisper" else "waveform"


def shipped_spec(name: str) -> Spec:
    """The Spec of a shipped encoder; raises SertkError for an unknown one."""
    if name not in names():
        raise SertkError(f"no encoder {name!r} (there are: {', '.join(names())})")
    return read_spec(SHIPPED / f"{name}.yaml")
