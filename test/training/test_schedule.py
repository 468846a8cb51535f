"""The best epoch and the learning rate, by hand."""

import pytest

from sertk.config.schema import Training
from sertk.config.selection import SELECTIONS, selections_of
from sertk.evaluation.runs import _best_epoch
from sertk.training.schedule import is_best, learning_rate, stalls


def test_which_value_is_best():
    assert is_best({"valid_uar": 0.5}, "valid_uar", None)
    assert not is_best({"valid_uar": 0.5}, "valid_uar", 0.5)
    assert is_best({"valid_loss": 0.4}, "valid_loss", 0.5)
    assert not is_best({"valid_cer": 0.6}, "valid_cer", 0.5)
    assert is_best({}, "last", 0.5)


@pytest.mark.parametrize("select", SELECTIONS)
def test_the_epoch_that_a_report_names_is_the_one_that_training_kept(select, tmp_path):
    values = [0.3, 0.6, 0.2, 0.6, 0.2, 0.4]
    kept, best_value = None, None
    for epoch, value in enumerate(values, 1):
        if is_best({select: value}, select, best_value):
            kept, best_value = epoch, value
    (tmp_path / "config.yaml").write_text(f"training: {{select: {select}}}\n")
    assert _best_epoch(tmp_path, [{"epoch": epoch, select: value} for epoch, value in enumerate(values, 1)]) == kept
    assert kept == {"valid_uar": 2, "last": 6}.get(select, 3)


@pytest.mark.parametrize(
    "task, names",
    [
        ("emotion", ["valid_uar", "valid_loss", "last"]),
        ("autoencoder", ["valid_loss", "valid_reconstruction", "last"]),
        ("asr", ["valid_loss", "valid_cer", "last"]),
    ],
)
def test_every_task_has_its_own_selections(task, names):
    assert selections_of(task) == names


def test_learning_rate_falls_by_tenths_and_by_annealing():
    history = [{}] * 3
    assert learning_rate(0.8, Training(drops=(2, 4, 5)), history) == pytest.approx(0.008)  # epoch 4
    assert learning_rate(0.8, Training(anneal=2.0), history) == pytest.approx(0.1)
    assert learning_rate(0.8, Training(anneal=2.0), []) == 0.8


@pytest.mark.parametrize(
    "values, times",
    [([5, 4, 3], 0), ([5, 6], 0), ([5, 6, 7], 1), ([5, 6, 7, 8], 1), ([5, 6, 7, 8, 9], 2), ([5, 6, 4, 6, 3, 3, 3], 1)],
)
def test_two_epochs_without_improvement_halve_it(values, times):
    training = Training(select="valid_loss", plateau=2)
    history = [{"valid_loss": value} for value in values]
    assert stalls(training, history) == times
    assert learning_rate(1.0, training, history) == 0.5**times
    assert stalls(Training(select="valid_loss"), history) == 0
