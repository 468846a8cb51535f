"""Pictures of how results change with a number of the config."""

import numpy as np
import pytest
import yaml
from decoded_experiments import CLASSES, make_experiment
from sklearn.metrics import accuracy_score, recall_score
from test_plots import EMOTIONS, LONG_NAME, check_layout, check_picture, draw

from sertk.core.errors import SertkError
from sertk.core.files import write_json
from sertk.evaluation.results import score
from sertk.evaluation.runs import read_runs
from sertk.reports.figures import draw_sweep
from sertk.reports.plots.sweep import sweep_figure, swept_number

KEY = "steps.encoder.model.units"


def make_point(folder, units, name="encoder", number=0, **facts):
    make_experiment(folder, done=(1,), number=number, **facts)
    write_json(folder / "results.json", score(folder, draws=100))
    config = {"steps": {"classifier": {"model": {"name": "svm"}}, name: {"model": {"units": units}}}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return folder


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    """Experiments of 512, 32 and 128 units, not in order."""
    folder = tmp_path_factory.mktemp("exp")
    return [make_point(folder / f"ae_{units}", units, number=units, model="ae") for units in (512, 32, 128)]


def test_lines_are_the_metric_and_the_recalls_by_ascending_numbers(points):
    figure = draw_sweep(points, KEY, "accuracy")
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert list(lines) == ["accuracy", *CLASSES]
    for line in lines.values():
        assert list(line.get_xdata()) == [32, 128, 512]
    for place, experiment in enumerate((points[1], points[2], points[0])):
        runs = [run.predictions for run in read_runs(experiment, CLASSES)]
        pair = [np.concatenate([getattr(run, part) for run in runs]) for part in ("reference", "predicted")]
        recalls = recall_score(*pair, average=None)
        expected = [accuracy_score(*pair), *recalls]
        drawn = [lines[name].get_ydata()[place] for name in lines]
        np.testing.assert_allclose(drawn, 100 * np.array(expected))
        uar = draw_sweep(points, KEY, "uar").axes[0].lines[0]
        assert (uar.get_label(), uar.get_ydata()[place]) == ("UAR", pytest.approx(100 * recalls.mean()))
    assert figure.axes[0].get_xscale() == "symlog"
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["32", "128", "512"]
    assert figure._suptitle.get_text() == ("ae, 1 of 3 folds, 2 seeds\nravdess, labels 8, protocol emobox")


def test_pictures_in_each_format_are_the_same_whatever_the_order(points, tmp_path):
    outs = [[tmp_path / f"{number}.{suffix}" for suffix in ("png", "svg", "pdf")] for number in (1, 2)]
    for out, experiments in zip(outs, (points, points[::-1])):
        assert draw("sweep", "--key", KEY, *(f"--out={path}" for path in out), *experiments) == 0
    for first, second in zip(*outs):
        check_picture(first)
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("numbers", "scale"),
    [
        ([2, 4, 6, 8, 10, 20, 40, 60, 80, 100], "symlog"),
        ([1, 2, 8], "linear"),
        ([-10, 0, 100], "linear"),
        ([0, 0.0001, 0.001, 0.01], "symlog"),
    ],
)
def test_axis_and_looks(numbers, scale):
    names = ["weighted F1", *EMOTIONS]
    lines = [(name, np.linspace(0, 1, len(numbers)) ** place) for place, name in enumerate(names)]
    figure = sweep_figure(numbers, lines, KEY, f"{LONG_NAME}\ntask")
    check_layout(figure)
    (axes,) = figure.axes
    assert axes.get_xscale() == scale and list(axes.get_xticks()) == numbers
    looks = [(line.get_marker(), str(line._dash_pattern)) for line in axes.lines]
    assert len(set(looks)) == len(names)
    assert [text.get_text() for text in figure.legends[0].texts] == names


def test_a_class_that_no_utterance_has_is_a_gap():
    figure = sweep_figure([1, 2], [("UAR", [0.5, 0.6]), ("sad", [None, 0.4])], "x", "t")
    np.testing.assert_array_equal(figure.axes[0].lines[1].get_ydata(), [np.nan, 40])


@pytest.mark.parametrize(("value", "number"), [(3, 3), ([7], 7), (1.5e-3, 0.0015), ([-0.5], -0.5)])
def test_numbers(value, number):
    assert swept_number({"model": {"x": value}}, "model.x", "c") == number


@pytest.mark.parametrize("value", ["wide", True, None, [1, 2], [], [True], [[1]], {"y": 1}, float("nan")])
def test_what_is_no_number(value):
    with pytest.raises(SertkError, match=r"c: model.x is .*, expected a number or a list of one"):
        swept_number({"model": {"x": value}}, "model.x", "c")


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("model.y", r"c: no key model.y \(there are: x, name\)"),
        ("units", r"c: no key units \(there are: model\)"),
        ("model.x.z", "c: no key model.x.z$"),
    ],
)
def test_absent_keys(key, message):
    with pytest.raises(SertkError, match=message):
        swept_number({"model": {"x": 1, "name": "n"}}, key, "c")


def test_sweeps_that_cannot_be_drawn(points, tmp_path, capsys):
    def fails(*arguments, status=1):
        assert draw("sweep", "--out", tmp_path / "no.svg", *arguments) == status
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and not (tmp_path / "no.svg").exists()
        return error

    assert "two experiments or more" in fails("--key", KEY, points[0], status=2)
    same = make_point(tmp_path / "same", [32])
    assert f"{points[1]} and {same} both have {KEY} 32;" in fails("--key", KEY, *points, same)
    assert f"{points[0]} and {points[0]} both have" in fails("--key", KEY, points[0], points[0])
    other = make_point(tmp_path / "other", 64, name="vae")
    absent = f"{other}/config.yaml: no key {KEY} (there are: classifier, vae)"
    assert absent in fails("--key", KEY, *points, other)
    assert "steps.classifier.model.name is 'svm', expected" in fails("--key", "steps.classifier.model.name", *points)
    classes = make_point(tmp_path / "classes", 64, classes=["a", "b"])
    assert "cannot be compared: neutral happy sad and a b" in fails("--key", KEY, *points, classes)
    random = make_point(tmp_path / "random", 64, protocol="random75")
    assert "protocol emobox and ravdess, labels 8, protocol random75" in fails("--key", KEY, *points, random)
    (same / "config.yaml").unlink()
    assert f"{same}/config.yaml: No such file" in fails("--key", KEY, *points, same)


def test_what_else_differs_is_warned_of(points, tmp_path, caplog):
    assert draw_sweep(points, KEY, "uar") and not caplog.text
    wider = make_point(tmp_path / "wider", 64)
    config = yaml.safe_load((wider / "config.yaml").read_text())
    config["steps"]["classifier"]["model"]["cost"] = 10
    (wider / "config.yaml").write_text(yaml.safe_dump(config))
    draw_sweep([*points, wider], KEY, "uar")
    assert f"they differ not in {KEY} alone: steps.classifier.model.cost" in caplog.text
