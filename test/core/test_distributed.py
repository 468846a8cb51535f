"""What torchrun tells a process; test/tasks/test_asr.py trains with two."""

import torch

from sertk.core import distributed


def test_each_process_of_a_node_takes_a_gpu_of_its_own(monkeypatch):
    calls = []
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "set_device", calls.append)
    monkeypatch.setattr(torch.distributed, "init_process_group", calls.append)
    distributed.start(torch.device("cuda"))
    assert calls == [1, "nccl"]
