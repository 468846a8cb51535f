"""sertk: speech emotion recognition in staged recipes, in the style of Kaldi and ESPnet.

`Experiment` (see sertk.pipeline) trains, decodes and scores; `load_recognizer` (see sertk.predicting.load) gives a
function of a recording. Both are imported when they are asked for, as they bring PyTorch with them.
"""

import importlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sertk.pipeline import Experiment
    from sertk.predicting.load import load_recognizer

__version__ = "0.4.0"
__all__ = ["Experiment", "load_recognizer"]

# GNU OpenMP, PyTorch's, reads this when it is loaded. Its threads wait for each other thousands of times in a recurrent
# layer, by default for some 10 ms at full speed before they sleep: on cores that others use too, a hundred times as
# long as the work takes.
if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
    os.environ["GOMP_SPINCOUNT"] = "1000"

_MODULES = {"Experiment": "sertk.pipeline", "load_recognizer": "sertk.predicting.load"}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
