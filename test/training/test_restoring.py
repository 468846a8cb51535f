"""What is taken from checkpoints: of other models, and of earlier versions."""

from dataclasses import asdict
from types import SimpleNamespace

import pytest
import torch

from sertk.core.errors import SertkError
from sertk.training.checkpoint import Progress, load_checkpoint, load_matching, save_checkpoint


def make_task(**layers):
    model = torch.nn.ModuleDict({name: torch.nn.Linear(*shape) for name, shape in layers.items()})
    return SimpleNamespace(model=model, device=torch.device("cpu"), export=dict)


def save(path, task):
    progress = Progress(epoch=3, updates=7, sums={"loss": 0.5}, best_value=0.4, best_epoch=2, precision="float32")
    save_checkpoint(path, task, torch.optim.SGD(task.model.parameters(), lr=0.5), None, progress)
    return progress


def test_weights_of_the_same_name_and_shape_are_taken_over(tmp_path):
    source, target = make_task(a=(2, 3), b=(3, 4), c=(4, 5)), make_task(a=(2, 3), b=(3, 6), d=(4, 5))
    save(tmp_path / "latest.pt", source)
    before = {name: value.clone() for name, value in target.model.state_dict().items()}
    assert load_matching(target.model, tmp_path / "latest.pt") == ["a.bias", "a.weight"]
    for name, value in target.model.state_dict().items():
        expected = source.model.state_dict()[name] if name.startswith("a.") else before[name]
        assert torch.equal(value, expected)
    with pytest.raises(SertkError, match="latest.pt: no weight has the name and shape"):
        load_matching(make_task(d=(4, 5)).model, tmp_path / "latest.pt")


@pytest.mark.parametrize("key", ["updates", "step"])
def test_training_goes_on_where_it_was_cut_off_also_from_version_0_1(tmp_path, key):
    """Which called the updates of an epoch steps."""
    task = make_task(a=(2, 3))
    saved = save(tmp_path / "latest.pt", task)
    content = torch.load(tmp_path / "latest.pt", weights_only=True)
    content["progress"][key] = content["progress"].pop("updates")
    torch.save(content, tmp_path / "latest.pt")
    other = make_task(a=(2, 3))
    optimiser = torch.optim.SGD(other.model.parameters(), lr=0.1)
    assert asdict(load_checkpoint(tmp_path / "latest.pt", other, optimiser, None)) == asdict(saved)
    assert torch.equal(other.model["a"].weight, task.model["a"].weight)
    assert optimiser.param_groups[0]["lr"] == 0.5


def test_random_numbers_go_on_as_they_would_have(tmp_path):
    task = make_task(a=(2, 3))
    save(tmp_path / "latest.pt", task)
    expected = torch.rand(3)
    torch.manual_seed(99)
    load_checkpoint(tmp_path / "latest.pt", task, torch.optim.SGD(task.model.parameters(), lr=0.1), None)
    assert torch.equal(torch.rand(3), expected)
