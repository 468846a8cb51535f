import statistics

import pytest
import yaml
from decoded_experiments import CLASSES, make_experiment, write_card, write_run

from sertk.bin import report
from sertk.core.errors import SertkError
from sertk.core.files import write_json
from sertk.evaluation.comparison import compare
from sertk.evaluation.results import score
from sertk.reports.formatting import difference, extent, p_value

EMOBOX, RANDOM = "ravdess, labels 8, protocol emobox", "ravdess, labels 8, protocol random75"
SPLITS = {"protocol": "random75", "rule": "random", "speaker_disjoint": False}


def scored(folder, model, **options):
    """An experiment folder with its results.json, without the pictures that take their time."""
    experiment = make_experiment(folder, **{"model": model, "features": ["mfcc_pitch"]} | options)
    write_json(experiment / "results.json", score(experiment, draws=100))
    return experiment


def published_file(path, *rows, **changes):
    table = {
        "source": "Doe 2019, Table 3",
        "corpus": "ravdess",
        "label_set": "8",
        "protocol": "emobox",
        "metric": "UA",
        "taken_for": "accuracy",
        "rows": list(rows),
    }
    path.write_text(yaml.safe_dump([table | changes]))
    return str(path)


def page_of(capsys, *arguments):
    capsys.readouterr()
    assert report.main(list(map(str, arguments))) == 0
    return capsys.readouterr().out


def section(page, task):
    return page.split(f"## {task}\n", 1)[1].split("\n## ")[0]


def tables(page, task):
    """The rows of a section's tables (the results, the runs) as dicts by column."""
    found, rows = [], []
    for line in [*section(page, task).splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
        elif rows:
            header, _, *cells = rows
            found.append([dict(zip(header, row, strict=True)) for row in cells])
            rows = []
    return found


def note_inputs(experiment, recordings):
    """Notes in all runs what they were trained on, as training does."""
    for path in experiment.glob("fold*/seed*/config.yaml"):
        config = yaml.safe_load(path.read_text())
        config["run"] = {
            "lists": {"test": "l"},
            "labels": {"set": "8", "sha256": "8"},
            "data": {"recordings": recordings},
        }
        path.write_text(yaml.safe_dump(config))
    write_json(experiment / "results.json", score(experiment, draws=100))


def test_systems_of_other_data_are_told_and_not_compared(tmp_path, capsys):
    one, other, older = (scored(tmp_path / name, name) for name in ("one", "other", "older"))
    note_inputs(one, "a")
    note_inputs(other, "b")
    page = page_of(capsys, one, other, older)
    assert "- other: other recordings than one; train one of the two anew to compare them.\n" in page
    assert page.count("train one of the two anew") == 1
    with pytest.raises(SertkError, match="fold1/seed1 and .*fold1/seed1 have other recordings; train one of them anew"):
        compare(one, other, draws=100)
    compare(one, older, draws=100)
    note_inputs(other, "a")
    assert "train one of the two anew" not in page_of(capsys, one, other)
    compare(one, other, draws=100)


def test_one_section_for_each_task(tmp_path, capsys):
    capsule = scored(tmp_path / "blstm_capsule", "blstm_capsule", done=(1, 2, 3))
    tagged = scored(
        tmp_path / "blstm_capsule_speaker", "blstm_capsule", done=(1,), seeds=(1,), normalisation="per speaker"
    )
    random = scored(tmp_path / "other", "other", **SPLITS, folds=2)
    page = page_of(capsys, capsule, random, tagged, "--title", "RAVDESS")
    assert page.startswith("# RAVDESS\n")
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    assert headings == [f"## {EMOBOX}", f"## {RANDOM}"]
    results, runs = tables(page, EMOBOX)
    facts = ("system", "features", "normalisation", "tested")
    assert [[row[fact] for fact in facts] for row in results] == [
        ["blstm_capsule", "mfcc_pitch", "global", "3 of 3 folds, 2 seeds"],
        ["blstm_capsule speaker", "mfcc_pitch", "per speaker", "1 of 3 folds, 1 seed"],
    ]
    assert results[1]["UAR % [95 %]"].endswith("]*") and not results[0]["UAR % [95 %]"].endswith("*")
    assert (runs[0]["epochs"], runs[0]["training seconds per run"]) == ("4", "50")
    emobox, random75 = section(page, EMOBOX), section(page, RANDOM)
    lacking = "3 of 3 for blstm_capsule; 1 of 3 (1; missing 2 3) for blstm_capsule speaker"
    assert f"- folds scored: {lacking}\n" in emobox and "scored" not in random75
    assert "- speaker-disjoint: yes\n" in emobox and "- speaker-disjoint: **no**\n" in random75
    assert "do not carry over to new speakers" in random75 and "carry over" not in emobox
    assert "fewer than ten speakers" in emobox and "fewer than ten speakers" not in random75
    assert "published %" not in page and "baseline" not in page

    out = tmp_path / "sub" / "RESULTS.md"
    assert page_of(capsys, capsule, random, tagged, "--title", "RAVDESS", "--out", out) == ""
    assert out.read_text() == page


def write_part(experiment, fold, seed, right):
    """One speaker's utterances, 4 of each class; of `sad` only `right` are recognised."""
    rows = [
        (f"{fold}-{name}{n}", f"s{fold}", name, "happy" if name == "sad" and n >= right else name)
        for name in CLASSES
        for n in range(4)
    ]
    write_run(experiment, fold, seed, rows)


def test_mean_and_deviation_by_hand(tmp_path, capsys):
    """UAR is (1 + 1 + sad / 4) / 3 of each test split, here 100, 91.7, 83.3, 75 and 66.7 %."""
    fixed, random = tmp_path / "fixed", tmp_path / "random"
    write_card(fixed, model="fixed")
    write_card(random, model="random", **SPLITS, folds=4)
    right = {(1, 1): 4, (2, 1): 2, (1, 2): 1, (2, 2): 3}
    for (fold, seed), number in right.items():
        write_part(fixed, fold, seed, number)
    for split, number in enumerate((4, 2, 0, 4), 1):
        write_part(random, split, 7, number)
    for experiment in (fixed, random):
        write_json(experiment / "results.json", score(experiment, draws=100))
    page = page_of(capsys, fixed, random)

    (row,), (run,) = tables(page, EMOBOX)
    by_seed = [(2 + 6 / 8) / 3, (2 + 4 / 8) / 3]  # the two folds of each pooled
    assert row["UAR % [95 %]"].startswith(f"87.5 ± {100 * statistics.stdev(by_seed):.1f} [")
    assert row["accuracy %"] == "87.5 ± 5.9"
    assert row["tested"] == "2 of 3 folds, 2 seeds"
    assert run["UAR % of each repeat"] == "91.7 / 83.3"
    by_run = [(2 + number / 4) / 3 for number in right.values()]
    assert run["UAR % of all runs"] == f"87.5 ± {100 * statistics.stdev(by_run):.1f}" == "87.5 ± 10.8"

    (row,), (run,) = tables(page, RANDOM)
    assert row["tested"] == "4 splits"
    assert run["UAR % of each repeat"] == "100.0 / 83.3 / 66.7 / 100.0"
    by_split = [1, 5 / 6, 2 / 3, 1]
    assert row["accuracy %"] == f"87.5 ± {100 * statistics.stdev(by_split):.1f}" == "87.5 ± 16.0"


def test_systems_without_epochs(tmp_path, capsys):
    experiment = scored(tmp_path / "supervector_svm", "supervector_svm")
    for path in experiment.glob("fold*/seed*/metrics.jsonl"):
        path.write_text('{"epoch": 0, "valid_uar": 0.5, "seconds": 12.0}\n')
    write_json(experiment / "results.json", score(experiment, draws=100))
    (run,) = tables(page_of(capsys, experiment), EMOBOX)[1]
    assert (run["epochs"], run["training seconds per run"]) == ("-", "12")


def test_published_figures_beside_and_below(tmp_path, capsys):
    blstm = scored(tmp_path / "blstm", "blstm")
    own = scored(tmp_path / "own", "own")
    fbank = scored(tmp_path / "blstm_capsule_fbank128", "blstm_capsule", features=["fbank128"])
    short = scored(tmp_path / "blstm_capsule_short", "blstm_capsule")
    path = published_file(
        tmp_path / "published.yaml",
        {"system": "Feature* + Proposed", "model": "blstm_capsule", "features": ["mfcc_pitch"], "value": 69.4},
        {"system": "FB128 + Proposed", "model": "blstm_capsule", "features": ["fbank128"], "value": 68, "sd": 0.2},
        {"system": "Feature* + BLSTM", "model": "blstm", "value": 63.9},
        {"system": "DBN", "value": 74.1, "note": "quoted there"},
        {"system": "eGeMAPS + CNN", "model": "egemaps_cnn", "value": 33},
        because="it is below chance otherwise",
        conditions="Another division.",
    )
    page = page_of(capsys, "--published", path, own, blstm, fbank, short)
    rows = tables(page, EMOBOX)[0]
    assert [(row["system"], row["published %"], row["published as"]) for row in rows] == [
        ("blstm_capsule short", "69.4 UA [1]", "Feature* + Proposed"),
        ("blstm_capsule fbank128", "68.0 ± 0.2 UA [1]", "FB128 + Proposed"),
        ("blstm", "63.9 UA [1]", "Feature* + BLSTM"),
        ("own", "-", "-"),
        ("DBN", "74.1 UA [1]", "-"),
        ("eGeMAPS + CNN", "33.0 UA [1]", "-"),
    ]
    assert all(set(list(row.values())[1:8]) == {"-"} for row in rows[4:])
    assert (
        "- [1] Doe 2019, Table 3. UA is taken for accuracy, not for UAR: it is below chance otherwise. "
        "Another division. DBN: quoted there.\n"
    ) in page


def test_published_figures_of_several_sources_and_other_tasks(tmp_path, capsys):
    blstm = scored(tmp_path / "blstm", "blstm")
    row = {"system": "BLSTM", "model": "blstm", "value": 60.0}
    tables_ = []
    for number, changes in enumerate([{}, {"metric": "WA", "source": "Roe 2020"}, {"protocol": "si"}]):
        path = tmp_path / f"{number}.yaml"
        published_file(path, row, **changes)
        tables_ += yaml.safe_load(path.read_text())
    (tmp_path / "published.yaml").write_text(yaml.safe_dump(tables_))
    page = page_of(capsys, "--published", tmp_path / "published.yaml", blstm)
    (result,) = tables(page, EMOBOX)[0]
    assert (result["published %"], result["published as"]) == ("60.0 UA [1]; 60.0 WA [2]", "BLSTM; BLSTM")
    assert "- [2] Roe 2020. WA is taken for accuracy, not for UAR.\n" in page
    assert "none of it run here:\n\n- ravdess, labels 8, protocol si: Doe 2019, Table 3\n" in page


def test_sections_without_published_figures_have_no_such_columns(tmp_path, capsys):
    blstm, random = scored(tmp_path / "blstm", "blstm"), scored(tmp_path / "random", "random", **SPLITS)
    path = published_file(tmp_path / "published.yaml", {"system": "HuBERT", "value": 65.4})
    page = page_of(capsys, "--published", path, blstm, random)
    assert "published %" not in tables(page, RANDOM)[0][0]
    header = list(tables(page, EMOBOX)[0][0])
    assert "published %" in header and "published as" not in header


def test_a_published_uar_is_said_to_be_one(tmp_path, capsys):
    blstm = scored(tmp_path / "blstm", "blstm")
    path = published_file(tmp_path / "published.yaml", {"system": "HuBERT", "value": 65.4}, taken_for="uar")
    assert "- [1] Doe 2019, Table 3. UA is taken for UAR.\n" in page_of(capsys, "--published", path, blstm)


def test_differences_to_a_baseline(tmp_path, capsys):
    good = scored(tmp_path / "good", "good", done=(1, 2, 3), right=0.9, number=1)
    base = scored(tmp_path / "base_short", "base", done=(1, 2), right=0.5, number=2)
    far = scored(tmp_path / "far", "far", done=(3,))
    random = scored(tmp_path / "random", "random", **SPLITS)
    page = page_of(capsys, "--against", "base", good, base, far, random)
    rows = {row["system"]: row for row in tables(page, EMOBOX)[0]}
    found = compare(good, base)
    assert found["folds"] == [1, 2]
    points = [found["metrics"][system]["uar"] for system in ("better", "worse")]
    low, high = found["bootstrap"]["uar"]["interval"]
    text = f"{100 * (points[0] - points[1]):+.1f} [{100 * low:.1f}, {100 * high:.1f}]"
    assert rows["good"]["UAR - baseline [95 %]"] == text
    assert rows["good"]["p (z-test)"] == "< 0.001"
    assert (rows["base short"]["UAR - baseline [95 %]"], rows["base short"]["p (z-test)"]) == ("baseline", "-")
    assert (rows["far"]["UAR - baseline [95 %]"], rows["far"]["p (z-test)"]) == ("-", "-")
    notes = section(page, EMOBOX)
    assert "- good: over fold 1 2 alone, which both systems have.\n" in notes
    assert f"- far: none: {far} and {base} have no fold in common" in notes
    assert {row["UAR - baseline [95 %]"] for row in tables(page, RANDOM)[0]} == {"-"}
    assert "Differences:\n\n- none, as base is not among these systems.\n" in section(page, RANDOM)


def test_ways_to_name_the_baseline(tmp_path, capsys):
    plain = scored(tmp_path / "blstm", "blstm")
    tagged = scored(tmp_path / "blstm_wide", "blstm", number=1)
    other = scored(tmp_path / "own", "own", number=2)

    def baselines(*arguments):
        page = page_of(capsys, *arguments)
        column = "UAR - baseline [95 %]"
        return [row["system"] for row in tables(page, EMOBOX)[0] if row[column] == "baseline"], page

    assert baselines("--against", tagged, plain, tagged, other)[0] == ["blstm wide"]
    assert baselines("--against", f"{tagged}/", plain, tagged, other)[0] == ["blstm wide"]
    assert baselines("--against", "blstm_wide", plain, tagged, other)[0] == ["blstm wide"]
    assert baselines("--against", "blstm", plain, tagged, other)[0] == ["blstm"]
    more = scored(tmp_path / "blstm_deep", "blstm")
    found, page = baselines("--against", "blstm", tagged, more, other)
    assert found == []
    assert "- none, as blstm may be each of blstm_wide, blstm_deep; name one of these.\n" in page
    assert report.main(["--against", "gru", str(plain), str(other)]) == 2
    error = capsys.readouterr().err
    assert error == "sertk-report: --against gru: no such experiment or model here (there are: blstm, own)\n"


def test_a_comparison_of_few_speakers_is_marked(tmp_path, capsys):
    base = scored(tmp_path / "base", "base", done=(1,))
    whole = scored(tmp_path / "whole", "whole", done=(1, 2, 3))
    page = page_of(capsys, "--against", "base", whole, base)
    rows = {row["system"]: row for row in tables(page, EMOBOX)[0]}
    assert rows["whole"]["UAR - baseline [95 %]"].endswith("]*")
    assert not rows["whole"]["UAR % [95 %]"].endswith("*")


def test_report_leaves_out_what_is_not_scored_and_says_so(experiment, tmp_path, capsys, caplog):
    assert report.main([str(experiment)]) == 1
    assert "none of the experiments is scored: run stage 5" in capsys.readouterr().err
    other = scored(tmp_path / "other", "other")
    caplog.clear()
    assert page_of(capsys, other, experiment).startswith("# Results")
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [f"{experiment} is not scored (stage 5) and left out"]


def test_nothing_is_written_where_the_published_figures_are_wrong(tmp_path, capsys):
    blstm = scored(tmp_path / "blstm", "blstm")
    path = published_file(tmp_path / "published.yaml", {"system": "BLSTM", "value": "much"})
    out = tmp_path / "page.md"
    assert report.main([str(blstm), "--published", path, "--out", str(out)]) == 1
    error = capsys.readouterr().err
    assert error == f"sertk-report: {path}: table 1, row 1: value is 'much', expected a number\n"
    assert not out.exists()


def test_cells():
    test = {"difference": -0.0004, "interval": [-0.1234, 0.0456]}
    assert difference(test, descriptive=False) == "+0.0 [-12.3, 4.6]"
    assert difference({"difference": -0.25, "interval": [-0.3, -0.0001]}, descriptive=True) == "-25.0 [-30.0, 0.0]*"
    assert (p_value(0.0004), p_value(0.0312), p_value(0.999)) == ("< 0.001", "0.031", "0.999")


@pytest.mark.parametrize(
    "rule, scored, missing, of, seeds, text",
    [
        ("listed_speakers", [1, 2], [3], 3, [1], "2 of 3 folds, 1 seed"),
        ("listed_speakers", [1], [], 1, [1, 2], "1 of 1 fold, 2 seeds"),
        ("listed_speakers", [1, 2], None, None, [1], "2 folds, 1 seed"),
        ("random", [1, 2, 3], [], 3, [5], "3 splits"),
        ("random", [1], [2, 3], 3, [5], "1 of 3 splits"),
        ("random", [1, 2], [], 2, [5, 6], "2 splits, 2 seeds"),
    ],
)
def test_extent(rule, scored, missing, of, seeds, text):
    folds = [{"fold": fold, "seed": seed} for fold in scored for seed in seeds]
    folds_scored = {"scored": scored, "missing": missing, "of": of}
    assert extent({"card": {"rule": rule}, "folds": folds, "folds_scored": folds_scored}) == text


def test_dimensions_stand_side_by_side_with_their_mean(tmp_path, capsys):
    values = {}
    for number, (label_set, model) in enumerate(
        [("activation3", "vae_lstm"), ("dominance3", "vae_lstm"), ("valence3", "vae_lstm"), ("valence3", "blstm")]
    ):
        facts = {"corpus": "iemocap", "label_set": label_set, "protocol": f"strat10_{label_set[:-1]}"}
        folder = scored(tmp_path / label_set / model, model, number=number, classes=CLASSES[:3], **facts)
        values[model, label_set] = 100 * score(folder, draws=10)["weighted_f1"]
    tasks = {"corpus": "iemocap", "metric": "F-measure", "taken_for": "weighted_f1", "source": "Doe 2018"}
    table = [
        tasks | {"label_set": name, "protocol": f"strat10_{name[:-1]}", "rows": [{"system": "X", "value": value}]}
        for name, value in (("activation3", 60.0), ("dominance3", 50.0), ("valence3", 40.0))
    ]
    (tmp_path / "published.yaml").write_text(yaml.safe_dump(table))
    page = page_of(capsys, "--published", tmp_path / "published.yaml", *sorted(tmp_path.glob("*3/*")))
    assert page.count("## iemocap, dimensions") == 1
    (rows,) = tables(page, "iemocap, dimensions")
    by_system = {row.pop("system"): row for row in rows}
    own = [values["vae_lstm", name] for name in ("activation3", "dominance3", "valence3")]
    assert list(by_system["vae_lstm"].values()) == [f"{value:.1f}" for value in (*own, statistics.fmean(own))]
    assert list(by_system["blstm"].values()) == ["-", "-", f"{values['blstm', 'valence3']:.1f}", "-"]
    assert list(by_system["X (Doe 2018)"].values()) == ["60.0", "50.0", "40.0", "50.0"]


def test_without_dimensions_there_is_no_such_table(tmp_path, capsys):
    assert "dimensions" not in page_of(capsys, scored(tmp_path / "exp", "blstm"))
