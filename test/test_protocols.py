import hashlib
import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from sertk.bin import make_splits as command
from sertk.datadir import write_data_dir
from sertk.errors import SertkError
from sertk.protocols import list_folds, load_protocol, make_splits, protocol_names, read_card, read_fold

EGS = Path(__file__).resolve().parents[1] / "egs"
COMMON = EGS / "common/conf/protocols.yaml"
RAVDESS = EGS / "ravdess/conf/protocols.yaml"
MINI = EGS / "mini/conf/protocols.yaml"


def write_corpus(path, speakers, each, without=(), **changes):
    """A data folder of `speakers` (name: gender) with `each` utterances of hashes of their own."""
    utts = {f"{speaker}-{i:02}": speaker for speaker in speakers for i in range(each)}
    tables = {
        "utt2spk": utts,
        "spk2gender": dict(speakers),
        "utt2hash": {utt: hashlib.sha1(utt.encode()).hexdigest() for utt in utts},
        "wav.scp": {utt: f"/none/{utt}.wav" for utt in utts},
    }
    for name, values in changes.items():
        tables[name].update(values)
    write_data_dir(path, {name: table for name, table in tables.items() if name not in without})
    return path


def actors(number):
    return {f"actor{i:02}": "m" if i % 2 else "f" for i in range(1, number + 1)}


@pytest.fixture
def ravdess(tmp_path):
    return write_corpus(tmp_path / "ravdess", actors(24), 60)


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
    [(RAVDESS, name, True) for name in ("emobox", "si", "loso")]
    + [(MINI, "mini", True), (COMMON, "random75", False)],
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


def content_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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


def test_lists_of_other_data_are_not_replaced(tmp_path):
    data = write_corpus(tmp_path / "d", actors(8), 2)
    make_splits(data, tmp_path / "out", COMMON, "si")
    write_corpus(data, actors(9), 2)
    with pytest.raises(SertkError, match=r"differs in: speakers, utterances\)"):
        make_splits(data, tmp_path / "out", COMMON, "si")
    # A renamed speaker leaves all counts as they were.
    write_corpus(data, {**actors(7), "actor99": "f"}, 2)
    with pytest.raises(SertkError, match=r"differs in: folds\)"):
        make_splits(data, tmp_path / "out", COMMON, "si")


def test_the_same_lists_get_a_new_card(ravdess, tmp_path):
    make_splits(ravdess, tmp_path / "out", RAVDESS, "si")
    card = read_card(tmp_path / "out")
    (tmp_path / "out/card.yaml").write_text(yaml.safe_dump({**card, "corpus": "copied", "source": "?"}))
    assert make_splits(ravdess, tmp_path / "out", RAVDESS, "si") == card


@pytest.mark.parametrize("content", ["", "- si\n", "options: {}\n", "folds: 3\noptions: {}\n"])
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


@pytest.mark.parametrize("protocol", ["si", "random75"])
def test_same_audio_on_two_sides_stops(tmp_path, protocol):
    # With 12 pairs of copies a random split without a pair across its parts is practically impossible.
    copies = {f"actor{i:02}-00": f"{i // 2:040}" for i in range(2, 26)}
    data = write_corpus(tmp_path / "d", actors(25), 4, utt2hash=copies)
    with pytest.raises(
        SertkError, match=f"protocol {protocol}, fold 1: the same audio in .*: actor.*-00 and actor"
    ):
        make_splits(data, tmp_path / "out", COMMON, protocol)
    assert not (tmp_path / "out").exists()


def test_same_audio_on_one_side_is_allowed(tmp_path):
    data = write_corpus(
        tmp_path / "d", actors(8), 2, utt2hash={"actor01-00": "0" * 40, "actor01-01": "0" * 40}
    )
    make_splits(data, tmp_path / "out", COMMON, "si")


def test_hashes_come_from_the_audio_where_the_table_is_missing(tmp_path):
    wavs = {f"{speaker}-00": f"{tmp_path}/{speaker}.wav" for speaker in actors(8)}
    for number, path in enumerate(wavs.values()):
        soundfile.write(path, np.full(100, number / 100), 16000)
    data = write_corpus(tmp_path / "d", actors(8), 1, without=("utt2hash",), **{"wav.scp": wavs})
    make_splits(data, tmp_path / "out", COMMON, "si")
    Path(wavs["actor07-00"]).write_bytes(Path(wavs["actor02-00"]).read_bytes())
    with pytest.raises(SertkError, match="same audio in train and test: actor07-00 and actor02-00"):
        make_splits(data, tmp_path / "out", COMMON, "si")


def test_segments_are_hashed_each(tmp_path):
    samples = np.repeat(np.arange(8) / 10, 1600)
    soundfile.write(tmp_path / "all.wav", samples, 16000)
    data = write_corpus(tmp_path / "d", actors(8), 1, without=("utt2hash", "wav.scp"))
    (data / "wav.scp").write_text(f"all {tmp_path}/all.wav\n")
    (data / "segments").write_text(
        "".join(f"actor{i:02}-00 all {i / 10 - 0.1:.2f} {i / 10:.2f}\n" for i in range(1, 9))
    )
    make_splits(data, tmp_path / "out", COMMON, "si")


def test_hash_of_every_utterance_is_needed(tmp_path):
    data = write_corpus(tmp_path / "d", actors(8), 1)
    lines = (data / "utt2hash").read_text().splitlines(keepends=True)
    (data / "utt2hash").write_text("".join(lines[1:]))
    with pytest.raises(SertkError, match="utt2hash: no line for the utterance actor01-00"):
        make_splits(data, tmp_path / "out", COMMON, "si")


def write_protocol(path, **options):
    path.write_text(yaml.safe_dump({"mine": options}))
    return path


LISTED = {"rule": "listed_speakers", "valid": "one_male_one_female"}
ROTATING = {"rule": "rotating_speakers", "test_speakers": 1, "valid_speakers": 1}
RANDOM = {"rule": "random", "test_share": 0.25, "valid_share": 0.1, "repeats": 1}


@pytest.mark.parametrize(
    "options, message",
    [
        ({"rule": "dice"}, "no rule 'dice'; there are: listed_speakers, rotating_speakers, random"),
        ({}, "no rule None"),
        ({"rule": ["random"]}, r"no rule \['random'\]; there are: listed_speakers"),
        ({**ROTATING, "test_speakers": True}, "test_speakers is True: no rule takes a boolean"),
        ({**RANDOM, "test_share": False}, "test_share is False: no rule takes a boolean"),
        ({**LISTED, "folds": [["actor01"], ["actor02", 3]]}, r"folds is .*3\]\]: .*not an instance of str"),
        (
            {**ROTATING, "colour": 1},
            "unknown option 'colour'; rotating_speakers has: test_speakers, valid_speakers",
        ),
        ({"rule": "rotating_speakers", "test_speakers": 1}, "the option 'valid_speakers' is missing"),
        ({**ROTATING, "test_speakers": "two"}, "test_speakers is 'two'"),
        ({**ROTATING, "test_speakers": 0}, "must be at least 1"),
        ({**ROTATING, "test_speakers": 5}, "has 6 speakers; 5 to test, 1 to validate on and at least one"),
        ({**LISTED, "folds": [["actor01", "actor99"]]}, "has no speaker actor99, which is to be tested"),
        ({**LISTED, "folds": [["actor01"], ["actor01"]]}, "tested in one fold only"),
        ({**LISTED, "folds": [[]]}, "every fold needs a test speaker"),
        ({**LISTED, "folds": [["actor02", "actor04", "actor06"]]}, "leaves no male and female"),
        ({**LISTED, "folds": "actor01"}, "folds is 'actor01'"),
        ({**LISTED, "valid": "anybody", "folds": [["actor01"]]}, "valid is 'anybody'"),
        ({**RANDOM, "test_share": 1.5}, "between 0 and 1"),
        ({**RANDOM, "repeats": 0}, "repeats be at least 1"),
        ({**RANDOM, "test_share": 0.001}, "no utterances in the test part"),
    ],
)
def test_wrong_protocols_are_explained(tmp_path, options, message):
    data = write_corpus(tmp_path / "d", actors(6), 2)
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
        with pytest.raises(SertkError, match="names.yaml: the protocol name 75 is not text"):
            read(tmp_path / "names.yaml")
    with pytest.raises(SertkError, match="no such data folder"):
        make_splits(tmp_path / "none", tmp_path / "out", COMMON, "si")
    data = write_corpus(tmp_path / "d", actors(24), 1)
    (data / "spk2gender").write_text("actor01 m\n")
    with pytest.raises(SertkError, match="spk2gender: no line for the speaker actor02"):
        make_splits(data, tmp_path / "out", RAVDESS, "emobox")


def test_a_recipe_inherits_and_replaces(tmp_path):
    (tmp_path / "p.yaml").write_text(f"base: {COMMON}\nsi: {{test_speakers: 2}}\n")
    assert load_protocol(tmp_path / "p.yaml", "si")[1] == {"test_speakers": 2, "valid_speakers": 1}
    assert load_protocol(tmp_path / "p.yaml", "random75", repeats=2, seed=7)[1]["repeats"] == 2


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
