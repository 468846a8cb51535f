"""make_feats.sh over a small data folder, with real jobs."""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from patience import wait_until

from sertk.features.audio import audio_hash, read_utterances
from sertk.features.registry import load_extractor
from sertk.kaldi.archives import open_matrices

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
    modules = {"sertk-compute-feats": "compute_feats", "sertk-data-dir": "data_dir"}
    for name, target in {"python3": "", **{name: f"-m sertk.bin.{module}" for name, module in modules.items()}}.items():
        (commands / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {target} "$@"\n')
        (commands / name).chmod(0o755)
    return folder


def processes_in(session):
    """The ids of the processes of a session; run.pl gives its jobs process groups of their own."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if int(path.read_text().rpartition(")")[2].split()[3]) == session:
                found.append(int(path.parent.name))
    return found


def start_make_feats(data, *options, **more):
    environment = {
        **os.environ,
        "PATH": f"{data.parent}/bin:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "LC_ALL": "C",
    }
    return subprocess.Popen(
        [ROOT / "utils/make_feats.sh", *options],
        cwd=data.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def make_feats(data, *options):
    process = start_make_feats(data, *options)
    stdout, stderr = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


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


@pytest.mark.parametrize("name", ["JOB_interviews", "TASK/JOBX's_$HOME;&"])
def test_names_that_the_runner_or_the_shell_would_read_otherwise(data, monkeypatch, name):
    folder = data.parent / name
    folder.parent.mkdir(exist_ok=True)
    data.rename(folder)
    (data.parent / "JOB & co.yaml").write_text("extractor: fbank\nnum_mel_bins: 10\n")
    done = make_feats(data, "--type", "JOBS", "--feats-config", "JOB & co.yaml", "--nj", "2", name)
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(data.parent)
    assert len(list(open_matrices(f"scp:{name}/feats/JOBS.scp"))) == 5


def test_segments_and_more_jobs_than_utterances(data):
    (data / "segments").write_text("s1-a s1-u0 0 0.2\ns2-b s2-u3 0.1 0.4\n")
    lines = (data / "wav.scp").read_text().splitlines(keepends=True)
    (data / "wav.scp").write_text(lines[0] + lines[3])
    (data / "utt2spk").write_text("s1-a s1\ns2-b s2\n")
    (data / "spk2utt").write_text("s1 s1-a\ns2 s2-b\n")
    (data / "mine.yaml").write_text("extractor: fbank\nnum_mel_bins: 10\n")
    options = ["--type", "mine", "--feats-config", "data/mine.yaml", "--nj", "9", "--compress", "true"]
    done = make_feats(data, *options, "--channel", "", "--cmd", "run.pl --mem 1G", str(data))
    assert done.returncode == 0, done.stderr
    assert f"make_feats.sh {shlex.join(options)} --channel '' --cmd run.pl\\ --mem\\ 1G {data}\n" in done.stdout
    shapes = [features.shape for _, features in open_matrices(f"scp:{data}/feats/mine.scp")]
    assert shapes == [(18, 10), (28, 10)]
    assert not (data / "feats/mine.3.ark").exists()


def test_broken_recordings(data):
    for utterance in ("s1-u1", "s2-u4"):
        (data.parent / f"{utterance} x.wav").write_text("no sound")
    (data / "feats").mkdir()
    (data / "feats/fbank40.scp").write_text("s1-u0 old.ark:6\n")
    (data / "feats/.fbank40.source").write_text("an older state\n")
    done = make_feats(data, "--type", "fbank40", "--nj", "1", "data")
    what = "s1-u1, s2-u4; more than --max_bad 0; the first is s1-u1: "
    assert re.search(f"make_fbank40.1.log: sertk-compute-feats: 2 of 5 .*: {what}.*not readable as audio", done.stderr)
    # One in each job is within each job's limit, and above that of all.
    done = make_feats(data, "--type", "fbank40", "--nj", "2", "--max_bad", "1", "data")
    assert done.returncode == 1
    assert "2 of 5 utterances have no features, more than --max_bad 1" in done.stderr
    assert not (data / "feats/fbank40.scp").exists()
    assert "silent" not in done.stderr
    soundfile.write(data.parent / "s1-u0 x.wav", np.zeros(8000), 16000)
    done = make_feats(data, "--type", "fbank40", "--nj", "2", "--max_bad", "2", "data")
    assert done.returncode == 0
    assert "warning: 2 of 5 utterances left out" in done.stderr
    assert "warning: 1 of 5 utterances silent or the like: see data/log/make_fbank40.*.log" in done.stderr
    assert len((data / "feats/fbank40.scp").read_text().splitlines()) == 3


def test_all_recordings_of_a_job_are_broken(data):
    for utterance in ("s2-u3", "s2-u4"):
        (data.parent / f"{utterance} x.wav").write_text("no sound")
    done = make_feats(data, "--type", "fbank40", "--nj", "2", "--max_bad", "2", "data")
    assert done.returncode == 0, done.stderr
    assert "3 of 5 utterances in data/feats/fbank40.scp" in done.stdout
    # No empty table of a job is left, which would make the folder invalid.
    assert sorted(path.name for path in (data / "feats").glob("*.scp")) == ["fbank40.scp"]
    for number in range(3):
        (data.parent / f"s1-u{number} x.wav").write_text("no sound")
    done = make_feats(data, "--type", "fbank80", "--nj", "1", "--max_bad", "9", "data")
    assert done.returncode == 1
    assert "no utterance has features: see data/log/make_fbank80.*.log" in done.stderr
    assert not (data / "feats/fbank80.scp").exists()


UP_TO_DATE = "make_feats.sh: data/feats/mine.scp is up to date\n"
QUICK_STAND_IN = """#!/bin/sh
while [ $# -gt 2 ]; do shift; done
sed 's/ .*/ x.ark:1/' "${1#scp:}" > "${2##*,}"
"""


def test_made_anew_only_when_something_changed(data):
    (data.parent / "bin/sertk-compute-feats").write_text(QUICK_STAND_IN)
    config = data / "mine.yaml"
    config.write_text("extractor: fbank\nnum_mel_bins: 10\n")
    options = ["--type", "mine", "--feats_config", "data/mine.yaml"]
    table = data / "feats/mine.scp"

    def is_made(*more):
        before = table.stat().st_mtime_ns if table.exists() else None
        done = make_feats(data, *options, "--nj", "1", *more, "data")
        assert done.returncode == 0, done.stderr
        made = table.stat().st_mtime_ns != before
        assert (UP_TO_DATE in done.stdout) is not made
        return made

    assert is_made()
    assert not is_made("--max_bad", "1", "--nj", "2")
    recording = data.parent / "s1-u0 x.wav"
    soundfile.write(recording, np.zeros(8000), 16000)
    assert is_made()
    recording.rename(data.parent / "away.wav")
    assert not is_made()
    (data.parent / "away.wav").rename(recording)
    assert not is_made()
    (data / "utt2hash").write_text((data / "utt2spk").read_text())
    assert is_made()
    config.write_text("extractor: fbank\nnum_mel_bins: 12\n")
    assert is_made()
    assert is_made("--channel", "0")
    # A speaker goes: the table that still names the utterances must not stand in the way.
    for name in ("wav.scp", "utt2spk", "spk2utt", "utt2hash"):
        lines = (data / name).read_text().splitlines(keepends=True)
        (data / name).write_text("".join(line for line in lines if line.startswith("s1")))
    assert is_made("--channel", "0")
    assert not is_made("--channel", "0")
    assert len(table.read_text().splitlines()) == 3


def test_the_table_of_somebody_else_is_left(data):
    (data / "feats").mkdir()
    (data / "feats/mine.scp").write_text("s1-u0 kaldi.ark:6\n")
    done = make_feats(data, "--type", "mine", "data")
    assert done.returncode == 0, done.stderr
    assert "data/feats/mine.scp was made by other means and is left as it is" in done.stdout
    assert (data / "feats/mine.scp").read_text() == "s1-u0 kaldi.ark:6\n"


@pytest.mark.skipif(not shutil.which("flock"), reason="the lock needs flock")
def test_two_runs_take_turns(data):
    slow = QUICK_STAND_IN.replace("\n", "\nuntil [ -e go ]; do sleep 0.05; done\n", 1)
    (data.parent / "bin/sertk-compute-feats").write_text(slow)
    options = ["--type", "fbank40", "--nj", "1", "data"]
    first = start_make_feats(data, *options)
    lock = data / "feats/.fbank40.lock"
    wait_until(lambda: lock.exists() and lock.read_text(), first)
    second = start_make_feats(data, *options)
    waiting = next(line for line in second.stdout if "waiting" in line)
    holder = rf"process {first.pid} on \S+ since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d"
    assert re.search(f"waiting for another run that makes data/feats/fbank40.scp: {holder}", waiting)
    (data.parent / "go").touch()
    for run, end in ((first, "5 of 5 utterances in data/feats/fbank40.scp"), (second, "fbank40.scp is up to date")):
        stdout, stderr = run.communicate()
        assert run.returncode == 0 and end in stdout, stderr


@pytest.mark.skipif(not shutil.which("flock"), reason="the lock needs flock")
def test_a_killed_run_leaves_no_lock_and_its_pieces_are_removed(data):
    (data.parent / "bin/sertk-compute-feats").write_text(
        f"#!/bin/sh\ntouch {data}/feats/.fbank40.1.ark.host.1.tmp\nexec sleep 3600\n"
    )
    run = start_make_feats(data, "--type", "fbank40", "--nj", "1", "data", start_new_session=True)
    wait_until(lambda: list((data / "feats").glob(".*.tmp")), run)
    for pid in processes_in(run.pid):
        os.kill(pid, signal.SIGKILL)
    run.communicate()
    assert "process" in (data / "feats/.fbank40.lock").read_text()
    (data.parent / "bin/sertk-compute-feats").write_text(QUICK_STAND_IN)
    done = make_feats(data, "--type", "fbank40", "--nj", "1", "data")
    assert "waiting" not in done.stdout and "5 of 5 utterances" in done.stdout
    assert not list((data / "feats").glob(".*.tmp"))


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["data"], 2, "usage: utils/make_feats.sh"),
        (["--type", "fbank40"], 2, "usage: utils/make_feats.sh"),
        (["--type", "fbank40", "nowhere"], 1, "nowhere/wav.scp is missing or empty"),
        (["--type", "x", "--feats_config", "no", "data"], 1, "--feats_config no: no such file"),
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


def test_options_not_given_stay_as_in_the_last_call(data):
    (data.parent / "bin/sertk-compute-feats").write_text(QUICK_STAND_IN)
    own = data.parent / "own.yaml"
    own.write_text("extractor: fbank\nnum_mel_bins: 23\n")
    done = make_feats(data, "--type", "mine", "--feats_config", str(own), "--compress", "true", "data")
    assert done.returncode == 0, done.stderr
    again = make_feats(data, "--type", "mine", "data")
    assert again.returncode == 0 and "data/feats/mine.scp is up to date" in again.stdout
    with open(data / "wav.scp", "a", encoding="utf-8") as table:
        table.write(f"s2-u5 {data.parent}/s2-u4 x.wav\n")
    (data / "utt2spk").write_text((data / "utt2spk").read_text() + "s2-u5 s2\n")
    (data / "spk2utt").write_text((data / "spk2utt").read_text().rstrip() + " s2-u5\n")
    anew = make_feats(data, "--type", "mine", "data")
    assert anew.returncode == 0, anew.stderr
    assert "6 of 6 utterances" in anew.stdout
    assert "--config" in (data / "log/make_mine.1.log").read_text()
    assert "--compress" in (data / "log/make_mine.1.log").read_text()
    given = make_feats(data, "--type", "mine", "--feats_config", str(own), "data")
    assert given.returncode == 0 and "data/feats/mine.scp is up to date" in given.stdout
    plain = make_feats(data, "--type", "mine", "--compress", "false", "data")
    assert plain.returncode == 0 and "6 of 6 utterances" in plain.stdout
    assert "--compress" not in (data / "log/make_mine.1.log").read_text()


def test_compress_takes_true_or_false(data):
    done = make_feats(data, "--type", "fbank40", "--compress", "yes", "data")
    assert done.returncode == 1 and "--compress yes: expected true or false" in done.stderr


def test_recordings_that_have_changed_since_stage_1(data):
    hashes = {utt: audio_hash(samples, rate) for utt, samples, rate in read_utterances(data / "wav.scp")}
    (data / "utt2hash").write_text("".join(f"{utt} {digest}\n" for utt, digest in hashes.items()))
    assert make_feats(data, "--type", "fbank40", "data").returncode == 0
    soundfile.write(data.parent / "s2-u3 x.wav", 0.1 * np.random.default_rng(9).standard_normal(8000), 16000)
    done = make_feats(data, "--type", "spectrogram161", "--nj", "1", "data")
    assert done.returncode == 1
    assert "s2-u3: its recording has changed since stage 1; run stage 1 again" in done.stderr
    assert not (data / "feats/spectrogram161.scp").exists()
