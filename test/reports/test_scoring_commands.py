import re
import subprocess
import sys

import numpy as np
import pytest
import yaml
from decoded_experiments import CLASSES, make_experiment, random_rows, write_card, write_run
from scipy import stats

from sertk.bin import score
from sertk.evaluation.comparison import compare
from sertk.reports.blocks import Table
from sertk.reports.experiment_page import card_section
from sertk.reports.formatting import interval, mean_sd
from sertk.reports.markdown import markdown

PICTURES = [f"{kind}.{suffix}" for kind in ("confusion", "curves", "recall") for suffix in ("png", "svg")]
OUTPUTS = ("results.json", "RESULTS.md", *PICTURES)


def table_rows(page, heading):
    """The cells of the first table below a heading."""
    lines = page.split(f"## {heading}\n", 1)[1].split("\n## ")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("|")]


def test_score_writes_the_same_bytes_each_time(experiment, capsys):
    assert score.main([str(experiment)]) == 0
    first = {name: (experiment / name).read_bytes() for name in OUTPUTS}
    assert score.main([str(experiment)]) == 0
    assert {name: (experiment / name).read_bytes() for name in OUTPUTS} == first
    assert re.match(
        r"UAR \d\d\.\d % \[\d\d\.\d, \d\d\.\d\], accuracy \d\d\.\d %, 2 of 3 folds, 2 seeds", capsys.readouterr().out
    )


def test_results_page_holds_the_figures(tmp_path):
    write_card(tmp_path, speaker_disjoint=False)
    write_run(tmp_path, 1, 1, [(f"a{n}", "a", "sad", "sad" if n < 3 else "happy") for n in range(4)])
    write_run(tmp_path, 1, 2, [(f"a{n}", "a", "sad", "sad") for n in range(4)])
    assert score.main([str(tmp_path)]) == 0
    page = (tmp_path / "RESULTS.md").read_text()
    result = table_rows(page, "Result")
    assert result[2] == ["UAR", "87.5", "-", "87.5 ± 17.7", "87.5 ± 17.7"]
    assert table_rows(page, "Folds and seeds")[2] == ["1", "1", "4", "75.0", "75.0", "2", "4", "50"]
    assert table_rows(page, "Confusion")[4] == ["sad", "0 (0.0)", "1 (12.5)", "7 (87.5)"]
    assert table_rows(page, "Classes")[4] == ["sad", "8", "87.5", "100.0", "93.3"]
    assert "- speaker disjoint: **no**\n" in page
    assert "- normalisation: global\n- selection: validation UAR\n" in page
    assert "| class counts | neutral | happy | sad | total |" in page
    assert "1 of 3 folds, 2 seeds; 2 runs." in page
    assert "sertk-train --fold 1 --seed 1\nsertk-train --fold 1 --seed 2\n" in page
    assert "fewer than ten speakers" in page


def test_score_warns_on_stderr(tmp_path, capsys):
    write_card(tmp_path)
    rows = [(f"a{n:02d}", f"s{n % 4}", CLASSES[n % 3], "sad") for n in range(30)]
    write_run(tmp_path, 1, 1, rows)
    assert score.main([str(tmp_path)]) == 0
    assert "warning: fold 1, seed 1: predictions collapse onto one class: 100.0% are sad" in capsys.readouterr().err


def test_score_names_the_stage_to_run_in_one_line(experiment, capsys):
    for path in experiment.glob("fold*/seed*/decode_test/predictions.tsv"):
        path.unlink()
    assert score.main([str(experiment)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "run stage 4" in error
    assert not (experiment / "results.json").exists()


@pytest.mark.parametrize("arguments", [[], ["a", "--compare", "a", "b"], ["a", "--draws", "5"]])
def test_score_refuses_wrong_usage(arguments):
    assert score.main(arguments) == 2


def test_compare_finds_the_better_system(tmp_path, capsys):
    good = make_experiment(tmp_path / "good", right=0.9, number=1)
    bad = make_experiment(tmp_path / "bad", done=(1, 2, 3), seeds=(1,), right=0.4, number=2)
    found = compare(good, bad)
    assert (found["folds"], found["utterances"], found["speakers"]) == ([1, 2], 144, 12)
    assert found["bootstrap"]["uar"]["p"] < 0.01
    accuracies = [found["metrics"][system]["accuracy"] for system in ("better", "worse")]
    table = [[144 * accuracies[0], 144 * (1 - accuracies[0])], [144 * accuracies[1], 144 * (1 - accuracies[1])]]
    assert found["z_test"]["z"] ** 2 == pytest.approx(stats.chi2_contingency(table, correction=False).statistic)
    assert score.main(["--compare", str(good), str(bad)]) == 0
    page = capsys.readouterr().out
    assert f"| UAR | {100 * found['metrics']['better']['uar']:.1f} | " in page
    assert compare(bad, good)["bootstrap"]["uar"]["p"] > 0.99


def compare_refused(first, second, message, capsys):
    assert score.main(["--compare", str(first), str(second)]) == 1
    assert re.search(message, capsys.readouterr().err)


def test_compare_refuses_what_is_not_paired(tmp_path, capsys):
    first = make_experiment(tmp_path / "first")
    compare_refused(
        first, make_experiment(tmp_path / "a", protocol="loso"), "differ in protocol: emobox and loso", capsys
    )
    compare_refused(first, make_experiment(tmp_path / "b", done=(3,)), "have no fold in common", capsys)
    other = make_experiment(tmp_path / "c", speakers=5)
    compare_refused(first, other, "decoded other utterances: fold 1, f1s05-000", capsys)
    write_run(first, 1, 3, random_rows(np.random.default_rng(0), [f"f1s{n:02d}" for n in range(6)], 12, CLASSES))
    compare_refused(first, make_experiment(tmp_path / "d"), "first: seed 3 lacks fold 2", capsys)


def test_table_cells():
    assert markdown([Table(["a", "b"], [["x|y\nz", 1]])]) == "| a | b |\n| - | -: |\n| x\\|y z | 1 |\n"
    assert mean_sd({"mean": 0.5624, "sd": 0.0126}) == "56.2 ± 1.3"
    assert mean_sd({"mean": 0.5624, "sd": None}) == "56.2"
    assert interval({"uar": [0.5, 0.62], "descriptive": True}, "uar") == "[50.0, 62.0]*"
    assert interval({"uar": None, "descriptive": True}, "uar") == "-"


def test_card_section_of_nested_counts_and_unknown_keys(tmp_path):
    counts = {"all": {"sad": 3, "happy": 1}, "fold1": {"train": {"sad": 2}, "test": {"happy": 1}}}
    write_card(
        tmp_path, counts=counts, class_counts=None, checks=["no audio, by hash", "no speaker"], made_by={"x": [1, 2]}
    )
    section = markdown(card_section(yaml.safe_load((tmp_path / "card.yaml").read_text()), CLASSES))
    assert "| counts | happy | sad | total |" in section
    assert "| all | 1 | 3 | 4 |\n| fold1 train | 0 | 2 | 2 |\n| fold1 test | 1 | 0 | 1 |" in section
    assert "- checks: no audio, by hash; no speaker\n" in section
    assert "- made by: x 1, 2\n" in section
    assert "| fold | test speakers | utterances |\n| - | - | - |\n| 1 | f1s00 | test 5 |" in section


def test_scoring_starts_without_torch():
    check = "import sys, sertk.reports.writing, sertk.reports.report_page; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
