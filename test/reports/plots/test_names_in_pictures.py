"""Names that users gave stand in every kind of figure as they are, whatever their characters."""

import importlib
import pkgutil
from xml.etree import ElementTree

import numpy as np
import pytest
from decoded_experiments import make_experiment
from test_plots import check_picture

from sertk.evaluation.runs import read_runs
from sertk.inference.attention import AttentionMaps
from sertk.inference.neurons import Heard
from sertk.inference.timeline import Timeline
from sertk.reports import plots
from sertk.reports.plots.inline import inline_svg
from sertk.reports.plots.pictures import save_figure
from sertk.reports.plots.prediction import Overview
from sertk.reports.plots.recall import Recalls

FILE = "take_$1_$2.wav"
CLASSES = ["$high_$", r"$\nothing$", "_low_"]
NOISE = np.random.default_rng(0).normal(size=(8000, 3)).astype(np.float32)
SHARES = np.full((5, 3), 1 / 3)
TIMES = np.arange(5) / 10
FUNCTIONS = {
    name: function
    for module in pkgutil.iter_modules(plots.__path__, f"{plots.__name__}.")
    for name, function in vars(importlib.import_module(module.name)).items()
    if name.endswith("_figure") and function.__module__ == module.name and name != "save_figure"
}
CASES = {  # arguments, and the texts that the figure has to show
    "attention_figure": (
        [AttentionMaps(FILE, CLASSES[0], dict.fromkeys(CLASSES, 0.3), abs(NOISE[:9]), NOISE[:9], NOISE[:9]), 0.1, 9],
        [FILE, f"top-down: {CLASSES[0]}"],
    ),
    "confusion_figure": ([np.eye(3), CLASSES, FILE], [FILE, *CLASSES]),
    "curves_figure": (None, [FILE, "fold 1", "fold 2"]),
    "neuron_figure": ([Heard(FILE, NOISE[:, 0], 16000, SHARES, TIMES, TIMES), 1, 0.5, 5], [FILE]),
    "prediction_figure": (
        [FILE, Overview(0.5, NOISE[:20, :2], NOISE[:50]), CLASSES, np.array([TIMES, TIMES]).T, SHARES],
        [FILE, *CLASSES],
    ),
    "recall_figure": (
        [[Recalls(FILE, SHARES[0], SHARES[0], 0.3)], CLASSES, "$a$ task"],
        ["$a$ task", f"{FILE}: UAR 30.0 %", *CLASSES],
    ),
    "scatter_figure": (
        [NOISE[:3, :2], [FILE] * 3, {name: np.array([place]) for place, name in enumerate(CLASSES)}],
        [f"{FILE}: 3 points", *CLASSES],
    ),
    "sweep_figure": ([[1, 2], [(name, [0.1, 0.2]) for name in CLASSES], "$key$", FILE], [FILE, "$key$", *CLASSES]),
    "timeline_figure": ([Timeline(FILE, NOISE[:, 0], 16000, CLASSES, SHARES, 0.1)], [FILE, *CLASSES]),
}


def test_every_kind_of_figure_has_a_case():
    assert set(FUNCTIONS) == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_names_are_texts_and_no_formulas(name, tmp_path):
    arguments, expected = CASES[name]
    if arguments is None:
        arguments = [read_runs(make_experiment(tmp_path / "exp", classes=CLASSES), CLASSES), FILE]
    svg = ElementTree.fromstring(inline_svg(FUNCTIONS[name](*arguments), name))
    shown = {"".join(each.itertext()) for each in svg.iter("text")}
    assert not {text for text in expected if text not in shown}
    save_figure(FUNCTIONS[name](*arguments), [tmp_path / "a.png", tmp_path / "a.pdf"])
    check_picture(tmp_path / "a.png")
