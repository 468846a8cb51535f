"""The FAU-Aibo recipe on a small release in the exact form of the real one."""

import json

import pytest
from fau_aibo_release import write_release
from recipes import ONE_CPU, copy_recipes, run_recipe

CHILDREN = [*(f"Mont_{i:02}" for i in range(1, 8)), *(f"Ohm_{i:02}" for i in range(1, 4))]
FAST = "training.max_epochs=1 model.lstm_units=4 segment.train_hop=40 segment.decode_hop=40"


@pytest.fixture
def tree(tmp_path):
    """A copy of egs/ in which recipes can leave data and experiments, and a release of 7 + 3 children."""
    write_release(tmp_path / "release", CHILDREN, each=5, samples=3200)
    return copy_recipes(tmp_path)


def run(tree, *options):
    return run_recipe(tree, "fau_aibo", *ONE_CPU, *options)


def test_from_release_to_results(tree):
    words = tree / "words.txt"
    words.write_text("".join(f"{path.stem} aibo links\n" for path in (tree / "release/wav").iterdir()))
    release = ["--db_root", tree / "release", "--partial", "true", "--transcriptions", words]
    done = run(tree, *release, "--model", "blstm", "--set", FAST, "--tag", "fast")
    assert done.returncode == 0, done.stdout + done.stderr
    data = tree / "egs/fau_aibo/data/fau_aibo"
    assert (data / "text").read_text().startswith("Mont_01_000_00 aibo links\n")
    results = json.loads((tree / "egs/fau_aibo/exp/fau_aibo_5_mont_ohm/blstm_fast/results.json").read_text())
    assert results["labels"] == ["anger", "emphatic", "neutral", "positive", "rest"]
    assert [sum(row) for row in results["confusion"]] == [3] * 5  # the chunks of three children of Ohm
    assert len((data / "splits/mont_ohm/fold1/valid").read_text().split()) == 25


@pytest.mark.parametrize("stage", ["0", "1"])
def test_a_missing_corpus_is_asked_for(tree, stage):
    done = run(tree, "--stage", stage)
    assert done.returncode == 1 and "--db_root DIR must name the FAU-Aibo corpus" in done.stderr
    assert "https://www5.cs.fau.de" in done.stderr
    (tree / "release/labels/IS2009EmotionChallenge/chunk_labels_2cl_corpus.txt").unlink()
    done = run(tree, "--stage", stage, "--db_root", tree / "release")
    lacks = f"{tree}/release lacks labels/IS2009EmotionChallenge/chunk_labels_2cl_corpus.txt\n"
    assert done.returncode == 1 and lacks in done.stderr
    assert not (tree / "egs/fau_aibo/data").exists()


def test_a_part_of_the_corpus_is_refused_unless_it_is_meant(tree):
    done = run(tree, "--db_root", tree / "release")
    assert done.returncode == 1 and "not the whole corpus" in done.stderr
    done = run(tree, "--partial", "yes")
    assert done.returncode == 1 and "--partial takes true or false" in done.stderr
