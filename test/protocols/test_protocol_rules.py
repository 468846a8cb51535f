import pytest
from protocol_corpora import COMMON, FAU_AIBO, MINI, RAVDESS, actors, write_corpus

from sertk.core.errors import SertkError
from sertk.protocols import list_folds, make_splits, read_fold


def folds_of(outdir):
    return [read_fold(outdir, fold) for fold in list_folds(outdir)]


def speakers_of(utts):
    return sorted({utt[:7] for utt in utts})


def numbers(speakers):
    return [int(speaker[-2:]) for speaker in speakers]


def test_emobox_has_the_published_test_actors(ravdess, tmp_path):
    card = make_splits(ravdess, tmp_path / "out", RAVDESS, "emobox")
    assert [numbers(fold["test_speakers"]) for fold in card["folds"]] == [
        [1, 11, 20, 21],
        [4, 10, 12, 14],
        [8, 9, 19, 23],
        [3, 5, 7, 24],
        [2, 15, 16, 18],
        [6, 13, 17, 22],
    ]
    # From the first test actor upwards: the first odd (male) and the first even (female) one not tested.
    assert [numbers(fold["valid_speakers"]) for fold in card["folds"]] == [
        [2, 3],
        [5, 6],
        [10, 11],
        [4, 9],
        [3, 4],
        [7, 8],
    ]
    assert all(fold["utterances"] == {"train": 1080, "valid": 120, "test": 240} for fold in card["folds"])
    assert card["speaker_disjoint"] is True


def test_si_rotates_four_actors(ravdess, tmp_path):
    card = make_splits(ravdess, tmp_path / "out", RAVDESS, "si")
    assert [numbers(fold["test_speakers"]) for fold in card["folds"]] == [
        [4 * k + 1, 4 * k + 2, 4 * k + 3, 4 * k + 4] for k in range(6)
    ]
    assert [numbers(fold["valid_speakers"]) for fold in card["folds"]] == [[5], [9], [13], [17], [21], [1]]
    assert all(fold["utterances"] == {"train": 1140, "valid": 60, "test": 240} for fold in card["folds"])


def test_loso_tests_each_speaker(ravdess, tmp_path):
    card = make_splits(ravdess, tmp_path / "out", RAVDESS, "loso")
    assert [numbers(fold["test_speakers"]) for fold in card["folds"]] == [[k] for k in range(1, 25)]
    assert numbers(card["folds"][22]["valid_speakers"]) == [1, 24]
    assert all(fold["utterances"] == {"train": 1260, "valid": 120, "test": 60} for fold in card["folds"])
    assert list_folds(tmp_path / "out") == list(range(1, 25))


@pytest.mark.parametrize(
    "config, protocol, covered",
    [(RAVDESS, name, True) for name in ("emobox", "si", "loso")] + [(MINI, "mini", True), (COMMON, "random75", False)],
)
def test_parts_are_disjoint_and_cover_the_corpus(ravdess, tmp_path, config, protocol, covered):
    make_splits(ravdess, tmp_path / "out", config, protocol)
    tested, everything = [], sorted(f"actor{i:02}-{j:02}" for i in range(1, 25) for j in range(60))
    for fold in folds_of(tmp_path / "out"):
        assert sorted(fold.train + fold.valid + fold.test) == everything
        assert all(part == sorted(part) for part in fold)
        if covered:
            assert not set(speakers_of(fold.train)) & set(speakers_of(fold.valid + fold.test))
            assert not set(speakers_of(fold.valid)) & set(speakers_of(fold.test))
        tested += fold.test
    assert (sorted(tested) == everything) is covered


def test_random75(ravdess, tmp_path):
    card = make_splits(ravdess, tmp_path / "out", RAVDESS, "random75")
    folds = folds_of(tmp_path / "out")
    assert [tuple(map(len, fold)) for fold in folds] == [(972, 108, 360)] * 10
    assert len({tuple(fold.test) for fold in folds}) == 10
    assert card["speaker_disjoint"] is False
    assert "speakers are NOT kept apart" in card["leakage_checks"]
    assert card["seed"] == 0 and card["options"]["repeats"] == 10


def test_random_repeats_and_seed(ravdess, tmp_path):
    for name, repeats, seed in (("a", 2, 0), ("b", 3, 0), ("c", 2, 1)):
        make_splits(ravdess, tmp_path / name, RAVDESS, "random75", repeats, seed)
    assert list_folds(tmp_path / "b") == [1, 2, 3]
    assert folds_of(tmp_path / "a") == folds_of(tmp_path / "b")[:2]
    assert folds_of(tmp_path / "a")[0] != folds_of(tmp_path / "c")[0]


def test_mini_tests_pairs(tmp_path):
    speakers = {f"spk{i:02}": "f" if i % 2 else "m" for i in range(1, 9)}
    card = make_splits(write_corpus(tmp_path / "mini", speakers, 2), tmp_path / "out", MINI, "mini")
    assert [numbers(fold["test_speakers"]) for fold in card["folds"]] == [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert [numbers(fold["valid_speakers"]) for fold in card["folds"]] == [[3, 4], [5, 6], [7, 8], [1, 2]]


def test_last_block_may_be_smaller(tmp_path):
    card = make_splits(write_corpus(tmp_path / "d", actors(10), 1), tmp_path / "out", COMMON, "si")
    assert [numbers(fold["test_speakers"]) for fold in card["folds"]] == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
    assert numbers(card["folds"][2]["valid_speakers"]) == [1]


def schools(path, each=4, **changes):
    """A folder of FAU-Aibo's 25 and 26 children; Ohm's numbers go to 32, with gaps."""
    numbers = {"mont": range(1, 26), "ohm": [i for i in range(1, 33) if i not in (4, 9, 15, 17, 26, 30)]}
    children = {f"{school.title()}_{i:02}": school for school in numbers for i in numbers[school]}
    groups = {f"{child}-{i:02}": school for child, school in children.items() for i in range(each)}
    return write_corpus(path, children, each, ("spk2gender",), utt2group={**groups, **changes})


@pytest.mark.parametrize(
    "protocol, tested, valid, counts",
    [
        # The middle children of fifths of 25 (places 2, 7, 12 ...) and of 26 (2, 7, 13, 18, 23).
        ("mont_ohm", "Ohm", ["Mont_03", "Mont_08", "Mont_13", "Mont_18", "Mont_23"], (80, 20, 104)),
        ("ohm_mont", "Mont", ["Ohm_03", "Ohm_10", "Ohm_18", "Ohm_23", "Ohm_29"], (84, 20, 100)),
    ],
)
def test_schools_are_trained_on_and_tested_in_turn(tmp_path, protocol, tested, valid, counts):
    card = make_splits(schools(tmp_path / "d"), tmp_path / "out", FAU_AIBO, protocol)
    (fold,) = folds_of(tmp_path / "out")
    assert tuple(map(len, fold)) == counts
    assert {utt.split("_")[0] for utt in fold.test} == {tested}
    assert {utt.split("_")[0] for utt in fold.train + fold.valid} == {"Ohm", "Mont"} - {tested}
    assert sorted({utt.split("-")[0] for utt in fold.valid}) == valid == card["folds"][0]["valid_speakers"]
    assert not {utt.split("-")[0] for utt in fold.train} & set(valid)
    assert card["speaker_disjoint"] is True and "five children" in card["source"]


def test_random75_of_schools(tmp_path):
    make_splits(schools(tmp_path / "d"), tmp_path / "out", FAU_AIBO, "random75")
    assert [tuple(map(len, fold)) for fold in folds_of(tmp_path / "out")] == [(138, 15, 51)] * 10


def test_groups_that_a_fold_does_not_name_are_left_out(tmp_path):
    others = {f"Mont_05-{i:02}": "street" for i in range(4)}
    make_splits(schools(tmp_path / "d", **others), tmp_path / "out", FAU_AIBO, "mont_ohm")
    (fold,) = folds_of(tmp_path / "out")
    assert not {utt for part in fold for utt in part} & others.keys()
    assert tuple(map(len, fold)) == (76, 20, 104)


def test_a_speaker_of_two_groups_stops(tmp_path):
    data = schools(tmp_path / "d", **{"Mont_05-00": "ohm"})
    message = "fold 1: the same speaker in train and test: Mont_05-01 and Mont_05-00"
    with pytest.raises(SertkError, match=message):
        make_splits(data, tmp_path / "out", FAU_AIBO, "mont_ohm")


def test_every_utterance_needs_a_group(tmp_path):
    data = schools(tmp_path / "d")
    lines = (data / "utt2group").read_text().splitlines(keepends=True)
    (data / "utt2group").write_text("".join(lines[1:]))
    with pytest.raises(SertkError, match=r"utt2group: lacks 1 of \d+ utterances: Mont_01-00; add them"):
        make_splits(data, tmp_path / "out", FAU_AIBO, "mont_ohm")
    (data / "utt2group").unlink()
    with pytest.raises(SertkError, match="utt2group: the data folder has no such table"):
        make_splits(data, tmp_path / "out", FAU_AIBO, "mont_ohm")


def test_genders_may_be_in_capitals(tmp_path):
    small = write_corpus(tmp_path / "a", actors(8), 1)
    large = write_corpus(tmp_path / "b", {name: gender.upper() for name, gender in actors(8).items()}, 1)
    config = tmp_path / "protocols.yaml"
    config.write_text("p: {rule: listed_speakers, folds: [[actor01], [actor05]], valid: one_male_one_female}\n")
    cards = [make_splits(data, tmp_path / f"out_{data.name}", config, "p") for data in (small, large)]
    assert cards[0]["folds"] == cards[1]["folds"]
