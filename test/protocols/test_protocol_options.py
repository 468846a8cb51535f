import logging

import pytest
import yaml
from protocol_corpora import COMMON, EGS, RAVDESS, actors, write_corpus

from sertk.bin import make_splits as command
from sertk.core.errors import SertkError
from sertk.protocols import load_protocol, make_splits, protocol_names

LISTED = {"rule": "listed_speakers", "valid": "one_male_one_female"}
ROTATING = {"rule": "rotating_speakers", "test_speakers": 1, "valid_speakers": 1}
RANDOM = {"rule": "random", "test_share": 0.25, "valid_share": 0.1, "repeats": 1}
GROUPS = {"rule": "listed_groups", "valid_speakers": 1}
LEFT_OUT = {"rule": "leave_one_out", "test": "speaker", "valid_share": 0.1}
STRATIFIED = {"rule": "stratified", "label_set": "2", "folds": 3}


def write_protocol(path, **options):
    path.write_text(yaml.safe_dump({"mine": options}))
    return path


@pytest.mark.parametrize(
    "options, message",
    [
        ({"rule": "dice"}, "no rule 'dice'; there are: listed_speakers, rotating_speakers, .*, stratified, random"),
        ({}, "no rule null"),
        ({"rule": ["random"]}, r"no rule \['random'\]; there are: listed_speakers"),
        ({**ROTATING, "test_speakers": True}, "mine.test_speakers is true, expected a whole number"),
        ({**RANDOM, "test_share": False}, "mine.test_share is false, expected a number"),
        ({**LISTED, "folds": [["actor01"], ["actor02", 3]]}, "mine.folds: element 2: element 2 is 3, expected text"),
        ({**ROTATING, "colour": 1}, "unknown option 'colour'; rotating_speakers has: test_speakers, valid_speakers"),
        ({"rule": "rotating_speakers", "test_speakers": 1}, "the option 'valid_speakers' is missing"),
        ({**ROTATING, "test_speakers": "two"}, "test_speakers is 'two', expected a whole number"),
        ({**ROTATING, "test_speakers": 0}, "must be at least 1"),
        ({**ROTATING, "test_speakers": 5}, "has 6 speakers; 5 to test, 1 to validate on and at least one"),
        ({**LISTED, "folds": [["actor01", "actor99"]]}, "has no speaker actor99, which is to be tested"),
        ({**LISTED, "folds": [["actor01"], ["actor01"]]}, "tested in one fold only"),
        ({**LISTED, "folds": [[]]}, "every fold needs a test speaker"),
        ({**LISTED, "folds": [["actor02", "actor04", "actor06"]]}, "leaves no male and female"),
        ({**LISTED, "folds": "actor01"}, "folds is 'actor01', expected a list of lists of texts"),
        (
            {**LISTED, "valid": "anybody", "folds": [["actor01"]]},
            "valid is 'anybody', expected one of one_male_one_female",
        ),
        ({**GROUPS, "folds": []}, "protocol mine: no folds"),
        ({**GROUPS, "folds": [{"train": ["odd"]}]}, "element 1 is {train: .*}, expected a mapping with train and test"),
        (
            {**GROUPS, "folds": [{"train": ["odd"], "test": ["even"], "valid": []}]},
            "valid: .*}, expected a mapping with train and test",
        ),
        (
            {**GROUPS, "folds": [{"train": "odd", "test": ["even"]}]},
            "folds: element 1: train is 'odd', expected a list of texts",
        ),
        (
            {**GROUPS, "folds": [{"train": ["odd"], "test": ["all"]}]},
            "d/utt2group has no group all; there are: even, odd",
        ),
        ({**GROUPS, "folds": [{"train": ["odd"], "test": ["odd"]}]}, "a group is named once in a fold"),
        ({**GROUPS, "folds": [{"train": ["odd"], "test": []}]}, "every fold needs groups to train on and to"),
        ({**GROUPS, "folds": [{"train": [], "test": ["odd"]}]}, "every fold needs groups to train on and to"),
        (
            {**GROUPS, "valid_speakers": 3, "folds": [{"train": ["odd"], "test": ["even"]}]},
            "protocol mine: odd has 3 speakers; 3 to validate on and at least one to train on are needed",
        ),
        (
            {**GROUPS, "valid_speakers": 0, "folds": [{"train": ["odd"], "test": ["even"]}]},
            "valid_speakers must be at least 1",
        ),
        (
            {"rule": "rotating_groups", "test_groups": 1, "valid_groups": 1},
            "d has 2 groups; 1 to test, 1 to validate on and at least one to train on are needed",
        ),
        ({"rule": "rotating_groups", "test_groups": 0, "valid_groups": 1}, "test_groups and valid_groups must"),
        ({**LEFT_OUT, "test": "school"}, "test is 'school'"),
        ({**LEFT_OUT, "valid_share": 1.0}, "valid_share must lie between 0 and 1"),
        ({**LEFT_OUT, "valid_share": 0.01}, "fold 1: no utterances in the valid split"),
        ({**STRATIFIED, "label_set": 4}, r"p.yaml:\d: mine.label_set is 4, expected text .in quotes, if that is its n"),
        ({**GROUPS, "folds": [{"train": [True], "test": ["odd"]}]}, r"element 1 is true, expected text .in quotes, if"),
        ({**STRATIFIED, "label_set": "4"}, "d: no label set '4'; there are: 2"),
        ({**STRATIFIED, "folds": 2}, "folds must be at least 3"),
        ({**STRATIFIED, "folds": 7}, "labels/2: 6 utterances of odd cannot be in 7 folds"),
        ({**RANDOM, "test_share": 1.5}, "between 0 and 1"),
        ({**RANDOM, "repeats": 0}, "repeats be at least 1"),
        ({**RANDOM, "test_share": 0.001}, "no utterances in the test split"),
    ],
)
def test_wrong_protocols_are_explained(tmp_path, options, message):
    groups = {f"actor{i:02}-0{j}": "odd" if i % 2 else "even" for i in range(1, 7) for j in (0, 1)}
    data = write_corpus(tmp_path / "d", actors(6), 2, utt2group=groups, **{"labels/2": groups})
    with pytest.raises(SertkError, match=message):
        make_splits(data, tmp_path / "out", write_protocol(tmp_path / "p.yaml", **options), "mine")
    assert not (tmp_path / "out").exists()


def test_wrong_files_are_explained(tmp_path):
    with pytest.raises(SertkError, match="no protocol 'x'; there are: loso, random75, si"):
        load_protocol(COMMON, "x")
    with pytest.raises(SertkError, match="none.yaml: No such file"):
        load_protocol(tmp_path / "none.yaml", "x")
    (tmp_path / "names.yaml").write_text("si: {}\n75: {}\n")
    for read in (lambda path: load_protocol(path, "si"), protocol_names):
        with pytest.raises(SertkError, match="names.yaml:2: the protocol name 75 is not text"):
            read(tmp_path / "names.yaml")
    with pytest.raises(SertkError, match="no such data folder"):
        make_splits(tmp_path / "none", tmp_path / "out", COMMON, "si")
    data = write_corpus(tmp_path / "d", actors(24), 1)
    (data / "spk2gender").write_text("actor01 m\n")
    with pytest.raises(SertkError, match=r"spk2gender: lacks 23 of 24 speakers: actor02, .*, actor06 \.\.\.; add them"):
        make_splits(data, tmp_path / "out", RAVDESS, "emobox")


def test_a_recipe_inherits_and_replaces(tmp_path):
    (tmp_path / "p.yaml").write_text(f"base: {COMMON}\nsi: {{test_speakers: 2}}\n")
    assert load_protocol(tmp_path / "p.yaml", "si")[1] == {"test_speakers": 2, "valid_speakers": 1}
    assert load_protocol(tmp_path / "p.yaml", "random75", repeats=2, seed=7)[1]["repeats"] == 2


def test_command(ravdess, tmp_path, capsys, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.chdir(EGS / "ravdess")
    out = str(tmp_path / "out")
    assert command.main(["--protocol", "emobox", "--repeats", "3", str(ravdess), out]) == 0
    assert "6 folds of 1440 utterances by 24 speakers, speaker-disjoint" in caplog.text
    assert command.main(["--protocol", "random75", str(ravdess), out]) == 1
    assert "holds other fold lists" in capsys.readouterr().err
    out = str(tmp_path / "random")
    assert command.main(["--protocol", "random75", "--repeats", "3", "--seed", "1", str(ravdess), out]) == 0
    assert "3 folds of 1440 utterances by 24 speakers, NOT speaker-disjoint" in caplog.text
    assert command.main(["--protocol", "none", str(ravdess), out]) == 1
    assert "there are: emobox, loso, random75, si" in capsys.readouterr().err
    assert command.main(["--protocol", "random75", "--repeats", "0", str(ravdess), out]) == 1
    assert command.main(["--protocol", "si", str(ravdess)]) == 2
    assert command.main(["--list"]) == 0
    assert capsys.readouterr().out.split() == ["emobox", "loso", "random75", "si"]
