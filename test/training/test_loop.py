"""The training loop: interrupted training ends with the same bits, early stopping, bad losses."""

import itertools
import json
import logging
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch
from faults import die_at, full_disk, run_killed
from patience import wait_until
from small_experiments import CPU, make_experiment_of, status_of_training, train_run

from sertk.bin import train as train_command
from sertk.config.schema import Training
from sertk.core.errors import SertkError
from sertk.core.files import read_yaml
from sertk.experiments.experiment import Experiment
from sertk.experiments.run import hold_folder
from sertk.training.checkpoint import Progress
from sertk.training.loop import Trainer, choose_precision, train
from sertk.training.part import RunLog

# Training that stops before one update and waits as long as the marker is there.
PAUSING = """
import sys
from pathlib import Path
import patience
from sertk.bin import train
from sertk.training import loop

marker, place = Path(sys.argv[1]), (int(sys.argv[2]), int(sys.argv[3]))
train_epoch, update = loop.train_epoch, loop.update

def epoch_with_pause(trainer, stopped):
    def update_with_pause(*args):
        if (trainer.progress.epoch, trainer.progress.updates) == place:
            marker.touch()
            patience.wait_until(lambda: not marker.exists())
        return update(*args)

    loop.update = update_with_pause
    train_epoch(trainer, stopped)

loop.train_epoch = epoch_with_pause
sys.exit(train.main(sys.argv[4:]))
"""
NEVER = (-1, -1)


def start(corpus, config, exp, *settings, pause=NEVER):
    """Training in a process of its own, a checkpoint after every update; pauses at (finished epochs, updates)."""
    settings = ["training.checkpoint_seconds=0.000001", *settings]
    assert make_experiment_of(corpus, config, exp, *settings) == 0
    command = [sys.executable, "-c", PAUSING, marker_of(exp), *pause, "--fold", "1", "--seed", "3", *CPU, exp]
    return subprocess.Popen(
        [str(word) for word in command],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def run_of(exp):
    return exp / "fold1" / "seed3"


def marker_of(exp):
    return exp.with_name(f"{exp.name}.paused")


def send_in_pause(process, exp, number):
    """Sends a signal as soon as training pauses, and ends the pause."""
    wait_until(marker_of(exp).exists, process)
    process.send_signal(number)
    marker_of(exp).unlink()


def progress_of(run_dir):
    progress = torch.load(run_dir / "checkpoints" / "latest.pt", weights_only=True)["progress"]
    return progress["epoch"], progress["updates"]


def weights(run_dir, name="latest.pt"):
    return torch.load(run_dir / "checkpoints" / name, weights_only=True)["model"]


def assert_same_training(one, other):
    for name in ("latest.pt", "best.pt"):
        left, right = weights(one, name), weights(other, name)
        assert left.keys() == right.keys()
        assert all(torch.equal(left[key], right[key]) for key in left)
    lines = [
        [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()] for folder in (one, other)
    ]
    for left, right in zip(*lines, strict=True):
        left.pop("seconds"), right.pop("seconds")
        assert left == right


def test_killed_and_terminated_training_ends_with_identical_weights(small_corpus, toy_config, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    uninterrupted = start(small_corpus, toy_config, whole)

    process = start(small_corpus, toy_config, cut, pause=(0, 2))
    send_in_pause(process, cut, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert progress_of(run_of(cut)) == (0, 2)

    process = start(small_corpus, toy_config, cut, pause=(1, 1))
    send_in_pause(process, cut, signal.SIGTERM)
    messages = process.communicate()[1]
    assert process.returncode == 143
    assert "going on from epoch 1, update 2" in messages
    assert "stopped by SIGTERM after writing a checkpoint" in messages
    assert progress_of(run_of(cut)) == (1, 2)  # the update under way was ended

    process = start(small_corpus, toy_config, cut)
    assert "going on from epoch 2, update 2" in process.communicate()[1]
    assert process.returncode == 0
    assert uninterrupted.communicate() and uninterrupted.returncode == 0
    assert_same_training(run_of(whole), run_of(cut))


def test_a_run_is_not_resumed_on_other_lists(small_corpus, toy_config, tmp_path, capsys):
    exp = tmp_path / "exp"
    run_dir = train_run(small_corpus, toy_config, exp, "training.max_epochs=1")
    (run_dir / "trained.json").unlink()  # as if it had been killed at the very end
    before = (run_dir / "checkpoints" / "latest.pt").read_bytes()
    fold = small_corpus / "splits" / "toy" / "fold1"
    (fold / "valid").write_text((fold / "valid").read_text().split("\n")[0] + "\n")
    assert status_of_training(small_corpus, toy_config, exp, "training.max_epochs=1") == 1
    assert "trained on other lists (of fold 1) than those of fold 1" in capsys.readouterr().err
    assert (run_dir / "checkpoints" / "latest.pt").read_bytes() == before


def make_task(values, losses=(1.0,)):
    """A task whose validation gives `values` in turn, and whose loss is a weight times `losses` in turn."""
    model = torch.nn.Linear(1, 1, bias=False)
    task = SimpleNamespace(model=model, device=torch.device("cpu"), evaluations=iter(values), factors=iter(losses * 99))
    task.epoch_batches = lambda generator, epoch: torch.arange(2).split(1)
    task.gather_all = lambda chunks: chunks
    model.loss = lambda batch: (model.weight.square().sum() * next(task.factors), {"batch": batch.sum()})
    task.validate = lambda kept: {"valid_uar": next(task.evaluations)}
    task.export, model.chosen = dict, dict
    return task


def run_loop(tmp_path, task, **options):
    training = Training(**{"batch_size": 1, "precision": "float32", **options})
    train(task, training, torch.optim.SGD(task.model.parameters(), lr=0.1), tmp_path, seed=1)
    return [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]


def test_training_stops_after_patience_and_keeps_the_first_best(tmp_path):
    history = run_loop(tmp_path, make_task([0.3, 0.5, 0.5, 0.4, 0.9]), max_epochs=9, patience=2)
    assert [line["valid_uar"] for line in history] == [0.3, 0.5, 0.5, 0.4]
    assert torch.load(tmp_path / "checkpoints" / "best.pt", weights_only=True)["epoch"] == 2


def test_what_the_best_epoch_chose_is_kept_beside_it(tmp_path):
    task = make_task([0.3, 0.5, 0.4])
    task.model.chosen = lambda: {"weight of layer 1": round(float(task.model.weight.detach()) / first, 6)}
    first = float(task.model.weight.detach())
    run_loop(tmp_path, task, max_epochs=3)
    # each of two updates an epoch takes 0.1 times the gradient 2 w off
    assert read_yaml(tmp_path / "chosen.yaml") == {"weight of layer 1": pytest.approx(0.8**4)}


def test_selecting_the_last_epoch_never_stops_early(tmp_path):
    history = run_loop(tmp_path, make_task([0.5, 0.4, 0.3, 0.2]), max_epochs=4, patience=1, select="last")
    assert len(history) == 4
    assert torch.load(tmp_path / "checkpoints" / "best.pt", weights_only=True)["epoch"] == 4


def test_the_learning_rate_drops_at_its_epochs_also_when_training_goes_on(tmp_path):
    run_loop(tmp_path, make_task([0.5] * 3), max_epochs=3, select="last", drops=(2, 4))
    history = run_loop(tmp_path, make_task([0.5] * 2), max_epochs=5, select="last", drops=(2, 4))
    assert [line["lr"] for line in history] == pytest.approx([0.1, 0.01, 0.01, 0.001, 0.001])


def test_a_loss_that_is_not_finite_stops_training(tmp_path):
    with pytest.raises(SertkError, match="epoch 2: loss is nan; try a smaller optimiser.lr"):
        run_loop(tmp_path, make_task([0.3, 0.5], losses=(1.0, 1.0, float("nan"))), max_epochs=3)
    assert torch.load(tmp_path / "checkpoints" / "best.pt", weights_only=True)["epoch"] == 1


def test_a_validation_figure_that_is_not_finite_stops_training(tmp_path):
    with pytest.raises(SertkError, match="epoch 2: valid_uar is nan"):
        run_loop(tmp_path, make_task([0.3, float("nan")]), max_epochs=3)


def test_best_is_written_anew_when_training_was_killed_before_it(tmp_path):
    run_loop(tmp_path, make_task([0.3, 0.5]), max_epochs=2)
    best = tmp_path / "checkpoints" / "best.pt"
    kept = torch.load(best, weights_only=True)
    best.unlink()
    run_loop(tmp_path, make_task([]), max_epochs=2)
    again = torch.load(best, weights_only=True)
    assert again["epoch"] == kept["epoch"] == 2
    assert torch.equal(again["model"]["weight"], kept["model"]["weight"])


def test_a_best_epoch_that_is_gone_is_not_passed_over(tmp_path):
    run_loop(tmp_path, make_task([0.5, 0.3]), max_epochs=2)
    (tmp_path / "checkpoints" / "best.pt").unlink()
    with pytest.raises(SertkError, match="best.pt: gone, and with it the best epoch, 1; remove .*/checkpoints to"):
        run_loop(tmp_path, make_task([]), max_epochs=2)


def test_the_best_epoch_stays_where_training_goes_on_within_the_next_one(tmp_path, cut_off_at):
    run_loop(tmp_path, make_task([0.5]), max_epochs=1)
    kept = weights(tmp_path, "best.pt")["weight"]
    cut_off_at(2)
    with pytest.raises(RuntimeError, match="cut off"):
        run_loop(tmp_path, make_task([]), max_epochs=2, checkpoint_seconds=1e-9)
    assert progress_of(tmp_path) == (1, 1)
    run_loop(tmp_path, make_task([0.3]), max_epochs=2)
    assert torch.equal(weights(tmp_path, "best.pt")["weight"], kept)


def train_two_epochs(folder, *place):
    if place:
        die_at(*place)
    run_loop(folder, make_task([0.3, 0.5]), max_epochs=2)


# The files of the second epoch, in their order: metrics.jsonl, latest.pt, best.pt.
@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("number", [4, 5, 6])
def test_training_that_was_killed_while_it_wrote_goes_on(tmp_path, call, number):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for folder, place in ((whole, ()), (cut, (call, number))):
        torch.manual_seed(0)
        (run_killed if place else lambda run, *args: run(*args))(train_two_epochs, folder, *place)
    (left,) = cut.rglob(".*.tmp")
    with hold_folder(cut):
        assert not left.exists()
    run_loop(cut, make_task([0.5] if number < 6 else []), max_epochs=2)
    assert_same_training(whole, cut)


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path):
    run_loop(tmp_path, make_task([0.3]), max_epochs=1)
    before = {path.name: path.read_bytes() for path in (tmp_path / "checkpoints").iterdir()}
    with full_disk(1000), pytest.raises(OSError, match=r"File too large.*(best|latest)\.pt"):
        run_loop(tmp_path, make_task([0.5]), max_epochs=2)
    assert {path.name: path.read_bytes() for path in (tmp_path / "checkpoints").iterdir()} == before
    assert len(run_loop(tmp_path, make_task([0.5]), max_epochs=2)) == 2


def test_a_log_that_cannot_be_written_stops_training(tmp_path):
    log = RunLog(tmp_path / "train.log")
    with full_disk(10), pytest.raises(OSError, match="File too large.*train.log"):
        log.handle(logging.makeLogRecord({"msg": "a line of more than ten bytes"}))
    log.close()


def test_a_run_folder_takes_one_training_at_a_time(small_corpus, toy_config, tmp_path, capsys):
    exp = tmp_path / "exp"
    assert make_experiment_of(small_corpus, toy_config, exp) == 0
    with Experiment(exp).run(1).hold():
        assert train_command.main(["--fold", "1", *CPU, str(exp)]) == 1
    assert f"{exp}/fold1/seed1: in use by process {os.getpid()} on " in capsys.readouterr().err
    assert [path.name for path in (exp / "fold1/seed1").iterdir()] == [".lock"]


def test_checkpoints_are_due_by_a_clock_that_is_never_set(tmp_path, monkeypatch):
    """The clock of the day jumps by a day with every look, forwards and back; the other one goes on by 10 s."""
    monkeypatch.setattr(time, "time", itertools.cycle([1e9, 1e9 + 86400]).__next__)
    monkeypatch.setattr(time, "monotonic", itertools.count(0, 10).__next__)
    saved = []

    def note(trainer):
        saved.append((trainer.progress.epoch, trainer.progress.updates))

    monkeypatch.setattr(Trainer, "save", note)
    task = make_task([0.3])
    task.epoch_batches = lambda generator, epoch: torch.arange(9).split(1)
    run_loop(tmp_path, task, max_epochs=1, checkpoint_seconds=25)
    assert saved[-1] == (1, 0)
    assert 1 < len(saved) < 5


def test_a_models_own_figures_are_logged_as_means(tmp_path):
    history = run_loop(tmp_path, make_task([0.3]), max_epochs=1)
    assert history[0]["train_batch"] == 0.5  # batches 0 and 1


def test_the_running_mean_of_the_weights_is_validated_and_kept(tmp_path):
    task = make_task([])
    values, means = [], []
    task.epoch_batches = lambda generator, epoch: torch.arange(1).split(1)
    task.validate = lambda kept: (
        values.append(task.model.weight.item()),
        means.append(kept.weight.item()),
        {"valid_uar": len(means) / 10},
    )[2]
    run_loop(tmp_path, task, max_epochs=4, average=0.3)
    expected = values[0]
    for number, value in enumerate(values[1:], 1):
        decay = min(0.3, (1 + number) / (10 + number))
        expected = decay * expected + (1 - decay) * value
        assert means[number] == pytest.approx(expected, rel=1e-5)
    best = torch.load(tmp_path / "checkpoints" / "best.pt", weights_only=True)["model"]
    assert best["weight"].item() == means[-1]


def test_gradients_are_clipped_to_the_given_norm(tmp_path):
    task = make_task([0.1], losses=(1000.0,))
    torch.nn.init.ones_(task.model.weight)
    run_loop(tmp_path, task, max_epochs=1, grad_clip=0.5)
    assert task.model.weight.item() == pytest.approx(1 - 2 * 0.1 * 0.5)  # two updates; unclipped: 1 - 0.1 * 2000, ...


def is_finished(history=(), lr=0.1, **training):
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr)
    progress = Progress(epoch=5, best_epoch=3, history=list(history))
    return Trainer(None, Training(**training), optimiser, None, None, 1, progress).finished()


def test_training_ends_without_patience_epochs_or_learning_rate():
    assert is_finished(patience=2)
    assert not is_finished(patience=3)
    assert is_finished(patience=3, max_epochs=5)
    history = [{"valid_loss": value} for value in (3, 2, 4, 5, 2)]  # epochs 3 and 4 halve the learning rate
    options = {"patience": 3, "select": "valid_loss", "plateau": 2}
    assert not is_finished(history, lr=1e-4, least_lr=5e-5, **options)
    assert is_finished(history, lr=1e-4, least_lr=6e-5, **options)


@pytest.mark.parametrize(
    "avx512, amx, auto", [(False, False, "float32"), (True, False, "bfloat16"), (False, True, "bfloat16")]
)
def test_precision_is_as_asked_for_or_what_the_hardware_has(monkeypatch, avx512, amx, auto):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    cpu = torch.device("cpu")
    assert choose_precision("float32", cpu) == "float32"
    assert choose_precision("bfloat16", cpu) == "bfloat16"
    assert choose_precision("auto", cpu) == auto
