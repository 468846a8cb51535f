"""The benchmark of the recogniser's training step, with a small network."""

import runpy
from pathlib import Path

import torch

from sertk.config.loading import load_parts

BENCH = Path(__file__).resolve().parents[2] / "tools" / "bench_asr.py"


def test_steps_of_a_small_network_are_timed():
    bench = runpy.run_path(BENCH)
    settings = [*bench["SETTINGS"], "model.gru_units=4", "model.gru_layers=2"]
    config = load_parts(bench["CONFIG"], settings)["train"]
    dataset = bench["random_dataset"](torch.tensor([0.8, 0.5]), config)
    times = bench["measure"](dataset, config, torch.device("cpu"), 1)
    assert all(seconds > 0 for seconds in times)
