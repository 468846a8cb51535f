import os
import random
import re
import signal
import subprocess
from pathlib import Path

import pytest
from patience import HOUR, wait_until

RUN = Path(__file__).resolve().parents[2] / "utils" / "run.pl"


def body(log):
    return [line for line in log.read_text().splitlines() if not line.startswith("#")]


def test_single_job_and_its_log(run_script, tmp_path):
    done = run_script("run.pl", "--mem", "4G", "--num-threads", "3", "log/a.log", "echo", "hello world", ">&2")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    date = r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \S+ \d{4}"
    assert re.fullmatch(
        "# echo 'hello world' >&2\n"
        f"# Started at {date}\n"
        "hello world\n"
        r"# Accounting: time=\d+ threads=3\n"
        f"# Ended \\(code 0\\) at {date}, elapsed time \\d+ seconds\n",
        (tmp_path / "log/a.log").read_text(),
    )


def test_failures_are_counted_and_do_not_stop_siblings(run_script, tmp_path):
    done = run_script("run.pl", "JOB=1:3", "log/b.JOB.log", "echo", "job", "JOB", ";", "[", "JOB", "-ne", "2", "]")
    assert done.returncode == 1
    assert done.stderr == "run.pl: 1 / 3 failed, log is in log/b.*.log\nrun.pl: log/b.2.log: exit status 1: job 2\n"
    assert [body(tmp_path / f"log/b.{n}.log") for n in (1, 2, 3)] == [["job 1"], ["job 2"], ["job 3"]]
    assert "# Ended (code 1)" in (tmp_path / "log/b.2.log").read_text()


def test_single_failure_message(run_script):
    failed = "run.pl: job failed, log is in x.log\nrun.pl: x.log: exit status 3\n"
    assert run_script("run.pl", "x.log", "exit", "3").stderr == failed
    done = run_script("run.pl", "N=7", "x.N.log", "exit", "N")
    assert (done.returncode, done.stderr) == (
        1,
        "run.pl: job failed, log is in x.7.log\nrun.pl: x.7.log: exit status 7\n",
    )


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (
            "begin\\nsertk-train: a.wav: no such file\\nTraceback\\n  ChildFailedError\\n",
            "exit status 3: sertk-train: a.wav: no such file",
        ),
        ("one\\nsertk-train: a.wav: no such file\\n", "sertk-train: a.wav: no such file"),
        ("one\\n  RuntimeError: out of memory  \\n\\n", "exit status 3: RuntimeError: out of memory"),
        ("10 %%\\r20 %%\\r\\033[31mred\\033[0m \\007caf\\303\\251", "exit status 3: red caf\u00e9"),
        ("# a remark\\n", "exit status 3"),
        ("%0499d\\303\\251long\\n", "exit status 3: " + "0" * 499 + " ..."),
    ],
)
def test_the_reason_is_on_the_terminal(run_script, written, shown):
    done = run_script("run.pl", "x.log", "printf", f"{written}\n", ";", "exit", "3")
    expected = f"run.pl: job failed, log is in x.log\nrun.pl: x.log: {shown}\n"
    assert (done.returncode, done.stderr) == (1, expected)


@pytest.mark.parametrize(
    "command, shown",
    [
        ("echo epoch 3 loss 0.1; kill -9 $$", "killed by signal 9 (out of memory?): epoch 3 loss 0.1"),
        ("echo epoch 3; exec sleep 9 & wait & kill -15 $$", "killed by signal 15"),
        ("echo sertk-train: a.wav: odd; kill -9 $$", "killed by signal 9 (out of memory?): sertk-train: a.wav: odd"),
        ("true; (echo x; kill -9 $BASHPID) 2> /dev/null; exit $?", "killed by signal 9 (out of memory?): x"),
        ("echo epoch 4; exit 255", "exit status 255: epoch 4"),
    ],
)
def test_how_a_job_ended_is_on_the_terminal(run_script, command, shown):
    done = run_script("run.pl", "x.log", "bash", "-c", command)
    assert done.returncode == 1 and f"run.pl: x.log: {shown}" in done.stderr


def test_reasons_are_shown_once_and_some_at_most(run_script):
    done = run_script("run.pl", "J=1:12", "J.log", "echo", "reason", "$((J/4))", ";", "false")
    reasons = "".join(f"run.pl: {log}.log: exit status 1: reason {number}\n" for number, log in enumerate((1, 4, 8)))
    assert done.stderr == f"run.pl: 12 / 12 failed, log is in *.log\n{reasons}"
    done = run_script("run.pl", "J=1:12", "J.log", "echo", "reason", "J", ";", "false")
    assert done.stderr.count("\n") == 4


def test_nothing_that_is_started_reads_standard_input(run_script, tmp_path):
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\ncat > eaten\necho 'GPU 0: A Card'\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    line = f"printf '1\\n2\\n' | while read -r each; do env -u CUDA_VISIBLE_DEVICES {RUN} --gpu 1 $each.log cat; done"
    assert subprocess.run(["bash", "-c", line], cwd=tmp_path, env={**os.environ, "PATH": path}, check=True)
    assert sorted(path.name for path in tmp_path.glob("*.log")) == ["1.log", "2.log"]
    assert (tmp_path / "eaten").read_text() == ""


def test_any_identifier_and_leading_zeros(run_script, tmp_path):
    assert run_script("run.pl", "My_task9=08:10", "l/My_task9", "echo", "<My_task9>", "xMy_task9x").returncode == 1
    assert run_script("run.pl", "My_task9=08:10", "l/My_task9", "echo", "a.My_task9.b", "xMy_task9x").returncode == 0
    assert sorted(os.listdir(tmp_path / "l")) == ["10", "8", "9"]
    assert body(tmp_path / "l/9") == ["a.9.b x9x"]


@pytest.mark.parametrize(
    "word",
    [
        "two words",
        "it's here",
        'say "hi" now',
        "$HOME and `id`",
        "back\\slash \\n",
        " ",
        "",
        "a\tb",
        "new\nline",
        "end\n",
    ],
)
def test_words_with_white_space_arrive_whole(run_script, tmp_path, word):
    assert run_script("run.pl", "q.log", "printf", "[%s]", word, ">", "out").returncode == 0
    assert (tmp_path / "out").read_text() == f"[{word}]"


def test_words_without_white_space_are_shell(run_script, tmp_path):
    assert run_script("run.pl", "q.log", "echo", "$((6*7))", "|", "cat", ">", "out").returncode == 0
    assert (tmp_path / "out").read_text() == "42\n"


def test_status_of_a_pipe_is_that_of_its_first_failure(run_script, tmp_path):
    assert run_script("run.pl", "p.log", "(exit 5)", "|", "cat").returncode == 1
    assert run_script("run.pl", "p.log", "exit", "5", "|", "cat").returncode == 1
    assert "# Ended (code 5)" in (tmp_path / "p.log").read_text()


def test_death_by_signal_is_a_failure(run_script, tmp_path):
    assert run_script("run.pl", "k.log", "kill", "-KILL", "$$").returncode == 1
    assert "# Ended (code 137)" in (tmp_path / "k.log").read_text()


def test_footer_starts_its_own_line(run_script, tmp_path):
    run_script("run.pl", "f.log", "printf", "no-line-end")
    assert body(tmp_path / "f.log") == ["no-line-end"]


def test_jobs_do_not_read_the_terminal(run_script, tmp_path):
    assert run_script("run.pl", "i.log", "cat", stdin="not for you").returncode == 0
    assert body(tmp_path / "i.log") == []


# The first $EXPECTED jobs wait for each other, each job says how many it saw running beside itself.
OVERLAP = """job=$1
touch busy.$job && touch begun.$job
while :; do
  set -- begun.*
  [ $# -ge $EXPECTED ] && break
  sleep 0.05
done
sleep 0.1  # time for one job too many to begin
set -- busy.*
echo $#
rm busy.$job
"""


def most_at_a_time(run_script, tmp_path, expected, *options, env=()):
    """How many of 6 jobs ran at a time; the first `expected` of them wait for each other."""
    (tmp_path / "overlap.sh").write_text(OVERLAP)
    environment = {"EXPECTED": str(expected), **dict(env)}
    done = run_script("run.pl", *options, "J=1:6", "c.J.log", "bash", "overlap.sh", "J", env=environment)
    assert done.returncode == 0
    return max(int(body(tmp_path / f"c.{n}.log")[0]) for n in range(1, 7))


@pytest.mark.parametrize("limit", [1, 2])
def test_concurrency_is_limited_and_used(run_script, tmp_path, limit):
    expected = min(limit, len(os.sched_getaffinity(0)))
    assert most_at_a_time(run_script, tmp_path, expected, f"--max-jobs-run={limit}") == expected


def test_processors_are_the_limit(run_script, tmp_path):
    expected = min(6, len(os.sched_getaffinity(0)))
    options = ["--max-jobs-run", "999"]
    seen = most_at_a_time(run_script, tmp_path, expected, *options, env={"OMP_NUM_THREADS": "1"})
    assert seen == expected


def test_gpus_are_not_shared(run_script, tmp_path):
    card = "$CUDA_VISIBLE_DEVICES"
    command = ["mkdir", card, "&&", "sleep", "0.05", "&&", "echo", card, "&&", "rmdir", card]
    done = run_script("run.pl", "--gpu", "1", "J=1:8", "g.J.log", *command, env={"CUDA_VISIBLE_DEVICES": "3,GPU-a"})
    assert done.returncode == 0
    assert {body(tmp_path / f"g.{n}.log")[0] for n in range(1, 9)} == {"3", "GPU-a"}


def test_a_job_may_have_several_gpus(run_script, tmp_path):
    env = {"CUDA_VISIBLE_DEVICES": "0,1,2"}
    assert run_script("run.pl", "--gpu=2", "J=1:3", "g.J.log", "echo", "$CUDA_VISIBLE_DEVICES", env=env).returncode == 0
    # One pair at a time fits; the cards go round.
    assert [body(tmp_path / f"g.{n}.log")[0] for n in (1, 2, 3)] == ["0,1", "2,0", "1,2"]


def test_gpus_are_counted_by_nvidia_smi(run_script, tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "nvidia-smi").write_text(
        "#!/bin/sh\necho 'GPU 0: Some Card (UUID: GPU-1)'\necho 'GPU 1: Same (UUID: GPU-2)'\n"
    )
    (tools / "nvidia-smi").chmod(0o755)
    env = {"PATH": f"{tools}:{os.environ['PATH']}"}
    saved = os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    try:
        done = run_script("run.pl", "--gpu", "2", "g.log", "echo", "$CUDA_VISIBLE_DEVICES", env=env)
    finally:
        if saved is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = saved
    assert done.returncode == 0 and body(tmp_path / "g.log") == ["0,1"]


@pytest.mark.parametrize(
    "words, message",
    [
        (["--foo", "1", "a.log", "true"], "unknown option --foo; there are: --mem"),
        (["--num-nodes", "2", "a.log", "true"], "unknown option --num-nodes; there are: --mem"),
        (["-l", "x", "a.log", "true"], "unknown option -l"),
        (["--max-jobs-run", "0", "a.log", "true"], "--max-jobs-run takes a number from 1, not '0'"),
        (["--num-threads=two", "a.log", "true"], "--num-threads takes a number from 1, not 'two'"),
        (["--gpu", "-1", "a.log", "true"], "--gpu takes a number from 0, not '-1'"),
        (["--mem"], "--mem needs a value"),
        (["--mem=", "a.log", "true"], "--mem needs a value"),
        (["JOB=0:3", "a.JOB.log", "true"], "bad job range JOB=0:3"),
        (["JOB=3:2", "a.JOB.log", "true"], "bad job range JOB=3:2"),
        (["JOB=1:x", "a.JOB.log", "true"], "bad job range JOB=1:x"),
        (["JOB=1:2", "K=1:2", "a.JOB.log", "true"], "bad job range K=1:2"),
        (["JOB=1:2", "a.log", "true"], "the log a.log must contain JOB"),
        (["a.log"], "usage: run.pl"),
        ([], "usage: run.pl"),
        (["--gpu", "2", "a.log", "true"], "--gpu 2: there are 1 graphics cards"),
        (["file/a.log", "true"], "cannot make the folder file"),
    ],
)
def test_wrong_usage(run_script, tmp_path, words, message):
    (tmp_path / "file").write_text("")
    done = run_script("run.pl", *words, env={"CUDA_VISIBLE_DEVICES": "0"})
    assert done.returncode == 1
    assert done.stderr.startswith(f"run.pl: {message}") or message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "a.log").exists()


def test_unwritable_log_is_a_failure(run_script, tmp_path):
    (tmp_path / "a.2.log").mkdir()
    done = run_script("run.pl", "J=1:3", "a.J.log", "true")
    assert done.returncode == 1
    assert "cannot write the log a.2.log" in done.stderr and "1 / 3 failed" in done.stderr


def test_options_may_follow_the_range(run_script, tmp_path):
    assert run_script("run.pl", "J=1:2", "--time", "1:00", "--config", "x", "a.J.log", "true").returncode == 0


def test_no_exit_code_is_lost(run_script):
    generator = random.Random(1)
    for _ in range(100):
        number = generator.randint(2, 6)
        failing = [n for n in range(1, number + 1) if generator.random() < 0.4]
        tests = " ".join(f"[ J -ne {n} ] &&" for n in failing).split() + ["true"]
        done = run_script("run.pl", f"J=1:{number}", "r/J.log", *tests)
        if failing:
            assert done.returncode == 1
            reason = f"run.pl: r/{failing[0]}.log: exit status 1\n"
            assert done.stderr == f"run.pl: {len(failing)} / {number} failed, log is in r/*.log\n{reason}"
        else:
            assert (done.returncode, done.stderr) == (0, "")


def start(tmp_path, *words):
    return subprocess.Popen([RUN, *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def has_line(path):
    return path.exists() and path.read_text().endswith("\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_jobs_and_all_they_started(tmp_path, number):
    running = start(
        tmp_path, "--max-jobs-run", "1", "J=1:3", "s.J.log", "sleep", "3600", "&", "echo", "$!", ">", "pid;", "wait"
    )
    wait_until(lambda: has_line(tmp_path / "pid"))
    running.send_signal(number)
    running.communicate(timeout=HOUR)
    assert running.returncode == 128 + number
    assert not alive(int((tmp_path / "pid").read_text()))
    assert "# Ended (code 143)" in (tmp_path / "s.1.log").read_text()
    assert not (tmp_path / "s.2.log").exists()


def test_a_stopped_job_may_save_its_work(tmp_path):
    (tmp_path / "save.sh").write_text(
        "trap 'sleep 0.5; echo saved > saved; exit' TERM\necho > ready\nsleep 3600 & wait\n"
    )
    running = start(tmp_path, "s.log", "bash", "save.sh", ";", "true")
    wait_until(lambda: has_line(tmp_path / "ready"))
    running.terminate()
    running.communicate(timeout=HOUR)
    assert (tmp_path / "saved").exists()


def test_a_second_signal_kills(tmp_path):
    (tmp_path / "deaf.sh").write_text("trap 'echo > heard' TERM\necho $$ > pid\nwhile :; do sleep 0.1; done\n")
    running = start(tmp_path, "s.log", "bash", "deaf.sh")
    wait_until(lambda: has_line(tmp_path / "pid"))
    running.terminate()
    wait_until((tmp_path / "heard").exists)
    assert running.poll() is None
    running.terminate()
    running.communicate(timeout=HOUR)
    assert not alive(int((tmp_path / "pid").read_text()))
    assert "# Ended (code 137)" in (tmp_path / "s.log").read_text()
