"""sertk: speech emotion recognition in staged recipes, in the style of Kaldi and ESPnet."""

__version__ = "0.1.0"


def load_recognizer(path, device="auto", **options):
    """The Recognizer of a packed model, a run folder, or an experiment folder; see predicting.load.load_recognizer."""
    from sertk.predicting import load

    return load.load_recognizer(path, device, **options)
