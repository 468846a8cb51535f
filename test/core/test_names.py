import pytest

from sertk.core.errors import SertkError
from sertk.core.names import (
    compared_form,
    difference,
    find_name,
    find_path,
    in_other_spelling,
    is_missing,
    may_be_missing,
    require_names,
    seen_form,
    visible,
)

ONE_NAME = [
    "Jürgen K",
    "Ju\u0308rgen K",
    "jürgen k",
    "JÜRGEN K",
    "Jür\u200bgen K",
    "\ufeffJürgen K",
    "Jürgen\u00a0\tK ",
]


@pytest.mark.parametrize("spelling", ONE_NAME)
def test_spellings_of_one_name_compare_equal(spelling):
    assert compared_form(spelling) == "jürgen k"
    assert require_names([spelling, spelling, "Jurgen K"], "f", "speakers") is None


@pytest.mark.parametrize(
    "name, seen",
    [
        ("spk 1", "spk 1"),
        ("Spk1\u00ad", "Spk1"),  # soft hyphen
        ("a\u034fb\u2063", "ab"),
        ("e\u0301\ufe0f", "é"),
        ("\u0645\u06cc\u200c\u0634\u0648\u062f", "\u0645\u06cc\u0634\u0648\u062f"),  # Persian, with a non-joiner
        ("\u1100\u1161", "\uac00"),  # Korean letters of a syllable
        ("²ﬁ", "²ﬁ"),  # look unlike 2 and fi
    ],
)
def test_what_one_sees_of_a_name(name, seen):
    assert seen_form(name) == seen


@pytest.mark.parametrize(
    "one, other, words",
    [
        ("a", "A", "capitals"),
        ("straße", "STRASSE", "capitals"),
        ("straße", "strasse", "how letters are written (such as ß and ss)"),
        ("ﬁn", "fin", "how letters are written (such as ß and ss)"),
        ("Straße", "strasse", "how letters are written (such as ß and ss)"),
        ("é", "e\u0301", "how its letters are encoded (Unicode's NFC or NFD)"),
        ("ab", "a\u200bb", "the invisible character U+200B"),
        ("a b", "a\u00a0b", "the invisible character U+00A0"),
        ("a b", "a  b", "blanks"),
    ],
)
def test_how_two_spellings_differ(one, other, words):
    assert difference(one, other) == difference(other, one) == words
    assert in_other_spelling(one, ["x", other]) == f", which has '{visible(other)}' (they differ in {words} alone)"
    assert in_other_spelling(one, ["x"]) == ""
    assert find_name(one, [other, one]) == one and find_name(one, ["x", other]) == other
    assert find_name(one, ["x"]) is None
    with pytest.raises(SertkError) as caught:
        require_names(["x", one, "y", other], "d/utt2spk", "speakers")
    names = f"'{visible(one)}' and '{visible(other)}'"
    assert str(caught.value) == f"d/utt2spk: the speakers {names} differ in {words} alone; change one of them"


def test_invisible_characters_are_shown_in_messages():
    assert visible("An\u200bna") == "An<U+200B>na" and visible("a\u00a0b c") == "a<U+00A0>b c"
    assert visible("Jürgen K") == "Jürgen K"
    with pytest.raises(SertkError, match="the speakers 'Anna' and 'An<U.200B>na' differ in the invisible character U"):
        require_names(["Anna", "An\u200bna"], "d/utt2spk", "speakers")


def test_words_for_missing_are_not_names_of_people():
    assert all(map(is_missing, ["", "NA", "N/A", "n/a", "nan", "NaN", "None", "none", "null", "-", "?"]))
    assert all(map(is_missing, ["\u200bNA", "N\u200bA", "\u200b", "\u00a0None "]))
    assert not any(map(is_missing, ["Na", "Nan", "Null", "0", "N", "unknown"]))


@pytest.mark.parametrize("name", ["NA", "\u200b", "n\u00ada\u00adn"])
@pytest.mark.parametrize("kind", ["speakers", "groups", "classes"])
def test_words_for_missing_are_refused_among_names(name, kind):
    with pytest.raises(SertkError) as caught:
        require_names(["a", name], "d/t", kind)
    problem = f"among the {kind} is '{visible(name)}', a word for a missing name"
    assert str(caught.value) == f"d/t: {problem}; write the name, or leave the utterance out"


def test_an_emotion_may_be_called_none():
    assert require_names(["none", "happy"], "d/t", "classes") is None
    with pytest.raises(SertkError, match="among the groups is 'none'"):
        require_names(["none", "happy"], "d/t", "groups")


def test_names_that_may_be_meant_or_not():
    assert all(map(may_be_missing, ["Null", "unknown", "UNKNOWN", "missing", "N.A.", "None", "un\u200bknown"]))
    assert not any(map(may_be_missing, ["Nan", "Na", "neutral", "other"]))


@pytest.mark.parametrize("there", ["é/ü.wav", "e\u0301/u\u0308.wav", "é/u\u0308.wav"])
def test_files_are_found_in_another_unicode_form(tmp_path, there):
    (tmp_path / there).parent.mkdir()
    (tmp_path / there).write_text("x")
    for written in ("é/ü.wav", "e\u0301/u\u0308.wav", "e\u0301/ü.wav"):
        assert find_path(tmp_path / written) == tmp_path / there
    assert find_path(tmp_path / "é/x.wav") == tmp_path / "é/x.wav"  # as it is written, where nothing is there


def test_a_path_that_is_there_is_taken_as_it_is_written(tmp_path, monkeypatch):
    for name in ("ü", "u\u0308"):
        (tmp_path / name).write_text("x")
        assert find_path(tmp_path / name) == tmp_path / name
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ü").unlink()
    assert str(find_path("ü")) == "u\u0308"
