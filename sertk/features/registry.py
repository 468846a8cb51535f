"""Feature types: small YAML files over the extractors."""

from pathlib import Path

from sertk.config import build
from sertk.errors import SertkError
from sertk.features.functionals import OpenSmile
from sertk.features.kaldi import Fbank, Mfcc
from sertk.features.pitch import MfccPitch
from sertk.features.spectrogram import Spectrogram
from sertk.files import read_yaml

EXTRACTORS = {
    "fbank": Fbank,
    "mfcc": Mfcc,
    "mfcc_pitch": MfccPitch,
    "opensmile": OpenSmile,
    "spectrogram": Spectrogram,
}
TYPES = Path(__file__).with_name("types")


def feature_types():
    """The names of the feature types that are shipped, sorted."""
    return sorted(path.stem for path in TYPES.glob("*.yaml"))


def load_extractor(feature_type=None, config=None):
    """The extractor of a shipped feature type, or of a YAML file `extractor: NAME` with its options.

    An extractor has `sample_frequency` (Hz), `shortest` (samples), `dims`, and turns a waveform
    (samples,) float32 in [-1, 1] into (frames, dims) float32, or raises SertkError for one without finite
    values. Raises SertkError for an unknown type, a key that the extractor does not have, a value of another
    kind, or a package that is missing.
    """
    if config is None:
        config = TYPES / f"{feature_type}.yaml"
        if feature_type not in feature_types():
            raise SertkError(
                f"no feature type '{feature_type}': there are {', '.join(feature_types())}; "
                "describe another one in a YAML file and pass it as --config"
            )
    options = read_yaml(config)
    if not isinstance(options, dict) or options.get("extractor") not in list(EXTRACTORS):
        raise SertkError(f"{config}: extractor: expected one of {', '.join(EXTRACTORS)}")
    extractor = EXTRACTORS[options.pop("extractor")]
    return build(extractor, options, config, "")
