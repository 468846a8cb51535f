"""Commands in pipes of a plain shell: what writes to them or reads from them ends too early, or disks are full."""

import ast
import subprocess
import sys
from pathlib import Path

import kaldiio
import numpy as np
import pytest
from patience import HOUR

from sertk.kaldi.archives import MatrixWriter

ROOT = Path(__file__).resolve().parents[2]
WHOLE = 200  # utterances


@pytest.fixture
def shell(tmp_path):
    """Runs a line of sh, where `cmvn` stands for sertk-compute-cmvn; a.ark and a.scp are there, 170 kB."""
    random = np.random.default_rng(0)
    with MatrixWriter(f"ark,scp:{tmp_path}/a.ark,{tmp_path}/a.scp") as writer:
        for number in range(WHOLE):
            writer.write(f"utterance{number:03}", random.random((10, 20), dtype=np.float32))

    def run(line):
        command = f'cmvn() {{ "{sys.executable}" -m sertk.bin.compute_cmvn "$@"; }}\n{line}'
        return subprocess.run(
            ["sh", "-c", command],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=HOUR,
            check=False,
        )

    return run


def assert_one_line(done, message, status=1):
    """The command's own message is one line, and the last."""
    assert done.returncode == status and message in done.stderr.splitlines()[-1], done.stderr
    assert done.stderr.count("sertk-compute-cmvn:") == 1 and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "sh -c 'head -c 100000 a.ark; kill -9 $$' | cmvn ark:- ark:o",
            "in standard input: the archive is cut off here",
        ),
        ("false | cmvn ark:- ark:o", "standard input: empty, expected an archive"),
        ("head -c 100 a.scp | cmvn scp:- ark:o", "standard input:4: cut off here, the line has no end"),
        ("false | cmvn scp:- ark:o", "standard input: empty, expected lines"),
        ("cmvn ark:- ark:o <&-", "standard input is closed"),
        ("cmvn 'ark:cat a.ark gone | cat |' ark:o", "the command 'cat a.ark gone | cat' failed with status 1"),
        ("cmvn ark:a.ark ark:- >&-", "standard output is closed"),
        ("cmvn ark:a.ark ark:- > /dev/full", "standard output: No space left on device"),
        ("cmvn ark:a.ark 'ark:| true'", "the command 'true' ended before it had read all"),
        ("cmvn ark:a.ark 'ark:| cat > o; exit 3'", "the command 'cat > o; exit 3' failed with status 3"),
    ],
)
def test_one_line_says_what_broke(shell, tmp_path, line, message):
    assert not (tmp_path / "o").exists() or "cat > o" in line


def test_commands_read_nothing_of_the_list_of_a_loop_around_them(shell):
    done = shell("printf '1\n2\n' | while read -r each; do cmvn 'ark:cat > eaten; cat a.ark |' ark:o; echo $each; done")
    assert (done.stdout, done.stderr) == ("1\n2\n", "")


def test_no_process_inherits_standard_input():
    for path in ROOT.glob("sertk/**/*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in ("subprocess.run", "subprocess.Popen"):
                assert "stdin" in {keyword.arg for keyword in call.keywords}, f"{path}:{call.lineno}"


def test_a_reader_that_ends_early(shell):
    # A plain shell takes the status of the last command alone, so the first one's is written down.
    done = shell("{ cmvn ark:a.ark ark:-; echo $? > status; } | head -c 10 > /dev/null; exit $(cat status)")
    assert_one_line(done, "what reads the output ended before it had read all")


def test_commands_may_leave_some_of_a_pipe_unread(shell, tmp_path):
    done = shell("cmvn 'scp:cat a.scp a.scp | head -n 3 |' ark,t:- | grep -c '\\['")
    assert (done.stdout, done.stderr) == ("3\n", "")


def test_standard_input_is_read_once(shell):
    done = shell("cat a.ark | cmvn --spk2utt ark:- ark:- ark:-")
    assert_one_line(done, "standard input can be read once only", status=2)


def test_what_went_through_pipes_is_read_by_kaldiio(shell, tmp_path):
    done = shell("cat a.ark | gzip -c > a.gz && cmvn 'ark:gunzip -c a.gz | cat |' ark:- | cat > b.ark")
    assert done.returncode == 0, done.stderr
    features, stats = kaldiio.load_scp(f"{tmp_path}/a.scp"), dict(kaldiio.load_ark(f"{tmp_path}/b.ark"))
    assert len(stats) == WHOLE
    for key, matrix in features.items():
        np.testing.assert_allclose(
            stats[key], [[*matrix.sum(axis=0), 10], [*np.square(matrix).sum(axis=0), 0]], rtol=1e-5
        )


@pytest.fixture
def on_small_disk(shell, tmp_path):
    """Runs a line with a file system of 64 KiB in disk/, seen by this line alone and gone with it."""

    def run(line):
        (tmp_path / "line").write_text(f'cmvn() {{ "{sys.executable}" -m sertk.bin.compute_cmvn "$@"; }}\n{line}\n')
        return shell("mkdir disk; unshare -rm sh -c 'mount -t tmpfs -o size=64k none disk && . ./line'")

    if run("true").returncode:
        pytest.skip("no file system can be mounted here")
    (tmp_path / "disk").rmdir()
    return run


def test_a_full_disk_keeps_what_was_there(on_small_disk):
    done = on_small_disk(
        "head -n 3 a.scp | cmvn scp:- ark,scp:disk/o,disk/o.scp; cp disk/o disk/o.scp .\n"
        "cmvn ark:a.ark ark,scp:disk/o,disk/o.scp; echo $?; cmp o disk/o && cmp o.scp disk/o.scp && ls -A disk"
    )
    assert done.stdout.split() == ["1", "o", "o.scp"]
    assert done.stderr.splitlines() == ["sertk-compute-cmvn: disk/o: No space left on device"]


def test_a_read_only_disk(on_small_disk):
    done = on_small_disk("mount -o remount,ro disk; cmvn ark:a.ark ark:disk/o")
    assert_one_line(done, "Read-only file system")
