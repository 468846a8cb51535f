import importlib.util
import itertools

import pytest
from protocol_corpora import EGS, actors, write_corpus

from sertk.core.errors import SertkError
from sertk.evaluation.results import _warnings
from sertk.kaldi.datadir import DataDir, write_data_dir
from sertk.protocols import make_splits, read_fold
from sertk.protocols.rules import Corpus, balanced

OWN = EGS / "own/conf/protocols.yaml"
SPEC = importlib.util.spec_from_file_location("choose_protocol", EGS / "own/local/choose_protocol.py")
SCRIPT = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(SCRIPT)
choose_protocol = SCRIPT.choose_protocol


@pytest.fixture
def corpus(tmp_path):
    """Six speakers of 4 utterances; the first three are always sad, the others always happy."""
    speakers = actors(6)
    labels = {f"{speaker}-{i:02}": "sad" if speaker < "actor04" else "happy" for speaker in speakers for i in range(4)}
    return write_corpus(tmp_path / "own", speakers, 4, **{"labels/emotion": labels})


def groups_of(corpus, names):
    speakers = DataDir(corpus).table("utt2spk")
    write_data_dir(corpus, {"utt2group": {utt: names[speaker] for utt, speaker in speakers.items()}})


def test_balanced_folds_have_every_label(corpus):
    folds = list(balanced(Corpus(DataDir(corpus)), by="speaker", folds=3))
    labels = DataDir(corpus).labels("emotion")
    for fold in folds:
        counts = [[[labels[utt] for utt in part].count(label) for label in ("sad", "happy")] for part in fold]
        assert counts == [[4, 4]] * 3
    assert sorted(utt for fold in folds for utt in fold.test) == sorted(labels)
    assert [fold.valid for fold in folds] == [folds[1].test, folds[2].test, folds[0].test]


def test_balanced_is_as_good_as_the_best_of_all_divisions(tmp_path):
    sizes = {"a": 6, "b": 5, "c": 4, "d": 3, "e": 2, "f": 1}
    utts = {f"{speaker}-{i}": speaker for speaker, size in sizes.items() for i in range(size)}
    write_data_dir(tmp_path / "own", {"utt2spk": utts})
    folds = balanced(Corpus(DataDir(tmp_path / "own")), by="speaker", folds=3)
    found = sorted(len(fold.test) for fold in folds)
    best = min(
        (
            sorted(sum(size for size, part in zip(sizes.values(), parts) if part == fold) for fold in range(3))
            for parts in itertools.product(range(3), repeat=6)
        ),
        key=lambda each: sum(size**2 for size in each),
    )
    assert found == best == [7, 7, 7]


def test_balanced_needs_three(corpus):
    with pytest.raises(SertkError, match="6 speakers and 2 folds; at least 3 of both are needed"):
        list(balanced(Corpus(DataDir(corpus)), by="speaker", folds=2))


@pytest.mark.parametrize(
    "groups, name, folds",
    [
        ("aabbcc", "groups", 3),
        ("aaabbb", "one_group", 2),
        ("abcdef", "groups", 6),
        ("aaaaaa", "speakers", 5),
        (None, "speakers", 5),
    ],
)
def test_the_protocol_is_chosen_by_what_is_known(corpus, tmp_path, groups, name, folds):
    if groups:
        groups_of(corpus, dict(zip(actors(6), groups)))
    assert choose_protocol(corpus)[0] == name
    card = make_splits(corpus, tmp_path / "out", OWN, name)
    assert len(card["folds"]) == folds and card["speaker_disjoint"] and "warning" not in card
    utt2spk, group_of = DataDir(corpus).table("utt2spk"), dict(zip(actors(6), groups or "abcdef"))
    tested = [read_fold(tmp_path / "out", fold) for fold in range(1, folds + 1)]
    assert sorted(utt for fold in tested for utt in fold.test) == sorted(utt2spk)
    if "group" in name:
        for fold in tested:
            parts = [{group_of[utt2spk[utt]] for utt in part} for part in (fold.test, fold.train)]
            assert len(parts[0]) == 1 and not parts[0] & parts[1]


def test_groups_that_share_a_speaker_are_not_chosen(corpus):
    utterances = DataDir(corpus).utterances
    write_data_dir(corpus, {"utt2group": {utt: "gh"[number % 2] for number, utt in enumerate(utterances)}})
    assert choose_protocol(corpus) == ("speakers", "the groups share speakers, and there are 6 speakers")


@pytest.mark.parametrize("number, name, folds", [(3, "speakers", 3), (2, "one_speaker", 2), (1, "random75", 10)])
def test_few_speakers(tmp_path, number, name, folds):
    corpus = write_corpus(tmp_path / "own", actors(number), 12)
    assert choose_protocol(corpus)[0] == name
    assert len(make_splits(corpus, tmp_path / "out", OWN, name)["folds"]) == folds


def test_unknown_speakers_are_told_on_the_card_whatever_the_protocol(tmp_path, capsys, caplog):
    caplog.set_level("INFO")
    utts = {f"u{i:02}": f"u{i:02}" for i in range(20)}
    write_data_dir(tmp_path / "own", {"utt2spk": utts, "wav.scp": utts, "utt2hash": utts})
    assert SCRIPT.main([str(tmp_path / "own")]) == 0
    assert capsys.readouterr().out == "random75\n"
    assert "protocol random75: the speakers are not known" in caplog.text
    for protocol in ("random75", "speakers"):
        card = make_splits(tmp_path / "own", tmp_path / protocol, OWN, protocol)
        assert card["speaker_disjoint"] is False and "speakers are NOT known" in card["leakage_checks"]
        assert _warnings(card | {"rule": "random"}, [], []) == [card["warning"]]
        assert "say nothing about new speakers" in card["warning"]


def test_parts_of_one_recording_are_kept_together(tmp_path):
    utts = {f"r{i}-{part}": f"r{i}" for i in range(6) for part in range(3)}
    write_data_dir(
        tmp_path / "own",
        {
            "utt2spk": utts,
            "utt2hash": dict(zip(utts, utts)),
            "wav.scp": {f"r{i}": "/none" for i in range(6)},
            "segments": {utt: f"{recording} {utt[-1]} -1" for utt, recording in utts.items()},
        },
    )
    name, why = choose_protocol(tmp_path / "own")
    assert (name, why) == ("speakers", "there are 6 recordings, whose speakers are not known")
    card = make_splits(tmp_path / "own", tmp_path / "out", OWN, name)
    assert card["speaker_disjoint"] is False and "warning" in card


def test_a_label_of_an_utterance_without_speaker_is_named(corpus):
    with open(corpus / "labels/emotion", "a") as table:
        table.write("other-1 sad\n")
    with pytest.raises(SertkError, match="utt2spk: lacks 1 of 25 utterances: other-1; add their speakers, or"):
        list(balanced(Corpus(DataDir(corpus)), by="speaker", folds=3))
