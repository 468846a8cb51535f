"""Voiced phonemes, counted by hand and by the package."""

import logging
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from patience import HOUR

from sertk.bin import count_phones
from sertk.core.errors import SertkError
from sertk.core.files import file_digest, read_json, write_json
from sertk.kaldi import tools as datadir_tools
from sertk.kaldi.checks import fix, validate
from sertk.kaldi.datadir import DataDir, write_data_dir, write_table
from sertk.text.phones import count_in_sound, count_in_text, count_voiced, counted_from, phonemes_of, words_of

# Word, its phonemes (Kenyon and Knott; Duden's Aussprachewörterbuch with r where it was not lost in a
# schwa), and how many of these are voiced. Glottal stops before vowels are no phonemes of these languages.
SENTENCES = [
    ("en-us", "Kids:k ɪ d z:3 are:ɑː ɹ:2 talking:t ɔː k ɪ ŋ:3 by:b aɪ:2 the:ð ə:2 door:d ɔː ɹ:3", 15),
    # espeak-ng writes the t of "sitting" as the voiced flap that Americans say.
    ("en-us", "Dogs:d ɔː ɡ z:4 are:ɑː ɹ:2 sitting:s ɪ t ɪ ŋ:3 by:b aɪ:2 the:ð ə:2 door:d ɔː ɹ:3", 16 + 1),
    ("de", "Aibo:aɪ b oː:3 bleib:b l aɪ p:3 stehen:ʃ t eː ə n:3", 9),
    ("de", "Komm:k ɔ m:2 her:h eː r:2 zu:ts uː:1 mir:m iː r:3", 8),
    ("de", "Das:d a s:2 ist:ɪ s t:1 ein:aɪ n:2 guter:ɡ uː t ɐ:3 Hund:h ʊ n t:2", 10),
    ("de", "Nein:n aɪ n:3 nicht:n ɪ ç t:2 dorthin:d ɔ r t h ɪ n:5", 10),
    ("de", ("Wir:v iː r:3 sehen:z eː ə n:4 uns:ʊ n s:2 morgen:m ɔ r ɡ ə n:6 früh:f r yː:2 am:a m:2 "
            "Bahnhof:b aː n h oː f:4"), 23),
    ("de", "Der:d eː r:3 Dschungel:dʒ ʊ ŋ ə l:5 ist:ɪ s t:1 sehr:z eː r:3 groß:ɡ r oː s:3", 15),
    ("de", ("Jetzt:j ɛ ts t:2 springt:ʃ p r ɪ ŋ t:3 die:d iː:2 Katze:k a ts ə:2 auf:aʊ f:1 den:d eː n:3 "
            "Apfelbaum:a pf ə l b aʊ m:6"), 19),
    # espeak-ng says one r in "Fahrrad", where the second syllable's follows that of the first.
    ("de", ("Mein:m aɪ n:3 Bruder:b r uː d ɐ:5 hat:h a t:1 ein:aɪ n:2 neues:n ɔʏ ə s:3 "
            "Fahrrad:f aː r r aː t:4 gekauft:ɡ ə k aʊ f t:3"), 21 - 1),
    ("de", ("Auf:aʊ f:1 dem:d eː m:3 Tisch:t ɪ ʃ:1 liegt:l iː k t:2 ein:aɪ n:2 Paket:p a k eː t:2 "
            "für:f yː r:2 dich:d ɪ ç:2"), 15),
    ("de", ("Das:d a s:2 Treffen:t r ɛ f ə n:4 ist:ɪ s t:1 erst:eː r s t:2 am:a m:2 "
            "nächsten:n ɛː ç s t ə n:4 Donnerstag:d ɔ n ɐ s t aː k:5"), 20),
]  # fmt: skip


def by_words(sentence):
    """The rows (word, phonemes, voiced) of a sentence in SENTENCES."""
    fields = sentence.split(":")
    rows, word = [], fields[0]
    for phonemes, rest in zip(fields[1::2], fields[2::2]):
        voiced, _, following = rest.partition(" ")
        rows.append((word, phonemes, int(voiced)))
        word = following
    return rows


@pytest.mark.parametrize("language, sentence, total", SENTENCES)
def test_sentences_counted_by_hand(language, sentence, total):
    pytest.importorskip("espeakng_loader")
    rows = by_words(sentence)
    for word, phonemes, voiced in rows:
        assert (word, list(phonemes_of(phonemes))) == (word, phonemes.replace("ː", "").split())
        assert (word, count_voiced(phonemes)) == (word, voiced)
    assert count_in_text(" ".join(word for word, *_ in rows), language) == total


CAPITALS = [
    ("en-us", "IT TOLD US ABOUT IT", "it told us about it", 9),
    ("en-us", "THE U.S. ARMY'S <unk> MEN", "the U.S. army's men", 10 + 3),
    ("en-us", "I SAID IT TO US", "I said it to us", 1 + 2 + 1 + 1 + 1),
    ("de", "DIE STRAßE IST GROSS", "die Straße ist gross", 2 + 4 - 1 + 1 + 3),
]


@pytest.mark.parametrize("language, capitals, small, total", CAPITALS)
def test_texts_in_capitals_are_said_and_not_spelt(language, capitals, small, total):
    pytest.importorskip("espeakng_loader")
    assert count_in_text(capitals, language) == count_in_text(small, language) == total


def test_capitals_in_other_texts_are_abbreviations():
    pytest.importorskip("espeakng_loader")
    assert count_in_text("It told US about IT", "en-us") == count_in_text("It told U.S. about I.T.", "en-us") == 12
    assert count_in_text("THE A.B.C. SHOP", "en-us") == count_in_text("the ABC shop", "en-us")


@pytest.mark.parametrize(
    "ipa, phonemes",
    [
        ("dʒ|ˈʌ|dʒ", "dʒ ʌ dʒ"),
        ("d͡ʒ|ˈʌ|d͡ʒ", "dʒ ʌ dʒ"),  # a tie bar
        ("f|ˈaɪɚ f|l|ˈaʊ|ɚ|z", "f aɪ ɚ f l aʊ ɚ z"),  # of three vowels the third stands alone
        ("d|ˈɔːɹ l|ˈɪ|ɾ|əl", "d ɔ ɹ l ɪ ɾ ə l"),  # vowel and consonant in one sign of espeak-ng's
        ("b|ˈʌ|ʔ|n̩", "b ʌ ʔ n"),  # a syllabic consonant
        ("(en)|k|ˈuː|l|(de) |ɪ|s|t|", "k u l ɪ s t"),  # between two languages; empty places
        ("ʁ|ɛ|s|t|oː|ʁ|ˈɑ̃ː pʰ|tˈ", "ʁ ɛ s t o ʁ ɑ p t"),
        ("", ""),
    ],
)
def test_phonemes_of_ipa(ipa, phonemes):
    assert list(phonemes_of(ipa)) == phonemes.split()


def test_voiceless_consonants():
    assert count_voiced("p t k f s ʃ θ h x ç ʔ ts tʃ pf") == 0
    assert count_voiced("b d ɡ v z ʒ ð m n ŋ l ɹ r ɾ ʁ j w dʒ") == 18


@pytest.mark.parametrize(
    "text, words",
    [
        ("Excuse me.", ["Excuse", "me"]),
        ("[LAUGHTER] I--I don't... <unk> - {NOISE} uh-huh!", ["I", "I", "don't", "uh-huh"]),
        ("g'radeaus aufste* fu\u0308r 3.5", ["g'radeaus", "aufste", "für", "3.5"]),
        ("[BREATHING] ... *", []),
    ],
)
def test_words(text, words):
    assert words_of(text) == words


def voice(pieces, rate=16000):
    """Samples of (seconds, F0 in Hz); 0 Hz is faint noise."""
    random = np.random.default_rng(0)
    parts = []
    for seconds, f0 in pieces:
        time = np.arange(int(seconds * rate)) / rate
        tone = sum(np.sin(2 * np.pi * f0 * k * time) / k for k in range(1, 9)) if f0 else 0
        parts.append(0.2 * tone + 1e-4 * random.standard_normal(len(time)))
    return np.concatenate(parts).astype(np.float32)


@pytest.mark.parametrize("rate", [16000, 44100])
def test_voiced_stretches(rate):
    pieces = [(0.2, 0), (0.3, 120), (0.2, 0), (0.15, 220), (0.2, 0), (0.4, 180), (0.2, 0)]
    assert count_in_sound(voice(pieces, rate), rate) == 3
    assert count_in_sound(voice(pieces[1:-1], rate), rate) == 3  # up to the edges
    assert count_in_sound(voice([(0.3, 0), (0.02, 150), (0.3, 0)], rate), rate) == 0  # too short
    assert count_in_sound(voice([(20, 0)], rate), rate) == 0  # DIO alone finds an F0 in some frames
    assert count_in_sound(np.zeros(1, dtype=np.float32), rate) == 0


@pytest.mark.parametrize("rate", [8000, 11025])
def test_voiced_stretches_of_telephone_speech(rate):
    pieces = [(0.2, 0), (0.3, 120), (0.2, 0), (0.15, 220), (0.2, 0), (0.4, 180), (0.2, 0)]
    assert count_in_sound(voice(pieces, rate), rate) == 3


@pytest.fixture
def folder(tmp_path):
    texts = {"s1-a": "Kids are talking", "s1-b": "[LAUGHTER]", "s2-a": "Kids are talking", "s2-b": "Door."}
    recordings = {"s1-a": [(0.2, 0), (0.3, 120), (0.2, 0), (0.3, 120)], "s1-b": [(0.3, 0)]}
    recordings |= {"s2-a": [(0.3, 200)], "s2-b": [(0.2, 0), (0.3, 120), (0.2, 0)]}
    for utt, pieces in recordings.items():
        soundfile.write(tmp_path / f"{utt}.wav", voice(pieces), 16000)
    tables = {
        "wav.scp": {utt: f"{tmp_path}/{utt}.wav" for utt in texts},
        "utt2spk": {utt: utt[:2] for utt in texts},
        "text": texts,
    }
    write_data_dir(tmp_path / "data", tables)
    return tmp_path / "data"


@pytest.fixture
def count(caplog):
    """A function that runs the command on a data folder and returns what it logs about it."""
    caplog.set_level(logging.INFO)

    def run(folder, *options):
        caplog.clear()
        assert count_phones.main([*options, str(folder)]) == 0
        (message,) = caplog.messages
        return message.removeprefix(f"{folder}: ")

    return run


def numbers(folder, name):
    return " ".join(DataDir(folder).table(name).values())


@pytest.fixture
def counted(folder, count):
    pytest.importorskip("espeakng_loader")
    line = "4 utterances, 19 voiced phonemes from text (en-us), 7 words, "
    empty = "1 utterance without words counts 1, 1 utterance without voiced phonemes counts 1"
    assert count(folder) == line + empty
    assert numbers(folder, "utt2num_words") == "3 1 3 1"
    assert numbers(folder, "utt2num_phones") == "8 1 8 3"
    return folder


def test_nothing_is_done_twice(counted, count):
    names = ("utt2num_words", "utt2num_phones", ".num_phones.json")
    before = [(counted / name).stat().st_mtime_ns for name in names]
    assert count(counted) == "utt2num_phones is up to date, from text (en-us)"
    assert [(counted / name).stat().st_mtime_ns for name in names] == before


def test_other_sources_are_counted_anew(counted, count):
    write_table(counted / "text", DataDir(counted).table("text") | {"s2-b": "By the door"})
    assert "23 voiced phonemes from text (en-us), 9 words" in count(counted)
    assert numbers(counted, "utt2num_phones") == "8 1 8 7"
    assert "from text (de)" in count(counted, "--language", "de")
    assert "4 voiced stretches from F0, 9 words" in count(counted, "--f0")
    assert numbers(counted, "utt2num_phones") == "2 1 1 1"
    assert "from text (en-us)" in count(counted)
    (counted / "utt2num_words").unlink()
    assert "from text (en-us)" in count(counted) and (counted / "utt2num_words").is_file()


def test_counts_of_texts_in_capitals_from_before_are_made_anew(folder, count):
    pytest.importorskip("espeakng_loader")
    write_table(folder / "text", DataDir(folder).table("text") | {"s2-b": "IT TOLD US"})
    count(folder)
    assert numbers(folder, "utt2num_phones") == "8 1 8 5"
    write_table(folder / "utt2num_phones", dict(zip(DataDir(folder).utterances, (8, 1, 8, 8))))  # as they were spelt
    stamp = read_json(folder / ".num_phones.json") | {
        "utt2num_phones": file_digest(folder / "utt2num_phones", "sha256")
    }
    stamp.pop("capitals")
    write_json(folder / ".num_phones.json", stamp)
    count(folder)
    assert numbers(folder, "utt2num_phones") == "8 1 8 5"
    assert "up to date" in count(folder)


def test_without_text_voiced_stretches_are_counted(folder, count):
    (folder / "text").unlink()
    line = "4 utterances, 4 voiced stretches from F0, no text and so no utt2num_words, "
    assert count(folder) == line + "1 utterance without voiced stretches counts 1"
    assert numbers(folder, "utt2num_phones") == "2 1 1 1"
    assert not (folder / "utt2num_words").exists()
    assert count(folder) == "utt2num_phones is up to date, from F0"
    write_table(folder / "segments", {utt: f"{utt} 0 0.28" for utt in DataDir(folder).utterances})
    count(folder)
    assert numbers(folder, "utt2num_phones") == "1 1 1 1"
    validate(folder, feats=False, text=False)


def test_phonemes_of_the_corpus_are_left(folder, count):
    own = {"s1-a": "7", "s1-b": "1", "s2-a": "9", "s2-b": "2"}
    write_table(folder / "utt2num_phones", own)
    line = "4 utterances, 19 voiced phonemes from another source (utt2num_phones is left as it is; remove it"
    for options in ([], [], ["--f0"], ["--language", "de"]):
        (folder / "utt2num_words").unlink(missing_ok=True)
        assert count(folder, *options).startswith(line)
        assert DataDir(folder).table("utt2num_phones") == own
        assert numbers(folder, "utt2num_words") == "3 1 3 1"
    assert count(folder) == "utt2num_phones is up to date, from another source"


def test_counts_go_with_the_folder(counted, count, tmp_path):
    def tables(path):
        return [DataDir(path).table(name) for name in ("utt2num_words", "utt2num_phones")]

    validate(counted, feats=False)
    whole = tables(counted)
    for speaker in ("s1", "s2"):
        utterances = [f"{speaker}-a", f"{speaker}-b"]
        datadir_tools.subset(counted, tmp_path / speaker, utterances)
        assert tables(tmp_path / speaker) == [{utt: table[utt] for utt in utterances} for table in whole]
    datadir_tools.combine(tmp_path / "both", [tmp_path / "s1", tmp_path / "s2"])
    datadir_tools.copy(counted, tmp_path / "copy")
    assert tables(tmp_path / "both") == tables(tmp_path / "copy") == whole
    assert "from another source" in count(tmp_path / "copy")
    write_table(counted / "text", {"s1-a": "Kids", "s2-b": "Door."})
    assert fix(counted) == (2, 4)
    assert tables(counted) == [{"s1-a": "3", "s2-b": "1"}, {"s1-a": "8", "s2-b": "3"}]
    for name in ("utt2num_words", "utt2num_phones"):
        write_table(counted / name, {"s1-a": "0", "s2-b": "1"})
        with pytest.raises(SertkError, match=f"{name}:1: 's1-a' needs a positive whole number, not '0'"):
            validate(counted, feats=False)
        write_table(counted / name, {"s1-a": "1", "s2-b": "1"})


def refusal(folder, capsys, *options):
    assert count_phones.main([*options, str(folder)]) == 1
    return capsys.readouterr().err.removeprefix("sertk-count-phones: ").strip()


def test_errors(folder, tmp_path, capsys):
    assert refusal(tmp_path / "none", capsys) == f"{tmp_path}/none: no such data folder"
    write_table(folder / "text", {"s1-a": "Kids"})
    message = f"{folder}/text: lacks 3 of 4 utterances: s1-b, s2-a, s2-b; run fix_data_dir.sh, or remove the file"
    assert refusal(folder, capsys) == message
    (folder / "text").unlink()
    (tmp_path / "s2-a.wav").write_bytes(b"RIFF")
    assert refusal(folder, capsys).startswith("s2-a: ")
    (folder / "wav.scp").unlink()
    assert refusal(folder, capsys) == f"{folder}/wav.scp: the data folder has no such table"
    for value in ("many", "0"):
        write_table(folder / "utt2num_phones", dict.fromkeys(DataDir(folder).utterances, value))
        message = f"{folder}/utt2num_phones: 's1-a' needs a positive whole number, not '{value}'; remove the file"
        assert refusal(folder, capsys) == message
    assert not (folder / "utt2num_words").exists() and not (folder / ".num_phones.json").exists()


def test_missing_package_is_said(folder):
    code = (
        "import sys; sys.modules['espeakng_loader'] = None\n"
        "from sertk.bin.count_phones import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=HOUR)
    message = "sertk-count-phones: espeak-ng is missing: pip install 'sertk[phones]'"
    assert (done.returncode, done.stderr.strip()) == (1, message)


def test_counting_that_was_cut_off_is_done_again(counted, count):
    stamp = counted / ".num_phones.json"
    stamp.write_text('{"source": "text (en-us)", "unfinished": true}')
    (counted / "utt2num_phones").write_text((counted / "utt2num_phones").read_text().replace(" ", " 9"))
    before = (counted / "utt2num_phones").read_text()
    assert "19 voiced phonemes" in count(counted)
    assert numbers(counted, "utt2num_phones") == "8 1 8 3"
    assert (counted / "utt2num_phones").read_text() != before
    assert counted_from(counted) == "text (en-us)"
