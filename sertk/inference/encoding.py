"""Layers of encoders: of recordings into archives, and of what a trained system hears."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from sertk.batches.streams import Dataset, Stream
from sertk.config.encoder import RECOGNISER, EncoderLayers
from sertk.core.command import progress
from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.encoders import cache
from sertk.encoders.base import Encoder, encode, inputs_of, windows_of
from sertk.experiments.encoders import cached_encoder, kept_recogniser
from sertk.features.audio import resample
from sertk.features.extractor import check_length
from sertk.inference.trained import LoadedModel, TrainedModel
from sertk.kaldi.archives import MatrixWriter
from sertk.models.deepspeech import as_deepspeech
from sertk.models.recogniser import Recogniser

Pool = Literal["none", "mean", "meanstd"]
TWO_BYTES = 3  # Kaldi's compression to 16 bits, by the smallest and largest value of a matrix
BATCH_SECONDS = {"cpu": 16.0, "cuda": 400.0}  # of audio, padding included, that the network sees at once
HELD_SECONDS = {"cpu": 128.0, "cuda": 1200.0}  # of recordings that are held, sorted by length
READERS = 4  # threads that compute what the encoder takes
WRITERS = 4  # threads that compress and write archives


class LoadedEncoder:
    """An encoder that is ready: its network on a device.

    `trained` is the recogniser that it is, which normalises what it takes; of others `source` has the kind and sizes.
    """

    def __init__(
        self,
        network: Encoder,
        device: torch.device,
        trained: LoadedModel | None = None,
        source: Mapping[str, Any] | None = None,
    ):
        self.network, self.device, self.trained, self.source = network.to(device).eval(), device, trained, source
        self.extractor = network.extractor

    @property
    def layers(self) -> range:
        """The numbers of all layers; those of a recogniser begin with 1."""
        return range(1 if self.trained else 0, self.network.count + 1)

    def features(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """What the network takes of samples (samples,) at `rate` Hz: (frames, dims); too few raise SertkError."""
        wave = resample(samples, rate, int(self.extractor.sample_frequency))
        check_length(len(wave), self.extractor)
        return self.extractor(wave)

    @torch.inference_mode()
    def encode(self, matrices: Sequence[np.ndarray], layers: Sequence[int], pool: Pool = "none") -> list[list[Tensor]]:
        """Of each matrix of `features` the layers, each (frames, dims), or pooled (1, dims or 2 * dims), on the CPU."""
        if self.trained is not None:
            stream = Stream(matrices)
            names = list(map(str, range(len(matrices))))
            self.trained.normalise(Dataset(names, {self.trained.config.features[0]: stream}, {}), [None] * len(names))
            rows = [stream.rows(item) for item in range(len(names))]
        else:
            rows = [torch.from_numpy(matrix) for matrix in matrices]
        found: list[list[Tensor]] = [[]] * len(rows)
        for items in self.batches([len(matrix) for matrix in rows]):
            for item, own in zip(items, self.of_batch([rows[item] for item in items], layers, pool)):
                found[item] = own
        return found

    def batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Yields the places of utterances of such lengths (frames), like ones together, so that little is padded."""
        most = inputs_of(self.network, BATCH_SECONDS[self.device.type])
        items: list[int] = []
        for item in sorted(range(len(lengths)), key=lengths.__getitem__):
            if items and (len(items) + 1) * lengths[item] > most:
                yield items
                items = []
            items.append(item)
        yield items

    def of_batch(self, rows: Sequence[Tensor], layers: Sequence[int], pool: Pool) -> Iterator[list[Tensor]]:
        """Yields the layers of each of `rows`, a list of (frames, dims)."""
        if len(rows) == 1:  # a long one is seen window by window, and pooled without being held whole
            windows = windows_of(self.network, rows[0].to(self.device), layers)
            if pool == "none":
                yield [torch.cat(pieces) for pieces in zip(*([layer.cpu() for layer in each] for each in windows))]
            else:
                yield [statistics.pooled(pool) for statistics in Statistics.over(windows)]
            return
        lengths = torch.tensor([len(matrix) for matrix in rows])
        values = pad_sequence(list(rows), batch_first=True).to(self.device)
        found, lengths = encode(self.network, values, lengths, layers)
        if pool == "none":
            found = [layer.cpu() for layer in found]
        for item, length in enumerate(lengths.tolist()):
            own = [layer[item, :length] for layer in found]
            yield own if pool == "none" else [Statistics().add(layer).pooled(pool) for layer in own]


class Statistics:
    """Sums over frames, in double precision."""

    def __init__(self):
        self.count, self.sums, self.squares = 0, torch.zeros(()), torch.zeros(())

    def add(self, frames: Tensor) -> "Statistics":
        """Adds frames (frames, dims) and returns itself."""
        frames = frames.double()
        self.count += len(frames)
        self.sums, self.squares = self.sums + frames.sum(0).cpu(), self.squares + frames.square().sum(0).cpu()
        return self

    @classmethod
    def over(cls, windows: Iterable[Sequence[Tensor]]) -> "list[Statistics]":
        """Those of each layer, of windows that are lists of (frames, dims) by layer."""
        found: list[Statistics] = []
        for layers in windows:
            found = found or [cls() for _ in layers]
            for statistics, frames in zip(found, layers):
                statistics.add(frames)
        return found

    def pooled(self, pool: Pool) -> Tensor:
        """The mean (1, dims), or mean and standard deviation (1, 2 * dims)."""
        mean = self.sums / self.count
        if pool == "mean":
            return mean[None].float()
        deviation = (self.squares / self.count - mean.square()).clamp(min=0).sqrt()
        return torch.cat([mean, deviation])[None].float()


def load_encoder(name: str, device: torch.device) -> LoadedEncoder:
    """The encoder of a name in the cache, or of the experiment folder of a speech recogniser."""
    if Path(name).is_dir():
        return load_recogniser(name, device)
    return of_cache(cache.find(name), device)


def of_cache(cached: cache.Cached, device: torch.device) -> LoadedEncoder:
    return LoadedEncoder(cache.load(cached, device), device, source=cached.spec.network)


def load_recogniser(folder: PathLike, device: torch.device) -> LoadedEncoder:
    """The speech recogniser of an experiment folder of egs/asr; raises SertkError where there is none."""
    return as_encoder(TrainedModel(folder, device), device)


def as_encoder(trained: LoadedModel, device: torch.device) -> LoadedEncoder:
    """A trained speech recogniser as an encoder; raises SertkError for a model that is none."""
    (feature_type,) = trained.config.features
    return LoadedEncoder(Recogniser(as_deepspeech(trained.model), feature_type), device, trained)


def load_encoder_of(encoder: EncoderLayers, run_dir: PathLike, device: torch.device) -> LoadedEncoder:
    """The encoder that a run was trained on; raises SertkError where it is not to be had, or another by now."""
    if encoder.name == RECOGNISER:
        return load_recogniser(kept_recogniser(run_dir, encoder), device)
    return load_cached(encoder, run_dir, device)


def load_cached(encoder: EncoderLayers, where: PathLike, device: torch.device) -> LoadedEncoder:
    """The encoder of the cache with the weights that a config names; `where` is named in errors."""
    return of_cache(cached_encoder(encoder, where), device)


def numbered(text: str, loaded: LoadedEncoder) -> list[int]:
    """The layers that a text names, `3`, `0,3` or `all`; raises SertkError for others than the encoder has."""
    there = list(loaded.layers)
    if text == "all":
        return there
    numbers = [int(number) if number.isdecimal() else -1 for number in text.split(",")]
    if not {*numbers} <= {*there} or len({*numbers}) < len(numbers):
        raise SertkError(f"--layer {text}: expected layers from {there[0]} to {there[-1]}, such as 2 or 2,3, or all")
    return numbers


def write_layers(
    loaded: LoadedEncoder,
    recordings: Iterable[tuple[str, np.ndarray, int]],
    layers: Sequence[int],
    wspecifiers: Mapping[int, str],
    pool: Pool = "none",
    compress: bool = True,
) -> int:
    """Writes the layers of recordings (utterance, samples, rate) to archives {layer: wspecifier}; returns how many.

    Archives of frames are compressed to 16 bits. Raises SertkError, naming the utterance, for one that is too short.
    """
    compression = TWO_BYTES if compress and pool == "none" else None
    count = 0

    def write(number: int, held: Sequence[tuple[str, np.ndarray]], found: Sequence[Sequence[Tensor]]) -> None:
        for (utterance, _), own in zip(held, found):
            writers[number].write(utterance, own[number].numpy())

    with contextlib.ExitStack() as files:  # which closes the first layer's last
        writers = [files.enter_context(MatrixWriter(wspecifiers[layer], compression)) for layer in layers]
        threads = files.enter_context(ThreadPoolExecutor(WRITERS))  # that write while the next ones are encoded
        writing: list[Future[None]] = []
        taken = taken_ahead(loaded, progress(recordings, "encoding"))
        for held in groups(taken, inputs_of(loaded.network, HELD_SECONDS[loaded.device.type])):
            found = loaded.encode([features for _, features in held], layers, pool)
            for each in writing:
                each.result()
            writing = [threads.submit(write, number, held, found) for number in range(len(layers))]
            count += len(held)
        for each in writing:
            each.result()
    return count


def taken_ahead(
    loaded: LoadedEncoder, recordings: Iterable[tuple[str, np.ndarray, int]]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields each utterance with what the encoder takes of it; threads compute some ahead."""

    def take(utterance: str, samples: np.ndarray, rate: int) -> tuple[str, np.ndarray]:
        try:
            return utterance, loaded.features(samples, rate)
        except SertkError as error:
            raise SertkError(f"{utterance}: {error}") from error

    recordings = iter(recordings)
    with ThreadPoolExecutor(READERS) as pool:
        waiting: list[Future[tuple[str, np.ndarray]]] = [
            pool.submit(take, *recording) for recording in islice(recordings, 2 * READERS)
        ]
        while waiting:
            yield waiting.pop(0).result()
            waiting += [pool.submit(take, *recording) for recording in islice(recordings, 1)]


def groups(taken: Iterable[tuple[str, np.ndarray]], enough: int) -> Iterator[list[tuple[str, np.ndarray]]]:
    """Yields utterances in lists of `enough` frames or a little more."""
    held, frames = [], 0
    for each in taken:
        held.append(each)
        frames += len(each[1])
        if frames >= enough:
            yield held
            held, frames = [], 0
    if held:
        yield held
