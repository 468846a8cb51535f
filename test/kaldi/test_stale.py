"""What a data folder keeps when it is prepared anew of other utterances or recordings."""

import pytest

from sertk.kaldi.datadir import DataDir, write_data_dir
from sertk.kaldi.stale import drop_stale

SPEAKER = {"a-1": "a", "a-2": "a", "b-1": "b"}


def tables_of(hashes):
    """The tables of the utterances {utterance: hash}."""
    return {
        "utt2spk": {utt: SPEAKER[utt] for utt in hashes},
        "wav.scp": {utt: f"{utt}.wav" for utt in hashes},
        "utt2hash": hashes,
    }


@pytest.fixture
def data(tmp_path):
    of_utterances = dict.fromkeys(SPEAKER, "1")
    further = {
        "utt2num_words": of_utterances,
        "feats/mine.scp": of_utterances,
        "feats/fbank40.scp": of_utterances,
        "feats.scp": of_utterances,
        "cmvn.scp": {"a": "1", "b": "1"},
        "spk2gender": {"a": "f", "b": "m"},
        "reco2dur": of_utterances,
    }
    write_data_dir(tmp_path, tables_of(dict.fromkeys(SPEAKER, "0")) | further)
    (tmp_path / "feats/.fbank40.source").touch()
    for protocol, test in {"all": "b-1\n", "a": "a-2\n"}.items():
        (tmp_path / "splits" / protocol / "fold1").mkdir(parents=True)
        for split, text in {"train": "a-1\n", "valid": "", "test": test}.items():
            (tmp_path / "splits" / protocol / "fold1" / split).write_text(text)
    return DataDir(tmp_path)


def keys(data):
    return {name: list(data.table(name)) for name in data.table_names() if name not in (*tables_of({}), "spk2utt")}


def test_nothing_goes_where_all_stays(data, caplog):
    before = keys(data)
    drop_stale(data.path, tables_of(dict.fromkeys(SPEAKER, "0")))
    assert keys(data) == before and not caplog.records
    assert len(list(data.path.glob("splits/*"))) == 2


def test_lines_and_lists_of_utterances_that_go(data, caplog):
    drop_stale(data.path, tables_of({"a-1": "0", "a-2": "0"}))
    assert keys(data) == {
        "utt2num_words": ["a-1", "a-2"],
        "feats/mine.scp": ["a-1", "a-2"],
        "feats.scp": ["a-1", "a-2"],
        "cmvn.scp": ["a"],
        "spk2gender": ["a"],
        "reco2dur": ["a-1", "a-2"],
    }
    assert [path.name for path in data.path.glob("splits/*")] == ["a"]
    assert not (data.path / "feats/.fbank40.source").exists()
    (record,) = caplog.records
    assert "1 utterance is gone, 0 with other recordings: taken out of cmvn.scp" in record.getMessage()


def test_features_of_other_recordings(data, caplog):
    drop_stale(data.path, tables_of({"a-1": "0", "a-2": "other", "b-1": "0"}))
    left = keys(data)
    assert left.pop("feats/mine.scp") == left.pop("feats.scp") == ["a-1", "b-1"]
    assert left.pop("cmvn.scp") == ["b"]
    assert list(left) == ["reco2dur", "spk2gender", "utt2num_words"] and len(left["reco2dur"]) == 3
    assert len(list(data.path.glob("splits/*"))) == 2
    assert "0 utterances are gone, 1 with other recordings" in caplog.text
