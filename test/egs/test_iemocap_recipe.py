"""The IEMOCAP recipe on a small release in the exact form of the real one."""

import json

import pytest
import yaml
from iemocap_release import dialogue_files, write_release
from recipes import ONE_CPU, ROOT, copy_recipes, run_recipe

from sertk.reports.published import read_published

CONF = ROOT / "egs/iemocap/conf"
FAST = "training.max_epochs=1 model.lstm_units=4 segment.train_hop=40 segment.decode_hop=40"
FOUR = ["angry", "happy", "neutral", "sad"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of egs/ in which recipes can leave data and experiments, and a small release, prepared."""
    tree = copy_recipes(tmp_path_factory.mktemp("tree"))
    write_release(tree / "release", samples=3200)
    done = run(tree, "--stop_stage", "1", "--db_root", tree / "release", "--partial", "true")
    assert done.returncode == 0, done.stdout + done.stderr
    return tree


def run(tree, *options):
    return run_recipe(tree, "iemocap", *ONE_CPU, "--model", "blstm", "--set", FAST, "--tag", "fast", *options)


def results_of(tree, *options):
    """The experiment's folder and its results, of stages 3 to 5."""
    done = run(tree, "--stage", "3", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = done.stdout.partition("training of blstm into ")[2].split()[0]
    return folder, json.loads((tree / "egs/iemocap" / folder / "results.json").read_text())


def test_from_release_to_results(tree):
    folder, results = results_of(tree, "--folds", "1 4")
    assert folder == "exp/iemocap_4_loso_spk/blstm_fast"
    assert results["labels"] == FOUR and results["card"]["speaker_disjoint"] is True
    # Of the twelve turns of each of two speakers two have no consensus.
    assert [sum(row) for row in results["confusion"]] == [4, 8, 4, 4]
    card = yaml.safe_load((tree / "egs/iemocap/data/iemocap/splits/loso_spk/card.yaml").read_text())
    assert card["folds"][3]["test_speakers"] == ["Ses02M"] and len(card["folds"]) == 10


def test_a_subset_has_its_own_data_and_the_features_of_the_whole(tree):
    folder, results = results_of(
        tree, "--subset", "improvised", "--labels", "4nomerge", "--protocol", "loso91", "--folds", "10"
    )
    assert folder == "exp/iemocap_improvised_4nomerge_loso91/blstm_fast"
    assert [sum(row) for row in results["confusion"]] == [1, 1, 1, 1]
    card = results["card"]
    assert (card["corpus"], card["subset"], card["utterances"]) == ("iemocap", "improvised", 60)
    assert card["speaker_disjoint"].startswith("test part only")
    assert "- speaker disjoint: test part only" in (tree / "egs/iemocap" / folder / "RESULTS.md").read_text()
    data = tree / "egs/iemocap/data/iemocap_improvised"
    assert [path.name for path in (data / "feats").iterdir()] == ["mfcc_pitch.scp"]
    assert len((data / "feats/mfcc_pitch.scp").read_text().splitlines()) == 60


@pytest.mark.parametrize(
    "labels, protocol, tested",
    [
        ("votes", "loso5", 2 * 10),
        ("activation3", "loso5_inner10", 2 * 12),
        ("dominance3", "strat10_dominance", 12),
    ],
)
def test_other_label_sets_and_protocols(tree, labels, protocol, tested):
    done = run(tree, "--stage", "3", "--stop_stage", "4", "--labels", labels, "--protocol", protocol, "--folds", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    decoded = tree / f"egs/iemocap/exp/iemocap_{labels}_{protocol}/blstm_fast/fold2/seed1/decode_test"
    assert len((decoded / "predictions.tsv").read_text().splitlines()) == 1 + tested


def test_features_are_made_once_for_all_subsets(tree):
    whole = tree / "egs/iemocap/data/iemocap/feats"
    made = (whole / "mfcc_pitch.1.ark").stat().st_mtime_ns
    for subset, protocol in (("complete", "strat10_valence"), ("scripted", "strat10_activation")):
        stage_1 = ["--stage", "1", "--stop_stage", "1", "--db_root", tree / "release", "--partial", "true"]
        done = run(tree, *stage_1, "--subset", subset, "--protocol", protocol)
        assert done.returncode == 0 and "feats/mfcc_pitch.scp is up to date" in done.stdout
    assert (whole / "mfcc_pitch.1.ark").stat().st_mtime_ns == made
    scripted = whole.parents[1] / "iemocap_scripted"
    assert not list(scripted.rglob("*.ark"))
    assert len((scripted / "feats/mfcc_pitch.scp").read_text().splitlines()) == 60
    assert len(list((scripted / "splits/strat10_activation").glob("fold*"))) == 10


@pytest.mark.parametrize("stage", ["0", "1"])
def test_a_missing_corpus_is_asked_for(tree, stage):
    done = run(tree, "--stage", stage)
    assert done.returncode == 1 and "--db_root DIR must name IEMOCAP" in done.stderr
    assert "https://sail.usc.edu/iemocap" in done.stderr
    done = run(tree, "--stage", stage, "--db_root", tree / "egs")
    lacks = f"{tree}/egs has no Session1/dialog/EmoEvaluation: DIR of --db_root holds Session1 ... Session5\n"
    assert done.returncode == 1 and done.stderr.endswith(lacks)


def test_a_broken_release_leaves_nothing(tree):
    def refused(*options):
        done = run(tree, "--db_root", tree / "broken", *options)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        return done.stderr

    data = tree / "egs/iemocap/data"
    data.rename(tree / "kept")
    try:
        write_release(tree / "broken", sessions=(1, 2, 4, 5))
        assert "broken: no Session3, get it (or --partial to use what is there)" in refused()
        path = dialogue_files(tree / "broken", "Ses01F_impro01")[0]
        path.write_text(path.read_text()[:-200])
        assert f"{path}: cut off: Ses01F_impro01_M005" in refused("--partial", "true")
        assert not data.exists()
    finally:
        (tree / "kept").rename(data)


@pytest.mark.parametrize(
    "options, message",
    [
        (
            ["--stage", "3", "--labels", "7"],
            "no label set '7'; there are: 4, 4nomerge, activation3, consensus, dominance3",
        ),
        (["--stage", "0", "--db_root", "../../release"], "not the whole corpus, get it again (or --partial"),
    ],
)
def test_wrong_calls_say_what_is_wrong(tree, options, message):
    done = run(tree, *options)
    assert done.returncode == 1 and message in done.stderr


def figures(**facts):
    found = read_published(CONF / "published.yaml")
    return [each for each in found if all(getattr(each, key) == value for key, value in facts.items())]


def total(**facts):
    return round(sum(figure.value for figure in figures(**facts)), 2)


def test_published_figures():
    assert total(subset="improvised", label_set="4", protocol="loso_spk", taken_for="uar") == 390.9
    assert total(subset="improvised", label_set="4", protocol="loso_spk", taken_for="accuracy") == 401.3
    assert total(subset="improvised", label_set="4nomerge", protocol="loso91", taken_for="accuracy") == 469.13
    assert total(subset="improvised", label_set="4nomerge", protocol="loso91", taken_for="uar") == 437.18
    latif = [
        total(subset=subset, protocol="loso5", taken_for=taken_for, model=f"{model}_lstm")
        for model in ("ae", "vae", "cvae")
        for taken_for in ("accuracy", "uar")
        for subset in ("improvised", "scripted", None)
    ]
    assert latif == [
        *(59.84, 52.68, 58.16, 58.32, 48.52, 55.42),
        *(63.21, 53.74, 60.71, 60.91, 52.23, 56.08),
        *(64.93, 55.71, 61.08, 62.81, 53.50, 58.10),
    ]
    f = {
        name: total(label_set=f"{name}3", protocol=f"strat10_{name}", taken_for="weighted_f1")
        for name in ("activation", "dominance", "valence")
    }
    assert f == {"activation": 383.59, "dominance": 339.67, "valence": 308.03}
    assert total(label_set="votes", taken_for="accuracy") == 711.0
    assert total(label_set="votes", taken_for="macro_f1") == 633.0
    assert [each.sd for each in figures(model="gru")] == [1.0, 2.0]
    protocols = yaml.safe_load((CONF / "protocols.yaml").read_text())
    assert {each.corpus for each in figures()} == {"iemocap"}
    assert {each.protocol for each in figures()} <= set(protocols)
