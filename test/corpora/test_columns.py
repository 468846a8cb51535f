import pytest
from own_tables import prepare

from sertk.bin import prepare_corpus
from sertk.core.errors import SertkError
from sertk.kaldi.datadir import DataDir


@pytest.mark.parametrize(
    "header, message",
    [
        ("path,label,label", "the column of 'emotion' is there twice"),
        ("path,label,label:emotion", "the column of 'emotion' is there twice"),
        ("path,label,label:A,label:a", "the column of 'a' is there twice"),
        ("path,label,speaker,SPEAKER", "the column of 'speaker' is there twice"),
        ("path,label:../x", "no label set can have the name '../x': letters, digits, _ and - alone"),
        ("path,speaker", "no column 'label'"),
        ("path|label", "no column 'path' in the header 'path|label'; it is path,label"),
        ("a.wav,happy", "no column 'path' in the header"),
    ],
)
def test_headers_that_are_wrong(folder, header, message):
    with pytest.raises(SertkError, match="no|twice") as caught:
        prepare(folder, f"{header}\na.wav,happy\n")
    assert str(caught.value).startswith(f"{folder}/my.csv:1: ") and message in str(caught.value)
    assert not (folder / "data").exists()


def test_columns_without_a_role_are_named_once(folder, caplog):
    data = prepare(folder, ",path,label,speker,age\n0,a.wav,happy,x,7\n1,b.wav,sad,y,8\n")
    assert data.utterances == ["a.wav", "b.wav"]
    warning = "my.csv:1: warning: not used: column 1 (no name), speker, age; known are path, label, speaker"
    assert caplog.text.count(warning) == 1


def test_a_header_is_read_whatever_its_capitals(folder, caplog):
    data = prepare(folder, " Path,\u200bLABEL,Label:Arousal,Speaker\na.wav,happy,high,s\nb.wav,sad,low,t\n")
    assert data.table_names("labels/") == ["labels/Arousal", "labels/emotion"]
    assert sorted(data.table("utt2spk").values()) == ["s", "t"] and "not used" not in caplog.text


def test_roles_can_be_taken_from_other_columns(folder, caplog):
    columns = ["path=file", "label=Emotion Name", "label:sex=sex", "speaker=spk_id"]
    table = "file,emotion name,sex,spk_id,speaker\na.wav,happy,f,s,x\nb.wav,sad,m,t,y\n"
    data = prepare(folder, table, columns=columns)
    assert data.table("utt2spk") == {"s-a.wav": "s", "t-b.wav": "t"}
    assert data.labels("emotion") == {"s-a.wav": "happy", "t-b.wav": "sad"}
    assert data.labels("sex") == {"s-a.wav": "f", "t-b.wav": "m"}
    assert "not used: speaker;" in caplog.text
    with pytest.raises(SertkError, match="my.csv:1: no column 'spk', which --columns names; there are file, emotion"):
        prepare(folder, table, columns=["path=file", "label=sex", "speaker=spk"])


@pytest.mark.parametrize(
    "columns, message",
    [
        ("speaker", "--columns speaker: expected ROLE=COLUMN; the roles are path, label, speaker"),
        ("spk=speaker", "--columns spk=speaker: expected ROLE=COLUMN"),
        ("speaker=spk id", "--columns id: expected ROLE=COLUMN"),
        ("text=a text=b", "--columns text=b: text is given twice"),
    ],
)
def test_columns_that_make_no_sense(folder, capsys, columns, message):
    assert prepare_corpus.main(["--columns", columns, "csv", str(folder / "my.csv"), str(folder / "data")]) == 2
    assert capsys.readouterr().err.startswith(f"sertk-prepare-corpus: {message}")


def test_columns_with_spaces_are_in_quotes(folder, capsys):
    (folder / "my.csv").write_text("path,label,spk id\na.wav,happy,s\nb.wav,sad,t\n")
    ask = ["csv", str(folder / "my.csv"), str(folder / "data")]
    assert prepare_corpus.main(["--columns", 'speaker="spk id"', *ask]) == 0
    assert DataDir(folder / "data").table("utt2spk") == {"s-a.wav": "s", "t-b.wav": "t"}
    assert prepare_corpus.main(["--columns", "speaker=spk id", *ask]) == 2
    assert """label:NAME; names with spaces are in quotes: 'speaker="spk id"'""" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        prepare_corpus.main(["--columns", 'speaker="spk id', *ask])
    assert 'argument --columns: speaker="spk id: No closing quotation' in capsys.readouterr().err
