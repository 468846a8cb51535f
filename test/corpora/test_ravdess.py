import io
import itertools
import logging
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sertk.bin import prepare_corpus
from sertk.core.errors import SertkError
from sertk.corpora import CORPORA, ravdess
from sertk.features.audio import audio_hash
from sertk.kaldi.datadir import DataDir, read_table
from sertk.protocols import make_splits, read_fold

ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT / "../shared/data/ravdess"


def write_recording(path, seed, rate=16000, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).integers(-3000, 3000, (160, channels)).astype(np.int16)
    encoded = io.BytesIO()  # many small writes to disk are slow
    soundfile.write(encoded, samples, rate, format=path.suffix[1:])
    path.write_bytes(encoded.getvalue())
    return samples


def write_actor(root, actor, suffix="wav", emotions=range(1, 9)):
    for emotion, intensity, statement, repetition in itertools.product(emotions, (1, 2), (1, 2), (1, 2)):
        if (emotion, intensity) != (1, 2):
            name = f"03-01-{emotion:02}-{intensity:02}-{statement:02}-{repetition:02}-{actor:02}"
            seed = [actor, emotion, intensity, statement, repetition]
            write_recording(root / f"Actor_{actor:02}" / f"{name}.{suffix}", seed)


@pytest.fixture
def release(tmp_path):
    root = tmp_path / "release"
    write_actor(root, 1, emotions=(1, 8))
    write_actor(root, 2, emotions=(1, 8))
    return root


def prepare(root, tmp_path, **options):
    CORPORA["ravdess"](root, tmp_path / "data", **{"partial": True, **options})
    return DataDir(tmp_path / "data")


def test_tables_of_a_recording(tmp_path):
    path = tmp_path / "release/Actor_12/03-01-08-02-01-02-12.wav"
    samples = write_recording(path, 1)
    data = prepare(tmp_path / "release", tmp_path)
    utt = "actor12-03-01-08-02-01-02-12"
    assert data.table("wav.scp") == {utt: str(path)}
    assert data.table("utt2spk") == {utt: "actor12"}
    assert data.table("spk2utt") == {"actor12": utt}
    assert data.table("text") == {utt: "Kids are talking by the door"}
    assert data.table("spk2gender") == {"actor12": "f"}
    assert data.table("utt2dur") == {utt: "0.0100"}
    assert data.table("utt2hash") == {utt: audio_hash(samples[:, 0] / 32768, 16000)}
    assert data.labels("8") == {utt: "surprised"}
    assert data.labels("2") == {utt: "strong"}
    assert data.labels("2val") == {utt: "positive"}


@pytest.mark.parametrize(
    "name, emotion, intensity, valence, text, gender",
    [
        ("03-01-01-01-02-01-01", "neutral", "normal", "positive", "Dogs are sitting by the door", "m"),
        ("03-01-02-01-01-01-01", "calm", "normal", "positive", "Kids are talking by the door", "m"),
        ("03-01-03-02-01-01-02", "happy", "strong", "positive", "Kids are talking by the door", "f"),
        ("03-01-04-02-01-01-02", "sad", "strong", "negative", "Kids are talking by the door", "f"),
        ("03-01-05-02-02-02-23", "angry", "strong", "negative", "Dogs are sitting by the door", "m"),
        ("03-01-06-01-02-02-24", "fearful", "normal", "negative", "Dogs are sitting by the door", "f"),
        ("03-01-07-01-02-02-24", "disgust", "normal", "negative", "Dogs are sitting by the door", "f"),
    ],
)
def test_fields_of_names(tmp_path, name, emotion, intensity, valence, text, gender):
    (tmp_path / f"{name}.wav").touch()
    (utterance,) = ravdess.read_release(tmp_path)
    assert utterance.labels == {"8": emotion, "2": intensity, "2val": valence}
    assert (utterance.text, utterance.gender) == (text, gender)


def test_published_counts():
    counts = ravdess.published_counts()
    assert counts["all"] == 1440
    assert [counts[f"actor{number:02}"] for number in range(1, 25)] == [60] * 24
    assert [counts[emotion] for emotion in ravdess.EMOTIONS] == [96] + [192] * 7
    assert (counts["normal"], counts["strong"]) == (768, 672)
    assert (counts["positive"], counts["negative"]) == (672, 768)
    assert len(counts) == 1 + 24 + 8 + 2 + 2


def test_nesting_flac_and_other_files(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    write_actor(tmp_path / "release/a/b", 1, "flac", (1,))
    write_actor(tmp_path / "release/c", 2, "wav", (1,))
    write_recording(tmp_path / "release/c/Actor_02/03-02-01-01-01-01-02.wav", 5)
    (tmp_path / "release/README.txt").touch()
    data = prepare(tmp_path / "release", tmp_path)
    assert len(data.utterances) == 8
    assert "1 recordings of song or with video are not used" in caplog.text


def test_stereo_is_accepted(tmp_path):
    samples = write_recording(tmp_path / "release/03-01-01-01-01-01-01.wav", 1, channels=2)
    data = prepare(tmp_path / "release", tmp_path)
    mixed = (samples.astype(np.float32) / 32768).mean(axis=1)
    assert list(data.table("utt2hash").values()) == [audio_hash(mixed, 16000)]


def test_missing_recordings_are_a_table(release, tmp_path):
    with pytest.raises(SertkError) as caught:
        prepare(release, tmp_path, partial=False)
    rows = [line.split() for line in str(caught.value).splitlines()[1:]]
    assert "not the whole corpus" in str(caught.value)
    assert rows[0] == ["published", "found"]
    assert ["all", "1440", "24"] in rows
    assert ["neutral", "96", "8"] in rows
    assert ["calm", "192", "0"] in rows
    assert ["actor01", "60", "12"] in rows
    assert ["strong", "672", "8"] in rows
    assert not (tmp_path / "data").exists()


def stray_actor(root):
    write_recording(root / "Actor_02/03-01-02-01-01-01-01.wav", 7)


def stray_resource(root):
    (root / "Actor_01/._03-01-01-01-01-01-01.wav").write_bytes(b"\0\5\26\7")


def stray_name(root):
    write_recording(root / "Actor_01/take2.wav", 7)


def stray_field(root):
    write_recording(root / "Actor_01/03-01-09-01-01-01-01.wav", 7)


def stray_neutral(root):
    write_recording(root / "Actor_01/03-01-01-02-01-01-01.wav", 7)


def stray_duplicate(root):
    write_recording(root / "again/Actor_01/03-01-01-01-01-01-01.wav", 7)


def stray_rate(root):
    write_recording(root / "Actor_01/03-01-01-01-01-01-01.wav", 7, rate=48000)


def stray_copy(root):
    source = root / "Actor_01/03-01-01-01-01-01-01.wav"
    (root / "Actor_02/03-01-01-01-01-01-02.wav").write_bytes(source.read_bytes())


def stray_unreadable(root):
    (root / "Actor_01/03-01-01-01-01-01-01.wav").write_bytes(b"no audio")
    (root / "Actor_02/03-01-01-01-01-01-02.wav").write_bytes(b"")


@pytest.mark.parametrize(
    "spoil, expected",
    [
        (stray_actor, ["03-01-02-01-01-01-01.wav: a recording of actor 01 in the folder of actor 02"]),
        (stray_resource, ["._03-01-01-01-01-01-01.wav: a macOS resource file"]),
        (stray_name, ["take2.wav: not a RAVDESS name"]),
        (stray_field, ["03-01-09-01-01-01-01.wav: not a RAVDESS name"]),
        (stray_neutral, ["03-01-01-02-01-01-01.wav: neutral has no strong intensity"]),
        (stray_duplicate, ["a second 03-01-01-01-01-01-01, the first is"]),
        (stray_rate, ["03-01-01-01-01-01-01.wav: 48000 Hz", "the others, 16000 Hz"]),
        (stray_copy, ["Actor_02/03-01-01-01-01-01-02.wav sounds exactly as", "Actor_01/03-01-01-01-01-01-01.wav"]),
        (stray_unreadable, ["2 recordings", "Actor_01/03-01-01-01-01-01-01.wav", "Actor_02/03-01-01-01-01-01-02.wav"]),
    ],
)
def test_wrong_files_are_named_and_nothing_is_written(release, tmp_path, spoil, expected):
    spoil(release)
    with pytest.raises(SertkError) as caught:
        prepare(release, tmp_path)
    for words in expected:
        assert words in str(caught.value)
    assert not (tmp_path / "data").exists()


def test_the_folder_of_an_actor_as_root(tmp_path):
    write_recording(tmp_path / "Actor_02/03-01-01-01-01-01-01.wav", 1)
    with pytest.raises(SertkError, match="actor 01 in the folder of actor 02"):
        ravdess.read_release(tmp_path / "Actor_02")


def test_many_wrong_files_are_counted(tmp_path):
    for number in range(25):
        (tmp_path / f"x{number:02}.wav").touch()
    with pytest.raises(SertkError) as caught:
        ravdess.read_release(tmp_path)
    lines = str(caught.value).splitlines()
    assert "25 files" in lines[0]
    assert len(lines) == 22 and lines[-1] == "  ... and 5 more"


def test_missing_root_and_empty_root(tmp_path):
    with pytest.raises(SertkError, match="no such folder"):
        ravdess.read_release(tmp_path / "none")
    with pytest.raises(SertkError, match="no RAVDESS speech recordings"):
        ravdess.read_release(tmp_path)


def test_command(release, tmp_path, capsys):
    arguments = ["ravdess", str(release), str(tmp_path / "data")]
    assert prepare_corpus.main(arguments) == 1
    assert "not the whole corpus" in capsys.readouterr().err
    assert prepare_corpus.main([*arguments, "--partial", "--nj", "0"]) == 2
    assert prepare_corpus.main([*arguments, "--partial", "--nj", "2"]) == 0
    assert len(DataDir(tmp_path / "data").utterances) == 24


def test_a_whole_release_and_its_published_folds(tmp_path):
    for actor in range(1, 25):
        write_actor(tmp_path / "release", actor)
    data = prepare(tmp_path / "release", tmp_path, partial=False)
    assert len(data.utterances) == 1440
    assert Counter(data.labels("8").values()) == {
        "neutral": 96,
        **dict.fromkeys(["calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"], 192),
    }
    assert Counter(data.labels("2").values()) == {"normal": 768, "strong": 672}
    assert Counter(data.labels("2val").values()) == {"positive": 672, "negative": 768}
    assert [len(utts.split()) for utts in data.table("spk2utt").values()] == [60] * 24

    splits = tmp_path / "splits"
    make_splits(data.path, splits, ROOT / "egs/ravdess/conf/protocols.yaml", "emobox")
    folds = [read_fold(splits, number) for number in range(1, 7)]
    assert [tuple(map(len, fold)) for fold in folds] == [(1080, 120, 240)] * 6
    assert sorted(utt for fold in folds for utt in fold.test) == data.utterances


@pytest.mark.skipif(not REAL.is_dir(), reason="the RAVDESS recordings are not beside the project")
def test_real_release(tmp_path):
    CORPORA["ravdess"](REAL, tmp_path / "data")
    lengths = read_table(tmp_path / "data/utt2dur")
    assert len(lengths) == 1440
    assert sum(map(float, lengths.values())) / 3600 == pytest.approx(1.48, abs=0.005)
    assert len(set(read_table(tmp_path / "data/utt2hash").values())) == 1440
