import itertools
import logging
from collections import Counter

import pytest
from edits import edit
from iemocap_release import block, dialogue_files, write_dialogue, write_release

from sertk.bin import prepare_corpus
from sertk.core.errors import SertkError
from sertk.corpora import CORPORA, iemocap
from sertk.kaldi.checks import validate
from sertk.kaldi.datadir import DataDir

# Published numbers of turns: neutral, happy, excited, sad, angry of each session.
IMPROVISED = [
    (223, 33, 99, 104, 62),
    (217, 54, 137, 100, 22),
    (198, 60, 89, 190, 90),
    (174, 31, 164, 81, 84),
    (287, 106, 174, 133, 31),
]
SCRIPTED = [
    (161, 102, 44, 90, 167),
    (145, 63, 73, 97, 115),
    (122, 75, 62, 115, 150),
    (84, 34, 74, 62, 243),
    (97, 37, 125, 112, 139),
]
# The women's of the improvised ones.
WOMEN = [(119, 18, 54, 43, 37), (90, 25, 88, 63, 7), (95, 39, 41, 108, 22), (51, 10, 119, 41, 47)]
WOMEN += [(151, 56, 68, 73, 18)]
CODES = ("neu", "hap", "exc", "sad", "ang")
OTHERS = {"xxx": 2507, "fru": 1849, "sur": 107, "fea": 40, "oth": 3, "dis": 2}
# The turns with these: (improvised, scripted) of each session.
OTHERS_OF_SESSIONS = [(300, 434), (322, 466), (402, 583), (438, 634), (379, 550)]


@pytest.fixture
def release(tmp_path):
    write_release(tmp_path / "release", sessions=(1, 2))
    return tmp_path / "release"


def prepare(root, tmp_path, **options):
    CORPORA["iemocap"](root, tmp_path / "data", **{"partial": True, **options})
    return DataDir(tmp_path / "data")


def refusal(root, tmp_path, **options):
    """The message of a preparation that must fail and leave nothing."""
    with pytest.raises(SertkError) as caught:
        prepare(root, tmp_path, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["release"]
    return str(caught.value)


def test_tables(release, tmp_path):
    data = prepare(release, tmp_path)
    assert len(data.utterances) == 48 and data.utterances[0] == "Ses01F-Ses01F_impro01_F000"
    utt = "Ses02M-Ses02F_script01_1_M002"  # said by the man, whatever letter the dialogue has
    wav = "Session2/sentences/wav/Ses02F_script01_1/Ses02F_script01_1_M002.wav"
    assert data.table("wav.scp")[utt] == str(release / wav)
    assert data.table("utt2spk")[utt] == "Ses02M"
    assert data.table("spk2gender") == {"Ses01F": "f", "Ses01M": "m", "Ses02F": "f", "Ses02M": "m"}
    assert data.table("text")[utt] == "Words of M002."
    assert data.table("utt2group")[utt] == "session2"
    assert data.table("utt2subset")[utt] == "scripted"
    assert data.table("utt2dims")[utt] == "4.0000 2.0000 3.0000"
    assert data.table("utt2dur")[utt] == "0.0100"
    assert Counter(data.table("utt2subset").values()) == {"improvised": 24, "scripted": 24}
    validate(data.path, feats=False)


def test_label_sets(release, tmp_path):
    data = prepare(release, tmp_path)
    turns = [f"Ses01F-Ses01F_impro01_F{i:03}" for i in range(6)]
    labels = {
        name: [data.labels(name).get(turn) for turn in turns]
        for name in ("consensus", "4", "4nomerge", "votes", "valence3", "activation3", "dominance3")
    }
    assert labels == {
        "consensus": ["neutral", "happy", "excited", "sad", "angry", None],
        "4": ["neutral", "happy", "happy", "sad", "angry", None],
        "4nomerge": ["neutral", "happy", None, "sad", "angry", None],
        "votes": ["neutral", "happy", "happy", "sad", "angry", None],
        "valence3": ["low", "mid", "high"] * 2,
        "activation3": ["mid", "high", "low"] * 2,
        "dominance3": ["high", "low", "mid"] * 2,
    }


@pytest.mark.parametrize(
    "votes, label",
    [
        (["Anger;", "Anger;", "Sadness;"], "angry"),
        (["Anger;", "Sadness;", "Neutral;"], None),
        (["Happiness;", "Excited;", "Neutral;"], "happy"),  # merged before the counting
        (["Happiness; Excited;", "Neutral;", "Sadness;"], None),  # two words of one evaluator are one vote
        (["Excited; Anger;", "Happiness; Neutral;", "Anger;", "Excited;"], "happy"),
        (["Anger; Sadness;", "Sadness; Anger;", "Neutral;"], None),  # two emotions with two votes
        (["Anger;", "Anger;", "Sadness;", "Sadness;"], None),
        (["Frustration;", "Frustration;", "Anger;"], None),
        (["Frustration;", "Frustration;", "Anger;", "Anger;", "Anger;"], "angry"),
        (["Neutral state;", "Neutral;", ""], "neutral"),
    ],
)
def test_votes(tmp_path, votes, label):
    turn = "Ses03F_impro05a_M012"
    write_dialogue(tmp_path / "release", turn[:-5], {turn: ("xxx", (3, 3, 3), votes)})
    utterances = iemocap.read_release(tmp_path / "release", partial=True)
    assert [utterance.labels.get("votes") for utterance in utterances] == [label]
    assert "4" not in utterances[0].labels  # which is of the consensus alone


@pytest.mark.parametrize("mean, level", [(2.9999, "low"), (3.0, "mid"), (3.0001, "high"), (1, "low"), (5, "high")])
def test_levels(tmp_path, mean, level):
    turn = "Ses04M_script01_1b_F000"
    write_dialogue(tmp_path, turn[:-5], {turn: ("xxx", (mean, 3, 3))})
    (utterance,) = iemocap.read_release(tmp_path, partial=True)
    assert (utterance.labels["valence3"], utterance.labels["activation3"]) == (level, "mid")


def test_the_reader_of_torchaudio_finds_the_same(tmp_path):
    from torchaudio.datasets import IEMOCAP

    codes = write_release(tmp_path / "IEMOCAP")
    six = {"neu": "neutral", "hap": "happy", "exc": "excited", "sad": "sad", "ang": "angry"}
    for kind in ("improvised", "scripted", None):
        theirs = IEMOCAP(tmp_path, utterance_type=kind)
        rows = [theirs.get_metadata(number) for number in range(len(theirs))]
        ours = [each for each in iemocap.read_release(tmp_path / "IEMOCAP") if kind in (None, each.subset)]
        labelled = {each.path.stem: each for each in ours if "consensus" in each.labels}
        assert {turn: six[code] for _, _, turn, code, _ in rows} == {
            turn: each.labels["consensus"] for turn, each in labelled.items()
        }
        assert {str(tmp_path / "IEMOCAP" / path) for path, *_ in rows} == {str(each.path) for each in labelled.values()}
        assert len(ours) == len(codes) / (2 if kind else 1)


def test_macos_files_are_skipped(release, tmp_path):
    evaluation, transcription, recordings = dialogue_files(release, "Ses01F_impro01")
    for path in (evaluation, transcription, recordings / "Ses01F_impro01_F000.wav"):
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7Mac OS X\xff")
    assert len(prepare(release, tmp_path).utterances) == 48


def test_windows_line_ends_are_read(release, tmp_path):
    for path in dialogue_files(release, "Ses01F_impro01")[:2]:
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert prepare(release, tmp_path).table("text")["Ses01F-Ses01F_impro01_F000"] == "Words of F000."


HEADING = "[6.2901 - 7.7901]\tSes01F_impro01_F001\thap\t[3.0000, 4.0000, 2.0000]"


@pytest.mark.parametrize(
    "line, problem",
    [
        (
            "[6.2901 - 7.7901]\tSes01F_impro01_F001\thap\t[3.0000, 4.0",
            "expected [start - end], a turn, its emotion and [valence, activation, dominance], got '",
        ),
        ("[6.2901 - 7.7901]\tSes01F_impro01_F001\thap\t[3.0000, high, 2.0000]", "expected [start - end], a turn"),
        (
            "[6.2901 - 7.7901]\tSes01F_impro02_F001\thap\t[3.0000, 4.0000, 2.0000]",
            "'Ses01F_impro02_F001' is no turn of this dialogue, such as Ses01F_impro01_F000",
        ),
        ("[6.2901 - 7.7901]\tSes01F_impro01_X001\thap\t[3.0000, 4.0000, 2.0000]", "'Ses01F_impro01_X001' is no turn"),
        (
            "[6.2901 - 7.7901]\tSes01F_impro01_F001\tjoy\t[3.0000, 4.0000, 2.0000]",
            "F001 has the emotion 'joy'; there are: neu, hap, exc, sad, ang, fru, sur, fea, dis, oth, xxx",
        ),
        (
            "[6.2901 - 7.7901]\tSes01F_impro01_F000\thap\t[3.0000, 4.0000, 2.0000]",
            "a second block of Ses01F_impro01_F000",
        ),
        (
            "6.2901 - 7.7901\tSes01F_impro01_F001\thap",
            "expected a block, or an evaluator's line such as C-E1: Neutral; ()",
        ),
    ],
)
def test_wrong_headings_are_named(release, tmp_path, line, problem):
    path = dialogue_files(release, "Ses01F_impro01")[0]
    edit(path, HEADING, line)
    number = path.read_text().splitlines().index(line) + 1
    message = refusal(release, tmp_path)
    assert message.startswith(f"{release}: 1 faults in evaluation files, get these again:\n  {path}:{number}: ")
    assert problem in message


@pytest.mark.parametrize(
    "line", ["C-E2:\tNeu", "C-E2:\tNeutral;\t(", "C-E2:\tNeutral\t()", "Neutral;", "B-E2:\tval 3;"]
)
def test_wrong_votes_are_named(release, tmp_path, line):
    path = dialogue_files(release, "Ses02F_script01_1")[0]
    lines = path.read_text().splitlines()
    lines[4] = line
    path.write_text("\n".join(lines))
    expected = f"{path}:5: expected a block, or an evaluator's line such as C-E1: Neutral; (), got '{line}'"
    assert expected in refusal(release, tmp_path)


def test_a_vote_before_any_block_is_named(release, tmp_path):
    path = dialogue_files(release, "Ses01F_impro01")[0]
    path.write_text("C-E1:\tNeutral;\t()\n")
    assert f"{path}:1: expected a block" in refusal(release, tmp_path)


def test_truncated_evaluation_files_are_named(release, tmp_path):
    """The last block cut off anywhere before its ratings, or missing as a whole."""
    path = dialogue_files(release, "Ses01F_impro01")[0]
    whole = path.read_text()
    last = whole.index("[6.2901 - 7.7901]\tSes01F_impro01_M005")
    ratings = whole.index("A-E3", last)
    for end in range(last + 1, ratings, 7):
        path.write_text(whole[:end])
        assert f"{path}:" in refusal(release, tmp_path)
    path.write_text(whole[: whole.index("C-E2", last)])
    cut_off = f"{path}: cut off: Ses01F_impro01_M005 has no evaluators' lines (C-E and A-E)"
    assert cut_off in refusal(release, tmp_path)
    path.write_text(whole[:last])
    write_release(release, sessions=(3, 4, 5))
    recording = dialogue_files(release, "Ses01F_impro01")[2] / "Ses01F_impro01_M005.wav"
    message = refusal(release, tmp_path, partial=False)
    assert message.startswith(f"{release}: 1 recordings or evaluations lack the other, get them (or --partial")
    assert message.endswith(f":\n  {recording}: no evaluation of this recording")
    assert len(prepare(release, tmp_path).utterances) == 47 + 72


def test_missing_recordings_are_named(release, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    write_release(release, sessions=(3, 4, 5))
    path = dialogue_files(release, "Ses01F_impro01")[2] / "Ses01F_impro01_M002.wav"
    path.rename(path.with_name("Ses01F_impro01_M099.wav"))
    assert refusal(release, tmp_path, partial=False).splitlines()[1:] == [
        f"  {path}: not there, but evaluated",
        f"  {path.with_name('Ses01F_impro01_M099.wav')}: no evaluation of this recording",
    ]
    assert len(prepare(release, tmp_path).utterances) == 119
    assert "2 recordings or evaluations lack the other and are not used" in caplog.text


def test_missing_sessions_are_named(release, tmp_path):
    message = f"{release}: no Session3, Session4, Session5, get it (or --partial to use what is there)"
    assert refusal(release, tmp_path, partial=False) == message
    for root in (tmp_path / "none", release / "Session1"):
        assert refusal(root, tmp_path).startswith(f"{root}: no Session1 to Session5 in it; give the ")


@pytest.mark.parametrize("folder", ["dialog/EmoEvaluation", "dialog/transcriptions", "sentences/wav"])
def test_missing_folders_are_named(release, tmp_path, folder):
    (release / "Session2" / folder).rename(release / "Session2/elsewhere")
    message = f"{release}/Session2/{folder}: no such folder; the release lacks a part, get it again"
    assert refusal(release, tmp_path) == message


def test_nothing_to_use_is_said(release, tmp_path):
    for path in release.glob("*/sentences/wav/*/*.wav"):
        path.unlink()
    assert refusal(release, tmp_path) == f"{release}: no turn with an evaluation and a recording"


def test_a_dialogue_of_another_session_is_named(release, tmp_path):
    stray = release / "Session2/dialog/EmoEvaluation/Ses01F_impro01.txt"
    dialogue_files(release, "Ses01F_impro01")[0].rename(stray)
    assert f"{stray}: no dialogue of Session2" in refusal(release, tmp_path)


def test_wrong_transcriptions_are_named(release, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    write_release(release, sessions=(3, 4, 5))
    path = dialogue_files(release, "Ses01F_impro01")[1]
    edit(path, "Ses01F_impro01_F001 [006.2901-008.2357]: Words of  F001.\n", "")
    message = f"{release}: 1 faults in transcriptions, get these again:\n  "
    missing = f"{message}Ses01F_impro01_F001: no line in dialog/transcriptions"
    assert refusal(release, tmp_path, partial=False) == missing
    assert prepare(release, tmp_path).table("text")["Ses01F-Ses01F_impro01_F001"] == ""
    assert "1 turns have no transcription; their text is empty" in caplog.text
    edit(path, "M: [LAUGHTER]", "X: [LAUGHTER]")
    with pytest.raises(SertkError) as caught:
        prepare(release, tmp_path)
    assert str(caught.value) == (f"{message}{path}:12: expected a turn, [start-end]: and words, got 'X: [LAUGHTER]'")


def test_a_file_of_other_bytes_is_named(release, tmp_path):
    path = dialogue_files(release, "Ses01F_impro01")[1]
    path.write_bytes(path.read_bytes() + b"M: caf\xe9\n")
    assert refusal(release, tmp_path) == f"{path}:14: not UTF-8 text; convert the file with iconv"


def write_whole_corpus(root):
    """All 10,039 turns with as many of each emotion as published, and recordings that nobody reads."""
    others = itertools.chain.from_iterable([code] * number for code, number in OTHERS.items())
    for session in range(5):
        for scene, rows, number in zip(("impro01", "script01_1"), (IMPROVISED, SCRIPTED), OTHERS_OF_SESSIONS[session]):
            women = WOMEN[session] if scene == "impro01" else [count // 2 for count in rows[session]]
            men = [count - woman for count, woman in zip(rows[session], women)]
            codes = {
                letter: [*Counter(dict(zip(CODES, counts))).elements()] for letter, counts in zip("FM", (women, men))
            }
            for i, code in enumerate(itertools.islice(others, number)):
                codes["FM"[i % 2]].append(code)
            dialogue = f"Ses0{session + 1}M_{scene}"
            blocks = {f"{dialogue}_{letter}{i:03}": (code,) for letter in "FM" for i, code in enumerate(codes[letter])}
            write_dialogue(root, dialogue, blocks, samples=0)


def test_counts_of_the_whole_corpus(tmp_path, caplog):
    write_whole_corpus(tmp_path)
    utterances = iemocap.read_release(tmp_path)
    assert iemocap.count(utterances) == iemocap.published_counts()
    assert len(utterances) == 10039
    merged = {None: 5531, "improvised": 2943, "scripted": 2588}
    for subset, number in merged.items():
        own = [each for each in utterances if subset in (None, each.subset) and "4" in each.labels]
        assert len(own) == number
    assert Counter(each.labels["4"] for each in utterances if "4" in each.labels) == {
        "angry": 1103,
        "happy": 1636,
        "sad": 1084,
        "neutral": 1708,
    }
    assert Counter(each.group for each in utterances if "4" in each.labels) == {
        "session1": 1085,
        "session2": 1023,
        "session3": 1151,
        "session4": 1031,
        "session5": 1241,
    }
    improvised = [each for each in utterances if each.subset == "improvised"]
    assert sum("4nomerge" in each.labels for each in improvised) == 2280
    caplog.set_level(logging.INFO)
    iemocap.log_counts(utterances)
    found = "angry 1103 (1104), happy 1636 (2496), neutral 1708 (1752), sad 1084 (1064)"
    assert caplog.messages[0] == f"votes: {found}, in all 5531 (6416 published)"
    assert caplog.messages[1].startswith("valence3: low 10039 (3421), mid 0 (3792), high 0 (2824), in all 10039")

    edit(dialogue_files(tmp_path, "Ses01M_impro01")[0], "Ses01M_impro01_F000\tneu", "Ses01M_impro01_F000\tang")
    with pytest.raises(SertkError) as caught:
        iemocap.prepare(tmp_path, tmp_path / "data")
    assert "not the whole corpus" in str(caught.value)
    assert [line.split() for line in str(caught.value).splitlines()[1:]] == [
        ["published", "found"],
        ["consensus", "neutral", "1708", "1707"],
        ["consensus", "angry", "1103", "1104"],
        ["session1", "improvised", "neutral", "223", "222"],
        ["session1", "improvised", "angry", "62", "63"],
        ["Ses01F", "improvised", "neutral", "119", "118"],
        ["Ses01F", "improvised", "angry", "37", "38"],
    ]
    assert not (tmp_path / "data").exists()


def test_blocks_are_as_in_the_release():
    assert block("Ses01F_impro05_F019", "ang", (1.5, 4, 4.5), start=140.225).splitlines()[:2] == [
        "[140.2250 - 141.7250]\tSes01F_impro05_F019\tang\t[1.5000, 4.0000, 4.5000]",
        "C-E1:\tAnger;\t()",
    ]


def test_command(release, tmp_path, capsys):
    arguments = ["iemocap", str(release), str(tmp_path / "data")]
    assert prepare_corpus.main(arguments) == 1
    assert "no Session3, Session4, Session5" in capsys.readouterr().err
    assert prepare_corpus.main(["--partial", *arguments]) == 0
    assert DataDir(tmp_path / "data").labels("4")["Ses01M-Ses01F_impro01_M003"] == "sad"
