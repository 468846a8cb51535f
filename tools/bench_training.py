#!/usr/bin/env python3
"""What a training update costs beside the model's own forward and backward pass, measured in one run.

Updates of the training loop (gathering the batch, forward, backward, clipping, optimiser, mean of the weights) take
turns with the bare forward and backward pass on a batch that is ready.

example: tools/bench_training.py --updates 20 --num_threads 2 blstm_capsule
"""

import argparse
import statistics
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from sertk.batches.normalise import Normaliser
from sertk.batches.streams import Dataset, Stream, WindowSampler
from sertk.batches.waves import WaveStream
from sertk.bin._options import add_device_options, choose_device
from sertk.config.loading import load_parts
from sertk.features.registry import load_extractor
from sertk.models.base import Shape
from sertk.models.build import build_network
from sertk.training.loop import autocast, choose_precision, make_optimiser, mean_of_weights, update

CONF = Path(__file__).resolve().parents[1] / "egs" / "common" / "conf"
ALLOWED_SECONDS, ALLOWED_SHARE = 2e-3, 0.05  # of a small model's update, of a real one's
CLASSES, UTTERANCES, FRAMES = 8, 1080, 370  # of RAVDESS's training splits
MODELS_MEASURED = {  # title: config, settings, dims of the features, updates in the place of one
    "8 units": ("blstm", ["model.lstm_units=8"], 70, 20),
    "blstm_capsule": ("blstm_capsule", [], 70, 1),
    "cnn_attpool": ("cnn_attpool", [], 400, 1),
    "cnn_attpool on the fly": ("cnn_attpool", ["on_the_fly=true"], 400, 1),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--updates",
        type=int,
        default=20,
        help="updates of each kind (default: %(default)s), 20 times as many of the small model",
    )
    parser.add_argument(
        "models",
        nargs="*",
        default=list(MODELS_MEASURED),
        metavar="MODEL",
        help=f"of {', '.join(MODELS_MEASURED)} (default: all)",
    )
    add_device_options(parser)
    args = parser.parse_args()
    device = choose_device(args)
    print(f"{torch.get_num_threads()} threads, {device}, medians of updates in turn")
    slow = False
    for title in args.models:
        name, settings, dims, factor = MODELS_MEASURED[title]
        config = load_parts(CONF / f"{name}.yaml", settings)["train"]
        whole, bare = measure(random_dataset(config, dims).to(device), config, device, factor * args.updates)
        allowed = ALLOWED_SECONDS if factor > 1 else ALLOWED_SHARE * bare
        slow |= whole - bare > allowed
        print(
            f"{title:22} update {1e3 * whole:8.2f} ms, forward and backward {1e3 * bare:8.2f} ms, "
            f"around them {1e3 * (whole - bare):6.2f} ms of {1e3 * allowed:.2f} ms allowed"
        )
    return slow


def random_dataset(config, dims):
    """As many frames, or seconds of waveforms, as a training split of RAVDESS."""
    random = np.random.default_rng(0)
    names = [str(number) for number in range(UTTERANCES)]
    labels = torch.from_numpy(random.integers(CLASSES, size=UTTERANCES))
    if config.on_the_fly:
        extractor = load_extractor(*config.features)
        samples = extractor.shortest + (FRAMES - 1) * extractor.shift
        stream = WaveStream({name: random.random(samples, dtype=np.float32) for name in names}, extractor)
    else:
        stream = Stream([random.standard_normal((FRAMES, dims), dtype=np.float32) for _ in names])
    return Dataset(names, {"random": stream}, {"random": Normaliser(config.normalise)}, labels)


def measure(dataset, config, device, updates):
    """Median seconds of a whole training update and of the bare forward and backward pass."""
    model = build_network(
        config.model, Shape({"random": dataset.streams["random"].dims}, CLASSES, config.segment.frames)
    ).to(device)
    task = SimpleNamespace(model=model, device=device)
    optimiser = make_optimiser(config.optimiser, model)
    average = mean_of_weights(model, config.training.average) if config.training.average else None
    precision = choose_precision(config.training.precision, device)
    sampler = WindowSampler(dataset, config.segment, config.segment.train_hop)
    chunks = sampler.epoch_windows(torch.Generator().manual_seed(1)).split(config.training.batch_size)
    ready = sampler.gather(chunks[0], device)

    def whole(number):
        update(
            task, optimiser, sampler.gather(chunks[number % len(chunks)], device), config.training.grad_clip, precision
        )
        if average:
            average.update_parameters(model)

    def bare(number):
        with autocast(device, precision):
            loss, _ = model.loss(ready)
        model.zero_grad(set_to_none=True)
        loss.backward()

    times = {whole: [], bare: []}
    for number in range(updates + 3):
        for function, seconds in times.items():
            begun = time.perf_counter()
            function(number)
            if device.type == "cuda":
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - begun)
    return (statistics.median(seconds[3:]) for seconds in times.values())


if __name__ == "__main__":
    sys.exit(main())
