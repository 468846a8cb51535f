import pytest
import torchaudio
from asr_releases import noise, write_tedlium

from sertk.core.errors import SertkError
from sertk.corpora import CORPORA
from sertk.corpora.tedlium import plain_text
from sertk.features.audio import read_data_dir
from sertk.kaldi.checks import validate
from sertk.kaldi.datadir import DataDir

TALKS = {
    "AlGore_2009": [
        ';; LABEL "o" "Overall"',
        "AlGore_2009 1 inter_segment_gap 0 0.5 <o,,unknown> ignore_time_segment_in_scoring",
        "AlGore_2009 1 AlGore_2009 0.5 2.75 <o,f0,male> last year i showed {NOISE} these <sil> two slides(2)",
        "AlGore_2009 1 AlGore_2009 2.75 4.00 <o,f0,male> <unk>",
        "AlGore_2009 1 AlGore_2009 4.00 4.80 <o,f0,male> too short",
        "AlGore_2009 1 AlGore_2009 4.80 9.99 <o,f0,male> it 's <unk> what we don 't know",
    ],
    "JaneDoe-2010X": [
        "JaneDoe-2010X 1 Jane.Doe 1 3.5 <o,f0,female> in 1984",
        "JaneDoe-2010X 1 Jane.Doe 3.5 6 <o,f0,female> hello",
    ],
}


@pytest.fixture
def root(tmp_path):
    write_tedlium(tmp_path / "TEDLIUM_release2", "train", TALKS)
    return tmp_path / "TEDLIUM_release2"


def prepare(root, tmp_path, **options):
    CORPORA["tedlium"](root, tmp_path / "data", subset="train", **{"threads": 1, **options})
    return DataDir(tmp_path / "data")


def test_data_folder(root, tmp_path, caplog):
    caplog.set_level("INFO")
    data = prepare(root, tmp_path)
    validate(data.path, feats=False)
    first, last, other = (
        "tedlium-AlGore_2009-AlGore_2009-0000050-0000275",
        "tedlium-AlGore_2009-AlGore_2009-0000480-0000999",
        "tedlium-Jane_Doe-JaneDoe_2010X-0000350-0000600",
    )
    assert data.table("text") == {
        first: "last year i showed these two slides",
        last: "it's what we don't know",
        other: "hello",
    }
    assert data.table("segments") == {
        first: "tedlium-AlGore_2009 0.5 2.75",
        last: "tedlium-AlGore_2009 4.8 9.99",
        other: "tedlium-JaneDoe_2010X 3.5 6.0",
    }
    assert data.table("utt2dur") == {first: "2.2500", last: "5.1900", other: "2.5000"}
    assert data.table("spk2gender") == {"tedlium-AlGore_2009": "m", "tedlium-Jane_Doe": "f"}
    assert data.table("dropped") == {
        "tedlium-AlGore_2009-AlGore_2009-0000400-0000480": "under 1 s: 0.80 s",
        "tedlium-Jane_Doe-JaneDoe_2010X-0000100-0000350": "characters: 1 4 8 9",
    }
    assert "5 segments with words (92973 published)" in caplog.text
    samples = {utt: samples for utt, samples, _ in read_data_dir(data.path)}
    expected = noise(10, [0, 1])[56000:96000] / 32768
    assert (samples[other] == expected.astype("float32")).all()


def test_torchaudio_reads_the_same_segments(root, tmp_path, monkeypatch):
    reader = torchaudio.datasets.TEDLIUM
    monkeypatch.setattr(reader, "_load_audio", lambda self, path, start_time, end_time: ((start_time, end_time), 16000))
    stm = root / "train/stm/AlGore_2009.stm"
    stm.write_text(stm.read_text().partition("\n")[2])  # torchaudio knows no comments
    theirs = set()
    for (start, end), _, text, talk, _, _ in reader(root.parent, release="release2", subset="train"):
        if plain_text(text) and "ignore_time" not in text:
            theirs.add((talk, start, end, plain_text(text)))
    data = prepare(root, tmp_path, min_seconds=0)
    ours = set()
    for utt, value in data.table("segments").items():
        recording, start, end = value.split()
        talk = recording.removeprefix("tedlium-").replace("JaneDoe_", "JaneDoe-")
        ours.add((talk, float(start), float(end), data.table("text")[utt]))
    assert len(ours) == 4
    assert ours == {(t, float(s), float(e), text) for t, s, e, text in theirs if "1984" not in text}


@pytest.mark.parametrize(
    "text, expected",
    [
        (" it 's", "it's"),
        ("you 're they 've he 'll we 'd i 'm", "you're they've he'll we'd i'm"),
        ("do n't and 'cause rock 'n' roll", "don't and 'cause rock 'n' roll"),
        ("the 's", "the's"),
        ("'s strange", "'s strange"),
        ("a(3) <sil> b {COUGH}c", "a b c"),
        ("<unk> <sil>", ""),
    ],
)
def test_markup_is_removed_and_words_are_joined(text, expected):
    assert plain_text(text) == expected


@pytest.mark.parametrize(
    "line",
    [
        "JaneDoe-2010X 1 Jane.Doe 6 3.5 <o,f0,female> backwards",
        "JaneDoe-2010X 1 Jane.Doe 6 x <o,f0,female> no number",
        "JaneDoe-2010X 1 Jane.Doe 6 inf <o,f0,female> no end",
        "JaneDoe-2010X 1 Jane.Doe 6 7 no labels",
        "AlGore_2009 1 Jane.Doe 6 7 <o,f0,female> another talk",
        "JaneDoe-2010X",
    ],
)
def test_wrong_lines(root, tmp_path, line):
    path = root / "train/stm/JaneDoe-2010X.stm"
    path.write_text(f"{path.read_text()}{line}\n")
    with pytest.raises(SertkError) as raised:
        prepare(root, tmp_path)
    expected = f"{path}:3: expected JaneDoe-2010X 1 SPEAKER START END <LABELS> TEXT, got '{line}'"
    assert str(raised.value).splitlines()[1:] == [f"  {expected}"]
    assert len(prepare(root, tmp_path, partial=True).utterances) == 3


def test_the_same_segment_twice(root, tmp_path):
    path = root / "train/stm/JaneDoe-2010X.stm"
    path.write_text(path.read_text() + path.read_text().splitlines()[-1] + "\n")
    with pytest.raises(SertkError, match="tedlium-Jane_Doe-JaneDoe_2010X-0000350-0000600 is there twice"):
        prepare(root, tmp_path)


def test_truncated_recordings_and_segments_beyond_the_end(root, tmp_path):
    sph, stm = root / "train/sph/AlGore_2009.sph", root / "train/stm/JaneDoe-2010X.stm"
    sph.write_bytes(sph.read_bytes()[:-2000])
    stm.write_text(stm.read_text() + "JaneDoe-2010X 1 Jane.Doe 8 10.6 <o,f0,female> beyond\n")
    with pytest.raises(SertkError) as raised:
        prepare(root, tmp_path)
    first, second = str(raised.value).splitlines()[1:]  # the talk once, however many segments it has
    assert first.endswith("AlGore_2009.sph: cut off, its header says that it is longer")
    assert second.endswith("0000800-0001060: the segment ends at 10.6 s, the recording at 10.00 s")
    assert prepare(root, tmp_path, partial=True).utterances == ["tedlium-Jane_Doe-JaneDoe_2010X-0000350-0000600"]


def test_gaps(root, tmp_path):
    (root / "train/sph/AlGore_2009.sph").rename(root / "train/sph/Other.sph")
    with pytest.raises(
        SertkError, match=r"2 talks lack [^$]*AlGore_2009.stm: no sph/AlGore_2009.sph\n.*Other.sph: no stm/Other.stm"
    ):
        prepare(root, tmp_path)
    assert len(prepare(root, tmp_path, partial=True).utterances) == 1
    with pytest.raises(SertkError, match="dev/stm: no such folder"):
        CORPORA["tedlium"](root, tmp_path / "data", subset="dev")
