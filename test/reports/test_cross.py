"""Systems tested on other corpora: from trained networks, and from decoded runs."""

import shutil

import numpy as np
import pytest
import yaml
from decoded_experiments import make_experiment, random_rows, write_predictions
from sklearn.metrics import recall_score
from small_experiments import CPU, train_run

from sertk.bin import decode, report, score
from sertk.core.errors import SertkError
from sertk.core.files import read_json, read_yaml, write_text
from sertk.inference.cross import map_labels, read_label_map
from sertk.kaldi.archives import open_matrices
from sertk.kaldi.datadir import write_table

CLASSES = ["neutral", "happy", "sad"]


@pytest.fixture
def other_corpus(small_corpus, tmp_path):
    """`small_corpus` with other labels: furious for angry, bored for every second calm; one is missing."""
    other = tmp_path / "other"
    shutil.copytree(small_corpus, other)
    labels = {}
    for line in (small_corpus / "labels/3").read_text().splitlines():
        utterance, label = line.split()
        calm = "calm" if utterance.endswith("1") else "bored"
        labels[utterance] = {"angry": "furious", "calm": calm, "sad": "sad"}[label]
    labels.pop("s1-sad-1")
    write_table(other / "labels/mood", labels)
    return other


@pytest.fixture
def label_map(tmp_path):
    path = tmp_path / "map.yaml"
    path.write_text("angry: [furious, annoyed]\ncalm: [calm]\n")
    return path


def test_a_trained_model_decodes_and_is_scored_on_another_corpus(
    small_corpus, other_corpus, label_map, toy_config, tmp_path, capsys
):
    exp = tmp_path / "exp/data_3_toy/blstm_capsule"
    run = train_run(small_corpus, toy_config, exp, "training.max_epochs=1")
    options = ["--labels", "mood", "--label_map", str(label_map), *CPU, str(run)]
    assert decode.main(["--data", str(other_corpus), *options]) == 0
    assert decode.main(["--data", str(other_corpus), *CPU, str(run), f"ark:{tmp_path}/all.ark"]) == 0
    everything = dict(open_matrices(f"ark:{tmp_path}/all.ark"))

    rows = [line.split("\t") for line in (run / "decode_other_mood/predictions.tsv").read_text().splitlines()[1:]]
    assert {row[0]: row[2] for row in rows} == {
        f"s{speaker}-{label}-{take}": label
        for speaker in (1, 2, 3, 4)
        for label, take in (("angry", 1), ("angry", 2), ("calm", 1))
    }
    for row in rows:
        np.testing.assert_allclose([float(value) for value in row[4:]], everything[row[0]], atol=1e-5)
    card = read_yaml(run / "decode_other_mood/card.yaml")
    assert card["class_counts"] == {"angry": 8, "calm": 4, "sad": 0}
    assert card["left_out_counts"] == {"bored": 4, "sad": 7}
    assert card["without_label"] == 1 and card["labels_not_there"] == ["annoyed"]

    assert score.main(["--decoded", "other_mood", "--draws", "100", str(exp)]) == 0
    results = read_json(exp / "decode_other_mood/results.json")
    references, predictions = [row[2] for row in rows], [row[3] for row in rows]
    uar = recall_score(references, predictions, labels=["angry", "calm"], average="macro")
    assert results["uar"] == pytest.approx(uar)
    page = (exp / "decode_other_mood/RESULTS.md").read_text()
    assert page.startswith("# blstm_capsule (trained on data, labels 3, protocol toy): other, labels mood")
    assert "**Warning:** other has no utterance of sad: UAR is over the other classes alone (angry, calm)" in page
    assert "- label map: angry: furious, annoyed; calm: calm\n" in page
    assert not (exp / "results.json").exists()

    options[1] = "3"
    assert decode.main(["--data", str(small_corpus), *options]) == 1
    assert "trained on data; decode its test split, without --label_map" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "expected lines `class: [label, ...]`"),
        ("- happy", "expected lines `class: [label, ...]`"),
        ("joy: [happy]", "the model has no class 'joy'; it has: neutral, happy, sad"),
        ("happy: happy", "happy: expected a list of labels, such as [happy], found 'happy'"),
        ("happy: []", "happy: expected a list of labels"),
        ("happy: [[a]]", "happy: expected the name of a label, found ['a']"),
        ("happy: [a, b]\nsad: [B]", "2: B counts as happy and as sad; leave it with one"),
        ("happy: [a]\nhappy: [b]", "happy is there twice, first in line 1"),
        ("happy: [a]\nHappy: [b]", "2: the class happy is there twice; write its labels in one list"),
        ("happy: [", "not valid YAML"),
    ],
)
def test_maps_that_are_wrong(tmp_path, text, message):
    (tmp_path / "map.yaml").write_text(text)
    with pytest.raises(SertkError) as caught:
        read_label_map(tmp_path / "map.yaml", CLASSES)
    assert str(caught.value).startswith(f"{tmp_path}/map.yaml:") and message in str(caught.value)


def test_names_in_a_map_are_texts_as_they_are_written(tmp_path):
    text = "1: [01, 1.50]\nyes: [no, ~]\n1:30: [2024-01-01]\nnull: [true]\nfro\u0308hlich: [x]\nSAD: [y]\n"
    (tmp_path / "map.yaml").write_text("\ufeff" + text, encoding="utf-8")
    found = read_label_map(tmp_path / "map.yaml", ["1", "yes", "1:30", "null", "fr\u00f6hlich", "sad"])
    expected = {"1": ["01", "1.50"], "yes": ["no", "~"], "1:30": ["2024-01-01"], "null": ["true"]}
    assert found == {**expected, "fr\u00f6hlich": ["x"], "sad": ["y"]}


def test_labels_are_found_in_another_spelling(other_corpus, tmp_path):
    (tmp_path / "map.yaml").write_text("Angry: [Furious]\nsad: [bored]\n")
    mapped, card = map_labels(other_corpus, "mood", tmp_path / "map.yaml", ["angry", "calm", "sad"])
    assert mapped.counts() == {"angry": 8, "calm": 0, "sad": 4} and card["labels_not_there"] == []


def test_a_map_without_any_label_of_the_corpus(other_corpus, tmp_path):
    (tmp_path / "map.yaml").write_text("angry: [annoyed]")
    with pytest.raises(SertkError, match="labels/mood .bored, calm, furious, sad."):
        map_labels(other_corpus, "mood", tmp_path / "map.yaml", ["angry", "calm", "sad"])


@pytest.mark.parametrize(
    "options", [["--data", "x"], ["--feats", "a=b", "--labels", "m"], ["--data", "x", "--labels", "m", "--cmvn", "a=b"]]
)
def test_wrong_calls(options, capsys):
    assert decode.main([*options, "--label_map", "map.yaml", "run"]) == 2
    assert "--label_map takes --data and --labels" in capsys.readouterr().err


def decoded_elsewhere(experiment, corpus, counts, seeds=(1, 2)):
    """Predictions of fold 1 on another corpus, with as many utterances of CLASSES as `counts`, and their card."""
    generator = np.random.default_rng(len(corpus))
    there = [name for name, count in zip(CLASSES, counts) if count]
    for seed in seeds:
        rows = random_rows(generator, [f"x{number}" for number in range(10)], 12, there)
        folder = experiment / f"fold1/seed{seed}/decode_{corpus}_e"
        write_predictions(folder / "predictions.tsv", rows, CLASSES)
        card = {"corpus": corpus, "label_set": "e", "label_map": {}, "class_counts": dict(zip(CLASSES, counts))}
        write_text(folder / "card.yaml", yaml.safe_dump(card))


def test_the_matrix_of_trained_and_tested(tmp_path, capsys):
    first = make_experiment(tmp_path / "a", done=(1,), corpus="a", label_set="3", model="a")
    second = make_experiment(tmp_path / "b", done=(1,), corpus="b", label_set="3", model="b", number=5)
    alone = make_experiment(tmp_path / "c", done=(1,), corpus="c", label_set="3", model="c")
    decoded_elsewhere(first, "b", (40, 40, 0))
    decoded_elsewhere(second, "a", (40, 40, 40))
    for experiment in (first, second, alone):
        assert score.main(["--draws", "100", str(experiment)]) == 0
    assert "Across corpora" not in page_of(capsys, first, second)
    own = (first / "results.json").read_bytes()
    assert score.main(["--draws", "100", "--decoded", "b_e", str(first)]) == 0
    assert score.main(["--draws", "100", "--decoded", "a_e", str(second)]) == 0
    assert (first / "results.json").read_bytes() == own
    page = page_of(capsys, first, second, alone).partition("## Across corpora")[2]
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]
    assert table[0] == ["system", "trained on", "a, labels 3", "b, labels e", "b, labels 3", "a, labels e"]
    assert len(table) == 4  # the header, its rule and the two that were tested elsewhere

    def cell(path, mark="", share=""):
        results = read_json(path / "results.json")
        runs = [run["uar"] for run in results["folds"]]
        mean, sd = np.mean(runs), np.std(runs, ddof=1)
        assert results["uar"] == pytest.approx(mean)  # as all runs have the same utterances of each class
        return f"{mark}{100 * mean:.1f} ± {100 * sd:.1f}{share}{mark}"

    assert table[2][2:] == [cell(first, "*"), cell(first / "decode_b_e", share=" (2 of 3)"), "-", "-"]
    assert table[3][2:] == ["-", "-", cell(second, "*"), cell(second / "decode_a_e")]


def page_of(capsys, *experiments):
    capsys.readouterr()
    assert report.main([str(experiment) for experiment in experiments]) == 0
    return capsys.readouterr().out


def test_runs_decoded_with_other_maps_are_not_pooled(tmp_path, capsys):
    experiment = make_experiment(tmp_path / "a", done=(1,), corpus="a", model="a")
    decoded_elsewhere(experiment, "b", (40, 40, 40), seeds=(1,))
    assert score.main(["--decoded", "b_f", str(experiment)]) == 1
    assert "no foldF/seedS/decode_b_f yet; run sertk-decode --label_map" in capsys.readouterr().err
    assert score.main(["--draws", "100", "--decoded", "b_e", str(experiment)]) == 0
    assert "fold 1, seed 2 is not decoded and left out" in capsys.readouterr().err
    decoded_elsewhere(experiment, "b", (40, 39, 40), seeds=(2,))
    assert score.main(["--decoded", "b_e", str(experiment)]) == 1
    assert "other data, labels or another map than" in capsys.readouterr().err
