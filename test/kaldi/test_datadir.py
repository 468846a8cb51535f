import os

import pytest

from sertk.core.errors import SertkError
from sertk.kaldi.datadir import (
    DataDir,
    invert_utt2spk,
    is_table,
    read_positive,
    read_table,
    table_kind,
    write_data_dir,
    write_table,
)


def test_table_keeps_values_whole_and_takes_tabs(tmp_path):
    path = tmp_path / "text"
    path.write_bytes("a\tone  two\nb   drei  \nc übrig\n".encode())
    assert read_table(path) == {"a": "one  two", "b": "drei", "c": "übrig"}


def test_order_is_that_of_bytes_not_of_code_units(tmp_path):
    path = tmp_path / "table"
    # In UTF-16 U+10000 sorts before U+FFFD, in UTF-8 after it; "B" sorts before "a".
    write_table(path, {"\U00010000": "4", "a": "2", "B": "1", "\ufffd": "3"})
    assert [line.split()[1] for line in path.read_text(encoding="utf-8").splitlines()] == ["1", "2", "3", "4"]
    assert list(read_table(path)) == ["B", "a", "\ufffd", "\U00010000"]


@pytest.mark.parametrize("value", ["x", "nan", "inf", "0", "-1", "1 2"])
def test_numbers_that_are_not_positive_are_named(tmp_path, value):
    path = tmp_path / "utt2dur"
    path.write_text(f"a 1.5\nb {value}\nc 2\n")
    assert read_positive(path, ["a", "c"]) == {"a": 1.5, "c": 2}
    with pytest.raises(SertkError) as refused:
        read_positive(path, ["a", "b"])
    assert str(refused.value) == f"{path}: 'b' needs a positive number, not '{value}'; correct it"


@pytest.mark.parametrize(
    "content, message",
    [
        (b"a 1\n\nb 2\n", "t:2: the line is blank"),
        (b"a 1\n b 2\n", "t:2: the line is blank or starts with white space"),
        (b"a 1\nb\n", "t:2: no value after the key 'b'"),
        (b"a 1\nb 2\nb 3\n", "t:3: the key 'b' is there twice"),
        (b"b 1\na 2\n", "t:2: 'a' comes after 'b'"),
        (b"a 1\nb \xff\n", "t:2: not UTF-8"),
        (b"a 1\nb 2\r\n", "t:2: Windows line end"),
        (b"\xef\xbb\xbfa 1\n", "t:1: the file begins with an invisible mark .BOM.; convert the file with dos2unix"),
        ("a 1\n".encode("utf-16"), "t:1: not UTF-8 text; convert the file with iconv -f UTF-16 -t UTF-8"),
        (None, "t: No such file"),
    ],
)
def test_damaged_table_is_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / "t").write_bytes(content)
    with pytest.raises(SertkError, match=message):
        read_table(tmp_path / "t")


def test_values_may_be_missing_where_told(tmp_path):
    (tmp_path / "text").write_text("a\nb word\n")
    assert read_table(tmp_path / "text", allow_empty=True) == {"a": "", "b": "word"}


@pytest.mark.parametrize("key, value", [("a b", "x"), ("", "x"), ("a", "x\ny"), ("a\t", "x"), ("a", "x\r")])
def test_unwritable_rows_leave_the_old_file(tmp_path, key, value):
    (tmp_path / "t").write_text("old 1\n")
    with pytest.raises(SertkError, match="a line cannot hold"):
        write_table(tmp_path / "t", {"good": "1", key: value})
    assert (tmp_path / "t").read_text() == "old 1\n"
    assert os.listdir(tmp_path) == ["t"]


def test_written_folder_reads_back(tmp_path):
    tables = {
        "utt2spk": {"s2-a": "s2", "s1-b": "s1", "s1-a": "s1"},
        "labels/8": {"s1-a": "angry"},
        "feats/fbank40.scp": {"s1-a": "x.ark:5"},
    }
    write_data_dir(tmp_path / "deep" / "data", tables)
    folder = DataDir(tmp_path / "deep" / "data")
    assert folder.utterances == ["s1-a", "s1-b", "s2-a"]
    assert (folder.path / "spk2utt").read_text() == "s1 s1-a s1-b\ns2 s2-a\n"
    assert folder.labels("8") == {"s1-a": "angry"}
    assert folder.feats_path("fbank40").read_text() == "s1-a x.ark:5\n"
    assert folder.table_names() == ["feats/fbank40.scp", "labels/8", "spk2utt", "utt2spk"]
    assert os.listdir(tmp_path / "deep") == ["data"]


def test_existing_folder_keeps_what_is_not_written(tmp_path):
    write_data_dir(tmp_path / "d", {"utt2spk": {"s1-a": "s1"}, "text": {"s1-a": "one"}})
    (tmp_path / "d/splits").mkdir()
    (tmp_path / "d/splits/card").write_text("kept")
    write_data_dir(tmp_path / "d", {"text": {"s1-a": "two"}, "labels/2": {"s1-a": "x"}})
    assert (tmp_path / "d/text").read_text() == "s1-a two\n"
    assert (tmp_path / "d/labels/2").read_text() == "s1-a x\n"
    assert (tmp_path / "d/utt2spk").read_text() == "s1-a s1\n"
    assert (tmp_path / "d/splits/card").read_text() == "kept"


def test_folder_with_a_bad_row_never_appears(tmp_path):
    with pytest.raises(SertkError):
        write_data_dir(tmp_path / "d", {"utt2spk": {"s1-a": "s1"}, "text": {"s1-a": "a\nb"}})
    assert os.listdir(tmp_path) == []


def test_folder_errors_name_what_there_is(tmp_path):
    with pytest.raises(SertkError, match="nowhere: no such data folder"):
        DataDir(tmp_path / "nowhere")
    write_data_dir(tmp_path / "d", {"utt2spk": {"s-a": "s"}, "labels/8": {"s-a": "x"}, "labels/2": {"s-a": "x"}})
    with pytest.raises(SertkError, match="no label set '5'; there are: 2, 8"):
        DataDir(tmp_path / "d").labels("5")
    with pytest.raises(SertkError, match="text: the data folder has no such table"):
        DataDir(tmp_path / "d").table("text")


def test_kinds_of_tables():
    kinds = {
        "utterance": ["utt2spk", "utt2anything", "segments", "labels/4", "feats/x.scp", "text", "feats.scp"],
        "speaker": ["spk2gender", "spk2utt", "cmvn.scp"],
        "recording": ["wav.scp", "reco2dur"],
    }
    others = ["notes", ".utt2spk.12.tmp", "feats/x.ark", "labels/.8.swp", "utt2spk~"]
    assert [name for names in [*kinds.values(), others] for name in names if not is_table(name)] == others
    assert {name: table_kind(name) for names in kinds.values() for name in names} == {
        name: kind for kind, names in kinds.items() for name in names
    }


def test_inverse_sorts_within_a_speaker():
    assert invert_utt2spk({"b-2": "b", "b-1": "b", "a-1": "a"}) == {"a": "a-1", "b": "b-1 b-2"}
