import csv
import os

import numpy as np
import pytest
import soundfile
from open_lengths import mp3, noisy_tone, open_flac
from own_tables import RATE, prepare

from sertk.bin import prepare_corpus
from sertk.core.errors import SertkError
from sertk.corpora import CORPORA
from sertk.features.audio import audio_hash
from sertk.kaldi.datadir import DataDir


def test_every_column_goes_to_its_table(folder):
    data = prepare(
        folder,
        (
            "path,label,label:arousal,speaker,text,start,end,group\n"
            'a.wav,happy,high,anna,"Well, ""yes""",,,s1\n'
            "sub/c d.wav,sad,,bob,Bye,0.25,1,s2\n"
            "sub/c d.wav,angry,low,anna,Hm,1,,s1\n"
        ),
    )
    whole, first, last = "anna-a.wav-00000000-end", "bob-sub_c_d.wav-00000250-00001000", "anna-sub_c_d.wav-00001000-end"
    assert data.table("utt2spk") == {whole: "anna", last: "anna", first: "bob"}
    assert data.table("wav.scp") == {"a.wav": str(folder / "a.wav"), "sub_c_d.wav": str(folder / "sub/c d.wav")}
    assert data.table("segments") == {whole: "a.wav 0.0 -1", last: "sub_c_d.wav 1.0 -1", first: "sub_c_d.wav 0.25 1.0"}
    assert data.table("utt2dur") == {whole: "0.5000", last: "0.5000", first: "0.7500"}
    assert data.table("text") == {whole: 'Well, "yes"', last: "Hm", first: "Bye"}
    assert data.table("utt2group") == {whole: "s1", last: "s1", first: "s2"}
    assert data.labels("emotion") == {whole: "happy", last: "angry", first: "sad"}
    assert data.labels("arousal") == {whole: "high", last: "low"}


@pytest.mark.parametrize(
    "table",
    [
        "path\tlabel\na.wav\thappy\nsub/c d.wav\tsad\n",
        "path;label\r\na.wav;happy\r\nsub\\c d.wav;sad\r\n;\r\n",
        b'\xef\xbb\xbf"path","label"\n"a.wav","happy"\n\n sub/c d.wav , sad ',
    ],
)
def test_separators_marks_line_ends_and_paths_of_other_systems(folder, table):
    data = prepare(folder, table)
    assert data.table("wav.scp") == {"a.wav": str(folder / "a.wav"), "sub_c_d.wav": str(folder / "sub/c d.wav")}
    assert data.labels("emotion") == {"a.wav": "happy", "sub_c_d.wav": "sad"}
    assert not data.has("segments") and not data.has("text") and not data.has("utt2group")


def test_without_speakers_there_is_a_warning(folder, caplog):
    data = prepare(folder, "path,label\na.wav,happy\nb.wav,sad\n")
    assert data.table("utt2spk") == {"a.wav": "a.wav", "b.wav": "b.wav"}
    assert "no evaluation is speaker-disjoint" in caplog.text
    caplog.clear()
    prepare(folder, "path,label,speaker\na.wav,happy,a\nb.wav,sad,b\n")
    assert "speaker-disjoint" not in caplog.text


def test_absolute_paths_and_folders_above(folder):
    (folder / "tables").mkdir()
    (folder / "tables/x.tsv").write_text(f"path\tlabel\n{folder}/a.wav\thappy\n../sub/c d.wav\tsad\n")
    CORPORA["csv"](folder / "tables/x.tsv", folder / "data", threads=1)
    assert DataDir(folder / "data").utterances == ["a.wav", "sub_c_d.wav"]


BAD_LINES = [
    ("x.wav,sad,s,,", "no such file: {folder}/x.wav"),
    ("C:\\audio\\x.wav,sad,s,,", "'C:\\audio\\x.wav' is a path of a Windows machine"),
    (",sad,s,,", "the path is empty"),
    ("rm -r x |,sad,s,,", "'rm -r x |' is a command"),
    ("b.wav,,s,,", "the label is empty"),
    ("b.wav,very sad,s,,", "the label 'very sad' has a space in it; write very_sad"),
    ("b.wav,Happy,s,,", "the label 'Happy' differs in capitals alone from line 2 (happy)"),
    ("b.wav,sad,,,", "the speaker is empty; it is given on all lines or on none"),
    ("b.wav,sad,s,0.5,0.5", "start 0.5 is not before end 0.5"),
    ("b.wav,NaN,s,,", "the label is 'NaN', which says that there is none; leave the line out"),
    ("b.wav,\u200bNA,s,,", "the label is '<U+200B>NA', which says that there is none; leave the line out"),
    ("b.wav,\u200b,s,,", "the label is empty (it is the invisible character U+200B); leave the line out"),
    ("b.wav,sad,\u200b,,", "the speaker is empty (it is the invisible character U+200B); it is given on all lines"),
    ("b.wav,sad,N\u200bA,,", "the speaker is 'N<U+200B>A', which says that there is none; it is given on all lines"),
    ("b.wav,sad,N/A,,", "the speaker is 'N/A', which says that there is none; it is given on all lines or on none"),
    ("b.wav,sad,S_1,,", "the speaker 'S_1' differs in capitals alone from line 2 (s_1); change one of them"),
    ("b.wav,sad,s,one,", "start 'one': expected seconds from 0"),
    ('b.wav,sad,s,"0,5",', "start '0,5': expected seconds from 0"),
    ("b.wav,sad,s,,inf", "end 'inf': expected seconds from 0"),
    ("b.wav,sad,s,-1,", "start '-1': expected seconds from 0"),
    ("b.wav,sad,s,,1.2", "end 1.2: the recording ends at 1.00 s"),
    ("b.wav,sad,s,2,", "{folder}/b.wav: s-b.wav-00002000-end: the segment starts at 2.0 s"),
    ("a.wav,sad,t,0,0.25", "the same recording and times as line 2"),
    ("a copy.wav,sad,s,0,0.25", "it sounds exactly as line 2 (s_1-a.wav-00000000-00000250)"),
    ("b.wav,sad,s 1,,", "its speaker's name becomes that of line 2 (s_1)"),
    ("sub_c d.wav,sad,s,,", "its name becomes that of line 3 ({folder}/sub/c d.wav)"),
    ("broken.wav,sad,s,,", "{folder}/broken.wav: not readable as audio"),
    ("b.wav,sad,s", "3 fields, and 5 in the header; put double quotes around a field with a comma in it"),
]


def test_every_line_that_is_wrong_is_named(folder):
    (folder / "a copy.wav").write_bytes((folder / "a.wav").read_bytes())
    soundfile.write(folder / "sub_c d.wav", np.random.default_rng(9).uniform(-0.5, 0.5, 800), RATE)
    (folder / "broken.wav").write_bytes(b"RIFF....")
    start = "path,label,speaker,start,end\na.wav,happy,s_1,0,0.25\nsub/c d.wav,happy,s_1,,\n"
    for chunk in (BAD_LINES[:16], BAD_LINES[16:]):  # as many as a message lists
        with pytest.raises(SertkError, match=f"my.csv: {len(chunk)} lines are wrong, correct the table") as caught:
            prepare(folder, start + "\n".join(line for line, _ in chunk))
        messages = str(caught.value).splitlines()[1:]
        assert len(messages) == len(chunk)
        for number, (message, (_, expected)) in enumerate(zip(messages, chunk), 4):
            assert message.startswith(f"  {folder}/my.csv:{number}: {expected.format(folder=folder)}")
    assert not (folder / "data").exists()


def test_lines_are_counted_through_quoted_line_ends(folder):
    table = 'path,label,text\na.wav,happy,"one\ntwo"\nb.wav,,x\n'
    with pytest.raises(SertkError, match="my.csv:4: the label is empty"):
        prepare(folder, table)
    assert prepare(folder, table.replace("b.wav,,", "b.wav,sad,")).table("text") == {"a.wav": "one two", "b.wav": "x"}


@pytest.mark.parametrize(
    "table, message",
    [
        (b"path,label\na.wav,fr\xf6hlich\n", "my.csv:2: not UTF-8 text"),
        ("path,label\n".encode("utf-16"), "my.csv:1: not UTF-8 text"),
        ('path,label\na.wav,"happy\nb.wav,sad\n', "my.csv:2: unexpected end of data"),
        ('path,label\na.wav,happy\nb.wav,"sa"d\n', "my.csv:3: ',' expected after '\"'"),
        ("", "my.csv: the file is empty; its header is path,label"),
        ("path,label\n", "my.csv: no utterance in it"),
    ],
)
def test_files_that_cannot_be_read_on(folder, table, message):
    with pytest.raises(SertkError) as caught:
        prepare(folder, table)
    assert message in str(caught.value)


def test_a_part_alone_leaves_out_what_is_missing_and_nothing_else(folder, caplog):
    caplog.set_level("INFO")
    table = "path,label\na.wav,happy\nx.wav,sad\nb.wav,sad\n"
    assert prepare(folder, table, partial=True).utterances == ["a.wav", "b.wav"]
    assert (
        "1 recording is missing, unreadable or too short and left out" in caplog.text
        and "my.csv:3: no such file" in caplog.text
    )
    with pytest.raises(SertkError, match="1 line is wrong"):
        prepare(folder, table + "b.wav,\n", partial=True)


def test_recordings_that_are_too_short_are_named_or_left_out(folder, caplog):
    caplog.set_level("INFO")
    short = {"s15.wav": 0.015, "s25.wav": 0.025, "s40.wav": 0.04, "s60.wav": 0.06}
    for number, (name, seconds) in enumerate(short.items(), 10):
        samples = np.random.default_rng(number).uniform(-0.5, 0.5, round(seconds * RATE))
        soundfile.write(folder / name, samples, RATE, subtype="PCM_16")
    table = "path,label\na.wav,happy\n" + "".join(f"{name},sad\n" for name in short)
    with pytest.raises(SertkError, match="my.csv: 1 line is wrong, .*unreadable or too short") as caught:
        prepare(folder, table)
    what = "too short: 0.0150 s, a frame of most feature types needs 0.0250 s"
    assert str(caught.value).splitlines()[1:] == [f"  {folder}/my.csv:3: {folder}/s15.wav: {what}"]
    assert prepare(folder, table, partial=True).utterances == ["a.wav", "s25.wav", "s40.wav", "s60.wav"]
    assert f"warning: 1 recording is missing, unreadable or too short and left out:\n  {folder}/my.csv:3" in caplog.text
    needs = prepare_corpus.needs_of(["fbank40", "egemaps"])
    assert needs == {"fbank40": 0.025, "egemaps": 0.06}
    with pytest.raises(SertkError, match="my.csv: 3 lines are wrong") as caught:
        prepare(folder, table, needs=needs)
    whats = "0.0150 s, fbank40 needs 0.0250 s", "0.0250 s, egemaps needs 0.0600 s", "0.0400 s, egemaps needs 0.0600 s"
    for message, what in zip(str(caught.value).splitlines()[1:], whats):
        assert message.endswith(f"too short: {what}")
    assert prepare(folder, table, partial=True, needs=needs).utterances == ["a.wav", "s60.wav"]


def test_segments_that_are_too_short(folder):
    with pytest.raises(SertkError, match=r"my.csv:2: .*a.wav: too short: 0.0200 s, a frame of most"):
        prepare(folder, "path,label,start,end\na.wav,happy,0.1,0.12\nb.wav,sad,,\n")


def test_recordings_of_unknown_length_are_as_long_as_they_are(folder):
    wave = noisy_tone(1.5)
    (folder / "flac.wav").write_bytes(open_flac(wave))
    (folder / "mp3.wav").write_bytes(mp3(noisy_tone(3.0), False))
    data = prepare(folder, "path,label\nflac.wav,happy\nmp3.wav,sad\n")
    assert data.table("utt2dur")["flac.wav"] == "1.5000"
    assert 3 <= float(data.table("utt2dur")["mp3.wav"]) < 3.1
    assert data.table("utt2hash")["flac.wav"] == audio_hash(wave, 16000)


def test_recordings_of_silence_and_channels_that_cancel_each_other(folder, caplog):
    noise = np.random.default_rng(3).uniform(-0.5, 0.5, RATE)
    soundfile.write(folder / "silent.wav", np.zeros(RATE), RATE)
    soundfile.write(folder / "cancel.wav", np.stack([noise, -noise * 0.999], 1), RATE, subtype="FLOAT")
    prepare(folder, "path,label\na.wav,happy\nsilent.wav,sad\ncancel.wav,sad\n")
    assert f"warning: {folder}/silent.wav: silence" in caplog.text
    assert f"warning: {folder}/cancel.wav: its channels cancel each other" in caplog.text
    assert "warning: 2 recordings are silent, or not read as they should be" in caplog.text
    soundfile.write(folder / "half.wav", np.concatenate([noise, 0 * noise]), RATE)
    prepare(folder, "path,label,start,end\nhalf.wav,happy,0,1\nhalf.wav,sad,1.25,1.75\n")
    assert f"warning: {folder}/half.wav: half.wav-00001250-00001750: silence, its samples are all 0" in caplog.text


def test_a_changed_table_leaves_nothing_of_the_old_one(folder):
    prepare(folder, "path,label,label:x,text,start,group\na.wav,happy,1,t,0.1,g\nb.wav,sad,2,t,,g\n")
    data = prepare(folder, "path,label\na.wav,happy\nb.wav,sad\n")
    assert data.table_names() == ["labels/emotion", "spk2utt", "utt2dur", "utt2hash", "utt2spk", "wav.scp"]


def test_a_folder_of_another_table_is_refused(folder):
    (folder / "other").mkdir()
    other = folder / "other" / "my.csv"
    other.write_text("path,label\n../b.wav,sad\n")
    data = prepare(folder, "path,label\na.wav,happy\n")
    with pytest.raises(SertkError, match=f"data: holds the recordings of {folder}/my.csv; name another data folder"):
        CORPORA["csv"](other, data.path, threads=1)
    assert data.utterances == ["a.wav"]
    (folder / "my.csv").rename(folder / "moved.csv")  # as when both were moved
    CORPORA["csv"](folder / "moved.csv", data.path, threads=1)
    CORPORA["csv"](os.path.relpath(folder / "moved.csv"), data.path, threads=1)


def test_different_rates_are_told(folder, caplog):
    caplog.set_level("INFO")
    soundfile.write(folder / "b.wav", np.random.default_rng(5).uniform(-0.5, 0.5, (1600, 2)), 16000)
    prepare(folder, "path,label\na.wav,happy\nb.wav,sad\n")
    assert "sampling rates: 1 at 8000 Hz, 1 at 16000 Hz" in caplog.text


def test_the_command(folder, capsys):
    with open(folder / "my.csv", "w", newline="") as lines:
        csv.writer(lines).writerows([["path", "label"], ["a.wav", "happy"], ["b.wav", "sad"]])
    assert prepare_corpus.main(["--nj", "1", "csv", str(folder / "my.csv"), str(folder / "data")]) == 0
    types = ["--feats", "fbank40 egemaps"]
    assert prepare_corpus.main([*types, "csv", str(folder / "my.csv"), str(folder / "data")]) == 0
    assert prepare_corpus.main(["--feats", "x", "csv", str(folder / "my.csv"), str(folder / "data")]) == 1
    assert "no feature type 'x'" in capsys.readouterr().err
    assert prepare_corpus.main([*types, "ravdess", str(folder), str(folder / "data")]) == 2
    assert "--feats: not an option of ravdess" in capsys.readouterr().err
    assert prepare_corpus.main(["csv", str(folder / "no.csv"), str(folder / "data")]) == 1
    assert capsys.readouterr().err == f"sertk-prepare-corpus: {folder}/no.csv: No such file or directory\n"


HEAD = "path,label,label:arousal,speaker,group\na.wav,happy,high,Jürgen,Köln\n"
SPELLINGS = [
    ("b.wav,happy,high,jürgen,Köln", "the speaker 'jürgen' differs in capitals alone from line 2 (Jürgen)"),
    ("b.wav,happy,high,Ju\u0308rgen,Köln", "differs in how its letters are encoded (Unicode's NFC or NFD) alone from"),
    ("b.wav,happy,high,Jür\u200bgen,Köln", "differs in the invisible character U+200B alone from line 2 (Jürgen)"),
    ("b.wav,happy,high,\ufeffJürgen,Köln", "differs in the invisible character U+FEFF alone from line 2 (Jürgen)"),
    ("b.wav,happy,high,Jürgen,KÖLN", "the group 'KÖLN' differs in capitals alone from line 2 (Köln)"),
    ("b.wav,happy,high,Jürgen,Ko\u0308ln", "the group 'Ko\u0308ln' differs in how its letters are encoded"),
    ("b.wav,hap\u00adpy,high,Jürgen,Köln", "differs in the invisible character U+00AD alone from line 2 (happy)"),
    ("b.wav,happy,HIGH,Jürgen,Köln", "the label:arousal 'HIGH' differs in capitals alone from line 2 (high)"),
]


@pytest.mark.parametrize("line, message", SPELLINGS)
def test_one_name_in_two_spellings_is_refused(folder, line, message):
    with pytest.raises(SertkError) as caught:
        prepare(folder, f"{HEAD}{line}\n")
    assert "my.csv:3: " in str(caught.value) and message in str(caught.value)
    assert not (folder / "data").exists()


def test_blanks_and_marks_of_an_id_are_no_other_name(folder):
    data = prepare(folder, "path,label,speaker\na.wav,happy,Ju\u0308rgen\u00a0X \nb.wav,sad,सीमा\n")
    assert list(data.table("utt2spk").values()) == ["Jürgen_X", "सीमा"]


def test_recordings_whose_names_differ_in_capitals_are_two(folder):
    (folder / "A.wav").write_bytes((folder / "sub/c d.wav").read_bytes())
    assert prepare(folder, "path,label\na.wav,happy\nA.wav,sad\n").utterances == ["A.wav", "a.wav"]


@pytest.mark.parametrize("there, written", [("é/ü.wav", "e\u0301/u\u0308.wav"), ("e\u0301/ü.wav", "é/u\u0308.wav")])
def test_recordings_are_found_in_another_unicode_form(folder, there, written):
    (folder / there).parent.mkdir()
    (folder / "a.wav").rename(folder / there)
    data = prepare(folder, f"path,label\n{written},happy\nb.wav,sad\n")
    assert data.table("wav.scp") == {"b.wav": str(folder / "b.wav"), "é_ü.wav": str(folder / there)}


def test_words_for_missing_are_empty_fields(folder):
    data = prepare(folder, "path,label,label:x,speaker,group\na.wav,sad,NA,nan,None\nb.wav,sad,y,?,\n")
    assert data.labels("x") == {"b.wav": "y"}
    assert data.table("utt2spk") == {"a.wav": "a.wav", "b.wav": "b.wav"}
    assert not data.has("utt2group")


def test_invisible_characters_make_no_word_for_missing_a_name(folder):
    table = "path,label,label:x,speaker,group\na.wav,sad,\u200bNA,\u200bNA,\u00a0NA\nb.wav,sad,y,N\u00adA,\u200b\n"
    data = prepare(folder, table)
    assert data.labels("x") == {"b.wav": "y"}
    assert data.table("utt2spk") == {"a.wav": "a.wav", "b.wav": "b.wav"} and not data.has("utt2group")


def test_names_are_what_is_seen_of_them(folder):
    table = "path,label,label:x,speaker,group\na.wav,happy\u200b,1\ufeff,s\u200b,g\u00ad\nb.wav,sad,2,t,h\n"
    data = prepare(folder, table)
    assert data.labels("emotion") == {"s-a.wav": "happy", "t-b.wav": "sad"}
    assert data.labels("x") == {"s-a.wav": "1", "t-b.wav": "2"}
    assert data.table("utt2group") == {"s-a.wav": "g", "t-b.wav": "h"}


def test_words_for_missing_are_no_text_and_no_times(folder, caplog):
    table = "path,label,text,start,end\na.wav,sad,NA,NA,nan\nb.wav,happy,a nan,0.5,N/A\nsub/c d.wav,sad,,n/a,1\n"
    data = prepare(folder, table)
    assert data.table("text") == {
        "a.wav-00000000-end": "",
        "b.wav-00000500-end": "a nan",
        "sub_c_d.wav-00000000-00001000": "",
    }
    assert data.table("segments")["b.wav-00000500-end"] == "b.wav 0.5 -1"
    assert "warning: 2 lines have no text, or a word for a missing one: nothing is said there" in caplog.text
    caplog.clear()
    data = prepare(folder, "path,label,text,start\na.wav,sad,NA,NA\nb.wav,happy,-,\n")
    assert not data.has("text") and not data.has("segments") and "no text" not in caplog.text


def test_names_that_may_be_words_for_missing_are_counted(folder, caplog):
    data = prepare(folder, "path,label,speaker,group\na.wav,N.A.,Unknown,missing\nb.wav,Null,Unknown,g\n")
    assert data.labels("emotion") == {"Unknown-a.wav": "N.A.", "Unknown-b.wav": "Null"}
    for name in ("label 'N.A.' (1 line)", "label 'Null' (1 line)", "speaker 'Unknown' (2 lines)", "group 'missing' (1"):
        assert f"warning: the {name}" in caplog.text
    assert caplog.text.count("is taken for a name") == 4
    caplog.clear()
    prepare(folder, "path,label\na.wav,sad\nb.wav,happy\n")
    assert "is taken for a name" not in caplog.text


def test_names_that_look_alike_are_told_apart_in_the_message(folder):
    with pytest.raises(
        SertkError, match=r"the speaker 'An<U\+200B>na' differs in the .* U\+200B alone from line 2 .Anna"
    ):
        prepare(folder, "path,label,speaker\na.wav,sad,Anna\nb.wav,happy,An\u200bna\n")
    with pytest.raises(
        SertkError, match="the speaker 'strasse' differs in how letters are written .such as ß and ss. al"
    ):
        prepare(folder, "path,label,speaker\na.wav,sad,straße\nb.wav,happy,strasse\n")


def test_names_that_look_like_words_for_missing_are_names(folder, caplog):
    data = prepare(folder, "path,label,speaker\na.wav,none,Nan\nb.wav,sad,Na\n")
    assert data.labels("emotion") == {"Nan-a.wav": "none", "Na-b.wav": "sad"}
    assert "warning: the label 'none' (1 line) is taken for a name; leave out lines that have no label" in caplog.text


def test_blanks_in_names_of_recordings_tell_them_apart(folder):
    for number, name in enumerate(("x y.wav", "x  y.wav")):
        samples = np.random.default_rng(10 + number).uniform(-0.5, 0.5, RATE)
        soundfile.write(folder / name, samples, RATE)
    assert prepare(folder, "path,label\nx y.wav,happy\nx  y.wav,sad\n").utterances == ["x__y.wav", "x_y.wav"]
