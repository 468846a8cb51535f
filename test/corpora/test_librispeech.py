from pathlib import Path

import pytest
import torchaudio
from asr_releases import write_librispeech

from sertk.bin import prepare_corpus
from sertk.core.errors import SertkError
from sertk.corpora import CORPORA, librispeech
from sertk.kaldi.checks import validate
from sertk.kaldi.datadir import DataDir

SUBSET = "train-clean-100"
TEXTS = {
    "103-1240-0000": "CHAPTER ONE MISSUS RACHEL LYNDE IS SURPRISED",
    "103-1240-0001": "THAT HAD ITS SOURCE AWAY BACK",
    "1034-121119-0000": "THE SERVANT RAISED TWO FINGERS",
    "26-495-0003": "IT'S A PLEASURE",
}


@pytest.fixture
def root(tmp_path):
    write_librispeech(tmp_path / "LibriSpeech", SUBSET, TEXTS)
    return tmp_path / "LibriSpeech"


def prepare(root, tmp_path, **options):
    CORPORA["librispeech"](root, tmp_path / "data", subset=SUBSET, **{"partial": True, "threads": 1, **options})
    return DataDir(tmp_path / "data")


def test_data_folder(root, tmp_path):
    data = prepare(root, tmp_path)
    validate(data.path, feats=False)
    assert data.table("text") == {f"librispeech-{name}": text.lower() for name, text in TEXTS.items()}
    assert data.table("spk2gender") == {"librispeech-103": "f", "librispeech-1034": "m", "librispeech-26": "m"}
    assert data.table("utt2spk")["librispeech-1034-121119-0000"] == "librispeech-1034"
    assert data.table("wav.scp")["librispeech-26-495-0003"] == str(root / SUBSET / "26/495/26-495-0003.flac")


def test_torchaudio_reads_the_same(root, tmp_path):
    reader = torchaudio.datasets.LIBRISPEECH(root.parent, url=SUBSET)
    theirs = {}
    for number in range(len(reader)):
        path, _, text, speaker, chapter, utterance = reader.get_metadata(number)
        theirs[f"librispeech-{speaker}-{chapter}-{utterance:04}"] = (text.lower(), Path(root.parent, path).name)
    data = prepare(root, tmp_path)
    ours = {utt: (text, Path(data.table("wav.scp")[utt]).name) for utt, text in data.table("text").items()}
    assert ours == theirs


def test_counts_are_checked(root, tmp_path, monkeypatch):
    with pytest.raises(SertkError, match=r"not the whole corpus[^$]*train-clean-100 +28539 +4"):
        prepare(root, tmp_path, partial=False)
    monkeypatch.setitem(librispeech.PUBLISHED, SUBSET, 4)
    assert len(prepare(root, tmp_path, partial=False).utterances) == 4


def test_published_counts_add_up():
    trained = [number for part, number in librispeech.PUBLISHED.items() if part.startswith("train")]
    assert sum(trained) == 281241


def test_a_set_of_ones_own_is_used(tmp_path, caplog):
    caplog.set_level("INFO")
    write_librispeech(tmp_path, "mine", {"1-1-0000": "Hello, you!"})
    CORPORA["librispeech"](tmp_path, tmp_path / "data", subset="mine", threads=1)
    assert DataDir(tmp_path / "data").table("text") == {"librispeech-1-1-0000": "hello you"}
    assert "not a subset of LibriSpeech" in caplog.text


def test_gaps(root, tmp_path):
    (root / SUBSET / "26/495/26-495-0003.flac").unlink()
    (root / SUBSET / "103/1240/103-1240-0001.flac").rename(root / SUBSET / "103/1240/103-1240-0002.flac")
    with pytest.raises(
        SertkError,
        match=r"3 utterances lack .*\n.*103-1240-0001: no recording\n.*26-495-0003: no "
        r"recording\n.*103-1240-0002.flac: no text",
    ):
        prepare(root, tmp_path, partial=False)
    assert len(prepare(root, tmp_path).utterances) == 2


@pytest.mark.parametrize(
    "line, message",
    [
        ("103-1240-0000 AGAIN", "103-1240-0000 is there twice"),
        ("103-1241-0000 ELSEWHERE", "103-1241-0000 does not belong into this folder"),
        ("103-1240-0007", "expected SPEAKER-CHAPTER-NUMBER and words, got '103-1240-0007'"),
        ("FOUR WORDS WITHOUT NAME", "expected SPEAKER-CHAPTER-NUMBER and words"),
    ],
)
def test_wrong_lines(root, tmp_path, line, message):
    path = root / SUBSET / "103/1240/103-1240.trans.txt"
    path.write_text(f"{path.read_text()}\n{line}\n")  # the empty line is none
    with pytest.raises(SertkError) as raised:
        prepare(root, tmp_path)
    assert f"{path}:4: {message}" in str(raised.value)


def test_broken_recordings(root, tmp_path, monkeypatch):
    monkeypatch.setitem(librispeech.PUBLISHED, SUBSET, 4)
    path = root / SUBSET / "26/495/26-495-0003.flac"
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(SertkError, match=r"1 recordings cannot be read, replace them[^$]*26-495-0003.flac: cut off"):
        prepare(root, tmp_path, partial=False)
    assert len(prepare(root, tmp_path).utterances) == 3


def test_speakers(root, tmp_path):
    speakers = root / "SPEAKERS.TXT"
    speakers.write_text("103 | X | a | 1 | N\n")
    with pytest.raises(SertkError, match=r"SPEAKERS.TXT:1: expected ID \| F or M"):
        prepare(root, tmp_path)
    speakers.unlink()
    assert not prepare(root, tmp_path).has("spk2gender")


def test_command(root, tmp_path, capsys):
    def run(*options):
        return prepare_corpus.main(["librispeech", str(root), str(tmp_path / "data"), *options])

    assert run("--partial", "--subset", SUBSET, "--min_seconds", "1.4", "--max_seconds", "1.6") == 0
    assert run("--subset", "test-clean") == 1
    assert f"test-clean: no such folder; subsets that are there: {SUBSET}" in capsys.readouterr().err
    assert run("--partial") == 2
    assert "librispeech needs --subset" in capsys.readouterr().err
    assert prepare_corpus.main(["ravdess", str(root), str(tmp_path / "data"), "--subset", "x"]) == 2
