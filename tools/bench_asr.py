#!/usr/bin/env python3
"""A training update of the speech recogniser beside one of the same network as in deepspeech.pytorch (2017).

Whole updates of the training loop (spectrograms, forward, CTC, backward, clipping, SGD, figures) take turns
with updates of the reference on the same data and from the same weights, all in float32: utterances of 4 s, and
of 4 to 2 s. The reference's batch is ready, it packs every batch, and torch.nn.CTCLoss stands in for
warp-ctc. The loop alone is measured too: updates in which a network of the same weights has its gradients at
once. What is allowed is printed beside each ratio; a miss is the exit status.

example: tools/bench_asr.py --updates 5 --num_threads 2
"""

import argparse
import statistics
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sertk.batches.normalise import Normaliser
from sertk.batches.streams import Dataset, UtteranceSampler
from sertk.batches.waves import WaveStream
from sertk.bin._options import add_device_options, choose_device
from sertk.config.loading import load_parts
from sertk.features.registry import load_extractor
from sertk.models.base import Shape
from sertk.models.deepspeech import DeepSpeech, output_lengths
from sertk.training.checkpoint import Progress
from sertk.training.loop import Trainer, make_optimiser, train_epoch

CONFIG = Path(__file__).resolve().parents[1] / "egs" / "asr" / "conf" / "deepspeech.yaml"
SETTINGS = ["training.precision=float32"]
UTTERANCES, CHARACTERS, RATE = 8, 28, 16000
CHARACTERS_A_SECOND = 12
ALLOWED = {"equal": 0.85, "from 4 to 2 s": 1.0}
ALLOWED_AROUND = 0.05  # of an update


class Reference(nn.Module):
    """The network on (batch, 1, bins, frames): padding is seen by the normalisations, and by nothing else."""

    def __init__(self, bins, units, layers, symbols):
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, 32, (41, 11), (2, 2)),
            nn.BatchNorm2d(32),
            nn.Hardtanh(0, 20, inplace=True),
            nn.Conv2d(32, 32, (21, 11), (2, 1)),
            nn.BatchNorm2d(32),
            nn.Hardtanh(0, 20, inplace=True),
        )
        bins = ((bins - 41) // 2 - 20) // 2 + 1
        dims = [32 * bins] + [units] * (layers - 1)
        self.grus = nn.ModuleList(nn.GRU(each, units, bias=False, bidirectional=True) for each in dims)
        self.norms = nn.ModuleList(nn.BatchNorm1d(units) for _ in dims)  # each after its GRU
        self.output = nn.Linear(units, symbols, bias=False)

    def forward(self, spectrograms, lengths):
        """Scores (frames, batch, symbols) and lengths."""
        values = self.convolutions(spectrograms).flatten(1, 2).permute(2, 0, 1).contiguous()
        lengths = output_lengths(lengths)
        for number, gru in enumerate(self.grus):
            if number:
                values = frame_by_frame(self.norms[number - 1], values)
            values, _ = pad_packed_sequence(gru(pack_padded_sequence(values, lengths))[0])
            values = values.view(*values.shape[:2], 2, -1).sum(2)
        return self.output(frame_by_frame(self.norms[-1], values)), lengths

    def loss(self, spectrograms, lengths, tokens):
        """Of a ready batch, sorted from long to short: the mean over the utterances of -log P(text)."""
        scores, lengths = self(spectrograms, lengths)
        criterion = nn.CTCLoss(scores.shape[-1] - 1, reduction="sum")
        return criterion(F.log_softmax(scores, -1), tokens.values, lengths, tokens.lengths) / len(lengths)

    def take_weights(self, model):
        """Those of a DeepSpeech; its convolutions have frames before bins."""
        for place, number in ((0, 0), (3, 1)):
            theirs = model.convolutions[number].state_dict()
            theirs["weight"] = theirs["weight"].transpose(2, 3)
            self.convolutions[place].load_state_dict(theirs)
            norm = model.convolution_norms[number].state_dict()  # without the count of batches
            self.convolutions[place + 1].load_state_dict(norm, strict=False)
        for gru, theirs in zip(self.grus, model.grus):
            gru.load_state_dict(theirs.rnn.state_dict())
        for norm, theirs in zip(self.norms, model.norms):
            norm.load_state_dict(theirs.state_dict(), strict=False)
        self.output.load_state_dict(model.output.state_dict())


def frame_by_frame(module, values):
    return module(values.flatten(0, 1)).view(values.shape)


class GivenGradients(nn.Module):
    """In the place of a model: its weights and their gradients, without any computation."""

    def __init__(self, model):
        super().__init__()
        self.weights = nn.ParameterList(nn.Parameter(each.detach().clone()) for each in model.parameters())
        self.gradients = [each.grad.clone() for each in model.parameters()]

    def loss(self, batch):
        return _Given.apply(self.gradients, *self.weights), {}


class _Given(torch.autograd.Function):
    @staticmethod
    def forward(ctx, gradients, *weights):
        ctx.gradients = gradients
        return weights[0].new_zeros(())

    @staticmethod
    def backward(ctx, _):
        return None, *ctx.gradients


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=5, help="updates of each kind (default: %(default)s)")
    add_device_options(parser)
    args = parser.parse_args()
    device = choose_device(args)
    config = load_parts(CONFIG, SETTINGS)["train"]
    print(f"{torch.get_num_threads()} threads, {device}, {UTTERANCES} utterances, medians of updates in turn")
    slow = False
    for title, shortest in zip(ALLOWED, (4, 2)):
        dataset = random_dataset(torch.linspace(4, shortest, UTTERANCES), config).to(device)
        reference, ours, around = measure(dataset, config, device, args.updates)
        ratio, share = ours / reference, around / ours
        slow |= ratio > ALLOWED[title] or share > ALLOWED_AROUND
        print(
            f"lengths {title:14} reference {reference:6.2f} s, ours {ours:6.2f} s, ratio {ratio:.2f} of "
            f"{ALLOWED[title]:.2f} allowed, around the network {1e3 * around:4.0f} ms, "
            f"{share:.1%} of {ALLOWED_AROUND:.0%} allowed",
            flush=True,
        )
    return slow


def random_dataset(seconds, config):
    """Noise of so many seconds (utterances,) in memory, for features on the fly, with random texts."""
    random = np.random.default_rng(0)
    names = [str(number) for number in range(len(seconds))]
    waves = {name: random.random(int(RATE * each), dtype=np.float32) for name, each in zip(names, seconds)}
    (name,) = config.features
    stream = WaveStream(waves, load_extractor(name))
    tokens = [random.integers(CHARACTERS, size=int(CHARACTERS_A_SECOND * each)).tolist() for each in seconds]
    return Dataset(names, {name: stream}, {name: Normaliser(config.normalise)}, tokens=tokens)


def measure(dataset, config, device, updates):
    """Median seconds of the reference's update, of the training loop's, and of the latter without a network."""
    torch.manual_seed(0)
    dims = {name: stream.dims for name, stream in dataset.streams.items()}
    sizes = config.model.gru_units, config.model.gru_layers
    model = DeepSpeech(config.model, Shape(dims, CHARACTERS)).to(device)
    reference = Reference(*dims.values(), *sizes, CHARACTERS + 1).to(device)
    reference.take_weights(model)
    batch = UtteranceSampler(dataset).gather(torch.arange(len(dataset.utterances)), device)
    functions = [reference_update(reference, batch, config), loop_update(model, dataset, config, device)]
    for function in functions:
        function()
    functions.append(loop_update(GivenGradients(model), dataset, config, device))
    times = [[] for _ in functions]
    for _ in range(updates):
        for function, seconds in zip(functions, times):
            begun = time.perf_counter()
            function()
            if device.type == "cuda":
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - begun)
    return map(statistics.median, times)


def reference_update(model, batch, config):
    stream = batch.only_stream()
    spectrograms = stream.values.transpose(1, 2)[:, None].contiguous()
    optimiser = torch.optim.SGD(model.parameters(), config.optimiser.lr, momentum=0.9, nesterov=True)

    def update():
        loss = model.loss(spectrograms, stream.lengths, batch.tokens)
        float(loss.detach())
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.training.grad_clip)
        optimiser.step()

    return update


def loop_update(model, dataset, config, device):
    """An epoch of one update of the training loop, without what comes at the end of an epoch."""
    sampler = UtteranceSampler(dataset)
    task = SimpleNamespace(
        model=model,
        device=device,
        gather_all=lambda chunks: sampler.gather_all(chunks, device),
        epoch_batches=lambda generator, epoch: [torch.arange(len(dataset.utterances))],
    )
    optimiser = make_optimiser(config.optimiser, model)
    state = Progress(precision=config.training.precision)
    run = Trainer(task, config.training, optimiser, None, None, 0, state)

    def update():
        train_epoch(run, SimpleNamespace(is_set=False))
        state.updates, state.sums = 0, {}

    return update


if __name__ == "__main__":
    sys.exit(main())
