"""What users see when jobs on real schedulers fail, vanish, or are stopped; the mini recipe on them."""

import json
import random
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from asr_releases import write_librispeech
from clusters import ask
from patience import HOUR, wait_until

from sertk.bin import synthesise_mini

FAST = "model.lstm_units=8 segment.train_hop=40 segment.decode_hop=40 training.max_epochs=2"
TINY = """model.gru_units=4 model.gru_layers=1 model.channels=2 optimiser.name=sgd optimiser.lr=3e-5
training.batch_size=3 training.precision=float32 training.max_epochs=60 training.patience=60"""
# Ends well at once when it ran before, and else saves its work when it is told to stop.
TRAINING = """import signal, sys, time
from pathlib import Path

checkpoint = Path(f"checkpoint{sys.argv[1]}")
print("goes on" if checkpoint.exists() else "begins", flush=True)
if not checkpoint.exists():
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    Path(f"started{sys.argv[1]}").touch()
    while not stopped:
        time.sleep(0.1)
    time.sleep(0.5)
    checkpoint.touch()
    sys.exit(143)
"""


def body(log):
    return [line for line in log.read_text().splitlines() if not line.startswith("#")]


def end_well(recipe):
    stdout, stderr = recipe.communicate(timeout=HOUR)
    assert recipe.returncode == 0, stdout + stderr


@pytest.fixture
def training(tmp_path):
    """The words of a command that trains J, two processes below the script of the task."""
    (tmp_path / "training.py").write_text(TRAINING)
    (tmp_path / "training.sh").write_text('python3 training.py "$1" || exit; echo done\n')
    return ["bash", "training.sh", "J"]


def test_array_with_a_failure(cluster, tmp_path):
    options = ["--mem", "100M", "--num-threads", "2", "--gpu", "1", "--time", "0:10:0", "--max-jobs-run", "2"]
    words = ["echo", "J", "two  words\n#$ -q nowhere\n#SBATCH -p nowhere", ";", "[", "J", "-ne", "2", "]"]
    done = cluster(*options, "J=1:3", "exp/log/a.J.log", *words)
    assert done == (1, "1 / 3 failed, log is in exp/log/a.*.log\nexp/log/a.2.log: exit status 1: 2 two  words\n")
    for task in (1, 2, 3):
        assert body(tmp_path / f"exp/log/a.{task}.log") == [f"{task} two  words"]
    assert "threads=2" in (tmp_path / "exp/log/a.1.log").read_text()
    assert {path.name: path.read_text() for path in (tmp_path / "exp/q").glob("*.log")} == {
        f"a.{n}.log": "" for n in (1, 2, 3)
    }


def test_paths_that_a_scheduler_would_read_otherwise(cluster, tmp_path):
    log = "a,b:$USER/log%a/x.J.log"
    assert cluster("J=1:2", log, "echo", "J") == (0, "")
    assert body(tmp_path / log.replace("J.", "2.")) == ["2"]


def test_a_refused_submission(cluster):
    code, messages = cluster("--mem", "nonsense", "a.log", "true")
    assert code == 1 and "refused the job: " in messages and messages.count("\n") == 1


def test_a_task_that_is_removed_saves_its_work_and_has_failed(cluster, tmp_path, training):
    running = cluster.start("J=1:2", "removed.J.log", *training)
    for task in (1, 2):
        wait_until((tmp_path / f"started{task}").exists)
    (tmp_path / "checkpoint1").touch()
    job = cluster.job_of("removed.J")
    for task in (1, 2):
        cluster.remove(job, task)
    code, messages = cluster.end(running)
    assert code == 1 and "2 / 2 failed, log is in removed.*.log\n" in messages
    assert f"job {job}, task " in messages and "left the queue without an exit code" in messages
    assert (tmp_path / "checkpoint2").exists()
    assert "with status 143" in (tmp_path / "removed.2.log").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_removes_the_job(cluster, tmp_path, training, number):
    running = cluster.start("J=1:1", "stopped.J.log", *training)
    wait_until((tmp_path / "started1").exists)
    job = cluster.job_of("stopped.J")
    running.send_signal(number)
    assert cluster.end(running) == (2, f"stopped by {number.name}, job {job} is removed\n")
    wait_until((tmp_path / "checkpoint1").exists)
    wait_until(lambda: not cluster.job_of("stopped.J"))


@pytest.mark.parametrize("how", ["requeue", "preempt"])
def test_a_task_that_has_to_make_room_goes_on_later(slurm, tmp_path, training, how):
    """By a command, or by a job of more importance that needs all processors of both nodes."""
    running = slurm.start("J=1:1", f"{how}.J.log", *training)
    wait_until((tmp_path / "started1").exists)
    if how == "requeue":
        ask("scontrol", "requeue", f"{slurm.job_of('requeue.J')}_1")
    else:
        processors = ask("sinfo", "--noheader", "--format=%c").split()[0].strip("+")
        everything = ["--num-nodes", "2", "--num-threads", processors]
        assert slurm("--partition", "urgent", *everything, "urgent.log", "true") == (0, "")
    assert slurm.end(running) == (0, "")
    assert body(tmp_path / f"{how}.1.log")[-2:] == ["goes on", "done"]
    text = (tmp_path / f"{how}.1.log").read_text()
    assert text.index("with status 143") < text.index("goes on") < text.index("with status 0")


def test_no_exit_code_is_lost(cluster):
    """Many arrays at a time with random failures: every one ends as its tasks did."""
    generator = random.Random(1)
    arrays = []
    for _ in range(100 if cluster.name == "slurm" else 20):
        number = generator.randint(2, 4)
        arrays.append((number, [n for n in range(1, number + 1) if generator.random() < 0.3]))

    def run(index):
        number, failing = arrays[index]
        tests = " ".join(f"[ J -ne {n} ] &&" for n in failing).split() + ["true"]
        return cluster(f"J=1:{number}", f"{index}/J.log", *tests)

    with ThreadPoolExecutor(10) as pool:
        for index, done in enumerate(pool.map(run, range(len(arrays)))):
            number, failing = arrays[index]
            message = f"{len(failing)} / {number} failed, log is in {index}/*.log\n"
            assert done == ((1, f"{message}{index}/{failing[0]}.log: exit status 1\n") if failing else (0, ""))


def test_mini_recipe(cluster, tmp_path):
    pytest.importorskip("espeakng_loader", reason="espeak-ng's voices are not installed (espeakng-loader)")
    mini = cluster.recipe("mini")
    assert synthesise_mini.main(["--sentences", "2", str(tmp_path / "release")]) == 0
    limits = ["--nj", "3", "--ngpu", "0", "--num_threads", "1", "--mem", "100M"]
    chosen = ["--folds", "1 3", "--model", "blstm", "--set", FAST, "--tag", "fast"]
    end_well(cluster.start_recipe(mini, "--db_root", tmp_path / "release", *chosen, *limits))
    exp = mini / "exp/mini_4_mini/blstm_fast"
    assert "2 of 4 folds, 1 seed; 2 runs." in (exp / "RESULTS.md").read_text()
    assert len(json.loads((exp / "results.json").read_text())["labels"]) == 4
    for log in (*exp.glob("log/*.log"), *mini.glob("data/mini/log/make_*.log")):
        text = log.read_text()
        assert text.startswith("# Running on ") and text.endswith("with status 0\n")
    assert len(list(exp.glob("log/*.log"))) == 4 and len(list(exp.glob("q/*.sh"))) == 2


def test_asr_training_on_two_nodes(slurm, tmp_path):
    """Although it has to start again it does what one process does."""
    asr, release = slurm.recipe("asr"), tmp_path / "release"
    texts = {f"{speaker}-1-0000": word for speaker, word in enumerate(("ONE", "TWO", "SIX", "TEN", "NO"), 1)}
    write_librispeech(release, "train-clean-100", texts, seed=1)
    write_librispeech(release, "dev-clean", {"6-1-0000": "ONE", "7-1-0000": "TWO"}, seed=2)
    write_librispeech(release, "none", dict.fromkeys([*texts, "6-1-0000", "7-1-0000"], "A"))  # all in SPEAKERS.TXT
    train, dev = "librispeech/train-clean-100", "librispeech/dev-clean"
    options = ["--librispeech_root", release, "--train_sets", train, "--dev_sets", dev, "--test_sets", ""]
    options += ["--partial", "true", "--stop_stage", "3", "--model", "small", "--set", TINY]
    options += ["--nj", "1", "--ngpu", "0", "--num_threads", "1"]
    end_well(slurm.start_recipe(asr, *options, "--tag", "one", backend="local"))
    on_two = ["--stage", "3", "--num_nodes", "2", "--mem", "300M"]
    running = slurm.start_recipe(asr, *options, *on_two, "--tag", "two")
    one, two = (asr / f"exp/small_char_{tag}" for tag in ("one", "two"))
    wait_until((two / "metrics.jsonl").exists)
    ask("scontrol", "requeue", f"{slurm.job_of('train')}_1")
    end_well(running)
    assert "going on from epoch" in (two / "train.log").read_text()
    texts = [(exp / "metrics.jsonl").read_text().splitlines() for exp in (one, two)]
    for line, other in zip(*(map(json.loads, lines) for lines in texts), strict=True):
        for name in ("train_loss", "valid_loss"):  # not the error rates: rounding may turn a best path
            assert other[name] == pytest.approx(line[name], rel=1e-4)
