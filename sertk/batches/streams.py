"""Features in memory and the batches gathered from them by index."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from sertk.batches.normalise import Normaliser
from sertk.config.schema import Segment, Training
from sertk.core.command import progress
from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.kaldi.archives import load_matrix, read_locations, split_location
from sertk.kaldi.datadir import require_all
from sertk.layers.recurrent import length_mask
from sertk.models.base import Batch, Padded, known

HopOf = Literal["train_hop", "decode_hop"]  # the field of a Segment that says how far apart the windows are


class Stream:
    """All frames of one feature type: values (total_frames, dims); utterance i has lengths[i] rows from starts[i]."""

    kept = True  # the frames are in memory, and are normalised there
    gains: Tensor | None = None  # (utterances,), factors of the waveforms of those that are computed

    def __init__(self, matrices: Sequence[np.ndarray]):
        """`matrices` is a list of arrays (frames, dims) of equal dims."""
        self.lengths = torch.tensor([len(matrix) for matrix in matrices])
        self.starts = self.lengths.cumsum(0) - self.lengths
        self.values = torch.from_numpy(np.concatenate(matrices))

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def dims(self) -> int:
        return self.values.shape[1]

    def rows(self, item: int) -> Tensor:
        """The frames of one utterance, a view (frames, dims)."""
        start = int(self.starts[item])
        return self.values[start : start + int(self.lengths[item])]

    def select(self, items: Sequence[int]) -> "Stream":
        """The Stream of some utterances, in this order; the frames themselves are shared."""
        selected = copy.copy(self)
        selected.lengths, selected.starts = self.lengths[items], self.starts[items]
        return selected

    def expect(self, items: Tensor) -> None:
        """Says that the utterances `items` (batch,) will be taken soon."""

    def take(self, items: Tensor, nth: Tensor, device: torch.device) -> Tensor:
        """The frames `nth` (batch, frames) of the utterances `items` (batch,), on `device`: (batch, frames, dims)."""
        index = (self.starts[items, None] + nth).flatten()
        values = self.values.index_select(0, index.to(self.values.device))
        return values.to(device, non_blocking=True).view(*nth.shape, -1)

    def to(self, device: torch.device) -> "Stream":
        """Moves the frames to `device` if they take less than half of its free memory."""
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            if self.values.nbytes < free / 2:
                self.values = self.values.to(device)
        return self


def stack_matrices(matrices: Mapping[str, np.ndarray], what: PathLike) -> Stream:
    """A Stream of {utterance: matrix (frames, dims)}; raises SertkError when dims differ."""
    arrays = []
    for utterance, matrix in matrices.items():
        if matrix.ndim != 2:
            raise SertkError(f"{what}: {utterance}: expected a matrix (frames, dims), got shape {matrix.shape}")
        if arrays and matrix.shape[1] != arrays[0].shape[1]:
            raise SertkError(f"{what}: {utterance} has {matrix.shape[1]} dims, others {arrays[0].shape[1]}")
        arrays.append(matrix)
    return Stream(arrays)


def load_stream(scp: PathLike, utterances: Sequence[str], beside: bool = False) -> Stream:
    """The Stream of `utterances`, in their order, from a table of archives.

    With `beside` the archives are those in the table's folder, wherever that has been moved or copied to since.
    Raises SertkError if an utterance is missing there.
    """
    table = read_locations(scp)
    if beside:
        table = {utterance: str(Path(scp).parent / Path(where).name) for utterance, where in table.items()}
    require_all(scp, table, utterances, "run stage 1 again")

    def place(utterance: str) -> tuple[str, int]:  # archives are read from front to back
        name, offset, _ = split_location(table[utterance])
        return name, offset or 0

    ordered = progress(sorted(utterances, key=place), f"reading {scp}")
    matrices = {utterance: load_matrix(table[utterance]) for utterance in ordered}
    return stack_matrices({utterance: matrices[utterance] for utterance in utterances}, scp)


@dataclass
class Dataset:
    """Some utterances with their streams, already normalised, and labels (utterances,) where they are known.

    `weights` (utterances,) are those in the loss; None: all weigh the same. `numbers` (utterances,) are integers,
    `conditions` (utterances, dims) vectors and `tokens` the texts' that some models ask for.
    """

    utterances: list[str]
    streams: dict[str, Stream]
    normalisers: dict[str, Normaliser]
    labels: Tensor | None = None
    weights: Tensor | None = None
    numbers: Tensor | None = None
    conditions: Tensor | None = None
    tokens: list[list[int]] | None = None
    speakers: list[str] | None = None

    def to(self, device: torch.device) -> "Dataset":
        for stream in self.streams.values():
            stream.to(device)
        return self

    def select(self, items: Sequence[int]) -> "Dataset":
        """The Dataset of some utterances, not yet normalised, in this order; without what was known of all."""
        streams = {name: stream.select(items) for name, stream in self.streams.items()}
        return Dataset([self.utterances[item] for item in items], streams, {})

    def lengths(self) -> Tensor:
        """Frames per utterance of the first stream."""
        return next(iter(self.streams.values())).lengths


AHEAD = 2  # batches that are read from disk before they are taken
LENGTH_NOISE = 0.1  # so that batches of utterances of like lengths are not of the same ones in every epoch


class Sampler:
    """What is seen of which utterances: windows, or whole utterances, each a row of a tensor.

    With `upsample` an epoch has as many utterances of every class.
    """

    def __init__(self, dataset: Dataset, upsample: bool = False):
        self.dataset, self.upsample = dataset, upsample

    def all_windows(self) -> Tensor:
        """All that there is to see, in order."""
        raise NotImplementedError

    def epoch_windows(self, generator: torch.Generator) -> Tensor:
        """What one training epoch sees, in random order."""
        raise NotImplementedError

    def gather(self, windows: Tensor, device: torch.device) -> Batch:
        """The Batch of some of these."""
        raise NotImplementedError

    def epoch_items(self, generator: torch.Generator) -> Tensor:
        """The utterances of one epoch."""
        if self.upsample:
            return upsampled(known(self.dataset.labels, "labels"), generator)
        return torch.arange(len(self.dataset.utterances))

    def epoch_batches(self, generator: torch.Generator, epoch: int, training: Training) -> list[Tensor]:
        """The batches of an epoch (from 0), as a Training config asks for them: a list of pieces of `epoch_windows`."""
        windows = self.epoch_windows(generator)
        if training.sortagrad and epoch == 0:
            windows = windows[self.dataset.lengths()[windows].argsort(stable=True)]
        elif training.batches == "length":
            noise = 1 + LENGTH_NOISE * torch.rand(len(windows), generator=generator)
            chunks = windows[(self.dataset.lengths()[windows] * noise).argsort()].split(training.batch_size)
            return [chunks[place] for place in torch.randperm(len(chunks), generator=generator)]
        return list(windows.split(training.batch_size))

    def gather_all(self, chunks: Sequence[Tensor], device: torch.device) -> Iterator[Batch]:
        """Yields the Batch of each of `chunks`."""
        for chunk in chunks:
            yield self.gather(chunk, device)


class WindowSampler(Sampler):
    """Windows of a fixed number of frames: which utterance, and the frame each is centred on or begins at."""

    def __init__(self, dataset: Dataset, segment: Segment, hop: int, upsample: bool = False):
        super().__init__(dataset, upsample)
        self.segment, self.hop = segment, hop
        self.inside = segment.pad == "zero"

    def all_windows(self) -> Tensor:
        """(windows, 2): utterance and place of every window of every utterance, from the first frame on."""
        return self.windows_of(torch.arange(len(self.dataset.utterances)), torch.zeros((), dtype=torch.int64))

    def windows_of(self, items: Tensor, offset: Tensor) -> Tensor:
        """(windows, 2): utterance and place of the windows of `items`, the first one at frame `offset`.

        An utterance shorter than the offset keeps one window, at its middle, or at its end if windows lie inside.
        """
        lengths = self.dataset.lengths()[items]
        offset = offset.expand(len(lengths))
        if self.inside:
            last = (lengths - self.segment.frames).clamp(min=0)
            first = offset.minimum(last)
            counts = (last - first + self.hop - 1) // self.hop + 1
        else:
            last = lengths - 1
            first = torch.where(offset < lengths, offset, lengths // 2)
            counts = (last - first) // self.hop + 1
        owners = torch.repeat_interleave(torch.arange(len(items)), counts)
        nth = torch.arange(len(owners)) - (counts.cumsum(0) - counts)[owners]
        return torch.stack([items[owners], (first[owners] + nth * self.hop).minimum(last[owners])], 1)

    def epoch_windows(self, generator: torch.Generator) -> Tensor:
        """All windows of one training epoch in random order."""
        items = self.epoch_items(generator)
        highest = self.hop if self.segment.jitter else 1
        windows = self.windows_of(items, torch.randint(highest, (len(items),), generator=generator))
        return windows[torch.randperm(len(windows), generator=generator)]

    def gather(self, windows: Tensor, device: torch.device) -> Batch:
        """The Batch of `windows` (batch, 2)."""
        ((name, stream),) = self.dataset.streams.items()
        items, places = windows.unbind(1)
        frames = self.segment.frames
        wanted = places[:, None] + torch.arange(frames) - (0 if self.inside else frames // 2)
        nth = wanted.clamp(min=0).minimum(stream.lengths[items, None] - 1)
        values = stream.take(items, nth, device)
        if self.inside:
            values *= (wanted == nth).to(device)[..., None]
        values = self.dataset.normalisers[name].apply_windows(values)
        return make_batch(self.dataset, items, {name: Padded(values, torch.full((len(items),), frames))}, device)


class UtteranceSampler(Sampler):
    """Whole utterances, padded with zeros to the longest of the batch.

    `tempos` (utterances,) are the factors by which they are stretched in time, the same for all streams of an
    utterance; None: they stay as they are.
    """

    tempos: Tensor | None = None

    def all_windows(self) -> Tensor:
        return torch.arange(len(self.dataset.utterances))

    def epoch_batches(self, generator: torch.Generator, epoch: int, training: Training) -> list[Tensor]:
        batches = super().epoch_batches(generator, epoch, training)
        if training.tempo != (1, 1):
            self.tempos = self.draw(training.tempo, generator)
        if training.gain != (0, 0):
            gains = 10 ** (self.draw(training.gain, generator) / 20)
            for stream in self.dataset.streams.values():
                stream.gains = gains
        return batches

    def draw(self, bounds: tuple[float, float], generator: torch.Generator) -> Tensor:
        """A number between two bounds for each utterance (utterances,)."""
        low, high = bounds
        return low + (high - low) * torch.rand(len(self.dataset.utterances), generator=generator)

    def epoch_windows(self, generator: torch.Generator) -> Tensor:
        items = self.epoch_items(generator)
        return items[torch.randperm(len(items), generator=generator)]

    def gather_all(self, chunks: Sequence[Tensor], device: torch.device) -> Iterator[Batch]:
        """Yields the Batch of each of `chunks`; what has to be read from disk is read ahead."""
        for place, chunk in enumerate(chunks):
            for stream in self.dataset.streams.values():
                stream.expect(torch.cat(list(chunks[place : place + 1 + AHEAD])))
            yield self.gather(chunk, device)

    def gather(self, windows: Tensor, device: torch.device) -> Batch:
        """The Batch of the utterances `windows` (batch,)."""
        items, streams = windows, {}
        for name, stream in self.dataset.streams.items():
            lengths = stream.lengths[items]
            values = stream.take(items, torch.arange(int(lengths.max())).minimum(lengths[:, None] - 1), device)
            inside = length_mask(lengths, values.shape[1], device)[..., None]
            if not stream.kept:
                values = self.dataset.normalisers[name].apply_utterances(values, inside)
            if self.tempos is not None:
                values, lengths = stretch(values, lengths, self.tempos[items])
                inside = length_mask(lengths, values.shape[1], device)[..., None]
            streams[name] = Padded(values * inside, lengths)
        return make_batch(self.dataset, items, streams, device)


def stretch(values: Tensor, lengths: Tensor, tempos: Tensor) -> tuple[Tensor, Tensor]:
    """Utterances (batch, frames, dims) at other tempos (batch,), and their lengths; what comes after one is anything.

    Frames then lie `tempos` frames apart, between those of before, which are interpolated linearly: of magnitudes as
    a phase vocoder does.
    """
    last = lengths[:, None] - 1
    lengths = (last[:, 0] / tempos).long() + 1
    places = (torch.arange(int(lengths.max())) * tempos[:, None]).minimum(last)
    before = places.long()

    def at(frames: Tensor) -> Tensor:
        return values.gather(1, frames.to(values.device)[..., None].expand(-1, -1, values.shape[2]))

    weight = (places - before).to(values)[..., None]
    return torch.lerp(at(before), at((before + 1).minimum(last)), weight), lengths


def upsampled(labels: Tensor, generator: torch.Generator) -> Tensor:
    """The places of labels (utterances,), those of rarer classes repeated until no class is rarer than another.

    What is left over after whole repetitions is drawn without replacement.
    """
    most = int(labels.bincount().max())
    places = []
    for label in labels.unique():
        own = (labels == label).nonzero().flatten()
        drawn = own[torch.randperm(len(own), generator=generator)]
        places += [own.repeat(most // len(own)), drawn[: most % len(own)]]
    return torch.cat(places)


def balanced_weights(labels: Tensor) -> Tensor:
    """A weight for each of labels (utterances,): the classes have equal sums, the mean is 1."""
    counts = labels.bincount().double()
    return (len(labels) / ((counts > 0).sum() * counts))[labels].float()


def make_sampler(dataset: Dataset, segment: Segment | None, hop_of: HopOf, upsample: bool = False) -> Sampler:
    """The sampler that a config's `segment` asks for; `hop_of` is "train_hop" or "decode_hop"."""
    if segment is None:
        return UtteranceSampler(dataset, upsample)
    if len(dataset.streams) != 1:
        raise SertkError(f"windows need one feature type, not {len(dataset.streams)}; leave segment out of the config")
    return WindowSampler(dataset, segment, getattr(segment, hop_of), upsample)


def make_batch(dataset: Dataset, items: Tensor, streams: dict[str, Padded], device: torch.device) -> Batch:
    """The Batch of streams and of what a Dataset knows of the utterances `items` (batch,)."""

    def of_items(values: Tensor | None) -> Tensor | None:
        return None if values is None else values[items].to(device, non_blocking=True)

    texts = dataset.tokens
    return Batch(
        items,
        streams,
        labels=of_items(dataset.labels),
        weights=of_items(dataset.weights),
        numbers=None if dataset.numbers is None else dataset.numbers[items],
        conditions=of_items(dataset.conditions),
        tokens=None if texts is None else padded_tokens([texts[item] for item in items.tolist()], device),
    )


def padded_tokens(texts: Sequence[Sequence[int]], device: torch.device) -> Padded:
    """Ids (batch, tokens) and how many each text has; what lies beyond is 0."""
    values = pad_sequence([torch.tensor(text, dtype=torch.int64) for text in texts], batch_first=True)
    return Padded(values.to(device), torch.tensor([len(text) for text in texts]))
