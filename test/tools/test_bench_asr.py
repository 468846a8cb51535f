"""The benchmark of the speech recogniser's updates, with a small network."""

import itertools
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from sertk.batches.streams import UtteranceSampler
from sertk.config.loading import load_parts
from sertk.models.base import Shape
from sertk.models.deepspeech import DeepSpeech

BENCH = Path(__file__).resolve().parents[2] / "tools" / "bench_asr.py"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def bench():
    return SimpleNamespace(**runpy.run_path(BENCH))


@pytest.fixture(scope="module")
def config(bench):
    return load_parts(bench.CONFIG, [*bench.SETTINGS, "model.gru_units=4", "model.gru_layers=2"])["train"]


def test_updates_of_the_reference_of_the_loop_and_of_given_gradients_are_the_same(bench, config):
    """Of utterances as long as each other, so that there is no padding for the reference to see."""
    dataset = bench.random_dataset(torch.tensor([0.8, 0.8]), config)
    dims = {name: stream.dims for name, stream in dataset.streams.items()}
    torch.manual_seed(0)
    model = DeepSpeech(config.model, Shape(dims, bench.CHARACTERS))
    reference, ours = (bench.Reference(*dims.values(), 4, 2, bench.CHARACTERS + 1) for _ in range(2))
    reference.take_weights(model)
    begun = {name: value.clone() for name, value in model.state_dict().items()}
    batch = UtteranceSampler(dataset).gather(torch.arange(2), CPU)

    bench.reference_update(reference, batch, config)()
    bench.loop_update(model, dataset, config, CPU)()
    ours.take_weights(model)
    for name, value in reference.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-4, atol=1e-6, msg=name)
    assert all(not torch.equal(value, begun[name]) for name, value in model.named_parameters())

    updated = [each.detach().clone() for each in model.parameters()]
    model.load_state_dict(begun)
    given = bench.GivenGradients(model)
    bench.loop_update(given, dataset, config, CPU)()
    for weight, expected in zip(given.weights, updated, strict=True):
        torch.testing.assert_close(weight.detach(), expected)


def test_medians_are_taken_of_each_kind(bench, config, monkeypatch):
    seconds = [1, 10, 100, 9, 30, 200, 2, 20, 900]  # of the three kinds in turn
    clock = itertools.accumulate(itertools.chain.from_iterable((0, each) for each in seconds))
    monkeypatch.setitem(bench.measure.__globals__, "time", SimpleNamespace(perf_counter=clock.__next__))
    dataset = bench.random_dataset(torch.tensor([0.8, 0.5]), config)
    assert list(bench.measure(dataset, config, CPU, 3)) == [2, 20, 200]
