"""Digests of data folders change with what they are of, and with nothing else."""

import hashlib
import os

import numpy as np
import pytest

from sertk.kaldi.archives import MatrixWriter, archives_digest
from sertk.kaldi.datadir import write_data_dir
from sertk.kaldi.digests import recordings_digest, table_digest


@pytest.fixture
def folder(tmp_path):
    """A data folder of the recordings a and b, of 10,000 bytes each, with archives of `toy` features."""
    for name in "ab":
        (tmp_path / f"{name}.wav").write_bytes(name.encode() * 10000)
    recordings = {"a": str(tmp_path / "a.wav"), "b": f"cat {tmp_path}/b.wav |"}
    write_data_dir(tmp_path / "data", {"utt2spk": {"a": "s", "b": "s"}, "wav.scp": recordings})
    write_toy(tmp_path / "data")
    return tmp_path / "data"


def write_toy(folder, **values):
    with MatrixWriter(f"ark,scp:{folder}/feats/toy.ark,{folder}/feats/toy.scp") as writer:
        for utterance in "ab":
            writer.write(utterance, np.full((2000, 3), values.get(utterance, 0), np.float32))


def test_a_table_is_known_by_the_lines_that_count(folder):
    of_a = hashlib.sha256(b"a s\n").hexdigest()
    assert table_digest(folder / "utt2spk", ["a"]) == of_a
    assert table_digest(folder / "utt2spk", ["a", "b"]) == hashlib.sha256(b"a s\nb s\n").hexdigest()
    (folder / "utt2spk").write_text("a s\nb other\n")
    assert table_digest(folder / "utt2spk", ["a"]) == of_a


def test_hashes_are_what_recordings_are_known_by(folder):
    (folder / "utt2hash").write_text("a 01\nb 02\n")
    assert recordings_digest(folder, ["a", "b"]) == hashlib.sha256(b"a 01\nb 02\n").hexdigest()


def test_without_hashes_it_is_what_the_files_hold(folder, tmp_path):
    before = recordings_digest(folder, ["a", "b"])
    os.utime(tmp_path / "a.wav", (0, 0))
    (tmp_path / "a.wav").rename(tmp_path / "moved.wav")
    (folder / "wav.scp").write_text((folder / "wav.scp").read_text().replace("a.wav", "moved.wav"))
    assert recordings_digest(folder, ["a", "b"]) == before
    (tmp_path / "moved.wav").write_bytes(b"c" * 10000)
    assert recordings_digest(folder, ["a", "b"]) != before
    assert recordings_digest(folder, ["b"]) == recordings_digest(folder, ["b"])
    (tmp_path / "moved.wav").unlink()
    assert recordings_digest(folder, ["a", "b"]) is None


def test_a_recording_in_an_archive_of_waves_is_looked_at(folder, tmp_path):
    (tmp_path / "wav.ark").write_bytes(b"a " + b"1" * 1000)
    (folder / "wav.scp").write_text(f"a {tmp_path}/wav.ark:2\nb {tmp_path}/wav.ark:2\n")
    before = recordings_digest(folder, ["a"])
    (tmp_path / "wav.ark").write_bytes(b"a " + b"2" * 1000)
    assert recordings_digest(folder, ["a"]) not in (before, None)


def test_times_of_segments_count(folder, tmp_path):
    (folder / "utt2spk").write_text("a1 s\n")
    (folder / "segments").write_text("a1 a 0 1\n")
    before = recordings_digest(folder, ["a1"])
    (folder / "segments").write_text("a1 a 0 2\n")
    assert recordings_digest(folder, ["a1"]) not in (before, None)


def test_archives_are_known_by_values_of_each_utterance(folder):
    scp = folder / "feats" / "toy.scp"
    before, of_a = archives_digest(scp, ["a", "b"]), archives_digest(scp, ["a"])
    write_toy(folder)
    assert archives_digest(scp, ["a", "b"]) == before
    write_toy(folder, b=1)
    assert archives_digest(scp, ["a", "b"]) != before and archives_digest(scp, ["a"]) == of_a
    (folder / "feats" / "toy.ark").unlink()
    assert archives_digest(scp, ["a", "b"]) is None
    scp.unlink()
    assert archives_digest(scp, ["a", "b"]) is None
