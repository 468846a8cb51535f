import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from sertk.core.errors import SertkError
from sertk.core.files import write_text
from sertk.core.locks import locked_folder
from sertk.kaldi import tools as datadir_tools
from sertk.kaldi.checks import validate
from sertk.kaldi.datadir import DataDir, write_data_dir, write_table

COUNTS = {"s1": 3, "s2": 1, "s3": 2, "s4": 4}
UTTERANCES = [f"{speaker}-{n}" for speaker, count in COUNTS.items() for n in range(count)]


@pytest.fixture
def source(tmp_path):
    tables = {
        "utt2spk": {utt: utt[:2] for utt in UTTERANCES},
        "text": {utt: f"text of {utt}" for utt in UTTERANCES},
        "wav.scp": {utt: f"{utt}.wav" for utt in UTTERANCES},
        "spk2gender": dict.fromkeys(COUNTS, "m"),
        "utt2dur": {utt: str(20 - n) for n, utt in enumerate(UTTERANCES)},
        "utt2new_thing": {utt: utt[-1] for utt in UTTERANCES},
        "labels/4": {utt: "sad" for utt in UTTERANCES if utt.startswith(("s1", "s4"))},
        "feats/a.scp": {utt: f"a.ark:{n}" for n, utt in enumerate(UTTERANCES)},
        "feats/b.scp": {utt: f"b.ark:{n}" for n, utt in enumerate(UTTERANCES) if n < 5},
        "cmvn.scp": {speaker: "c.ark:1" for speaker in COUNTS},
        "vad.scp": {utt: "v.ark:1" for utt in UTTERANCES},
    }
    write_data_dir(tmp_path / "src", tables)
    for part, utts in {"train": UTTERANCES[:5], "valid": UTTERANCES[5:6], "test": UTTERANCES[6:]}.items():
        write_text(tmp_path / f"src/splits/p/fold1/{part}", "".join(f"{utt}\n" for utt in utts))
    write_text(tmp_path / "src/splits/p/card.yaml", "protocol: p\n")
    return tmp_path / "src"


def tables_of(path):
    folder = DataDir(path)
    return {name: folder.table(name) for name in folder.table_names()}


def test_subset_carries_every_table(source, tmp_path):
    assert datadir_tools.subset(source, tmp_path / "d", ["s2-0", "s1-1"]) == 2
    assert tables_of(tmp_path / "d") == {
        "utt2spk": {"s1-1": "s1", "s2-0": "s2"},
        "spk2utt": {"s1": "s1-1", "s2": "s2-0"},
        "text": {"s1-1": "text of s1-1", "s2-0": "text of s2-0"},
        "wav.scp": {"s1-1": "s1-1.wav", "s2-0": "s2-0.wav"},
        "spk2gender": {"s1": "m", "s2": "m"},
        "utt2dur": {"s1-1": "19", "s2-0": "17"},
        "utt2new_thing": {"s1-1": "1", "s2-0": "0"},
        "labels/4": {"s1-1": "sad"},
        "feats/a.scp": {"s1-1": "a.ark:1", "s2-0": "a.ark:3"},
        "feats/b.scp": {"s1-1": "b.ark:1", "s2-0": "b.ark:3"},
        "cmvn.scp": {"s1": "c.ark:1", "s2": "c.ark:1"},
        "vad.scp": {"s1-1": "v.ark:1", "s2-0": "v.ark:1"},
    }
    validate(tmp_path / "d")


def test_subset_keeps_the_recordings_that_segments_need(source, tmp_path):
    segments = {utt: f"rec{n // 4} {n} {n + 1}" for n, utt in enumerate(UTTERANCES)}
    recordings = {f"rec{n}": f"{n}.wav" for n in range(3)}
    write_data_dir(source, {"segments": segments, "wav.scp": recordings, "reco2dur": dict.fromkeys(recordings, "9")})
    datadir_tools.subset(source, tmp_path / "d", [UTTERANCES[0], UTTERANCES[9]])
    assert tables_of(tmp_path / "d")["wav.scp"] == {"rec0": "0.wav", "rec2": "2.wav"}
    assert list(tables_of(tmp_path / "d")["reco2dur"]) == ["rec0", "rec2"]
    validate(tmp_path / "d")


def test_a_second_subset_leaves_nothing_of_the_first(source, tmp_path):
    datadir_tools.subset(source, tmp_path / "d", ["s1-0"])
    datadir_tools.subset(source, tmp_path / "d", ["s3-1"])
    assert not (tmp_path / "d/labels/4").exists()
    validate(tmp_path / "d")


def test_subset_refusals(source, tmp_path):
    with pytest.raises(SertkError, match="none of its utterances is chosen"):
        datadir_tools.subset(source, tmp_path / "d", ["x"])
    with pytest.raises(SertkError, match="src: the destination is a source too"):
        datadir_tools.subset(source, tmp_path / "d" / ".." / "src", ["s1-0"])
    (source / "utt2spk").unlink()
    with pytest.raises(SertkError, match="utt2spk: no such file"):
        datadir_tools.subset(source, tmp_path / "d", ["s1-0"])
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    "how, number, expected",
    [
        ("first", 2, ["s1-0", "s1-1"]),
        ("last", 2, ["s4-2", "s4-3"]),
        ("shortest", 3, ["s4-3", "s4-2", "s4-1"]),
        ("per-spk", 2, ["s1-0", "s1-1", "s2-0", "s3-0", "s3-1", "s4-0", "s4-2"]),
    ],
)
def test_choices(source, how, number, expected):
    assert datadir_tools.choose_number(source, how, number) == expected


def test_random_choices_are_repeatable(source):
    chosen = datadir_tools.choose_number(source, "random", 4)
    assert len(set(chosen)) == 4 and set(chosen) <= set(UTTERANCES)
    assert datadir_tools.choose_number(source, "random", 4) == chosen
    assert any(datadir_tools.choose_number(source, "random", 4, seed) != chosen for seed in range(1, 4))


@pytest.mark.parametrize("number", [1, 5, 10])
def test_random_speakers_come_whole(source, number):
    chosen = datadir_tools.choose_number(source, "speakers", number)
    counts = [sum(utt.startswith(speaker) for utt in chosen) for speaker in COUNTS]
    assert len(chosen) >= number
    assert all(count in (0, total) for count, total in zip(counts, COUNTS.values(), strict=True))
    assert len(chosen) - min(count for count in counts if count) < number


def test_the_shortest_need_a_length_each(source):
    write_table(source / "utt2dur", {**DataDir(source).table("utt2dur"), "s4-0": "long"})
    with pytest.raises(SertkError, match="utt2dur: 's4-0' needs a positive number, not 'long'"):
        datadir_tools.choose_number(source, "shortest", 3)


@pytest.mark.parametrize("how, number", [("first", 0), ("random", 11), ("speakers", 11)])
def test_impossible_numbers(source, how, number):
    with pytest.raises(SertkError, match=f"cannot choose {number} of its 10 utterances"):
        datadir_tools.choose_number(source, how, number)


def test_lists(source, tmp_path, capsys):
    (tmp_path / "list").write_text("s3\ns1 more words\nnobody\n")
    assert datadir_tools.choose_listed(source, tmp_path / "list", speakers=True) == UTTERANCES[:3] + UTTERANCES[4:6]
    assert "1 of 3 names in" in (message := capsys.readouterr().err) and "'nobody'" in message
    (tmp_path / "list").write_text("\n")
    with pytest.raises(SertkError, match="list: the list is empty"):
        datadir_tools.choose_listed(source, tmp_path / "list")


@pytest.mark.parametrize("parts, expected", [(1, [10]), (2, [6, 4]), (3, [3, 3, 4]), (4, [3, 1, 2, 4])])
def test_split_keeps_speakers_whole(source, parts, expected):
    target = datadir_tools.split(source, parts)
    assert target == source / f"split{parts}"
    pieces = [DataDir(target / str(n)) for n in range(1, parts + 1)]
    assert [len(piece.utterances) for piece in pieces] == expected
    assert [utt for piece in pieces for utt in piece.utterances] == UTTERANCES
    for piece in pieces:
        validate(piece.path)


def test_split_by_utterance_is_even(source):
    target = datadir_tools.split(source, 4, per_utterance=True)
    assert target.name == "split4utt"
    assert sorted(len(DataDir(target / str(n)).utterances) for n in range(1, 5)) == [2, 2, 3, 3]


def test_split_is_made_again_only_when_the_source_changed(source):
    first = (datadir_tools.split(source, 2) / "1/utt2spk").stat().st_ino
    with locked_folder(source / "split2"):  # which is not needed to find that nothing is to do
        assert (datadir_tools.split(source, 2) / "1/utt2spk").stat().st_ino == first
    write_data_dir(source, {"labels/new": {"s1-0": "x"}})
    target = datadir_tools.split(source, 2)
    assert (target / "1/labels/new").read_text() == "s1-0 x\n"
    (source / "labels/new").unlink()
    assert not (datadir_tools.split(source, 2) / "1/labels/new").exists()


@pytest.mark.parametrize(
    "parts, per_utterance, message", [(5, False, "4 speakers into 5"), (11, True, "10 utterances")]
)
def test_too_many_parts(source, parts, per_utterance, message):
    with pytest.raises(SertkError, match=f"cannot split {message}"):
        datadir_tools.split(source, parts, per_utterance)


def test_splits_at_the_same_time_do_not_disturb_each_other(source):
    with ThreadPoolExecutor(6) as pool:
        targets = list(pool.map(lambda _: datadir_tools.split(source, 2), range(6)))
    assert targets == [source / "split2"] * 6
    assert [DataDir(source / f"split2/{n}").utterances for n in (1, 2)] == [UTTERANCES[:6], UTTERANCES[6:]]


def test_a_split_is_made_while_no_other_can_be(source, monkeypatch):
    written = []

    def write(*args):
        with pytest.raises(SertkError, match="in use by process"), locked_folder(source / "split2"):
            pass
        written.append(args)
        return write_data_dir(*args)

    monkeypatch.setattr(datadir_tools, "write_data_dir", write)
    datadir_tools.split(source, 2)
    assert len(written) == 2


def test_combining_the_parts_gives_the_whole(source, tmp_path):
    parts = [datadir_tools.split(source, 3) / str(n) for n in (3, 1, 2)]
    assert datadir_tools.combine(tmp_path / "d", parts) == 10
    assert tables_of(tmp_path / "d") == tables_of(source)


def test_combine_drops_with_a_word_what_a_source_lacks(source, tmp_path, capsys):
    parts = [datadir_tools.split(source, 2) / str(n) for n in (1, 2)]
    (parts[1] / "text").unlink()
    (parts[0] / "labels/4").unlink()
    datadir_tools.combine(tmp_path / "d", parts)
    assert "text is not combined" in capsys.readouterr().err
    assert not (tmp_path / "d/text").exists()
    assert list(tables_of(tmp_path / "d")["labels/4"]) == UTTERANCES[6:]


def test_combine_makes_segments_where_only_some_have_them(source, tmp_path):
    parts = [datadir_tools.split(source, 2) / str(n) for n in (1, 2)]
    utterances = DataDir(parts[1]).utterances
    segments = {utt: f"rec {n} {n + 1}" for n, utt in enumerate(utterances)}
    write_data_dir(parts[1], {"segments": segments, "wav.scp": {"rec": "rec.wav"}})
    datadir_tools.combine(tmp_path / "d", parts)
    combined = tables_of(tmp_path / "d")
    assert combined["segments"]["s1-0"] == "s1-0 0 20" and combined["segments"]["s4-1"] == "rec 1 2"
    assert list(combined["wav.scp"]) == ["rec", *UTTERANCES[:6]]
    validate(tmp_path / "d")
    (parts[0] / "utt2dur").unlink()
    with pytest.raises(SertkError, match="1: another source has segments"):
        datadir_tools.combine(tmp_path / "e", parts)


def test_combine_takes_extra_files(source, tmp_path):
    parts = [datadir_tools.split(source, 2) / str(n) for n in (1, 2)]
    for part in parts:
        (part / "remarks").write_text(f"{DataDir(part).utterances[0]} note\n")
    datadir_tools.combine(tmp_path / "d", parts, ["remarks"])
    assert (tmp_path / "d/remarks").read_text() == "s1-0 note\ns4-0 note\n"


def test_combine_refuses_what_contradicts(source, tmp_path):
    datadir_tools.subset(source, tmp_path / "a", ["s1-0", "s2-0"])
    datadir_tools.subset(source, tmp_path / "b", ["s1-1"])
    datadir_tools.subset(source, tmp_path / "c", ["s1-0"])
    assert datadir_tools.combine(tmp_path / "d", [tmp_path / "a", tmp_path / "b"]) == 3
    with pytest.raises(SertkError, match="c/utt2spk: 's1-0' is in .*/a/utt2spk too"):
        datadir_tools.combine(tmp_path / "e", [tmp_path / "a", tmp_path / "c"])
    with pytest.raises(SertkError, match="the destination is a source too"):
        datadir_tools.combine(tmp_path / "a", [tmp_path / "a", tmp_path / "b"])
    write_data_dir(tmp_path / "b", {"spk2gender": {"s1": "f"}})
    with pytest.raises(SertkError, match="b/spk2gender: 's1' is in .*/a/spk2gender too"):
        datadir_tools.combine(tmp_path / "e", [tmp_path / "a", tmp_path / "b"])
    assert not (tmp_path / "e").exists()


def test_copy_is_complete(source, tmp_path):
    write_text(tmp_path / "d/splits/p/fold2/test", "of an earlier copy\n")
    assert datadir_tools.copy(source, tmp_path / "d") == 10
    files = {path.relative_to(source): path.read_text() for path in source.rglob("*") if path.is_file()}
    copied = {p.relative_to(tmp_path / "d"): p.read_text() for p in (tmp_path / "d").rglob("*") if p.is_file()}
    assert copied == files


def test_copy_with_prefixes(source, tmp_path, capsys):
    datadir_tools.copy(source, tmp_path / "d", utt_prefix="x-", spk_prefix="x-")
    copied = tables_of(tmp_path / "d")
    assert copied["utt2spk"]["x-s1-0"] == "x-s1"
    assert copied["wav.scp"]["x-s1-0"] == "s1-0.wav"
    assert copied["labels/4"]["x-s4-3"] == "sad"
    assert not (tmp_path / "d/splits").exists()
    message = f"{tmp_path}/d: without the fold lists; make them with sertk-make-splits\n"
    assert capsys.readouterr().err == message
    validate(tmp_path / "d")
    datadir_tools.combine(tmp_path / "both", [source, tmp_path / "d"])
    validate(tmp_path / "both")


def test_copy_does_not_rename_recordings_of_segments(source, tmp_path):
    segments = {utt: f"rec {n} {n + 1}" for n, utt in enumerate(UTTERANCES)}
    write_data_dir(source, {"segments": segments, "wav.scp": {"rec": "rec.wav"}})
    datadir_tools.copy(source, tmp_path / "d", utt_prefix="x-", spk_prefix="x-")
    assert tables_of(tmp_path / "d")["segments"]["x-s1-0"] == "rec 0 1"
    validate(tmp_path / "d")


def test_copy_refuses_names_that_break_the_folder(source, tmp_path):
    with pytest.raises(SertkError, match="'x-s1-0' would not begin with its speaker 's1'"):
        datadir_tools.copy(source, tmp_path / "d", utt_prefix="x-")
    with pytest.raises(SertkError, match="a line cannot hold the key"):
        datadir_tools.copy(source, tmp_path / "d", utt_prefix="x ", spk_prefix="x ")
    assert not (tmp_path / "d").exists()


def test_plain_kaldi_copy(source, tmp_path, capsys):
    assert datadir_tools.copy(source, tmp_path / "d", feature_type="b") == 5
    assert "only 5 of 10 utterances have b" in capsys.readouterr().err
    copied = tables_of(tmp_path / "d")
    assert copied["feats.scp"] == {utt: f"b.ark:{n}" for n, utt in enumerate(UTTERANCES[:5])}
    assert copied["utt2spk"].keys() == copied["text"].keys() == copied["feats.scp"].keys()
    # Statistics and voicing decisions belong to the features they were computed from.
    assert not {"cmvn.scp", "vad.scp"} & copied.keys()
    assert all(path.is_file() for path in (tmp_path / "d").iterdir())
    validate(tmp_path / "d")
    with pytest.raises(SertkError, match="no features 'c'; there are: a, b"):
        datadir_tools.copy(source, tmp_path / "e", feature_type="c")


def test_the_command_starts_without_torch():
    check = "import sys, sertk.bin.data_dir; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
