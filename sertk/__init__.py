"""sertk: speech emotion recognition in staged recipes, in the style of Kaldi and ESPnet."""

__version__ = "0.1.0"
