"""slurm.pl and queue.pl with schedulers that are small scripts; test/cluster has real ones."""

import os
import re
import shlex
import signal
import subprocess
from pathlib import Path

import pytest
from patience import HOUR, wait_until

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
command {submit} -S /bin/bash   # and a comment
option mem=* -l "mem=$0, free"
option mem=0
option num_threads=* -pe smp $0
option num_threads=1
option queue_name=* -q $0
option max_jobs_run=* -tc $0
default gpu=0
option gpu=0
option gpu=* -l gpu=$0
poll 0.2
"""
# The file `calls` gets what was called; `refusals` has answers to the next submissions; the tasks in `lost`
# never run; `queue` is what the queue holds; with `down` it does not answer; `cluster` names another one that has it.
FAKE = r"""#!/usr/bin/env bash
name=$(basename "$0")
printf '%q ' "$name" "$@" >> calls; echo >> calls
case $name in
  sbatch | qsub)
    if [ -s refusals ]; then head -n 1 refusals >&2; sed -i 1d refusals; exit 1; fi
    range=$(grep -oE '(array=|-t )[0-9]+-[0-9]+' <<< "$*" | grep -oE '[0-9]+-[0-9]+')
    for task in $(seq "${range%-*}" "${range#*-}"); do
      grep -qsx "$task" lost ||
        env -i HOME=/ SGE_TASK_ID="$task" SLURM_ARRAY_TASK_ID="$task" PATH=/bin bash "${!#}" > output 2>&1 &
    done
    if [ "$name" = qsub ]; then echo "7.$range:1"; else echo "7$(sed 's/^/;/' cluster 2> /dev/null)"; fi ;;
  squeue | qstat)
    if [ -e cluster ] && ! grep -q -- "--clusters=$(cat cluster)" <<< "$*"; then exit; fi  # none of its jobs
    if [ -e down ]; then echo "no answer"; exit 1; fi
    cat queue 2> /dev/null || true ;;
esac
"""
ENGINES = {
    "slurm": {
        "submit": "sbatch",
        "look": "squeue",
        "remove": "scancel",
        "queued": "{} None",
        "stuck": "{} launch failed",
    },
    "queue": {
        "submit": "qsub",
        "look": "qstat",
        "remove": "qdel",
        "queued": "7 0.5 b root r 11/21/2026 14:43:39 all.q 1 {}",
        "stuck": "7 0.5 b root Eqw 11/21/2026 14:43:39 1 {}",
    },
}


class Runner:
    """One of the scripts in a folder of its own with fake schedulers in the PATH."""

    def __init__(self, name, folder):
        self.name, self.folder, self.engine = name, folder, ENGINES[name]
        self.started = []
        (folder / "bin").mkdir()
        for command in ("sbatch", "squeue", "scancel", "qsub", "qstat", "qdel"):
            (folder / "bin" / command).write_text(FAKE)
            (folder / "bin" / command).chmod(0o755)
        (folder / "conf").mkdir()
        self.config = folder / "conf" / f"{name}.conf"
        self.config.write_text(CONFIG.format(**self.engine))

    def start(self, *words, default_signals=True, **environment):
        path = f"{self.folder}/bin:{os.environ['PATH']}"
        # env: the tests themselves may run with signals ignored, as by nohup, and the script respects that.
        restore = ["env", "--default-signal"] if default_signals else []
        self.started.append(
            subprocess.Popen(
                [*restore, ROOT / "utils" / f"{self.name}.pl", *words],
                cwd=self.folder,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "PATH": path, **environment},
            )
        )
        return self.started[-1]

    def __call__(self, *words, **environment):
        """Exit status and messages, without the name of the script."""
        running = self.start(*words, **environment)
        stdout, stderr = running.communicate(timeout=HOUR)
        assert stdout == ""
        return running.returncode, stderr.replace(f"{self.name}.pl: ", "")

    def calls(self, command=None):
        command = command or self.engine["submit"]
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [words[1:] for words in map(shlex.split, lines) if words[0] == command]

    def wait_for_looks(self, number):
        """Waits until the last one started has looked into the queue `number` times more and begins to look again."""
        looks = len(self.calls(self.engine["look"]))
        wait_until(lambda: len(self.calls(self.engine["look"])) > looks + number, self.started[-1])

    def write(self, name, *lines):
        (self.folder / name).write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture(params=ENGINES)
def runner(request, tmp_path):
    runner = Runner(request.param, tmp_path)
    yield runner
    for process in runner.started:
        process.kill()


def body(log):
    return [line for line in log.read_text().splitlines() if not line.startswith("#")]


def test_array_with_its_logs(runner, tmp_path):
    (tmp_path / "path.sh").write_text("export FROM_PATH_SH=yes\n")
    words = ["echo", "J", "two  words", "$FROM_PATH_SH", "$PYTHONPATH", ";", "printf", "end"]
    assert runner("--num-threads", "2", "J=1:2", "exp/log/b.J.log", *words, PYTHONPATH="x y") == (0, "")
    date = r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \S+ \d{4}"
    assert re.fullmatch(
        rf"# Running on \S+\n# Started at {date}\n"
        r"# echo 2 'two  words' \$FROM_PATH_SH \$PYTHONPATH ; printf end"
        "\n"
        "2 two  words yes x y\nend\n"
        rf"# Accounting: time=\d+ threads=2\n# Finished at {date} with status 0\n",
        (tmp_path / "exp/log/b.2.log").read_text(),
    )
    assert os.listdir(tmp_path / "exp/q") == ["b.J.sh"]
    [call] = runner.calls()
    assert call[-1] == str(tmp_path / "exp/q/b.J.sh")
    output = {"slurm": "--output={}/exp/q/b.%a.log", "queue": "{}/exp/q/b.$TASK_ID.log"}[runner.name]
    assert output.format(tmp_path) in call


def test_failures_are_counted(runner, tmp_path):
    done = runner("J=1:3", "log/b.J.log", "echo", "J", ";", "exit", "3", "|", "cat")
    reasons = "".join(f"log/b.{task}.log: exit status 3: {task}\n" for task in (1, 2, 3))
    assert done == (1, f"3 / 3 failed, log is in log/b.*.log\n{reasons}")
    done = runner("J=1:3", "log/b.J.log", "[", "J", "-ne", "2", "]")
    assert done == (1, "1 / 3 failed, log is in log/b.*.log\nlog/b.2.log: exit status 1\n")
    assert "with status 1" in (tmp_path / "log/b.2.log").read_text()
    killed = "job failed, log is in x.log\nx.log: killed by signal 9 (out of memory?): epoch 3\n"
    assert runner("x.log", "echo", "epoch", "3", ";", "kill", "-KILL", "$$") == (1, killed)
    assert "with status 137" in (tmp_path / "x.log").read_text()
    assert body(tmp_path / "log/b.1.log") == []  # the log of the first call is gone


def test_range_in_the_folder_and_strange_words(runner, tmp_path):
    assert runner("J=2:3", "logs.J/x/a.log", "echo", "#$ -q no\n%a", "'$TASK_ID&\"'") == (0, "")
    assert body(tmp_path / "logs.3/x/a.log") == ['%a $TASK_ID&"']
    assert os.listdir(tmp_path / "q") == ["logs.J_x_a.sh"]


@pytest.mark.parametrize(
    "options, expected",
    [
        ([], ["-S", "/bin/bash"]),
        (["--mem", "4G; touch hacked"], ["-S", "/bin/bash", "-l", "mem=4G; touch hacked, free"]),
        (["--mem", "0", "--num-threads", "1", "--gpu", "0"], ["-S", "/bin/bash"]),
        (["--num_threads=3", "--gpu", "2"], ["-S", "/bin/bash", "-l", "gpu=2", "-pe", "smp", "3"]),
        (["--queue-name", "a", "--max-jobs-run", "5"], ["-S", "/bin/bash", "-q", "a"]),  # of a single job
    ],
)
def test_options_are_what_the_config_says(runner, tmp_path, options, expected):
    assert runner(*options, "a.log", "true") == (0, "")
    [call] = runner.calls()
    assert call[: len(expected)] == expected and call[len(expected)] in ("--parsable", "-C")
    assert not (tmp_path / "hacked").exists()


def test_limit_of_an_array(runner):
    assert runner("--max-jobs-run", "4", "J=2:9", "J.log", "true") == (0, "")
    [call] = runner.calls()
    # To Slurm it is a part of the range, whatever the config says.
    if runner.name == "slurm":
        assert "--array=2-9%4" in call and "-tc" not in call
    else:
        assert call[call.index("-tc") + 1] == "4" and call[call.index("-t") + 1] == "2-9"


def test_config_files(runner, tmp_path):
    other = tmp_path / "other.conf"
    command = f"command {runner.engine['submit']} 'two words'"
    other.write_text(f"{command}\ndefault k=v\noption k=* -k $0\noption k=v -v\n")
    assert runner("--config", "other.conf", "a.log", "true") == (0, "")
    assert runner.calls()[-1][:2] == ["two words", "-v"]
    runner.config.unlink()
    shipped = ["--mem", "4G", "--num-threads", "2", "--gpu", "1", "--time", "1:0:0", "--max-jobs-run", "2"]
    assert runner(*shipped, "J=1:2", "J.log", "true") == (0, "")
    words = " ".join(runner.calls()[-1])
    assert "gpu" in words and "4G" in words
    done = runner("--num-nodes", "2", "a.log", "true")
    if runner.name == "slurm":
        assert done == (0, "") and {"--nodes=2", "--ntasks=2"} <= set(runner.calls()[-1])
    else:
        assert done[0] == 1 and "utils/queue.conf does not describe --num-nodes 2" in done[1]


@pytest.mark.parametrize(
    "text, options, message",
    [
        (None, ["--wrong", "3"], "conf/{}.conf does not describe --wrong 3"),
        ("command x\noption mem=4G", ["--mem", "5G"], "conf/{}.conf does not describe --mem 5G"),
        ("# nothing", [], "conf/{}.conf: has no line 'command ...'"),
        ("command x\noptions mem=*", [], "conf/{}.conf line 2: expected command, option"),
        ("command x\n\ndefault mem", [], "conf/{}.conf line 3: expected default NAME=VALUE"),
        ("command 'x", [], "conf/{}.conf line 1: a quote is not closed"),
        ("command x\npoll often", [], "conf/{}.conf line 2: poll takes seconds, not 'often'"),
        ("command no-such-program", [], "no-such-program refused the job: cannot run no-such-program"),
        (None, ["--config", "none"], "cannot read the config none: No such file"),
        (None, ["--num-nodes", "0"], "the option --num-nodes takes a number from 1"),
        (None, ["--gpu", "some"], "the option --gpu takes a number from 0"),
    ],
)
def test_wrong_configs_and_options(runner, tmp_path, text, options, message):
    if text is not None:
        runner.config.write_text(text + "\n")
    code, messages = runner(*options, "a.log", "true")
    assert code == 1 and messages.startswith(message.format(runner.name)) and messages.count("\n") == 1
    assert not (tmp_path / "a.log").exists()


def test_a_submission_is_tried_again_when_that_may_help(runner, tmp_path):
    runner.write("refusals", *["error: unable to contact the master"] * 3)
    code, messages = runner("a.log", "true")
    assert code == 0 and len(runner.calls()) == 4
    waits = re.findall(r"failed, trying again in (\S+) s: error: unable to contact", messages)
    assert waits == ["0.05", "0.1", "0.2"]

    runner.write("refusals", *["error: no such partition or queue"] * 3)
    done = runner("a.log", "true")
    assert done == (1, f"{runner.engine['submit']} refused the job: error: no such partition or queue\n")
    assert len(runner.calls()) == 5 and not list(tmp_path.glob("q/a.??????"))


def test_tries_are_bounded(runner):
    runner.config.write_text(runner.config.read_text().replace("0.2", "0.01"))
    runner.write("refusals", *["connection refused"] * 20)
    code, messages = runner("a.log", "true")
    assert code == 1 and messages.endswith("refused the job: connection refused\n")
    assert len(runner.calls()) == 8


def test_a_task_that_vanishes_has_failed(runner):
    """Whatever the scheduler says of it: to `qsub -sync y`, one that was removed with qdel has ended well."""
    runner.write("lost", "2", "4")
    code, messages = runner("J=1:4", "J.log", "true")
    lost = "job 7, task 2,4 left the queue without an exit code: removed, out of time, or its node lost\n"
    assert (code, messages) == (1, lost + "2 / 4 failed, log is in *.log\n")


def test_a_task_that_can_never_run_is_removed_and_has_failed(runner):
    runner.write("lost", "2")
    runner.write("queue", runner.engine["stuck"].format(2))
    code, messages = runner("J=1:3", "J.log", "true")
    assert code == 1 and "job 7, task 2 will never run (" in messages and "1 / 3 failed" in messages
    assert runner.calls(runner.engine["remove"]) == [[{"slurm": "7_2", "queue": "7.2"}[runner.name]]]


def test_a_job_of_another_cluster_is_looked_for_and_removed_there(tmp_path, monkeypatch):
    """sbatch says which cluster took the job, whether --clusters or the environment asked for it."""
    runner = Runner("slurm", tmp_path)
    runner.write("cluster", "gpu")
    runner.write("lost", "1", "2")
    runner.write("queue", *map(runner.engine["queued"].format, (1, 2)))
    running = runner.start("J=1:2", "J.log", "true", SBATCH_CLUSTERS="gpu")
    try:
        runner.wait_for_looks(2)
        assert running.poll() is None  # as the tasks wait in that cluster's queue
        runner.write("queue", runner.engine["stuck"].format(1), runner.engine["queued"].format(2))
        wait_until(lambda: runner.calls("scancel"), running)
        running.terminate()
        _, messages = running.communicate(timeout=HOUR)
    finally:
        running.kill()
    assert "job 7;gpu, task 1 will never run (launch failed)" in messages
    assert messages.endswith("stopped by SIGTERM, job 7;gpu is removed\n")
    assert runner.calls("scancel") == [["--clusters=gpu", "7_1"], ["--clusters=gpu", "7"]]
    assert {"--clusters=gpu", "--jobs=7"} <= set(runner.calls("squeue")[0])


def test_paths_that_a_scheduler_would_read_otherwise(runner, tmp_path):
    log = "a,b:$USER/log%a/x.J.log"
    assert runner("J=1:2", log, "echo", "J") == (0, "")
    assert body(tmp_path / log.replace("J", "2")) == ["2"]
    (call,) = runner.calls()
    output = {"slurm": f"--output={tmp_path}/a,b:$USER/log%%a/q/x.%a.log", "queue": "/dev/null"}
    assert output[runner.name] in call


def test_a_scheduler_that_does_not_answer_is_waited_for(runner, tmp_path):
    runner.write("lost", "1")
    (tmp_path / "down").touch()
    running = runner.start("J=1:2", "J.log", "true")
    runner.wait_for_looks(1)
    runner.write("queue", runner.engine["queued"].format(1))
    (tmp_path / "down").unlink()
    runner.wait_for_looks(2)  # the task is queued
    (tmp_path / "queue").unlink()
    assert running.wait(HOUR) == 1
    running.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_removes_the_job(runner, tmp_path, number):
    runner.write("lost", "1", "2")
    runner.write("queue", runner.engine["queued"].format(1), runner.engine["queued"].format(2))
    running = runner.start("J=1:2", "log/J.log", "true")
    runner.wait_for_looks(0)
    running.send_signal(number)
    _, messages = running.communicate(timeout=HOUR)
    assert running.returncode == 2
    assert messages == f"{runner.name}.pl: stopped by {number.name}, job 7 is removed\n"
    assert runner.calls(runner.engine["remove"]) == [["7"]]
    assert os.listdir(tmp_path / "q") == ["J.sh"]  # which does nothing, should it start now
    done = subprocess.run(["bash", tmp_path / "q/J.sh"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "nobody waits for this job any more" in done.stderr


SAVING = """import signal, sys, time
from pathlib import Path

def save(*_):
    time.sleep(0.5)
    Path("saved").touch()
    sys.exit(143)

signal.signal(signal.SIGTERM, save)
Path("started").touch()
while not Path("saved").exists():
    time.sleep(0.05)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])
@pytest.mark.parametrize("whole_group", [False, True])
def test_a_task_that_is_stopped_saves_its_work_and_may_run_again(runner, tmp_path, number, whole_group):
    """The command, two processes below the script, gets SIGTERM; its first run leaves no exit code."""
    (tmp_path / "train.py").write_text(SAVING)
    (tmp_path / "train.sh").write_text("python3 train.py || exit; echo done\n")
    runner.write("lost", "1")
    runner.write("queue", runner.engine["queued"].format(1))
    running = runner.start("J=1:1", "J.log", "bash", "train.sh")
    wait_until((tmp_path / "calls").exists)
    wait_until((tmp_path / "q/J.sh").exists)
    task = {"SGE_TASK_ID": "1", "SLURM_ARRAY_TASK_ID": "1"}

    def run_script():
        environment = {**os.environ, **task}
        return subprocess.Popen(["bash", "q/J.sh"], cwd=tmp_path, env=environment, start_new_session=True)

    script = run_script()
    wait_until((tmp_path / "started").exists)
    (os.killpg if whole_group else os.kill)(script.pid, number)
    assert script.wait(HOUR) == 1
    assert (tmp_path / "saved").exists()
    log = (tmp_path / "1.log").read_text()
    assert log.endswith("with status 143\n") and "done" not in log
    runner.wait_for_looks(2)

    assert run_script().wait(HOUR) == 0
    assert running.wait(HOUR) == 0
    running.communicate()
    assert (tmp_path / "1.log").read_text().startswith(log) and body(tmp_path / "1.log") == ["done"]


def test_a_task_that_has_ended_does_not_run_again(runner, tmp_path):
    runner.write("lost", "2")
    runner.write("queue", runner.engine["queued"].format(2))
    running = runner.start("J=1:2", "J.log", "echo", "once")
    task = {"SGE_TASK_ID": "1", "SLURM_ARRAY_TASK_ID": "1"}
    wait_until(lambda: list(tmp_path.glob("q/J.??????/1.0")), running)
    subprocess.run(["bash", "q/J.sh"], cwd=tmp_path, env={**os.environ, **task}, check=True)
    assert body(tmp_path / "1.log") == ["once"]
    running.terminate()
    running.communicate()


def test_a_log_that_is_no_plain_file_stays(runner, tmp_path):
    (tmp_path / "nowhere").symlink_to("/dev/null")
    assert runner("nowhere", "true") == (0, "")
    assert (tmp_path / "nowhere").is_symlink()


def test_nohup_keeps_its_meaning(runner, tmp_path):
    runner.write("lost", "1")
    runner.write("queue", runner.engine["queued"].format(1))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        running = runner.start("a.log", "true", default_signals=False)
    finally:
        signal.signal(signal.SIGHUP, before)
    runner.wait_for_looks(0)
    running.send_signal(signal.SIGHUP)
    runner.wait_for_looks(1)
    running.terminate()
    running.communicate(timeout=HOUR)
    assert running.returncode == 2
