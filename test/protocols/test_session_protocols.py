"""The protocols of IEMOCAP: speakers and sessions left out, and stratified folds."""

import logging
from collections import Counter

import numpy as np
import pytest
from protocol_corpora import IEMOCAP, write_corpus
from sklearn.model_selection import StratifiedKFold

from sertk.bin import make_splits as command
from sertk.core.errors import SertkError
from sertk.protocols import list_folds, make_splits, read_fold
from sertk.protocols.checks import check_leakage
from sertk.protocols.rules import TEST_ONLY, Fold

ACTORS = [f"Ses0{session}{letter}" for session in range(1, 6) for letter in "FM"]
LEVELS = ("low", "mid", "high")
EACH = 23


def corpus(path, actors=ACTORS, **changes):
    """A folder of IEMOCAP's ten actors with 23 utterances each, of which every seventh has no label."""
    genders = {actor: actor[-1].lower() for actor in actors}
    utts = [f"{actor}-{i:02}" for actor in actors for i in range(EACH)]
    groups = {utt: f"session{utt[4]}" for utt in utts}
    labels = {utt: LEVELS[i * i % 5 % 3] for i, utt in enumerate(utts) if i % 7}
    tables = {"utt2group": groups | changes, "labels/valence3": labels}
    return write_corpus(path, genders, EACH, **tables)


def split(tmp_path, protocol):
    """The card and the folds of a protocol."""
    out = tmp_path / protocol
    card = make_splits(corpus(tmp_path / "iemocap"), out, IEMOCAP, protocol)
    return card, [read_fold(out, fold) for fold in list_folds(out)]


def speakers(utts):
    return sorted({utt[:6] for utt in utts})


def test_the_two_of_a_session_are_tested_and_validated_on_both_ways_round(tmp_path):
    card, folds = split(tmp_path, "loso_spk")
    assert [fold["test_speakers"] for fold in card["folds"]] == [[actor] for actor in ACTORS]
    partners = [[ACTORS[i + 1 - 2 * (i % 2)]] for i in range(10)]
    assert partners[:3] == [["Ses01M"], ["Ses01F"], ["Ses02M"]]
    assert [fold["valid_speakers"] for fold in card["folds"]] == partners
    for actor, fold in zip(ACTORS, folds):
        assert speakers(fold.train) == [other for other in ACTORS if other[:5] != actor[:5]]
        assert tuple(map(len, fold)) == (8 * EACH, EACH, EACH)
    assert card["speaker_disjoint"] is True and "no speaker is in two parts of a fold" in card["leakage_checks"]
    assert "Zhao" in card["source"] and card["options"] == {}


def test_sessions_rotate(tmp_path):
    card, folds = split(tmp_path, "loso5")
    assert [fold["test_speakers"] for fold in card["folds"]] == [[f"Ses0{i}F", f"Ses0{i}M"] for i in range(1, 6)]
    assert [fold["valid_speakers"][0][:5] for fold in card["folds"]] == ["Ses02", "Ses03", "Ses04", "Ses05", "Ses01"]
    assert [tuple(map(len, fold)) for fold in folds] == [(6 * EACH, 2 * EACH, 2 * EACH)] * 5
    assert card["speaker_disjoint"] is True


@pytest.mark.parametrize(
    "protocol, tested, counts",
    [
        ("loso91", [[actor] for actor in ACTORS], (197, 10, 23)),  # a twentieth of 207
        ("loso5_inner10", [ACTORS[i : i + 2] for i in range(0, 10, 2)], (166, 18, 46)),  # a tenth of 184
    ],
)
def test_validation_may_share_the_speakers_of_the_training(tmp_path, protocol, tested, counts):
    card, folds = split(tmp_path, protocol)
    assert [fold["test_speakers"] for fold in card["folds"]] == tested
    assert [tuple(map(len, fold)) for fold in folds] == [counts] * len(tested)
    for fold, testing in zip(folds, tested):
        assert speakers(fold.test) == testing
        assert speakers(fold.train) == [actor for actor in ACTORS if actor not in testing]
        assert set(speakers(fold.valid)) <= set(speakers(fold.train))
        others = sorted(fold.train + fold.valid)
        gaps = np.diff([others.index(utt) for utt in fold.valid])
        assert gaps.min() >= len(others) // len(fold.valid) and len(speakers(fold.valid)) == len(ACTORS) - len(testing)
    assert card["speaker_disjoint"] == "test part only (validation speakers are trained on too)" == TEST_ONLY
    assert card["leakage_checks"][-1] == "no speaker of a fold's test part is in another part"


def test_stratified_folds(tmp_path):
    card, folds = split(tmp_path, "strat10_valence")
    labels = dict(line.split() for line in (tmp_path / "iemocap/labels/valence3").read_text().splitlines())
    assert len(folds) == 10 and sorted(utt for fold in folds for utt in fold.test) == sorted(labels)
    utts, classes = list(labels), list(labels.values())
    theirs = [test for _, test in StratifiedKFold(10).split(np.zeros(len(utts)), classes)]
    for fold, test in zip(folds, theirs):
        assert sorted(fold.train + fold.valid + fold.test) == sorted(labels)
        ours = Counter(labels[utt] for utt in fold.test)
        # Which fold gets what is left over of a class is free.
        assert all(abs(ours[level] - sum(classes[i] == level for i in test)) <= 1 for level in LEVELS)
    assert [fold.valid for fold in folds] == [fold.test for fold in folds[1:] + folds[:1]]
    mids = [utt for fold in folds for utt in fold.test if labels[utt] == "mid"]
    assert mids == [utt for utt in utts if labels[utt] == "mid"]  # in their order
    assert card["speaker_disjoint"] is False and "speakers are NOT kept apart" in card["leakage_checks"]
    assert card["options"] == {"label_set": "valence3", "folds": 10}


def test_a_group_of_one_speaker_stops(tmp_path):
    data = corpus(tmp_path / "iemocap", ACTORS[:5])
    with pytest.raises(SertkError, match="protocol loso_spk: the group session3 has one speaker; one to test"):
        make_splits(data, tmp_path / "out", IEMOCAP, "loso_spk")


@pytest.mark.parametrize("protocol", ["loso_spk", "loso5", "loso5_inner10"])
def test_a_speaker_of_two_sessions_stops(tmp_path, protocol):
    data = corpus(tmp_path / "iemocap", **{"Ses01F-05": "session2"})
    message = f"protocol {protocol}, fold 1: the same speaker in (train|valid) and test: Ses01F-05 and Ses01F-0"
    with pytest.raises(SertkError, match=message):
        make_splits(data, tmp_path / "out", IEMOCAP, protocol)
    assert not (tmp_path / "out").exists()


def test_leakage_between_training_and_validation_alone_is_allowed():
    utt2spk = {"a-1": "a", "a-2": "a", "b-1": "b", "b-2": "b"}
    hashes = {utt: utt for utt in utt2spk}
    check_leakage(Fold(["a-1"], ["a-2"], ["b-1"]), utt2spk, hashes, TEST_ONLY, "here")
    for fold, where in (
        ((["a-1"], ["b-2"], ["b-1"]), "valid and test"),
        ((["a-1", "b-2"], ["a-2"], ["b-1"]), "train and test"),
    ):
        with pytest.raises(SertkError, match=f"here: the same speaker in {where}: b-2 and b-1"):
            check_leakage(Fold(*fold), utt2spk, hashes, TEST_ONLY, "here")
    with pytest.raises(SertkError, match="the same audio in train and valid"):
        check_leakage(Fold(["a-1"], ["a-2"], ["b-1"]), utt2spk, hashes | {"a-2": "a-1"}, TEST_ONLY, "here")
    with pytest.raises(SertkError, match="the same utterance in train and valid"):
        check_leakage(Fold(["a-1"], ["a-1"], ["b-1"]), utt2spk, hashes, TEST_ONLY, "here")
    with pytest.raises(SertkError, match="the same speaker in train and valid"):
        check_leakage(Fold(["a-1"], ["a-2"], ["b-1"]), utt2spk, hashes, True, "here")


def test_command(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    data = str(corpus(tmp_path / "iemocap"))
    for protocol, said in (
        ("loso_spk", "10 folds of 230 utterances by 10 speakers, speaker-disjoint"),
        ("strat10_valence", "10 folds of 230 utterances by 10 speakers, NOT speaker-disjoint"),
    ):
        arguments = ["--config", str(IEMOCAP), "--protocol", protocol, data, str(tmp_path / protocol)]
        assert command.main(arguments) == 0 and said in caplog.text
