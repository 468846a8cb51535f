import pytest
import soundfile
from asr_releases import RATE, noise

from sertk.core.errors import SertkError
from sertk.corpora.base import Utterance
from sertk.corpora.transcribed import normalise, write_transcribed
from sertk.kaldi.datadir import DataDir


@pytest.mark.parametrize(
    "text, expected",
    [
        ("HE DIDN'T SAY", "he didn't say"),
        ("  Once there was a young rat, named Arthur.  ", "once there was a young rat named arthur"),
        ("well-known \u2014 isn\u2019t it\u2026", "well known isn't it"),
        ("\u201cYes!\u201d he said; (no?)", "yes he said no"),
        ("'Quoted' 'tis the dogs' bone ' alone", "'quoted' 'tis the dogs' bone alone"),
        ("Caf\u00e9 na\u00efve \u00c5ngstr\u00f6m Stra\u00dfe", "cafe naive angstrom strasse"),
        ("U.S. e.g. a/b".replace("/", " "), "u s e g a b"),
        ("... -- !", ""),
    ],
)
def test_texts_written_in_the_alphabet(text, expected):
    assert normalise(text) == (expected, "")


@pytest.mark.parametrize(
    "text, strange",
    [("IN 1984", "1489"), ("R&D", "&"), ("50%", "%05"), ("\u4f60 \u00e6", "\u00e6\u4f60"), ("a_b", "_")],
)
def test_what_cannot_be_written_is_named(text, strange):
    assert normalise(text)[1] == strange


def utterances(folder, rows):
    """`rows`: {name: (text, seconds, seed)}; the part before the - is the speaker."""
    made = []
    for name, (text, seconds, seed) in rows.items():
        path = folder / f"{name}.wav"
        soundfile.write(path, noise(seconds, seed), RATE, subtype="PCM_16")
        made.append(Utterance(name, name.split("-")[0], path, {}, text=text, gender="f"))
    return made


def test_what_is_left_out_is_named_and_counted(tmp_path, caplog):
    caplog.set_level("INFO")
    rows = {
        "s-exact1": ("ONE", 1.0, 1),
        "s-short": ("TWO", 0.99, 2),
        "s-exact2": ("THREE", 2.0, 3),
        "s-long": ("FOUR", 2.01, 4),
        "s-digits": ("ROUTE 66", 1.5, 5),
        "s-empty": ("--", 1.5, 6),
        "t-copy": ("ONE", 1.0, 1),
        "t-good": ("Five!", 1.5, 7),
    }
    made = utterances(tmp_path, rows)
    (tmp_path / "s-broken.wav").write_bytes(b"RIFF")
    made.append(Utterance("s-broken", "s", tmp_path / "s-broken.wav", {}, text="SIX", gender="f"))
    write_transcribed(made, tmp_path / "data", dropped={"s-gone": "prompt without audio: x"}, lengths=(1, 2), threads=1)
    data = DataDir(tmp_path / "data")
    assert data.table("text") == {"s-exact1": "one", "s-exact2": "three", "t-good": "five"}
    assert data.table("utt2dur") == {"s-exact1": "1.0000", "s-exact2": "2.0000", "t-good": "1.5000"}
    dropped = data.table("dropped")
    broken = dropped.pop("s-broken")
    assert broken.startswith("unreadable: ") and str(tmp_path / "s-broken.wav") in broken
    assert dropped == {
        "s-short": "under 1 s: 0.99 s",
        "s-long": "over 2 s: 2.01 s",
        "s-digits": "characters: 6",
        "s-empty": "no words",
        "t-copy": "copy: sounds exactly as s-exact1",
        "s-gone": "prompt without audio: x",
    }
    assert (
        "left out 7: 1 characters, 1 copy, 1 no words, 1 over 2 s, 1 prompt without audio, 1 under 1 s, 1 unreadable"
        in caplog.text
    )
    assert "s-digits characters: 6" in caplog.text

    write_transcribed([made[-2]], tmp_path / "data", threads=1)  # what is no longer there goes away
    assert (data.utterances, data.table("dropped"), data.table("spk2gender")) == (["t-good"], {}, {"t": "f"})


def test_nothing_left_and_names_that_are_there_twice(tmp_path):
    made = utterances(tmp_path, {"s-one": ("ONE", 0.5, 1)})
    with pytest.raises(SertkError, match=r"no utterance is left \(1 under 1 s\)"):
        write_transcribed(made, tmp_path / "data", threads=1)
    with pytest.raises(SertkError, match=r"no utterance is left \(there was none\)"):
        write_transcribed([], tmp_path / "data", threads=1)
    with pytest.raises(SertkError, match="s-one is there twice, in .*s-one.wav and .*s-one.wav"):
        write_transcribed(made * 2, tmp_path / "data", threads=1)
    assert not (tmp_path / "data").exists()


def test_genders_are_written_if_they_are_known_of_all(tmp_path, caplog):
    caplog.set_level("INFO")
    one, other = utterances(tmp_path, {"a-1": ("ONE", 1.5, 1), "b-1": ("TWO", 1.5, 2)})
    for gender in (None, "m"):
        soundfile.write(tmp_path / "a-2.wav", noise(1.5, 3), RATE)
        unsure = Utterance("a-2", "a", tmp_path / "a-2.wav", {}, text="ONE", gender=gender)
        write_transcribed([one, other, unsure], tmp_path / str(gender), threads=1)
        assert not DataDir(tmp_path / str(gender)).has("spk2gender")
    assert "the gender of 1 speaker is not known, such as a" in caplog.text
