import logging

import pytest
from iemocap_release import alignment, alignment_file, write_release

from sertk.core.errors import SertkError
from sertk.corpora import CORPORA, phseg
from sertk.kaldi.checks import validate
from sertk.kaldi.datadir import DataDir


def written(path, phones):
    path.write_text(alignment(phones))
    return path


def test_lines_are_as_the_aligner_writes_them():
    assert alignment(["SIL", "AH SIL P b"]).splitlines() == [
        "\t SFrm  EFrm   SegAScr Phone",
        "\t    0     7    -64725 SIL",
        "\t    8    15    -64726 AH SIL P b",
        " Total score:     -517800",
    ]


@pytest.mark.parametrize(
    "phones, voiced",
    [
        ("SIL AA AE AH AO AW AX AXR AY EH ER EY IH IX IY OW OY UH UW SIL", 18),
        ("B D G V DH Z ZH JH M N NG L R W Y DX BD DD GD", 19),
        ("P T K F TH S SH CH HH PD TD KD TS", 0),
        ("AH0 AH1 EY2 T +LAUGHTER+ ++GARBAGE++ +BREATHING+ SIL", 3),
        ("SIL", 0),
    ],
)
def test_voiced_phones(tmp_path, phones, voiced):
    assert phseg.count_voiced(written(tmp_path / "x.phseg", phones.split())) == (voiced, [])


@pytest.mark.parametrize(
    "old, new, problem",
    [
        ("\t SFrm", "\t Start", ":1: expected SFrm EFrm SegAScr Phone, got '\t Start  EFrm   SegAScr Phone'"),
        ("AH SIL P b", "QX SIL P b", ":3: unknown phone 'QX'"),
        ("AH SIL P b", "AH SIL", ":3: expected frames, a score and a phone, got '\t    8    15    -64726 AH SIL'"),
        ("-64726", "low", ":3: expected frames, a score and a phone"),
        (" Total score:     -517800\n", "", ": cut off: the last line is not 'Total score: ...'"),
    ],
)
def test_wrong_lines_are_named(tmp_path, old, new, problem):
    path = written(tmp_path / "x.phseg", ["SIL", "AH SIL P b", "P AH SIL e"])
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    (found,) = phseg.count_voiced(path)[1]
    assert found.startswith(f"{path}{problem}")


def test_empty_files_are_named(tmp_path):
    (tmp_path / "x.phseg").touch()
    assert [problem[len(str(tmp_path)) + 9 :] for problem in phseg.count_voiced(tmp_path / "x.phseg")[1]] == [
        "1: expected SFrm EFrm SegAScr Phone, got ''",
        " cut off: the last line is not 'Total score: ...'",
    ]


@pytest.fixture
def release(tmp_path):
    write_release(tmp_path / "release", sessions=(1,), scenes=("impro01",))
    return tmp_path / "release"


def prepare(release, tmp_path):
    CORPORA["iemocap"](release, tmp_path / "data", partial=True)
    return DataDir(tmp_path / "data")


def test_iemocap_has_the_alignments_phonemes(release, tmp_path):
    written(alignment_file(release, "Ses01F_impro01_F001"), ["SIL", "+LAUGHTER+", "SIL"])
    written(alignment_file(release, "Ses01F_impro01_M002"), ["SIL", "K SIL IH b", "IH K D i", "D IH Z i"])
    data = prepare(release, tmp_path)
    expected = dict.fromkeys(data.utterances, "6")
    expected |= {"Ses01F-Ses01F_impro01_F001": "1", "Ses01M-Ses01F_impro01_M002": "2"}
    assert data.table("utt2num_phones") == expected
    validate(data.path, feats=False)


def test_turns_without_alignment_get_the_mean_of_their_words(release, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    for turn in ("Ses01F_impro01_F001", "Ses01F_impro01_M002"):
        alignment_file(release, turn).unlink()
    for turn in ("Ses01F_impro01_F003", "Ses01F_impro01_F004"):
        written(alignment_file(release, turn), ["AH"] * 14)
    transcription = release / "Session1/dialog/transcriptions/Ses01F_impro01.txt"
    text = transcription.read_text().replace("Words of  M002.", "[LAUGHTER]")
    transcription.write_text(text.replace("Words of  F001.", "One two three four five."))
    phones = prepare(release, tmp_path).table("utt2num_phones")
    # The other ten turns have 8 * 6 + 2 * 14 = 76 voiced phonemes and 3 words each.
    assert phones["Ses01F-Ses01F_impro01_F001"] == str(round(5 * 76 / 30))
    assert phones["Ses01M-Ses01F_impro01_M002"] == "1"
    said = f"{release}: 2 turns have no alignment; their phonemes are put at 2.53 voiced ones a word"
    assert said in caplog.messages


def test_without_alignments_there_is_no_table(release, tmp_path):
    for path in release.glob("*/sentences/ForcedAlignment/*/*.phseg"):
        path.unlink()
    assert not prepare(release, tmp_path).has("utt2num_phones")


def test_wrong_alignments_stop_the_preparation(release, tmp_path):
    path = written(alignment_file(release, "Ses01F_impro01_F001"), ["SIL", "XX"])
    with pytest.raises(SertkError) as caught:
        prepare(release, tmp_path)
    expected = f"{release}: 1 faults in alignments, get these again:\n  {path}:3: unknown phone 'XX'"
    assert str(caught.value) == expected
    assert not (tmp_path / "data").exists()
