"""Pictures of results and of vectors."""

import logging
import xml.etree.ElementTree

import kaldiio
import matplotlib.image
import numpy as np
import pytest
from decoded_experiments import CLASSES, make_experiment, write_card, write_run
from sklearn.metrics import recall_score

from sertk.bin import plot
from sertk.core.errors import SertkError
from sertk.evaluation.runs import read_predictions, read_runs
from sertk.reports.plots.confusion import confusion_figure
from sertk.reports.plots.curves import curves_figure
from sertk.reports.plots.embedding import draw_points, embed, read_points, unit_spread
from sertk.reports.plots.pictures import fitted
from sertk.reports.plots.recall import class_recalls, recall_figure
from sertk.reports.plots.scatter import group_points, scatter_figure
from sertk.reports.writing import write_results

EMOTIONS = ["angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised"]
LONG_NAME = "blstm_capsule features_fbank128_model.capsules4_training.max_epochs30"


def make_scored(folder, **facts):
    write_results(make_experiment(folder, **facts), draws=100)
    return folder


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    return make_scored(tmp_path_factory.mktemp("exp") / "blstm_capsule_wide")


def draw(*arguments):
    return plot.main([str(argument) for argument in arguments])


def check_picture(path):
    if path.suffix == ".png":
        image = matplotlib.image.imread(path)
        assert min(image.shape[:2]) > 300 and image[..., :3].std() > 0.05
    elif path.suffix == ".svg":
        assert xml.etree.ElementTree.parse(path).getroot().tag.endswith("svg")
    else:
        content = path.read_bytes()
        assert content.startswith(b"%PDF") and content.rstrip().endswith(b"%%EOF")


def overlaps(texts):
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    return [(one, other) for n, one in enumerate(boxes) for other in boxes[:n] if one.overlaps(other)]


def check_layout(figure):
    """No two texts meet and none leaves the figure."""
    figure.draw_without_rendering()
    texts = [figure._suptitle] if figure._suptitle else []
    for axes in figure.axes:
        texts += [*axes.get_xticklabels(), axes.xaxis.label, axes.yaxis.label, axes.title, *axes.texts]
    legends = [legend.get_window_extent() for legend in figure.legends]
    boxes = [text.get_window_extent() for text in texts if text.get_text() and text.get_rotation() != 45]
    boxes += legends
    assert not any(one.overlaps(other) for n, one in enumerate(boxes) for other in boxes[:n])
    width, height = figure.bbox.size
    for box in boxes:
        assert -1 <= box.x0 and box.x1 <= width + 1 and -1 <= box.y0 and box.y1 <= height + 1


@pytest.mark.parametrize("kind", ["confusion", "curves", "recall"])
def test_pictures_of_results_in_each_format(scored, tmp_path, kind):
    outs = [[tmp_path / f"{kind}{number}.{suffix}" for suffix in ("png", "svg", "pdf")] for number in (1, 2)]
    for out in outs:
        assert draw(kind, *(f"--out={path}" for path in out), scored) == 0
    for first, second in zip(*outs):
        check_picture(first)
        assert first.read_bytes() == second.read_bytes()
    for path in outs[0][:2]:
        assert path.read_bytes() == (scored / f"{kind}{path.suffix}").read_bytes()
    assert b"matplotlib" not in outs[0][0].read_bytes().lower()


def test_unknown_format_is_refused_before_anything_is_read(tmp_path, capsys):
    assert draw("curves", "nowhere", "--out", "curves.png", "--out", "curves.bmp") == 2
    assert "curves.bmp: a picture is written as .png, .svg, .pdf" in capsys.readouterr().err


def test_curves_need_epochs(tmp_path, capsys):
    experiment = make_scored(tmp_path / "exp", done=(1,))
    for path in experiment.glob("fold*/seed*/metrics.jsonl"):
        path.unlink()
    assert draw("curves", experiment, "--out", tmp_path / "c.png") == 1
    assert "no learning curves" in capsys.readouterr().err
    assert not (tmp_path / "c.png").exists()


def test_curves_of_one_fold_are_its_seeds_and_else_the_folds(tmp_path):
    folds = read_runs(make_experiment(tmp_path / "folds", done=(1, 2), seeds=(1, 2)), CLASSES)
    seeds = read_runs(make_experiment(tmp_path / "seeds", done=(2,), seeds=(3, 5)), CLASSES)
    for runs, names in ((folds, ["fold 1", "fold 2"]), (seeds, ["seed 3", "seed 5"])):
        figure = curves_figure(runs, LONG_NAME)
        assert [text.get_text() for text in figure.legends[0].texts] == names
        check_layout(figure)


def test_curve_of_several_seeds_is_the_mean_of_those_that_go_on(tmp_path):
    rows = [("a1", "a", "sad", "sad")]
    write_card(tmp_path)
    for fold, seed, epochs in ((1, 1, 2), (1, 2, 4), (1, 3, 4), (1, 4, 5), (2, 1, 5)):
        write_run(tmp_path, fold, seed, rows, epochs=epochs)
    runs = read_runs(tmp_path, CLASSES)
    mean = next(line for line in curves_figure(runs, "t").axes[1].lines if len(line.get_xdata()) > 1)
    assert list(mean.get_xdata()) == [1, 2, 3, 4]
    uars = {run.seed: [100 * epoch["valid_uar"] for epoch in run.epochs] for run in runs if run.fold == 1}
    assert mean.get_ydata()[1] == pytest.approx(np.mean([uars[seed][1] for seed in (1, 2, 3, 4)]))
    assert mean.get_ydata()[2] == pytest.approx(np.mean([uars[seed][2] for seed in (2, 3, 4)]))


def test_recalls_agree_with_scikit_learn(scored):
    runs = read_runs(scored, CLASSES)
    own = class_recalls("a", runs, len(CLASSES))
    by_run = [recall_score(run.predictions.reference, run.predictions.predicted, average=None) for run in runs]
    paths = sorted(scored.glob("fold*/seed*/decode_test/predictions.tsv"))
    all_predictions = [read_predictions(path, CLASSES) for path in paths]
    reference, predicted = (
        np.concatenate([getattr(predictions, part) for predictions in all_predictions])
        for part in ("reference", "predicted")
    )
    np.testing.assert_allclose(own.recall, recall_score(reference, predicted, average=None))
    np.testing.assert_allclose(own.sd, np.std(by_run, axis=0, ddof=1))
    assert own.uar == pytest.approx(recall_score(reference, predicted, average="macro"))


def test_recall_of_a_class_that_few_runs_or_none_have(tmp_path):
    write_card(tmp_path)
    write_run(tmp_path, 1, 1, [("a1", "a", "sad", "sad"), ("a2", "a", "neutral", "sad")])
    write_run(tmp_path, 2, 1, [("b1", "b", "sad", "neutral")])
    recalls = class_recalls("a", read_runs(tmp_path, CLASSES), len(CLASSES))
    np.testing.assert_array_equal(recalls.recall, [0, np.nan, 0.5])
    np.testing.assert_allclose(recalls.sd, [np.nan, np.nan, np.sqrt(0.5)])
    check_layout(recall_figure([recalls], CLASSES, "t"))


def test_recall_of_several_systems(scored, tmp_path, capsys):
    other = make_scored(tmp_path / "blstm_capsule", done=(1,), right=0.9)
    for number, experiments in enumerate([(scored, other), (other, scored)]):
        assert draw("recall", *experiments, "--out", tmp_path / f"{number}.svg") == 0
        check_picture(tmp_path / f"{number}.svg")
    assert (tmp_path / "0.svg").read_bytes() != (tmp_path / "1.svg").read_bytes()
    random = make_scored(tmp_path / "other", protocol="random75", done=(1,))
    assert draw("recall", scored, random, "--out", tmp_path / "no.svg") == 1
    error = capsys.readouterr().err
    task = "ravdess, labels 8, protocol"
    assert f"cannot be compared: {task} emobox and {task} random75" in error
    assert not (tmp_path / "no.svg").exists()


def test_texts_do_not_overlap(tmp_path):
    confusion = confusion_figure(np.full((8, 8), 1234), EMOTIONS, f"{LONG_NAME}\ntask")
    check_layout(confusion)
    assert len(confusion.axes[0].texts) == 64
    assert not overlaps(confusion.axes[0].get_yticklabels())
    check_layout(confusion_figure([[1, 2], [3, 4]], ["normal", "strong"], f"{LONG_NAME}\ntask"))
    runs = read_runs(make_experiment(tmp_path, classes=EMOTIONS), EMOTIONS)
    systems = [class_recalls(f"{LONG_NAME} {number}, 6 of 6 folds", runs, 8) for number in range(9)]
    check_layout(recall_figure(systems, EMOTIONS, "task"))
    check_layout(recall_figure(systems[:1], EMOTIONS, LONG_NAME))


def test_fitted_breaks_lines_that_are_too_long():
    assert fitted("short\nlines", 3, 10) == "short\nlines"
    lines = fitted("a long name " * 10, 3, 10).splitlines()
    assert len(lines) > 3 and max(map(len, lines)) <= 34


# Vectors


def write_archive(path, matrices):
    kaldiio.save_ark(str(path), {key: np.asarray(matrix, np.float32) for key, matrix in matrices.items()})
    return f"ark:{path}"


def test_points_are_the_rows_of_all_utterances(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    archives = {
        "train": write_archive(tmp_path / "a", {"u1": [[1, 2], [3, 4]], "u2": [[5, 6], [7, 8]]}),
        "test": write_archive(tmp_path / "b", {"u3": [9, 10]}),
    }
    labels = {"u1": "sad", "u2": "happy", "u3": "sad", "u4": "calm", "u5": "calm"}
    points = list(read_points(archives, labels))
    assert [(point.archive, point.utterance, point.row, point.label) for point in points] == [
        ("train", "u1", 1, "sad"),
        ("train", "u1", 2, "sad"),
        ("train", "u2", 1, "happy"),
        ("train", "u2", 2, "happy"),
        ("test", "u3", 1, "sad"),
    ]
    np.testing.assert_array_equal([point.vector for point in points], np.arange(1, 11).reshape(5, 2))
    said = (
        "3 of 5 labelled utterances are in these archives; others, such as those of the validation split, are not drawn"
    )
    assert f"{said}: u4 u5" in caplog.text
    by_label, by_row = group_points(points, "label"), group_points(points, "row")
    assert {name: list(own) for name, own in by_label.items()} == {"happy": [2, 3], "sad": [0, 1, 4]}
    assert {name: list(own) for name, own in by_row.items()} == {"row 1": [0, 2, 4], "row 2": [1, 3]}
    assert [point.label for point in read_points(archives)] == [None] * 5


def test_rows_are_ordered_as_numbers(tmp_path):
    points = list(read_points({"a": write_archive(tmp_path / "a", {"u": np.eye(12)})}))
    assert list(group_points(points, "row")) == [f"row {number}" for number in range(1, 13)]


def test_drawn_points_are_a_fair_ordered_sample():
    assert draw_points(range(5), 5) == [0, 1, 2, 3, 4]
    draws = [draw_points(iter(range(20)), 5, seed) for seed in range(400)]
    assert all(len(set(drawn)) == 5 and drawn == sorted(drawn) for drawn in draws)
    counts = np.bincount(np.concatenate(draws), minlength=20)
    assert counts.sum() == 2000 and abs(counts - 100).max() < 40  # four standard deviations are 35
    assert draw_points(range(20), 5, 3) == draws[3]


def test_separate_clusters_stay_separate_and_repeatable():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(60, 80)).astype(np.float32)
    vectors[30:] += 10
    coordinates = embed(vectors, perplexity=10, seed=1)
    assert coordinates.shape == (60, 2)
    centres = coordinates[:30].mean(0), coordinates[30:].mean(0)
    radius = max(
        np.linalg.norm(own - centre, axis=1).max() for own, centre in zip((coordinates[:30], coordinates[30:]), centres)
    )
    assert np.linalg.norm(centres[0] - centres[1]) > 2 * radius
    np.testing.assert_array_equal(embed(vectors, perplexity=10, seed=1), coordinates)


def test_panels_share_axes_and_legend():
    coordinates = np.random.default_rng(0).normal(size=(40, 2))
    groups = {name: np.arange(number, 40, 8) for number, name in enumerate(EMOTIONS)}
    panels = ["train"] * 30 + ["test"] * 10
    figure = scatter_figure(coordinates, panels, groups)
    assert [axes.get_title() for axes in figure.axes] == ["train: 30 points", "test: 10 points"]
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()
    assert [text.get_text() for text in figure.legends[0].texts] == EMOTIONS
    calm = figure.axes[1].collections[EMOTIONS.index("calm")]
    np.testing.assert_array_equal(calm.get_offsets(), coordinates[[33]])
    check_layout(figure)
    check_layout(scatter_figure(coordinates, ["a", "b", "c", "d"] * 10, {LONG_NAME: np.arange(40)}))


@pytest.fixture
def layer(tmp_path):
    """A label file and two archives of 3 units of 60 dims; units are told apart, classes hardly."""
    random = np.random.default_rng(0)
    units = 3 * random.normal(size=(3, 60))
    labels = {f"u{number:02d}": ("happy", "sad")[number % 2] for number in range(24)}
    matrices = {utterance: units + random.normal(size=(3, 60)) for utterance in labels}
    for name, part in (("train", slice(0, 16)), ("test", slice(16, 24))):
        write_archive(tmp_path / f"{name}.ark", dict(list(matrices.items())[part]))
    (tmp_path / "labels").write_text("".join(f"{key} {label}\n" for key, label in labels.items()))
    return tmp_path


def tsne(folder, *arguments):
    archives = [f"{name}=ark:{folder}/{name}.ark" for name in ("train", "test")]
    return draw("tsne", "--perplexity", 8, *arguments, *archives)


def test_tsne_command(layer, capsys):
    labels = ["--by=row", f"--utt2label={layer}/labels"]
    for number in (1, 2):
        outs = [f"--out={layer}/{number}{suffix}" for suffix in (".png", ".svg")]
        assert tsne(layer, *labels, f"--embedding={layer}/{number}.tsv", *outs) == 0
    for suffix in (".png", ".svg", ".tsv"):
        assert (layer / f"1{suffix}").read_bytes() == (layer / f"2{suffix}").read_bytes()
        if suffix != ".tsv":
            check_picture(layer / f"1{suffix}")
    header, *lines = (layer / "1.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines]
    assert header.split("\t") == ["archive", "utterance", "row", "label", "x", "y"]
    assert len(rows) == 72
    assert rows[0][:4] == ["train", "u00", "1", "happy"] and rows[-1][:4] == ["test", "u23", "3", "sad"]
    units = np.array([row[2] for row in rows])
    places = np.array([[float(value) for value in row[4:]] for row in rows])
    centres = {unit: places[units == unit].mean(0) for unit in "123"}
    nearest = [min(centres, key=lambda unit: np.linalg.norm(place - centres[unit])) for place in places]
    assert nearest == list(units)


def test_tsne_draws_some_of_many_points(layer, caplog):
    caplog.set_level(logging.INFO)
    outputs = [f"--embedding={layer}/e.tsv", f"--out={layer}/a.png"]
    assert tsne(layer, "--max_points=30", "--seed=5", *outputs) == 0
    assert "30 of 72 points drawn at random with seed 5" in caplog.text
    lines = (layer / "e.tsv").read_text().splitlines()
    assert len(lines) == 31 and lines[1].split("\t")[3] == "-"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--by", "label"], 2, "--by label needs --utt2label"),
        (["--perplexity", "0"], 2, "--perplexity and --max_points are above 0"),
        (["--seed", "-1"], 2, "--seed at least 0"),
        (["--perplexity", "72"], 1, "a perplexity of 72 needs more than 72 points"),
        (["scp"], 2, "tsne scp: expected NAME=RSPECIFIER"),
        (["train=ark:x"], 2, "train is given twice"),
        (["x=ark:missing.ark"], 1, "missing.ark: No such file"),
    ],
)
def test_tsne_says_what_is_wrong(layer, capsys, arguments, status, message):
    assert tsne(layer, f"--out={layer}/a.png", *arguments) == status
    assert message in capsys.readouterr().err
    assert not (layer / "a.png").exists()


def test_tsne_names_utterances_without_label_and_other_dims(layer, capsys):
    few = layer / "few"
    few.write_text("")
    assert tsne(layer, "--utt2label", few, f"--out={layer}/a.png") == 1
    assert "24 of 24 utterances have no label in --utt2label: u00 u01" in capsys.readouterr().err
    few.write_text("".join((layer / "labels").read_text().splitlines(True)[:22]))
    assert tsne(layer, "--utt2label", few, f"--out={layer}/a.png") == 1
    assert "2 of 24 utterances have no label in --utt2label: u22 u23" in capsys.readouterr().err
    write_archive(layer / "odd.ark", {"v1": np.ones((3, 7))})
    assert tsne(layer, f"--out={layer}/a.png", f"odd=ark:{layer}/odd.ark") == 1
    assert "u00 has 60 dimensions, the utterances before it 7" in capsys.readouterr().err


def test_groups_that_cannot_be_told_apart_are_refused(tmp_path):
    points = list(read_points({"a": write_archive(tmp_path / "a", {"u": np.eye(31)})}))
    with pytest.raises(SertkError, match="31 different rows, and a picture tells 30 apart"):
        group_points(points, "row")


@pytest.mark.parametrize(
    "dtype, scale", [(np.float32, 1e-30), (np.float32, 1e-40), (np.float64, 1e-300), (np.float64, 1e300)]
)
def test_vectors_are_scaled_before_they_are_embedded(dtype, scale):
    plain = np.random.default_rng(0).integers(-9, 9, size=(20, 4)).astype(np.float64)
    scaled = unit_spread((plain * scale).astype(dtype))
    assert scaled.dtype == np.float32 and np.ptp(scaled, axis=0).max() == pytest.approx(1)
    np.testing.assert_allclose(scaled, unit_spread(plain), atol=1e-3)  # which has but a few bits in float32 below 1e-38


def test_a_small_spread_far_from_zero_counts():
    vectors = 1 + 1e-12 * np.arange(24.0).reshape(8, 3) ** 2  # all the same in float32
    assert np.ptp(unit_spread(vectors), axis=0).max() == pytest.approx(1)


@pytest.mark.parametrize("value", [0.1, 0.0, 1e-300])
def test_a_spread_that_rounding_alone_makes_is_none(value):
    with pytest.raises(SertkError, match="not all the same"):
        unit_spread(np.full((7, 3), value))


@pytest.mark.parametrize("vectors", [np.ones((50, 4)), np.arange(50.0)[:, None]])
def test_points_that_cannot_be_embedded_are_refused(vectors):
    with pytest.raises(SertkError, match="two or more dimensions that are not all the same"):
        embed(vectors, perplexity=5)


@pytest.mark.parametrize("points, perplexity", [(2, 1), (9, 4), (89, 30), (100, 30)])
def test_few_points_have_a_perplexity_that_fits(points, perplexity, caplog):
    caplog.set_level("INFO")
    vectors = np.random.default_rng(0).normal(size=(points, 3))
    assert np.isfinite(embed(vectors)).all()
    assert f"t-SNE of {points} points of 3 dimensions, perplexity {perplexity}" in caplog.text
    with pytest.raises(SertkError, match="not all the same"):
        embed(vectors[:1])
