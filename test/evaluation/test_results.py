import json
import statistics

import numpy as np
import pytest
import yaml
from decoded_experiments import CLASSES, make_experiment, random_rows, write_card, write_predictions, write_run
from sklearn.metrics import balanced_accuracy_score, f1_score

from sertk.core.errors import SertkError
from sertk.core.files import read_json
from sertk.evaluation.intervals import speaker_intervals
from sertk.evaluation.metrics import METRICS
from sertk.evaluation.results import protocol_folds, read_results, score
from sertk.evaluation.runs import read_predictions
from sertk.experiments.layout import read_epochs
from sertk.reports.experiment_page import read_commands
from sertk.reports.writing import write_results


def rows_of(experiment, fold, seed):
    text = (experiment / f"fold{fold}/seed{seed}/decode_test/predictions.tsv").read_text()
    return [line.split("\t")[:4] for line in text.splitlines()[1:]]


def sklearn_uar(rows):
    return balanced_accuracy_score([row[2] for row in rows], [row[3] for row in rows])


def test_pooled_per_seed_and_per_run_figures(experiment):
    results = score(experiment)
    rows = {(fold, seed): rows_of(experiment, fold, seed) for fold in (1, 2) for seed in (1, 2)}
    pooled = [row for run in rows.values() for row in run]
    assert results["uar"] == pytest.approx(sklearn_uar(pooled))
    reference, predicted = [row[2] for row in pooled], [row[3] for row in pooled]
    assert results["macro_f1"] == pytest.approx(f1_score(reference, predicted, average="macro"))
    assert results["weighted_f1"] == pytest.approx(f1_score(reference, predicted, average="weighted"))
    assert results["accuracy"] == pytest.approx(np.mean([a == b for a, b in zip(reference, predicted)]))
    assert np.sum(results["confusion"]) == len(pooled) == 2 * 2 * 6 * 12

    by_seed = [sklearn_uar(rows[1, seed] + rows[2, seed]) for seed in (1, 2)]
    assert [(seed["seed"], seed["folds"]) for seed in results["repeats"]] == [(1, [1, 2]), (2, [1, 2])]
    assert [seed["uar"] for seed in results["repeats"]] == pytest.approx(by_seed)
    assert results["mean_sd"]["repeats"]["uar"]["mean"] == pytest.approx(statistics.mean(by_seed))
    assert results["mean_sd"]["repeats"]["uar"]["sd"] == pytest.approx(statistics.stdev(by_seed))
    by_run = [sklearn_uar(rows[run]) for run in sorted(rows)]
    assert [(run["fold"], run["seed"]) for run in results["folds"]] == sorted(rows)
    assert [run["uar"] for run in results["folds"]] == pytest.approx(by_run)
    assert results["mean_sd"]["runs"]["uar"]["sd"] == pytest.approx(statistics.stdev(by_run))


def test_a_repeat_of_a_random_protocol_is_a_split(tmp_path):
    experiment = make_experiment(tmp_path / "blstm", done=(1, 2, 3), seeds=(4,), rule="random")
    results = score(experiment)
    by_split = [sklearn_uar(rows_of(experiment, fold, 4)) for fold in (1, 2, 3)]
    assert len(set(by_split)) == 3
    assert [(split["seed"], split["folds"]) for split in results["repeats"]] == [(4, [1]), (4, [2]), (4, [3])]
    assert [split["uar"] for split in results["repeats"]] == pytest.approx(by_split)
    assert results["mean_sd"]["repeats"]["count"] == 3
    assert results["mean_sd"]["repeats"]["uar"]["mean"] == pytest.approx(statistics.mean(by_split))
    assert results["mean_sd"]["repeats"]["uar"]["sd"] == pytest.approx(statistics.stdev(by_split))

    write_run(experiment, 1, 5, [tuple(row) for row in rows_of(experiment, 1, 4)])
    results = score(experiment)
    assert results["mean_sd"]["repeats"]["count"] == 4
    assert results["warnings"] == []  # splits need not have the same seeds


def test_intervals_resample_speakers_with_all_their_utterances(experiment):
    found = score(experiment, draws=500, seed=4)["intervals"]
    by_speaker = {}
    for fold in (1, 2):
        for seed in (1, 2):
            for _, speaker, reference, predicted in rows_of(experiment, fold, seed):
                confusion = by_speaker.setdefault(speaker, np.zeros((3, 3), dtype=int))
                confusion[CLASSES.index(reference), CLASSES.index(predicted)] += 1
    assert len(by_speaker) == 12
    assert found == speaker_intervals(np.array([by_speaker[name] for name in sorted(by_speaker)]), 500, 4)


def test_facts_of_runs_and_folds(experiment):
    results = score(experiment)
    assert (results["labels"], results["protocol"]) == (CLASSES, "emobox")
    assert results["experiment"]["model"] == "blstm_capsule"
    assert results["experiment"]["tag"] == "wide"
    run = results["folds"][0]
    assert (run["best_epoch"], run["epochs"], run["utterances"]) == (2, 4, 72)
    assert run["seconds"] == pytest.approx(11 + 12 + 13 + 14)
    assert results["folds_scored"] == {"scored": [1, 2], "missing": [3], "of": 3}
    assert results["card"]["options"] == {"test_speakers": 6}
    assert results["warnings"] == []


def test_one_seed_has_no_deviation(tmp_path):
    results = score(make_experiment(tmp_path / "blstm", done=(1,), seeds=(5,)))
    assert results["mean_sd"]["repeats"]["uar"] == {"mean": results["uar"], "sd": None}
    assert results["intervals"]["descriptive"]


def test_class_absent_from_the_reference_has_no_recall(tmp_path):
    write_card(tmp_path)
    rows = [("a1", "a", "neutral", "sad"), ("a2", "a", "neutral", "neutral"), ("b1", "b", "happy", "happy")]
    write_run(tmp_path, 1, 1, rows)
    results = score(tmp_path)
    assert results["uar"] == pytest.approx((1 / 2 + 1) / 2)
    assert [row["recall"] for row in results["per_class"]] == [0.5, 1.0, None]
    write_results(tmp_path)
    assert "| sad | 0 | - | 0.0 | 0.0 |" in (tmp_path / "RESULTS.md").read_text()


@pytest.mark.parametrize("select, best", [("valid_uar", 2), ("valid_loss", 4), ("last", 4)])
def test_best_epoch_follows_the_selection(tmp_path, select, best):
    write_card(tmp_path)
    write_run(tmp_path, 1, 1, random_rows(np.random.default_rng(0), ["a", "b"], 6, CLASSES), select=select)
    assert score(tmp_path)["folds"][0]["best_epoch"] == best


def test_first_of_equal_epochs_is_best(tmp_path):
    write_card(tmp_path)
    folder = write_run(tmp_path, 1, 1, random_rows(np.random.default_rng(0), ["a", "b"], 6, CLASSES))
    values = (0.2, 0.6, 0.5, 0.6)
    lines = [json.dumps({"epoch": number, "valid_uar": value}) for number, value in enumerate(values, 1)]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    assert score(tmp_path)["folds"][0]["best_epoch"] == 2
    assert score(tmp_path)["folds"][0]["seconds"] is None


@pytest.mark.parametrize("line, seconds", [(None, None), ({"valid_uar": 0.5, "seconds": 42.4}, 42.4)])
def test_systems_without_epochs_are_scored(experiment, line, seconds):
    for path in experiment.glob("fold*/seed*/metrics.jsonl"):
        path.unlink()
        if line:
            path.write_text(json.dumps({"epoch": 0} | line) + "\n")
    results = write_results(experiment)
    run = results["folds"][0]
    assert (run["best_epoch"], run["epochs"], run["seconds"]) == (None, None, seconds)
    assert not (experiment / "curves.png").exists()
    page = (experiment / "RESULTS.md").read_text()
    assert "curves.png" not in page
    assert f"{100 * run['accuracy']:.1f} | - | - | {'42' if seconds else '-'} |\n" in page


def test_a_network_trained_for_one_epoch_has_epochs(tmp_path):
    write_card(tmp_path)
    rows = random_rows(np.random.default_rng(0), ["a", "b"], 6, CLASSES)
    write_run(tmp_path, 1, 1, rows, epochs=1)
    run = score(tmp_path)["folds"][0]
    assert (run["best_epoch"], run["epochs"], run["seconds"]) == (1, 1, 11.0)


def test_earlier_steps_count_in_the_order_of_the_config(tmp_path):
    experiment = make_experiment(tmp_path / "cnn", done=(1,), seeds=(1,))
    (experiment / "config.yaml").write_text("steps: {gmm: {}, cnn: {}, classifier: {}}\n")
    for name in ("cnn", "gmm"):
        folder = experiment / "fold1/seed1/steps" / name
        folder.mkdir(parents=True)
        (folder / "command.txt").write_text(f"sertk-train --step {name}\n")
        (folder / "metrics.jsonl").write_text('{"epoch": 0, "seconds": 5.0}\n')
    own = "sertk-train --fold 1 --seed 1"
    assert read_commands(experiment) == ["sertk-train --step gmm", "sertk-train --step cnn", own]
    assert score(experiment)["folds"][0]["seconds"] == pytest.approx(11 + 12 + 13 + 14 + 2 * 5)


def test_card_folds_as_count_list_or_not_at_all():
    assert protocol_folds({"folds": 3}) == [1, 2, 3]
    assert protocol_folds({"folds": [{"fold": 2}, {"fold": 1}]}) == [1, 2]
    assert protocol_folds({}) is None


def collapse(experiment, share):
    rows = [(f"s{n // 20}-{n:03d}", f"s{n // 20}", CLASSES[n % 3], CLASSES[n % 3]) for n in range(100)]
    cut = round(100 * share)
    rows = [row[:3] + ("happy",) if n < cut else row[:3] + ("sad",) for n, row in enumerate(rows)]
    write_card(experiment)
    write_run(experiment, 1, 1, rows)


def test_collapsed_predictions_warn(tmp_path):
    collapse(tmp_path, 0.96)
    (warning,) = score(tmp_path)["warnings"]
    assert warning == (
        "fold 1, seed 1: predictions collapse onto one class: 96.0% are happy, which 33.0% of the utterances are"
    )
    write_results(tmp_path)
    assert f"**Warning:** {warning}." in (tmp_path / "RESULTS.md").read_text()


def test_predictions_not_quite_collapsed_do_not_warn(tmp_path):
    collapse(tmp_path, 0.95)
    assert score(tmp_path)["warnings"] == []


def test_a_seed_without_a_fold_warns(experiment):
    extra = random_rows(np.random.default_rng(9), ["f3s00", "f3s01"], 6, CLASSES)
    write_run(experiment, 3, 1, extra)
    assert score(experiment)["warnings"] == ["seed 2 lacks fold 3, so the seeds are not over the same utterances"]


def refused(experiment, message):
    with pytest.raises(SertkError, match=message) as caught:
        score(experiment)
    assert "\n" not in str(caught.value)


def test_a_run_that_is_not_decoded(experiment):
    decoded = score(experiment)["folds"]
    (experiment / "fold2/seed1/decode_test/predictions.tsv").unlink()
    results = score(experiment)
    assert results["folds"] == [run for run in decoded if (run["fold"], run["seed"]) != (2, 1)]
    assert results["warnings"][0].startswith("fold 2, seed 1 is not decoded and left out (stage 4")
    for path in experiment.glob("fold*/seed*/decode_test/predictions.tsv"):
        path.unlink()
    refused(experiment, "nothing is decoded yet; run stage 4")
    with pytest.raises(SertkError):
        write_results(experiment)
    assert sorted(path.name for path in experiment.iterdir()) == ["card.yaml", "fold1", "fold2"]


def test_no_runs_and_no_folder(tmp_path):
    refused(tmp_path, "card.yaml: no such file; stage 3")
    write_card(tmp_path)
    refused(tmp_path, "no foldF/seedS in it; stage 3 trains, stage 4 decodes")
    refused(tmp_path / "absent", "absent/card.yaml: no such file")


BAD_ROWS = {
    "a1\ta\tneutral\tneutral\tnan\t0.5\t0.5": r":3: utterance a1: the posteriors nan 0.5 0.5 are not",
    "a1\ta\tneutral\tneutral\t0.8\t0.8\t-0.6": r":3: utterance a1: the posteriors .* are not all in 0..1",
    "a1\ta\tneutral\tneutral\t0.5\t0.1\t0.1": r":3: utterance a1: the posteriors .* with sum 1",
    "a1\ta\tneutral\tneutral\t0.5\tx\t0.5": r":3: utterance a1: a posterior is no number",
    "a0\ta\tneutral\tneutral\t1\t0\t0": r":3: utterance a0 is there twice",
    "a1\ta\tcross\tneutral\t1\t0\t0": r":3: utterance a1: reference class 'cross' is none of neutral, happy",
    "a1\ta\tneutral\tcross\t1\t0\t0": r":3: utterance a1: predicted class 'cross' is none of",
    "a1\ta\tneutral\tneutral\t1\t0": r":3: 6 columns instead of 7",
    "a1\t\tneutral\tneutral\t1\t0\t0": r":3: the speaker is empty",
    "": r":3: 1 columns instead of 7",
}


@pytest.mark.parametrize("row", BAD_ROWS)
def test_bad_prediction_rows(tmp_path, row):
    path = tmp_path / "predictions.tsv"
    write_predictions(path, [("a0", "a", "neutral", "neutral")])
    assert read_predictions(path, CLASSES).utterances == ["a0"]
    path.write_text(path.read_text() + row + "\n")
    with pytest.raises(SertkError, match=BAD_ROWS[row]):
        read_predictions(path, CLASSES)


def test_bad_prediction_files(tmp_path):
    path = tmp_path / "predictions.tsv"
    write_predictions(path, [], ["neutral", "sad", "happy"])
    with pytest.raises(SertkError, match=":1: expected the columns .*neutral happy sad, found .*neutral sad happy"):
        read_predictions(path, CLASSES)
    write_predictions(path, [])
    with pytest.raises(SertkError, match="no utterances in it"):
        read_predictions(path, CLASSES)
    path.write_bytes(b"")
    with pytest.raises(SertkError, match="found nothing"):
        read_predictions(path, CLASSES)
    path.write_bytes(b"utterance\xff\n")
    with pytest.raises(SertkError, match="not UTF-8"):
        read_predictions(path, CLASSES)


BAD_EPOCHS = {
    '{"epoch": 1,': "metrics.jsonl:2: not a JSON object",
    "[]": "metrics.jsonl:2: expected a JSON object with a whole-numbered `epoch`",
    '{"epoch": 2, "valid_loss": NaN}': "metrics.jsonl:2: valid_loss is nan, so training diverged",
    '{"epoch": 1}': "metrics.jsonl:2: epoch 1 is there twice",
}


@pytest.mark.parametrize("line", BAD_EPOCHS)
def test_bad_epochs(tmp_path, line):
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1}\n' + line + "\n")
    with pytest.raises(SertkError, match=BAD_EPOCHS[line]):
        read_epochs(tmp_path)


def test_other_test_utterances_in_one_fold(experiment):
    rows = [tuple(row) for row in rows_of(experiment, 1, 2)]
    write_run(experiment, 1, 2, rows[1:])
    refused(experiment, f"fold1/seed2: fold 1 has other test utterances .*for example {rows[0][0]}")


def test_an_utterance_whose_label_changed(experiment):
    rows = [tuple(row) for row in rows_of(experiment, 1, 2)]
    write_run(experiment, 1, 2, [(rows[0][0], rows[0][1], "sad", "sad"), *rows[1:]])
    refused(experiment, f"utterance {rows[0][0]} is sad by f1s00, in an earlier run neutral by f1s00")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"normalisation": None}, "card.yaml: damaged: normalisation is missing; put back the card"),
        ({"classes": "neutral"}, "damaged: classes is 'neutral', expected a list"),
        ({"classes": ["a", True]}, r"classes.2. is true, expected text \(in quotes, if that is its name\)"),
        ({"classes": ["sad", "sad"]}, "classes: expected two or more different names"),
        ({"note": float("nan")}, "only text, numbers, lists and mappings can be stored"),
    ],
)
def test_bad_cards(experiment, change, message):
    card = yaml.safe_load((experiment / "card.yaml").read_text()) | change
    text = yaml.safe_dump({key: value for key, value in card.items() if value is not None})
    (experiment / "card.yaml").write_text(text)
    refused(experiment, message)


def test_results_json_is_what_was_scored(experiment):
    results = write_results(experiment)
    assert read_json(experiment / "results.json") == results == read_results(experiment)
    assert {"accuracy", "uar", "macro_f1", "weighted_f1", "confusion", "labels", "protocol", "folds"} <= set(results)


def test_results_that_have_to_be_made_first(experiment):
    with pytest.raises(SertkError, match="results.json: no such file; stage 5"):
        read_results(experiment)
    (experiment / "results.json").write_text('{"card": {}}')
    with pytest.raises(SertkError, match="results.json: damaged: experiment is missing; make it again"):
        read_results(experiment)


INTERVALS = {"level": 0.95, "speakers": 2, "descriptive": True, **dict.fromkeys(METRICS, [0.4, 0.6])}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"uar": "0.5"}, "uar is '0.5', expected a whole number or a number"),
        ({"folds": [{"fold": 1}]}, r"folds\[1\].seed is missing"),
        ({"card": []}, r"card is \[\], expected a mapping"),
        ({"labels": ["sad", "happy"]}, "not the figures of 2 classes"),
        ({"intervals": INTERVALS | {"uar": [0.5]}}, "intervals.uar is no pair of numbers"),
        ({"per_class": []}, "not the figures of 3 classes"),
    ],
)
def test_results_that_are_damaged_are_refused(experiment, change, message):
    (experiment / "results.json").write_text(json.dumps(score(experiment, draws=100) | change))
    with pytest.raises(SertkError, match=f"results.json: damaged: .*{message}; make it again"):
        read_results(experiment)


@pytest.mark.parametrize("name", ["card.yaml", "results.json", "fold1/seed1/metrics.jsonl", "fold1/seed1/config.yaml"])
def test_files_that_are_not_utf8_are_named_with_the_line(experiment, name):
    write_results(experiment)
    path = experiment / name
    path.write_bytes(b"\n" + path.read_bytes() + b"caf\xe9")
    with pytest.raises(SertkError, match=rf"{name}:\d+: not UTF-8 text; convert the file with iconv"):
        read_results(experiment) if name == "results.json" else score(experiment, draws=100)
