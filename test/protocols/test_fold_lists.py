import hashlib

import pytest
import yaml
from protocol_corpora import COMMON, RAVDESS, actors, write_corpus

from sertk.core.errors import SertkError
from sertk.core.files import write_text
from sertk.kaldi.datadir import DataDir
from sertk.protocols import list_folds, make_splits, read_card, read_fold


def content_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_card_describes_the_lists(ravdess, tmp_path):
    out = tmp_path / "out"
    card = make_splits(ravdess, out, RAVDESS, "si", seed=5)
    assert card == read_card(out) == yaml.safe_load((out / "card.yaml").read_text())
    assert (card["protocol"], card["corpus"], card["rule"]) == ("si", "ravdess", "rotating_speakers")
    assert card["options"] == {"test_speakers": 4, "valid_speakers": 1}
    assert (card["utterances"], card["speakers"], card["seed"]) == (1440, 24, None)
    assert "Jalal" in card["source"]
    content = (out / "fold2/valid").read_bytes()
    assert content.startswith(b"actor09-00\nactor09-01\n") and content.endswith(b"actor09-59\n")
    assert card["folds"][1]["sha256"]["valid"] == hashlib.sha256(content).hexdigest()


def test_same_arguments_same_files(ravdess, tmp_path):
    for protocol in ("emobox", "random75"):
        one, other = tmp_path / f"{protocol}-a", tmp_path / f"{protocol}-b"
        for out in (one, other):
            make_splits(ravdess, out, RAVDESS, protocol, seed=3)
        files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
        assert len(files) == len(list_folds(one)) * 3 + 1
        assert all((one / path).read_bytes() == (other / path).read_bytes() for path in files)


def test_more_repeats_are_added_and_fewer_change_nothing(ravdess, tmp_path):
    out = tmp_path / "out"
    make_splits(ravdess, out, RAVDESS, "random75", repeats=2)
    before = content_of(out)
    assert make_splits(ravdess, out, RAVDESS, "random75", repeats=4)["options"]["repeats"] == 4
    assert list_folds(out) == [1, 2, 3, 4]
    after = content_of(out)
    assert all(after[path] == lines for path, lines in before.items() if path.name != "card.yaml")
    assert make_splits(ravdess, out, RAVDESS, "random75", repeats=3)["options"]["repeats"] == 4
    assert content_of(out) == after
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "ravdess"]


@pytest.mark.parametrize(
    "first, protocol, options, causes",
    [
        ("random75", "random75", {"seed": 1}, "seed"),
        ("random75", "random75", {"seed": 1, "repeats": 2}, "options.repeats, seed"),
        ("random75", "random75", {"seed": 1, "repeats": 20}, "options.repeats, seed"),
        ("loso", "si", {}, "options.test_speakers, options.valid_speakers, protocol, source"),
    ],
)
def test_other_lists_are_not_replaced(ravdess, tmp_path, first, protocol, options, causes):
    out = tmp_path / "out"
    make_splits(ravdess, out, RAVDESS, first)
    before = content_of(out)
    with pytest.raises(SertkError) as error:
        make_splits(ravdess, out, RAVDESS, protocol, **options)
    assert str(error.value) == (
        f"{out}: holds other fold lists (differs in: {causes}); models trained on them would be tested "
        "wrongly: remove the folder, and the experiments that used it, to make them anew"
    )
    assert content_of(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "ravdess"]


def test_lists_of_the_same_protocol_follow_the_data(tmp_path, caplog):
    data = write_corpus(tmp_path / "d", actors(8), 2)
    make_splits(data, tmp_path / "out", COMMON, "si")
    # Of the second, a renamed speaker, all counts stay as they were.
    for speakers in (actors(9), {**actors(8), "actor99": "f"}):
        caplog.clear()
        write_corpus(data, speakers, 2)
        card = make_splits(data, tmp_path / "out", COMMON, "si")
        assert {name for fold in card["folds"] for name in fold["test_speakers"]} == set(speakers)
        assert f"{tmp_path}/out: warning: made anew for other utterances" in caplog.text
        assert make_splits(data, tmp_path / "out", COMMON, "si") == card
        assert len(caplog.records) == 1


def test_the_same_lists_get_a_new_card(ravdess, tmp_path):
    make_splits(ravdess, tmp_path / "out", RAVDESS, "si")
    card = read_card(tmp_path / "out")
    (tmp_path / "out/card.yaml").write_text(yaml.safe_dump({**card, "corpus": "copied", "source": "?"}))
    assert make_splits(ravdess, tmp_path / "out", RAVDESS, "si") == card


@pytest.mark.parametrize(
    "content", ["", "- si\n", "options: {}\n", "folds: 3\noptions: {}\nrule: random\n", "folds: []\noptions: {}\n"]
)
def test_a_damaged_card_is_explained(ravdess, tmp_path, content):
    make_splits(ravdess, tmp_path / "out", RAVDESS, "si")
    (tmp_path / "out/card.yaml").write_text(content)
    with pytest.raises(SertkError, match="out/card.yaml: no protocol card as sertk-make-splits writes it"):
        make_splits(ravdess, tmp_path / "out", RAVDESS, "si")


def test_other_folders_are_left_alone(ravdess, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter").touch()
    with pytest.raises(SertkError, match="not a folder of fold lists"):
        make_splits(ravdess, tmp_path / "thesis", RAVDESS, "si")
    assert (tmp_path / "thesis/chapter").exists()


def test_reading_says_which_stage_makes_the_lists(tmp_path):
    for read in (list_folds, read_card, lambda path: read_fold(path, 1)):
        with pytest.raises(SertkError, match="stage 1"):
            read(tmp_path)
    (tmp_path / "fold2").mkdir()
    for part in ("train", "valid", "test"):
        (tmp_path / "fold2" / part).write_text(f"{part}-1\n{part}-2\n")
    assert read_fold(tmp_path, 2) == (["train-1", "train-2"], ["valid-1", "valid-2"], ["test-1", "test-2"])
    with pytest.raises(SertkError, match="fold7: no such fold; there are: 2"):
        read_fold(tmp_path, 7)


def test_lists_of_utterances_that_the_data_folder_lacks_are_refused(tmp_path):
    for split, listed in (("train", "a\nb\n"), ("valid", "c\n"), ("test", "d\nE\n")):
        write_text(tmp_path / "fold1" / split, listed)
    write_text(tmp_path / "card.yaml", "{rule: groups, options: {}, folds: [{fold: 1}]}")
    assert read_fold(tmp_path, 1, {"a", "b", "c", "d", "E"}).test == ["d", "E"]
    message = r"fold1/test:2: 'E' is not in the data folder, which has 'e' \(they differ in capitals alone\); make"
    with pytest.raises(SertkError, match=message):
        read_fold(tmp_path, 1, {"a", "b", "c", "d", "e"})


def test_lists_that_were_changed_by_hand_are_refused(ravdess, tmp_path):
    make_splits(ravdess, tmp_path / "out", RAVDESS, "si")
    known = DataDir(ravdess).utterances
    train, test = (tmp_path / "out/fold1" / split for split in ("train", "test"))
    lists = read_fold(tmp_path / "out", 1, known)
    write_text(test, "\n".join(sorted([*lists.test, lists.train[0]])) + "\n")
    with pytest.raises(SertkError, match=f"fold1/test: '{lists.train[0]}' is in train too; make the lists anew"):
        read_fold(tmp_path / "out", 1, known)
    write_text(train, "\n".join(lists.train[1:]) + "\n")
    with pytest.raises(SertkError, match="fold1/train: not the list that .*out/card.yaml tells; make the lists anew"):
        read_fold(tmp_path / "out", 1, known)
    make_splits(ravdess, tmp_path / "out", RAVDESS, "si")
    assert read_fold(tmp_path / "out", 1, known) == lists


def test_an_utterance_that_a_list_has_twice_is_named(tmp_path):
    for part, lines in {"train": "a\nb\na\n", "valid": "c\n", "test": "d\n"}.items():
        write_text(tmp_path / "fold1" / part, lines)
    with pytest.raises(SertkError, match="fold1/train: 'a' is there twice; stage 1 makes the lists"):
        read_fold(tmp_path, 1)
