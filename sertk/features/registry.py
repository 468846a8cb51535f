"""Feature types: small YAML files over the extractors."""

import dataclasses
from pathlib import Path
from typing import Any

from sertk.core.errors import SertkError
from sertk.core.files import PathLike, read_yaml
from sertk.core.typed import build
from sertk.features.extractor import Extractor
from sertk.features.functionals import OpenSmile
from sertk.features.kaldi import Fbank, Mfcc
from sertk.features.log_mel import LogMel, Waveform
from sertk.features.pitch import MfccPitch
from sertk.features.spectrogram import Spectrogram

EXTRACTORS: dict[str, type[Extractor]] = {
    "fbank": Fbank,
    "log_mel": LogMel,
    "mfcc": Mfcc,
    "mfcc_pitch": MfccPitch,
    "opensmile": OpenSmile,
    "spectrogram": Spectrogram,
    "waveform": Waveform,
}
TYPES = Path(__file__).with_name("types")


def feature_types() -> list[str]:
    """The names of the feature types that are shipped, sorted."""
    return sorted(path.stem for path in TYPES.glob("*.yaml"))


def load_extractor(feature_type: str | None = None, config: PathLike | None = None) -> Extractor:
    """The extractor of a shipped feature type, or of a YAML file `extractor: NAME` with its options.

    Raises SertkError for an unknown type, a key that the extractor does not have, a value of another kind, or a
    package that is missing.
    """
    if config is None:
        config = TYPES / f"{feature_type}.yaml"
        if feature_type not in feature_types():
            raise SertkError(
                f"no feature type '{feature_type}': there are {', '.join(feature_types())}; "
                "describe another one in a YAML file and pass it as --config"
            )
    return make_extractor(read_yaml(config), config)


def make_extractor(options: object, where: PathLike) -> Extractor:
    """The extractor that a mapping `extractor: NAME` with its options describes; `where` is named in errors."""
    if not isinstance(options, dict) or options.get("extractor") not in list(EXTRACTORS):
        raise SertkError(f"{where}: extractor: expected one of {', '.join(EXTRACTORS)}")
    own = {key: value for key, value in options.items() if key != "extractor"}
    return build(EXTRACTORS[options["extractor"]], own, where, "")


def describe_extractor(extractor: Extractor, channel: int | None = None) -> dict[str, Any]:
    """The mapping with all options from which `make_extractor` makes the extractor again, and the channel if chosen."""
    name = next(name for name, kind in EXTRACTORS.items() if kind is type(extractor))
    return {"extractor": name, **dataclasses.asdict(extractor), **({} if channel is None else {"channel": channel})}
