"""The step script over a small data folder, with real jobs."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sertk.archives import open_matrices
from sertk.features.registry import load_extractor

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def data(tmp_path):
    """Five recordings of two speakers; the folder's name holds no space, the recordings' do."""
    folder = tmp_path / "data"
    folder.mkdir()
    random = np.random.default_rng(0)
    utterances = [f"s{1 + number // 3}-u{number}" for number in range(5)]
    for utterance in utterances:
        soundfile.write(tmp_path / f"{utterance} x.wav", 0.1 * random.standard_normal(8000), 16000)
    (folder / "wav.scp").write_text("".join(f"{name} {tmp_path}/{name} x.wav\n" for name in utterances))
    (folder / "utt2spk").write_text("".join(f"{name} {name[:2]}\n" for name in utterances))
    (folder / "spk2utt").write_text("s1 s1-u0 s1-u1 s1-u2\ns2 s2-u3 s2-u4\n")
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, target in {"python3": "", "sertk-compute-feats": "-m sertk.bin.compute_feats"}.items():
        (commands / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {target} "$@"\n')
        (commands / name).chmod(0o755)
    return folder


def make_feats(data, *options):
    environment = {
        **os.environ,
        "PATH": f"{data.parent}/bin:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "LC_ALL": "C",
    }
    return subprocess.run(
        [ROOT / "utils/make_feats.sh", *options],
        cwd=data.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_jobs_are_merged(data, monkeypatch):
    done = make_feats(data, "--type", "fbank40", "--nj", "2", "data")
    assert done.returncode == 0, done.stderr
    assert "make_feats.sh --type fbank40 --nj 2 data" in done.stdout
    assert "5 of 5 utterances in data/feats/fbank40.scp" in done.stdout
    lines = (data / "feats/fbank40.scp").read_text().splitlines()
    assert lines[0].startswith("s1-u0 data/feats/fbank40.1.ark:")
    assert lines[4].startswith("s2-u4 data/feats/fbank40.2.ark:")
    monkeypatch.chdir(data.parent)
    for utterance, features in open_matrices("scp:data/feats/fbank40.scp"):
        samples = soundfile.read(f"{utterance} x.wav", dtype="float32")[0]
        np.testing.assert_allclose(features, load_extractor("fbank40")(samples), atol=1e-4)
    assert "features of" in (data / "log/make_fbank40.2.log").read_text()


def test_segments_and_more_jobs_than_utterances(data):
    (data / "segments").write_text("s1-a s1-u0 0 0.2\ns2-b s2-u3 0.1 0.4\n")
    lines = (data / "wav.scp").read_text().splitlines(keepends=True)
    (data / "wav.scp").write_text(lines[0] + lines[3])
    (data / "utt2spk").write_text("s1-a s1\ns2-b s2\n")
    (data / "spk2utt").write_text("s1 s1-a\ns2 s2-b\n")
    (data / "mine.yaml").write_text("extractor: fbank\nnum_mel_bins: 10\n")
    options = ["--type", "mine", "--feats-config", "data/mine.yaml", "--nj", "9", "--compress", "true"]
    done = make_feats(data, *options, "--cmd", "run.pl --mem 1G", str(data))
    assert done.returncode == 0, done.stderr
    shapes = [features.shape for _, features in open_matrices(f"scp:{data}/feats/mine.scp")]
    assert shapes == [(18, 10), (28, 10)]
    assert not (data / "feats/mine.3.ark").exists()


def test_broken_recordings(data):
    for utterance in ("s1-u1", "s2-u4"):
        (data.parent / f"{utterance} x.wav").write_text("no sound")
    (data / "feats").mkdir()
    (data / "feats/fbank40.scp").write_text("s1-u0 old.ark:6\n")
    # One in each job is within each job's limit, and above that of all.
    done = make_feats(data, "--type", "fbank40", "--nj", "2", "--max_bad", "1", "data")
    assert done.returncode == 1
    assert "2 of 5 utterances have no features, more than --max_bad 1" in done.stderr
    assert not (data / "feats/fbank40.scp").exists()
    done = make_feats(data, "--type", "fbank40", "--nj", "2", "--max_bad", "2", "data")
    assert done.returncode == 0
    assert "warning: 2 utterances left out" in done.stderr
    assert len((data / "feats/fbank40.scp").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["data"], 2, "usage: utils/make_feats.sh"),
        (["--type", "fbank40"], 2, "usage: utils/make_feats.sh"),
        (["--type", "fbank40", "nowhere"], 1, "nowhere/wav.scp is missing or empty"),
        (["--type", "a/b", "data"], 1, "--type a/b: letters, digits"),
        (["--type", "fbank40", "--nj", "0", "data"], 1, "--nj takes a number from 1, got '0'"),
        (["--type", "fbank40", "--max-bad", "x", "data"], 1, "--max_bad takes a number from 0, got 'x'"),
        (["--type", "fbank40", "--bad", "1", "data"], 1, "bad"),
        (["--type", "fbank41", "--nj", "1", "data"], 1, "some job failed: see data/log/make_fbank41.*.log"),
    ],
)
def test_wrong_usage(data, options, status, message):
    done = make_feats(data, *options)
    assert done.returncode == status
    assert message in done.stderr


def test_a_broken_folder_is_refused(data):
    (data / "spk2utt").write_text("s1 s1-u0\n")
    done = make_feats(data, "--type", "fbank40", "data")
    assert done.returncode == 1
    assert "spk2utt" in done.stdout + done.stderr
