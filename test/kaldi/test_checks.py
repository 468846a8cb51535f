import re

import pytest
from edits import edit

from sertk.core.errors import SertkError
from sertk.core.files import write_text
from sertk.kaldi.checks import fix, validate
from sertk.kaldi.datadir import DataDir, write_data_dir, write_table


@pytest.fixture
def folder(tmp_path):
    """Three speakers with two utterances each; s1's are cut from one recording, the others are whole ones."""
    utterances = [f"{speaker}-{letter}" for speaker in ("s1", "s2", "s3") for letter in "ab"]
    recordings = {utt: "s1-rec" if utt.startswith("s1") else utt for utt in utterances}
    tables = {
        "utt2spk": {utt: utt[:2] for utt in utterances},
        "text": {utt: "some words" for utt in utterances},
        "segments": {utt: f"{recordings[utt]} {0.5 if utt == 's1-b' else 0} 2.25" for utt in utterances},
        "wav.scp": {recording: f"/wav/{recording}.wav" for recording in recordings.values()},
        "spk2gender": {"s1": "m", "s2": "f", "s3": "m"},
        "utt2dur": {utt: "1.7500" for utt in utterances},
        "utt2dims": {utt: "2.5 3 -0.1" for utt in utterances},
        "utt2unheard_of": {utt: "x" for utt in utterances},
        "labels/4": {utt: "happy" for utt in utterances[1:]},
        "feats/fbank40.scp": {utt: f"f.ark:{index}" for index, utt in enumerate(utterances[:4])},
    }
    path = tmp_path / "data"
    write_data_dir(path, tables)
    for fold, test in enumerate(("s1", "s2"), start=1):
        rest = [utt for utt in utterances if not utt.startswith(test)]
        parts = {"train": rest[:2], "valid": rest[2:], "test": [f"{test}-a", f"{test}-b"]}
        for part, listed in parts.items():
            write_text(path / f"splits/p/fold{fold}/{part}", "".join(f"{utt}\n" for utt in listed))
    write_text(path / "splits/p/card.yaml", "protocol: p\n")
    return path


def snapshot(path):
    return {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and ".backup" not in file.parts
    }


def test_a_good_folder_passes(folder):
    validate(folder)
    edit(folder / "text", b"s1-a ", b"s1-a\t")
    edit(folder / "segments", b"s2-a s2-a 0 2.25", b"s2-a s2-a 0 -1")
    (folder / "splits/p/fold1/valid").write_bytes(b"")  # of protocols without a validation part
    validate(folder)


EVERY_OTHER_UTTERANCE = b"s1-b 1\ns2-a 1\ns2-b 1\ns3-a 1\ns3-b 1\n"
DAMAGES = [
    ("utt2spk", b"s1-a s1\ns1-b s1", b"s1-b s1\ns1-a s1", r"utt2spk:2: 's1-a' comes after 's1-b'"),
    ("utt2spk", b"s1-b s1\n", b"s1-b s1\ns1-b s1\n", r"utt2spk:3: the key 's1-b' is there twice"),
    ("utt2spk", b"s1-b s1\n", b"s1-b s2\n", r"utt2spk:2: 's1-b' does not begin with its speaker 's2'"),
    ("utt2spk", b"s1-b s1\n", b"s1-b s1 s2\n", r"utt2spk:2: 's1-b' has more than one speaker: 's1 s2'"),
    ("utt2spk", b"s1-b s1\n", b"s1-b\n", r"utt2spk:2: no value after the key 's1-b'"),
    ("utt2spk", b"s1-b s1\n", b"\n", r"utt2spk:2: the line is blank"),
    ("utt2spk", b"s1-b s1\n", b"", r"spk2utt:1: 's1' has other utterances than in utt2spk"),
    ("utt2spk", None, None, r"utt2spk: no such file; make it with spk2utt_to_utt2spk"),
    ("spk2utt", None, None, r"spk2utt: no such file; make it with utt2spk_to_spk2utt"),
    ("spk2utt", b"s1 s1-a s1-b", b"s1 s1-b s1-a", r"spk2utt:1: 's1' has other utterances"),
    ("spk2utt", b"s3 s3-a s3-b\n", b"s3 s3-a s3-b\ns4 s4-a\n", r"spk2utt:4: 's4' has other utterances"),
    ("spk2utt", b"s3 s3-a s3-b\n", b"", r"spk2utt: no line for the speaker 's3' of utt2spk"),
    ("text", None, None, r"text: no such file; if that is meant, pass --no-text"),
    ("text", b"s2-a some words\n", b"", r"text: no line for the utterance 's2-a' of utt2spk"),
    ("text", b"s3-b", b"s3-c", r"text:6: 's3-c' is no utterance of utt2spk"),
    ("text", b"s1-a some words", b"s1-a so\xffme words", r"text:1: not UTF-8"),
    ("text", b"s2-a some words\n", b"s2-a some words\r\n", r"text:3: Windows line end"),
    (
        "text",
        b"s1-b some words",
        "s1-b some\u00a0words".encode(),
        r"text:2: 's1-b' has the invisible character U\+00A0",
    ),
    ("wav.scp", None, None, r"wav.scp: no such file; if that is meant, pass --no-wav"),
    ("wav.scp", b"s2-a /wav/s2-a.wav", b"s2-a", r"wav.scp:2: no value after the key 's2-a'"),
    ("wav.scp", b"s1-rec /wav/s1-rec.wav\n", b"", r"wav.scp: no line for the recording 's1-rec' of segments"),
    ("wav.scp", b"s3-b /", b"s3-b /x\ns3-c /", r"wav.scp:6: 's3-c' is no recording of segments"),
    (
        "segments",
        b"s1-b s1-rec 0.5 2.25",
        b"s1-b s1-rec 0.5",
        r"segments:2: 's1-b' needs a recording, a start and an end",
    ),
    ("segments", b"0.5 2.25", b"2.25 0.5", r"segments:2: 's1-b' needs 0 <= start < end .* not '2.25 0.5'"),
    ("segments", b"0.5 2.25", b"-0.5 2.25", r"segments:2: 's1-b' needs 0 <= start"),
    ("segments", b"0.5 2.25", b"0.5 nan", r"segments:2: 's1-b' needs 0 <= start"),
    ("segments", b"0.5 2.25", b"0.5 1_0", r"segments:2: 's1-b' needs 0 <= start"),
    ("segments", b"s3-b s3-b 0", b"s3-b s9-rec 0", r"wav.scp:5: 's3-b' is no recording of segments"),
    ("spk2gender", b"s2 f\n", b"", r"spk2gender: no line for the speaker 's2' of utt2spk"),
    ("spk2gender", b"s3 m\n", b"s3 m\ns4 m\n", r"spk2gender:4: 's4' is no speaker of utt2spk"),
    ("utt2dur", b"s1-a 1.7500", b"s1-a 0.0000", r"utt2dur:1: 's1-a' needs a positive number of seconds, not '0.0000'"),
    ("utt2dur", b"s1-a 1.7500", b"s1-a inf", r"utt2dur:1: 's1-a' needs a positive number"),
    ("utt2dur", b"s1-a 1.7500\n", b"", r"utt2dur: no line for the utterance 's1-a'"),
    ("utt2dims", b"s2-b 2.5 3 -0.1", b"s2-b 2.5 3", r"utt2dims:4: 's2-b' needs three numbers"),
    ("utt2dims", b"s2-b 2.5 3 -0.1", b"s2-b 2.5 high 1", r"utt2dims:4: 's2-b' needs three numbers"),
    ("utt2unheard_of", b"s2-b x\n", b"", r"utt2unheard_of: no line for the utterance 's2-b'"),
    ("labels/4", b"s2-a happy", b"s2-aa happy", r"labels/4:2: 's2-aa' is no utterance of utt2spk"),
    ("labels/4", b"s2-a happy", "s2-a \ufeffhappy".encode(), r"labels/4:2: 's2-a' has the invisible character U\+FEFF"),
    ("labels/4", b"s2-a happy", b"s2-a", r"labels/4:2: no value after the key 's2-a'"),
    ("labels/2", None, b"", r"labels/2: the file is empty"),
    ("feats/fbank40.scp", b"s2-b f", b"s2-c f", r"feats/fbank40.scp:4: 's2-c' is no utterance"),
    ("feats/fbank40.scp", None, None, r"no feats.scp and no feats/\*.scp; if that is meant, pass --no-feats"),
    ("feats.scp", None, b"s1-a f.ark:3\n", r"feats.scp: no line for the utterance 's1-b'"),
    ("cmvn.scp", None, b"s1 c.ark:3\n", r"cmvn.scp: no line for the speaker 's2'"),
    ("utt2num_frames", None, b"s1-a 12.5\n", r"utt2num_frames: no line for the utterance 's1-b'"),
    ("utt2num_frames", None, b"".join(b"s%d-%c 1.5\n" % (n, c) for n in (1, 2, 3) for c in b"ab"), "whole number"),
    ("utt2spk", b"s1-a s1\n", "\ufeffs1-a s1\n".encode(), r"utt2spk:1: the file begins with an invisible mark"),
    ("utt2spk", b"s2-a s2\n", b"s2-a\x00 s2\n", r"utt2spk:3: 's2-a<U\+0000>' has the invisible character U\+0000"),
    ("utt2spk", b"s2-a s2\n", b"  s2-a s2\n", r"utt2spk:3: the line is blank or starts with white space"),
    ("spk2utt", b"s2 s2-a", b"s2", r"spk2utt:2: 's2' has other utterances"),
    ("spk2utt", b"s2 s2-a", b"s1 s2-a", r"spk2utt:2: the key 's1' is there twice"),
    ("wav.scp", b"s2-b /", b"s2-a /", r"wav.scp:3: the key 's2-a' is there twice"),
    (
        "wav.scp",
        b"s2-a /wav/s2-a.wav\ns2-b /wav/s2-b.wav",
        b"s2-b /wav/s2-b.wav\ns2-a /wav/s2-a.wav",
        r"wav.scp:3: 's2-a' comes after 's2-b'",
    ),
    ("segments", b"s2-a s2-a 0 2.25\n", b"", r"segments: no line for the utterance 's2-a'"),
    ("segments", b"s2-a s2-a 0 2.25", b"s2-a s2-a 0 -2", r"segments:3: 's2-a' needs 0 <= start .* not '0 -2'"),
    ("spk2gender", b"s2 f\n", b"s1 f\n", r"spk2gender:2: the key 's1' is there twice"),
    ("utt2dur", b"s1-b 1.7500", b"s1-b 1,75", r"utt2dur:2: 's1-b' needs a positive number of seconds, not '1,75'"),
    ("utt2dims", b"s2-b 2.5 3 -0.1", b"s2-b 2.5 3 nan", r"utt2dims:4: 's2-b' needs three numbers"),
    ("labels/4", b"s2-a happy\ns2-b", b"s2-b happy\ns2-a", r"labels/4:3: 's2-a' comes after 's2-b'"),
    ("labels/4", b"s2-a happy", b"s2-a ha\xffppy", r"labels/4:2: not UTF-8"),
    ("feats/fbank40.scp", b"s2-b f.ark:3\n", b"s2-b\n", r"feats/fbank40.scp:4: no value after the key 's2-b'"),
    ("feats/fbank40.scp", None, b"", r"feats/fbank40.scp: the file is empty"),
    (
        "utt2num_words",
        None,
        b"s1-a 0\n" + EVERY_OTHER_UTTERANCE,
        r"utt2num_words:1: 's1-a' needs a positive whole number, not '0'",
    ),
    (
        "utt2num_phones",
        None,
        b"s1-a -3\n" + EVERY_OTHER_UTTERANCE,
        r"utt2num_phones:1: 's1-a' needs a positive whole number",
    ),
    (
        "reco2dur",
        None,
        b"s1-rec 0\ns2-a 1\ns2-b 1\ns3-a 1\ns3-b 1\n",
        r"reco2dur:1: 's1-rec' needs a positive number of seconds, not '0'",
    ),
    ("splits/p/fold1/test", b"s1-b\n", b"s1-a\n", r"fold1/test:2: the key 's1-a' is there twice"),
    ("splits/p/fold1/test", b"s1-b\n", b"s2-a\n", r"fold1/test:2: 's2-a' is in train too"),
    ("splits/p/fold1/test", b"s1-b\n", b"s9-b\n", r"fold1/test:2: 's9-b' is not in utt2spk"),
    ("splits/p/fold1/test", b"s1-a\ns1-b", b"s1-b\ns1-a", r"fold1/test:2: 's1-a' comes after 's1-b'"),
    ("splits/p/fold1/test", b"s1-b\n", b"s1-b happy\n", r"fold1/test:2: 's1-b' is followed by 'happy'"),
    ("splits/p/fold2/train", b"s1-a\ns1-b\n", b"", r"fold2/train: the list is empty"),
    (
        "labels/4",
        b"s2-a happy",
        b"s2-a Happy",
        r"labels/4:2: 's2-a' has 'Happy', which differs in capitals alone from ",
    ),
    (
        "labels/4",
        b"s2-a happy",
        b"s2-a nan",
        r"labels/4:2: 's2-a' has 'nan', a word for a missing name; write the name",
    ),
    (
        "labels/4",
        b"s2-a happy",
        "s2-a hap\u00adpy".encode(),
        r"labels/4:2: .* differs in the invisible .* U\+00AD alone",
    ),
    (
        "utt2group",
        None,
        b"".join(b"s%d-%c Aa\n" % (n, c) for n in (1, 2, 3) for c in b"ab")[:-3] + b"aa\n",
        r"utt2group:6: 's3-b' has 'aa', which differs in capitals alone from 'Aa' of 's1-a'; change one of them",
    ),
    (
        "text",
        b"s2-b some",
        "s2-b\u200b some".encode(),
        r"text:4: .* is no utterance of utt2spk, which has 's2-b' \(they",
    ),
    ("splits/p/fold1/test", b"s1-b\n", "s1-b\u200b\n".encode(), r"test:2: .* not in utt2spk, which has 's1-b' \(they"),
    ("splits/p/fold2/valid", None, None, r"fold2/valid: no such list"),
]


@pytest.mark.parametrize("name, old, new, message", DAMAGES, ids=[f"{n}-{d[0]}" for n, d in enumerate(DAMAGES)])
def test_each_damage_is_named(folder, name, old, new, message):
    if old is not None:
        edit(folder / name, old, new)
    elif new is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(new)
    with pytest.raises(SertkError, match=message) as error:
        validate(folder)
    message = str(error.value)
    assert "\n" not in message
    # A line is named wherever there is one: not for what lacks, as a file, a line in it, or all its lines.
    lacking = "no such|no line for|no feats|the file is empty|the list is empty"
    assert bool(re.search(r":\d+: ", message)) is not bool(re.search(lacking, message))


def test_a_speaker_whose_name_begins_another_is_refused(tmp_path):
    # a-1 < a-b-1 < a-c: the speaker a-b stands among the utterances of a, so no tool could split by speaker.
    tables = {"utt2spk": {"a-1": "a", "a-b-1": "a-b", "a-c": "a"}}
    write_data_dir(tmp_path / "d", tables)
    with pytest.raises(SertkError, match="utt2spk:3: 'a-c' puts speaker 'a' after 'a-b'"):
        validate(tmp_path / "d", feats=False, text=False, wav=False)


@pytest.mark.parametrize("option, names", [("text", ["text"]), ("wav", ["wav.scp"]), ("feats", ["feats/fbank40.scp"])])
def test_what_may_be_missing_on_demand(folder, option, names):
    for name in names:
        (folder / name).unlink()
    with pytest.raises(SertkError):
        validate(folder)
    validate(folder, **{option: False})


def test_fix_leaves_a_good_folder_untouched(folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert fix(folder) == (6, 6)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before
    assert not (folder / ".backup").exists()


def test_fix_restores_order_line_ends_and_spk2utt(folder):
    good = snapshot(folder)
    lines = (folder / "text").read_bytes().splitlines()
    (folder / "text").write_bytes(b"\r\n".join([*reversed(lines), lines[0], b""]))
    (folder / "utt2spk").write_bytes(b"\n  " + (folder / "utt2spk").read_bytes() + b"\n")
    (folder / "spk2utt").unlink()
    edit(folder / "splits/p/fold1/test", b"s1-a\ns1-b\n", b"s1-b\ns1-a\n")
    damaged = snapshot(folder)
    assert fix(folder) == (6, 6)
    assert snapshot(folder) == good
    assert (folder / ".backup/text").read_bytes() == damaged["text"]
    assert (folder / ".backup/splits/p/fold1/test").read_bytes() == damaged["splits/p/fold1/test"]
    validate(folder)


def test_fix_drops_what_is_not_everywhere(folder, capsys):
    edit(folder / "text", b"s3-a some words\n", b"")
    edit(folder / "segments", b"s1-b s1-rec 0.5 2.25\n", b"s1-b s1-rec 5 2.25\n")
    edit(folder / "spk2gender", b"s2 f\n", b"")
    edit(folder / "utt2dur", b"s1-a 1", b"r0-a 1\ns1-a 1")
    assert fix(folder) == (2, 6)
    assert DataDir(folder).utterances == ["s1-a", "s3-b"]
    assert "1 utterance is not in text" in capsys.readouterr().err
    assert (folder / "wav.scp").read_text() == "s1-rec /wav/s1-rec.wav\ns3-b /wav/s3-b.wav\n"
    assert (folder / "spk2gender").read_text() == "s1 m\ns3 m\n"
    assert (folder / "labels/4").read_text() == "s3-b happy\n"
    assert (folder / "feats/fbank40.scp").read_text() == "s1-a f.ark:0\n"
    assert fix(folder) == (2, 2)
    validate(folder)


def test_fix_removes_protocols_that_name_what_is_dropped(folder, capsys):
    for part, utterance in {"train": "s1-a", "valid": "s2-a", "test": "s2-b"}.items():
        write_text(folder / "splits/small/fold1" / part, f"{utterance}\n")
    before = snapshot(folder)
    edit(folder / "text", b"s3-a some words\n", b"")
    assert fix(folder) == (5, 6)
    assert sorted(path.name for path in (folder / "splits").iterdir()) == ["small"]
    backup = folder / ".backup"
    for name in ("splits/p/card.yaml", "splits/p/fold1/train", "splits/p/fold2/valid", "utt2spk"):
        assert (backup / name).read_bytes() == before[name]
    expected = "removed the fold lists p: they name dropped utterances, make them anew with sertk-make-splits"
    assert expected in capsys.readouterr().err.splitlines()
    validate(folder)
    after = snapshot(folder)
    assert fix(folder) == (5, 5)
    assert snapshot(folder) == after and capsys.readouterr().err == ""


def test_fix_sorts_a_list_where_all_else_is_well(folder):
    good = snapshot(folder)
    edit(folder / "splits/p/fold1/test", b"s1-a\ns1-b\n", b"s1-b\ns1-a\n")
    assert fix(folder) == (6, 6)
    assert snapshot(folder) == good


def test_fix_refuses_contradictions_and_empty_results(folder):
    edit(folder / "labels/4", b"s1-b happy\n", b"s1-b happy\ns1-b sad\n")
    before = snapshot(folder)
    with pytest.raises(SertkError, match="labels/4:2: 's1-b' is there twice with different values"):
        fix(folder)
    write_table(folder / "labels/4", {"s1-b": "sad"})
    write_table(folder / "text", {"x": "y"})
    before.update(snapshot(folder))
    with pytest.raises(SertkError, match="no utterance is in all of .*; nothing was changed"):
        fix(folder)
    assert snapshot(folder) == before


def test_fix_removes_tables_of_which_nothing_is_left(folder):
    write_table(folder / "labels/rare", {"s3-b": "x"})
    edit(folder / "text", b"s3-b some words\n", b"")
    assert fix(folder) == (5, 6)
    assert not (folder / "labels/rare").exists()
    assert (folder / ".backup/labels/rare").read_text() == "s3-b x\n"
    validate(folder)


def names_fault(folder, **tables):
    """What `validate` says of a folder of these tables, or nothing."""
    write_data_dir(folder, tables)
    try:
        validate(folder, feats=False, text=False, wav=False)
    except SertkError as error:
        return str(error).removeprefix(f"{folder}/")
    return ""


def test_a_speaker_in_two_spellings_is_refused(tmp_path):
    capitals = {"utt2spk": {"SPK1-a": "SPK1", "spk1-b": "spk1"}}
    expected = "utt2spk:2: 'spk1-b' has 'spk1', which differs in capitals alone from 'SPK1' of 'SPK1-a'"
    assert names_fault(tmp_path / "a", **capitals).startswith(expected)
    forms = {"utt2spk": {"e\u0301-a": "e\u0301", "\xe9-b": "\xe9"}}
    assert "differs in how its letters are encoded (Unicode's NFC or NFD) alone" in names_fault(tmp_path / "b", **forms)
    assert names_fault(tmp_path / "c", utt2spk={"NA-a": "NA"}).startswith(
        "utt2spk:1: 'NA-a' has 'NA', a word for a miss"
    )
    assert names_fault(tmp_path / "d", utt2spk={"Nan-a": "Nan"}) == ""


def test_utterances_may_differ_in_capitals_but_not_in_what_nobody_sees(tmp_path):
    assert names_fault(tmp_path / "a", utt2spk={"s-A": "s", "s-a": "s"}) == ""
    assert names_fault(tmp_path / "b", utt2spk={"A": "A", "a": "a"}) == ""  # recordings, whose speakers are not known
    fault = names_fault(tmp_path / "c", utt2spk={"s-a": "s", "s-a\u200b": "s"})
    expected = "utt2spk:2: 's-a<U+200B>' differs in the invisible character U+200B alone from 's-a'; rename one of them"
    assert fault == expected


@pytest.mark.parametrize(
    "tables, expected",
    [
        ({"labels/x": {"s-a": "N\u200bA"}}, "labels/x:1: 's-a' has 'N<U+200B>A', a word for a missing name; write the"),
        (
            {"labels/x": {"s-a": "\u200b"}},
            "labels/x:1: 's-a' has '<U+200B>', a word for a missing name; write the name",
        ),
        ({"utt2group": {"s-a": "\u2063None"}}, "utt2group:1: 's-a' has '<U+2063>None', a word for a missing name"),
        ({"utt2spk": {"\u200bNA-a": "\u200bNA"}}, "utt2spk:1: '<U+200B>NA-a' has '<U+200B>NA', a word for a missing"),
        (
            {"labels/x": {"s-a": "happy\u200b"}},
            "labels/x:1: 's-a' has 'happy<U+200B>', with the invisible",
        ),
        ({"utt2spk": {"s\u00ad-a": "s\u00ad"}}, "utt2spk:1: 's<U+00AD>-a' has 's<U+00AD>', with the invisible charact"),
    ],
)
def test_invisible_characters_make_no_names(tmp_path, tables, expected):
    assert names_fault(tmp_path / "a", **{"utt2spk": {"s-a": "s"}, **tables}).startswith(expected)


def test_fix_removes_marks_at_the_start_of_files(folder):
    good = snapshot(folder)
    for name in ("utt2spk", "labels/4"):
        (folder / name).write_bytes(b"\xef\xbb\xbf" + good[name])
    assert fix(folder) == (6, 6)
    assert snapshot(folder) == good
