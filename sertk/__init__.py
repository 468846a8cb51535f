"""sertk: speech emotion recognition in staged recipes, in the style of Kaldi and ESPnet."""

import os

__version__ = "0.1.0"

# GNU OpenMP, PyTorch's, reads this when it is loaded. Its threads wait for each other thousands of times in a recurrent
# layer, by default for some 10 ms at full speed before they sleep: on cores that others use too, a hundred times as
# long as the work takes.
if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
    os.environ["GOMP_SPINCOUNT"] = "1000"


def load_recognizer(path, device="auto", **options):
    """The Recognizer of a packed model, a run folder, or an experiment folder; see predicting.load.load_recognizer."""
    from sertk.predicting import load

    return load.load_recognizer(path, device, **options)
