"""Checkpoints of earlier versions."""

import torch

from sertk.training.checkpoint import read_checkpoint


def test_a_pretrained_network_in_the_loop_is_found_by_its_former_name(tmp_path):
    weight = torch.arange(3.0)
    old = {"recogniser.gru.weight": weight, "model.recogniser.weight": weight}
    averaged = {f"module.{name}": value for name, value in old.items()} | {"n_averaged": torch.tensor(2)}
    torch.save({"model": old, "average": averaged, "task": {}}, tmp_path / "best.pt")
    read = read_checkpoint(tmp_path / "best.pt")
    assert list(read["model"]) == ["pretrained.gru.weight", "model.recogniser.weight"]
    assert list(read["average"]) == ["module.pretrained.gru.weight", "module.model.recogniser.weight", "n_averaged"]
    assert all(torch.equal(value, weight) for value in read["model"].values())
    torch.save({"model": old, "average": None}, tmp_path / "best.pt")
    assert read_checkpoint(tmp_path / "best.pt")["average"] is None
