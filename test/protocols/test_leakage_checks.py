from pathlib import Path

import numpy as np
import pytest
import soundfile
from protocol_corpora import COMMON, actors, write_corpus

from sertk.core.errors import SertkError
from sertk.protocols import make_splits
from sertk.protocols.checks import check_leakage
from sertk.protocols.rules import Fold


@pytest.mark.parametrize("protocol", ["si", "random75"])
def test_same_audio_on_two_sides_stops(tmp_path, protocol):
    # With 12 pairs of copies a random split without a pair across its parts is practically impossible.
    copies = {f"actor{i:02}-00": f"{i // 2:040}" for i in range(2, 26)}
    data = write_corpus(tmp_path / "d", actors(25), 4, utt2hash=copies)
    with pytest.raises(SertkError, match=f"protocol {protocol}, fold 1: the same audio in .*: actor.*-00 and actor"):
        make_splits(data, tmp_path / "out", COMMON, protocol)
    assert not (tmp_path / "out").exists()


def test_same_audio_on_one_side_is_allowed(tmp_path):
    data = write_corpus(tmp_path / "d", actors(8), 2, utt2hash={"actor01-00": "0" * 40, "actor01-01": "0" * 40})
    make_splits(data, tmp_path / "out", COMMON, "si")


def test_hashes_come_from_the_audio_where_the_table_is_missing(tmp_path):
    wavs = {f"{speaker}-00": f"{tmp_path}/{speaker}.wav" for speaker in actors(8)}
    for number, path in enumerate(wavs.values()):
        soundfile.write(path, np.full(100, number / 100), 16000)
    data = write_corpus(tmp_path / "d", actors(8), 1, without=("utt2hash",), **{"wav.scp": wavs})
    make_splits(data, tmp_path / "out", COMMON, "si")
    Path(wavs["actor07-00"]).write_bytes(Path(wavs["actor02-00"]).read_bytes())
    with pytest.raises(SertkError, match="same audio in train and test: actor07-00 and actor02-00"):
        make_splits(data, tmp_path / "out", COMMON, "si")


def test_segments_are_hashed_each(tmp_path):
    samples = np.repeat(np.arange(8) / 10, 1600)
    soundfile.write(tmp_path / "all.wav", samples, 16000)
    data = write_corpus(tmp_path / "d", actors(8), 1, without=("utt2hash", "wav.scp"))
    (data / "wav.scp").write_text(f"all {tmp_path}/all.wav\n")
    (data / "segments").write_text(
        "".join(f"actor{i:02}-00 all {i / 10 - 0.1:.2f} {i / 10:.2f}\n" for i in range(1, 9))
    )
    make_splits(data, tmp_path / "out", COMMON, "si")


def test_hash_of_every_utterance_is_needed(tmp_path):
    data = write_corpus(tmp_path / "d", actors(8), 1)
    lines = (data / "utt2hash").read_text().splitlines(keepends=True)
    (data / "utt2hash").write_text("".join(lines[1:]))
    with pytest.raises(SertkError, match="utt2hash: lacks 1 of 8 utterances: actor01-00; add them"):
        make_splits(data, tmp_path / "out", COMMON, "si")


def test_a_speaker_in_two_spellings_stops(tmp_path):
    data = write_corpus(tmp_path / "d", {**actors(8), "Actor08": "M"}, 1)
    message = "d/utt2spk: the speakers 'Actor08' and 'actor08' differ in capitals alone; change one of them"
    with pytest.raises(SertkError, match=message):
        make_splits(data, tmp_path / "out", COMMON, "si")


def test_a_word_for_missing_is_no_speaker(tmp_path):
    data = write_corpus(tmp_path / "d", {**actors(8), "NA": "M"}, 1)
    with pytest.raises(SertkError, match="d/utt2spk: among the speakers is 'NA', a word for a missing name; write the"):
        make_splits(data, tmp_path / "out", COMMON, "si")


def test_a_group_in_two_spellings_stops(tmp_path):
    data = write_corpus(tmp_path / "d", actors(8), 1)
    groups = ["caf\u00e9", "cafe\u0301", *"abcdef"]
    (data / "utt2group").write_text("".join(f"actor{n:02}-00 {name}\n" for n, name in enumerate(groups, 1)))
    config = tmp_path / "protocols.yaml"
    config.write_text("p: {rule: rotating_groups, test_groups: 1, valid_groups: 1}\n")
    with pytest.raises(SertkError, match="d/utt2group: the groups .* differ in how its letters are encoded"):
        make_splits(data, tmp_path / "out", config, "p")


def test_no_fold_has_a_speaker_on_two_sides_however_spelt():
    fold = Fold(train=["spk1-a"], valid=["x-b"], test=["Spk1-c"])
    utt2spk = {"spk1-a": "spk1", "x-b": "x", "Spk1-c": "Spk1"}
    with pytest.raises(SertkError, match="fold 1: the same speaker in train and test: spk1-a and Spk1-c"):
        check_leakage(fold, utt2spk, dict(zip(utt2spk, "123")), True, "fold 1")
    recordings = Fold(["a.wav"], ["b.wav"], ["A.wav"])  # whose speakers are not known
    check_leakage(recordings, {utt: utt for (utt,) in recordings}, {"a.wav": 1, "b.wav": 2, "A.wav": 3}, True, "")
