import logging
from collections import Counter

import pytest
from edits import edit
from fau_aibo_release import LABELS, write_labels, write_release

from sertk.bin import prepare_corpus
from sertk.core.errors import SertkError
from sertk.corpora import CORPORA, fau_aibo
from sertk.kaldi.checks import validate
from sertk.kaldi.datadir import DataDir, write_table

# The published numbers of chunks, per school and class.
FIVE = {"Ohm": {"A": 881, "E": 2093, "N": 5590, "P": 674, "R": 721}}
FIVE["Mont"] = {"A": 611, "E": 1508, "N": 5377, "P": 215, "R": 546}
TWO = {"Ohm": {"NEG": 3358, "IDL": 6601}, "Mont": {"NEG": 2465, "IDL": 5792}}
CHILDREN = {"Ohm": 26, "Mont": 25}


@pytest.fixture
def release(tmp_path):
    write_release(tmp_path / "release", ["Ohm_01", "Ohm_32", "Mont_07"])
    return tmp_path / "release"


def prepare(root, tmp_path, **options):
    CORPORA["fau_aibo"](root, tmp_path / "data", **{"partial": True, **options})
    return DataDir(tmp_path / "data")


def test_tables(release, tmp_path):
    data = prepare(release, tmp_path)
    assert data.utterances[0] == "Mont_07_000_00" and len(data.utterances) == 30
    utt = "Ohm_32_001_02"  # the seventh: the second class for the second time, and NEG as every third
    assert data.table("wav.scp")[utt] == str(release / "wav/Ohm_32_001_02.wav")
    assert data.table("utt2spk")[utt] == "Ohm_32"
    assert data.table("utt2group")[utt] == "ohm"
    assert data.table("utt2dur")[utt] == "0.0100"
    assert data.labels("5")[utt] == "emphatic"
    assert data.labels("2")[utt] == "NEG"
    assert Counter(data.table("utt2group").values()) == {"ohm": 20, "mont": 10}
    assert not data.has("text") and not data.has("spk2gender")
    validate(data.path, feats=False, text=False)


def test_counts_of_other_utterances_go_away(release, tmp_path):
    wav = release / "wav/Ohm_32_001_02.wav"
    samples = wav.read_bytes()
    wav.unlink()
    data = prepare(release, tmp_path)
    for name in ("utt2num_words", "utt2num_phones"):
        write_table(data.path / name, dict.fromkeys(data.utterances, "3"))
    assert prepare(release, tmp_path).has("utt2num_words") and data.has("utt2num_phones")
    wav.write_bytes(samples)
    assert not prepare(release, tmp_path).has("utt2num_words") and not data.has("utt2num_phones")
    validate(data.path, feats=False, text=False)


def test_classes_are_full_names_of_the_letters(release, tmp_path):
    labels = prepare(release, tmp_path).labels("5")
    names = [labels[f"Ohm_01_{i // 4:03}_{i % 4:02}"] for i in range(5)]
    assert names == ["anger", "emphatic", "neutral", "positive", "rest"]


def test_two_classes_come_from_their_own_file(release, tmp_path):
    edit(release / LABELS.format(2), "Ohm_01_000_02 IDL", "Ohm_01_000_02 NEG")
    data = prepare(release, tmp_path)
    assert (data.labels("2")["Ohm_01_000_02"], data.labels("5")["Ohm_01_000_02"]) == ("NEG", "neutral")
    assert (data.labels("2")["Ohm_01_000_01"], data.labels("5")["Ohm_01_000_01"]) == ("IDL", "emphatic")


def test_transcriptions_become_the_text(release, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    chunks = sorted((path.stem for path in (release / "wav").iterdir()), reverse=True)
    words = dict.fromkeys(chunks, "geh  links")
    words["Ohm_01_000_00"], words["Ohm_02_000_00"] = "", "böser Aibo"
    path = tmp_path / "words.txt"
    path.write_text("".join(f"{chunk} {text}\n" for chunk, text in words.items()), encoding="utf-8")
    data = prepare(release, tmp_path, transcriptions=path)
    text = data.table("text")
    assert (text["Ohm_01_000_00"], text["Ohm_01_000_01"], len(text)) == ("", "geh links", 30)
    assert "words.txt: 1 lines are of chunks that are not used" in caplog.text
    validate(data.path, feats=False)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("Ohm_01_000_01 ja\n", "", "words.txt: no line for 1 chunks, add them:\n  Ohm_01_000_01"),
        ("Ohm_01_000_01 ja\n", "Ohm_01_000_00 ja\n", "words.txt:12: Ohm_01_000_00 is there twice; keep one line"),
        ("Ohm_01_000_01 ja\n", "ja\n", "words.txt:12: expected a chunk and its words, got 'ja'"),
    ],
)
def test_wrong_transcriptions_are_named(release, tmp_path, old, new, message):
    path = tmp_path / "words.txt"
    path.write_text("".join(f"{wav.stem} ja\n" for wav in sorted((release / "wav").iterdir())))
    edit(path, old, new)
    with pytest.raises(SertkError) as caught:
        prepare(release, tmp_path, transcriptions=path)
    assert message in str(caught.value)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "line, problem",
    [
        ("Ohm_01_000_01 X 0.87", "Ohm_01_000_01 has the class 'X'; there are: A, E, N, P, R"),
        ("Ohm_01_000_01 NEG 0.87", "Ohm_01_000_01 has the class 'NEG'; there are: A, E, N, P, R"),
        ("Ohm_01_000_00 E 0.87", "Ohm_01_000_00 is there twice"),
        ("Ulm_01_000_01 E 0.87", "'Ulm_01_000_01' is no chunk, such as Ohm_01_000_00 or Mont_01_000_00"),
        ("Ohm_01_000_01 E", "expected a chunk, its class and a confidence, got 'Ohm_01_000_01 E'"),
        ("Ohm_01_000_01 E nan", "expected a chunk, its class and a confidence, got 'Ohm_01_000_01 E nan'"),
        ("Ohm_01_000_01 E high", "expected a chunk, its class and a confidence, got 'Ohm_01_000_01 E high'"),
        ("", "expected a chunk, its class and a confidence, got ''"),
    ],
)
def test_wrong_label_lines_are_named(release, tmp_path, line, problem):
    path = release / LABELS.format(5)
    edit(path, "Ohm_01_000_01 E 0.87", line)
    with pytest.raises(SertkError) as caught:
        prepare(release, tmp_path)
    assert str(caught.value) == f"{path}: 1 wrong lines, get the file again:\n  {path}:2: {problem}"
    assert not (tmp_path / "data").exists()


def test_windows_line_ends_are_named(release, tmp_path):
    edit(release / LABELS.format(2), "Ohm_01_000_01 IDL 0.87\n", "Ohm_01_000_01 IDL 0.87\r\n")
    with pytest.raises(SertkError, match=r"chunk_labels_2cl_corpus.txt:2: Windows line end"):
        prepare(release, tmp_path)


@pytest.mark.parametrize("classes, other", [(2, 5), (5, 2)])
def test_chunks_of_one_label_file_only_are_named(release, tmp_path, classes, other):
    path = release / LABELS.format(classes)
    path.write_text("".join(line for line in path.read_text().splitlines(True) if "Ohm_01_000_0" not in line))
    with pytest.raises(SertkError) as caught:
        prepare(release, tmp_path)
    assert "4 chunks are in one label file only" in str(caught.value)
    assert f"\n  Ohm_01_000_03 is in chunk_labels_{other}cl_corpus.txt only" in str(caught.value)


def test_recordings_and_labels_need_each_other(release, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    (release / "wav/Ohm_01_000_01.wav").rename(release / "wav/Ohm_03_000_01.wav")
    with pytest.raises(SertkError) as caught:
        prepare(release, tmp_path, partial=False)
    assert str(caught.value) == (
        f"{release}: 1 labelled chunks have no recording, get them (or --partial to use what is there):"
        f"\n  {release}/wav/Ohm_01_000_01.wav"
    )
    assert len(prepare(release, tmp_path).utterances) == 29
    assert "1 labelled chunks have no recording and are not used" in caplog.text
    assert "1 recordings have no label and are not used" in caplog.text


def test_missing_parts_of_a_release_are_named(release, tmp_path):
    with pytest.raises(SertkError, match="none/wav: no such folder; give the release's, which holds wav"):
        prepare(tmp_path / "none", tmp_path)
    for path in (release / "wav").iterdir():
        path.unlink()
    with pytest.raises(SertkError, match="wav: no recording of any chunk in the label files"):
        prepare(release, tmp_path)
    (release / LABELS.format(2)).unlink()
    with pytest.raises(SertkError, match="chunk_labels_2cl_corpus.txt: No such file"):
        prepare(release, tmp_path)


def test_the_same_audio_twice_is_named(release, tmp_path):
    (release / "wav/Ohm_01_000_01.wav").write_bytes((release / "wav/Mont_07_000_00.wav").read_bytes())
    with pytest.raises(SertkError, match="Ohm_01_000_01.wav sounds exactly as .*Mont_07_000_00.wav"):
        prepare(release, tmp_path)


def write_whole_corpus(root):
    """All 18,216 chunks with as many of each class as published, and recordings that nobody reads."""
    (root / "wav").mkdir(parents=True)
    five, two = {}, {}
    for school, children in CHILDREN.items():
        letters = [Counter(numbers[school]).elements() for numbers in (FIVE, TWO)]
        for i, (letter, other) in enumerate(zip(*letters, strict=True)):
            chunk = f"{school}_{1 + i % children:02}_{i // children:03}_00"
            five[chunk], two[chunk] = letter, other
            (root / f"wav/{chunk}.wav").touch()
    write_labels(root, 5, five)
    write_labels(root, 2, two)


def test_counts_of_the_whole_corpus(tmp_path):
    write_whole_corpus(tmp_path)
    utterances = fau_aibo.read_release(tmp_path)
    counts = fau_aibo.count(utterances)
    assert (counts["all"], counts["ohm"], counts["mont"]) == (18216, 9959, 8257)
    assert (counts["ohm children"], counts["mont children"]) == (26, 25)
    assert counts == fau_aibo.published_counts()
    assert Counter((u.group, u.labels["2"]) for u in utterances) == {
        ("ohm", "NEG"): 3358,
        ("ohm", "IDL"): 6601,
        ("mont", "NEG"): 2465,
        ("mont", "IDL"): 5792,
    }

    edit(tmp_path / LABELS.format(5), "Mont_01_000_00 A ", "Mont_01_000_00 P ")
    with pytest.raises(SertkError) as caught:
        fau_aibo.prepare(tmp_path, tmp_path / "data")
    assert "not the whole corpus" in str(caught.value)
    assert [line.split() for line in str(caught.value).splitlines()[1:]] == [
        ["published", "found"],
        ["mont", "anger", "611", "610"],
        ["mont", "positive", "215", "216"],
    ]


def test_command(release, tmp_path, capsys):
    arguments = ["fau_aibo", str(release), str(tmp_path / "data")]
    assert prepare_corpus.main(arguments) == 1
    assert "ohm emphatic" in capsys.readouterr().err
    (tmp_path / "words.txt").write_text("".join(f"{wav.stem} ja\n" for wav in (release / "wav").iterdir()))
    own = ["--partial", "--transcriptions", str(tmp_path / "words.txt")]
    assert prepare_corpus.main([*own, "ravdess", *arguments[1:]]) == 2
    assert "--transcriptions: not an option of ravdess" in capsys.readouterr().err
    assert prepare_corpus.main([*own, *arguments]) == 0
    assert DataDir(tmp_path / "data").table("text")["Ohm_01_000_01"] == "ja"
