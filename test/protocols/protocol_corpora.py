"""Data folders without audio and the shipped protocols, for the tests of fold lists."""

import hashlib
from pathlib import Path

from sertk.kaldi.datadir import write_data_dir

EGS = Path(__file__).resolve().parents[2] / "egs"
COMMON = EGS / "common/conf/protocols.yaml"
RAVDESS = EGS / "ravdess/conf/protocols.yaml"
MINI = EGS / "mini/conf/protocols.yaml"
FAU_AIBO = EGS / "fau_aibo/conf/protocols.yaml"
IEMOCAP = EGS / "iemocap/conf/protocols.yaml"


def write_corpus(path, speakers, each, without=(), **changes):
    """A data folder of `speakers` (name: gender) with `each` utterances of hashes of their own.

    `changes` to tables, such as utt2hash={utterance: hash}, are laid over them.
    """
    utts = {f"{speaker}-{i:02}": speaker for speaker in speakers for i in range(each)}
    tables = {
        "utt2spk": utts,
        "spk2gender": dict(speakers),
        "utt2hash": {utt: hashlib.sha1(utt.encode()).hexdigest() for utt in utts},
        "wav.scp": {utt: f"/none/{utt}.wav" for utt in utts},
    }
    for name, values in changes.items():
        tables.setdefault(name, {}).update(values)
    write_data_dir(path, {name: table for name, table in tables.items() if name not in without})
    return path


def actors(number):
    return {f"actor{i:02}": "m" if i % 2 else "f" for i in range(1, number + 1)}
