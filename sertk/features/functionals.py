"""openSMILE's feature sets: functionals of a whole recording, or the descriptors that they summarise.

The package opensmile comes with the extra `sertk[egemaps]`; its licence allows research and other
non-commercial use only.
"""

import functools
import math
import threading
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sertk.core.errors import SertkError
from sertk.core.typed import require

FULL_SCALE = 32768  # openSMILE takes 16-bit integers
LONGEST_WINDOW = 60  # ms, that of F0 in all of these sets; openSMILE gives nothing for less
LEVELS = {"functionals": "Functionals", "lld": "LowLevelDescriptors"}
ONE_AT_A_TIME = threading.Lock()  # nothing says that the package may be called from several threads


@dataclass(frozen=True)
class OpenSmile:
    """A feature set of openSMILE: waveform (samples,) float32 in [-1, 1] -> (frames, dims) float32.

    Functionals are one frame in all. Descriptors come each 10 ms: those of frame k are of windows of 20 to 60 ms
    that begin at k * 10 ms, each averaged with its neighbours, and as many frames as 60 ms fit in, and one more.
    Samples are rounded to 16 bits, and cut at full scale. Raises SertkError where the package cannot be used.
    """

    sample_frequency: float = 16000.0  # Hz
    feature_set: Literal["eGeMAPSv02", "eGeMAPSv01b", "GeMAPSv01b", "ComParE_2016"] = "eGeMAPSv02"
    feature_level: Literal["functionals", "lld"] = "functionals"
    context = None  # F0 and spectral filters depend on all that comes before
    margin = (0, 0)
    of_frames = None

    def __post_init__(self):
        require(8000 <= self.sample_frequency <= 192000, "sample_frequency", "8000 to 192000 Hz")
        _ = self._smile  # so that a missing package is said now

    @functools.cached_property
    def _smile(self) -> Any:
        return load_smile(self.feature_set, LEVELS[self.feature_level], int(self.sample_frequency))

    @property
    def shortest(self) -> int:
        """The samples of the longest window, the least that a recording needs."""
        return math.ceil(self.sample_frequency * LONGEST_WINDOW / 1000)

    @property
    def shift(self) -> int | None:
        """The samples from one window to the next, rounded as openSMILE does; None for functionals."""
        return int(self.sample_frequency / 100 + 0.5) if self.feature_level == "lld" else None

    @property
    def dims(self) -> int:
        return self._smile.num_features

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        samples = np.rint(waveform * FULL_SCALE).clip(-FULL_SCALE, FULL_SCALE - 1)
        with ONE_AT_A_TIME:
            features = self._smile(samples / FULL_SCALE, int(self.sample_frequency))[0].T
        if not np.isfinite(features).all():
            raise SertkError(f"openSMILE's {self.feature_set} has no finite values for this recording")
        return np.ascontiguousarray(features, dtype=np.float32)


def load_smile(feature_set: str, level: str, rate: int) -> Any:
    """The package's extractor; raises SertkError where the package is missing or cannot find its settings."""
    try:
        import opensmile
    except (ImportError, OSError) as error:
        raise SertkError(
            f"{feature_set} needs openSMILE ({error}): pip install 'sertk[egemaps]'; "
            "its licence allows research and other non-commercial use only"
        ) from error
    try:
        return opensmile.Smile(opensmile.FeatureSet[feature_set], opensmile.FeatureLevel[level], sampling_rate=rate)
    except UnicodeEncodeError as error:
        raise SertkError(f"{opensmile.__file__}: openSMILE needs a path in plain ASCII") from error
