"""Names that users gave stand in every kind of figure as they are, whatever their characters."""

import importlib
import pkgutil
from xml.etree import ElementTree

import numpy as np
import pytest
from decoded_experiments import make_experiment
from matplotlib.text import Text
from test_plots import check_picture

from sertk.evaluation.runs import read_runs
from sertk.inference.attention import AttentionMaps
from sertk.inference.neurons import Heard
from sertk.inference.timeline import Timeline
from sertk.reports import plots
from sertk.reports.plots import fonts
from sertk.reports.plots.confusion import confusion_figure
from sertk.reports.plots.inline import inline_svg
from sertk.reports.plots.pictures import METADATA, save_figure
from sertk.reports.plots.prediction import Overview
from sertk.reports.plots.recall import Recalls
from sertk.reports.plots.timeline import timeline_figure

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


def cases(file, classes):
    """{function: its arguments, and the texts that the figure has to show}."""
    return {
        "attention_figure": (
            [
                AttentionMaps(file, classes[0], dict.fromkeys(classes, 0.3), abs(NOISE[:9]), NOISE[:9], NOISE[:9]),
                0.1,
                9,
            ],
            [file, f"top-down: {classes[0]}"],
        ),
        "confusion_figure": ([np.eye(3), classes, file], [file, *classes]),
        "curves_figure": (None, [file, "fold 1", "fold 2"]),
        "neuron_figure": ([Heard(file, NOISE[:, 0], 16000, SHARES, TIMES, TIMES), 1, 0.5, 5], [file]),
        "prediction_figure": (
            [file, Overview(0.5, NOISE[:20, :2], NOISE[:50]), classes, np.array([TIMES, TIMES]).T, SHARES],
            [file, *classes],
        ),
        "recall_figure": (
            [[Recalls(file, SHARES[0], SHARES[0], 0.3)], classes, "$a$ task"],
            ["$a$ task", f"{file}: UAR 30.0 %", *classes],
        ),
        "scatter_figure": (
            [NOISE[:3, :2], [file] * 3, {name: np.array([place]) for place, name in enumerate(classes)}],
            [f"{file}: 3 points", *classes],
        ),
        "sweep_figure": ([[1, 2], [(name, [0.1, 0.2]) for name in classes], "$key$", file], [file, "$key$", *classes]),
        "timeline_figure": ([Timeline(file, NOISE[:, 0], 16000, classes, SHARES, 0.1)], [file, *classes]),
    }


KINDS = list(cases(FILE, CLASSES))


def draw(kind, file, classes, folder):
    """A figure, and the texts that it has to show."""
    arguments, expected = cases(file, classes)[kind]
    if arguments is None:
        arguments = [read_runs(make_experiment(folder / "exp", classes=classes), classes), file]
    return FUNCTIONS[kind](*arguments), expected


def texts_of(figure):
    return {text.get_text().replace("\n", "") for text in figure.findobj(Text)}


def texts_of_page(kind, *case):
    figure, expected = draw(kind, *case)
    svg = ElementTree.fromstring(inline_svg(figure, kind))
    return {"".join(each.itertext()) for each in svg.iter("text")}, expected


def test_every_kind_of_figure_has_a_case():
    assert set(FUNCTIONS) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_texts_and_no_formulas(kind, tmp_path):
    shown, expected = texts_of_page(kind, FILE, CLASSES, tmp_path)
    assert not {text for text in expected if text not in shown}
    figure, _ = draw(kind, FILE, CLASSES, tmp_path)
    save_figure(figure, [tmp_path / "a.png", tmp_path / "a.pdf"])
    check_picture(tmp_path / "a.png")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", KINDS)
def test_letters_that_no_font_has_are_code_points(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(fonts, "_other_families", list)
    file, classes = "\u58f0\x1b[1m.wav", ["\u6012\u308a", "caf\u00e9", "\u0433\u043d\u0435\u0432"]
    shown = ("U+58F0U+001B[1m.wav", ["U+6012U+308A", *classes[1:]])
    figure, _ = draw(kind, file, classes, tmp_path)
    save_figure(figure, [tmp_path / f"a{suffix}" for suffix in METADATA])
    _, expected = cases(*shown)[kind]
    assert not {text for text in expected if not any(text in each for each in texts_of(figure))}
    # A page's reader may have fonts that are not here, and no font has control characters.
    on_page, _ = texts_of_page(kind, file, classes, tmp_path)
    _, expected = cases(file.replace("\x1b", "U+001B"), classes)[kind]
    assert not {text for text in expected if text not in on_page}


@pytest.mark.filterwarnings("error")
def test_a_font_is_taken_that_has_the_letters(tmp_path, monkeypatch):
    monkeypatch.setattr(fonts, "_other_families", lambda: ["STIXGeneral", "cmr10"])
    name = "\u2322 frown"  # which DejaVu Sans lacks, and STIX of matplotlib has
    assert fonts.choose_fonts("frown\u2322") == (["DejaVu Sans", "STIXGeneral"], set())
    figure = confusion_figure(np.eye(2), [name, "joy"], name)
    save_figure(figure, [tmp_path / "a.png"])
    assert name in texts_of(figure)


def test_long_and_wide_names_stay_inside_the_picture(tmp_path):
    name = "\u58f0" * 90
    figure = timeline_figure(Timeline(name, NOISE[:, 0], 16000, ["a", "b", "c"], SHARES, 0.1))
    assert max(map(len, figure.get_suptitle().splitlines())) * 10 < 72 * figure.get_figwidth()
    figure = confusion_figure(np.eye(2), ["the label of a very long name", "joy"], "title")
    save_figure(figure, [tmp_path / "a.png"])
    assert "the label of a very\nlong name" in {text.get_text() for text in figure.axes[0].get_yticklabels()}
