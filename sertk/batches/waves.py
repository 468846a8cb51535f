"""Features computed from waveforms when they are needed, in the place of archives."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeGuard, TypeVar

import numpy as np
import torch
from torch import Tensor

from sertk.batches.streams import Stream
from sertk.core.command import progress
from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.features.audio import (
    OVERSHOOT,
    Cut,
    check_unchanged,
    load_segment,
    locate_utterances,
    read_data_dir,
    read_hashes,
    resample,
)
from sertk.features.extractor import Extractor, check_length
from sertk.features.registry import load_extractor
from sertk.kaldi.datadir import read_positive

READERS = 4  # threads that read recordings

Count = TypeVar("Count", int, Tensor)


class Framewise(Extractor, Protocol):
    """An Extractor whose frames can be computed each by itself."""

    @property
    def shift(self) -> int: ...

    @property
    def of_frames(self) -> Callable[[Tensor], Tensor]: ...


def is_framewise(extractor: Extractor) -> TypeGuard[Framewise]:
    return extractor.of_frames is not None


class WaveStream(Stream):
    """Frames of one feature type that are computed as they are taken, from samples that are kept in memory.

    Raises SertkError, naming the utterance, for a waveform that is shorter than a frame.
    """

    kept = False

    def __init__(self, waves: Mapping[str, np.ndarray], extractor: Framewise):
        """`waves` is {utterance: waveform (samples,) float32} at the extractor's rate."""
        for utterance, wave in waves.items():
            try:
                check_length(len(wave), extractor)
            except SertkError as error:
                raise SertkError(f"{utterance}: {error}") from error
        super().__init__([np.pad(wave, extractor.margin, mode="reflect") for wave in waves.values()])
        self.extractor = extractor
        self.lengths = frames_of(torch.tensor(list(map(len, waves.values()))), extractor)

    @property
    def dims(self) -> int:
        return self.extractor.dims

    def rows(self, item: int) -> Tensor:
        """The frames of one utterance, computed anew: (frames, dims)."""
        return self.take(torch.tensor([item]), torch.arange(int(self.lengths[item]))[None], self.values.device)[0]

    def take(self, items: Tensor, nth: Tensor, device: torch.device) -> Tensor:
        firsts = (self.starts[items, None] + nth * self.extractor.shift).flatten()
        frames = self.values.unfold(0, self.extractor.shortest, 1)[firsts.to(self.values.device)]
        frames = frames.to(device, non_blocking=True)
        if self.gains is not None:
            frames = frames * self.gains[items].repeat_interleave(nth.shape[1]).to(device)[:, None]
        return self.extractor.of_frames(frames).view(*nth.shape, -1)


class RecordedStream(Stream):
    """Frames of one feature type that are computed as they are taken, from recordings that threads read from disk.

    An utterance is as long as utt2dur says, so that lengths are known before anything is read: samples beyond that
    are left out, and what is missing is zero. Taking raises SertkError, naming the utterance, for a recording that
    is missing or broken, more than OVERSHOOT longer or shorter than that, or shorter than a frame; and, the first
    time that it is read, not as utt2hash says.
    """

    kept = False

    def __init__(
        self,
        utterances: Sequence[str],
        places: Sequence[Cut],
        seconds: Sequence[float],
        hashes: Mapping[str, str],
        extractor: Framewise,
    ):
        """`places` is a list of (entry of wav.scp, start, end), `seconds` one of durations, `hashes` read_hashes'."""
        self.utterances, self.places, self.extractor = utterances, places, extractor
        self.samples = (torch.tensor(seconds, dtype=torch.float64) * extractor.sample_frequency).round().long()
        self.lengths, self.starts = frames_of(self.samples, extractor).clamp(min=0), torch.arange(len(utterances))
        self.unchecked = dict(hashes)
        self.pool = ThreadPoolExecutor(READERS)
        self.coming: dict[int, Future[np.ndarray]] = {}  # utterance's place: what will be its waveform

    @property
    def dims(self) -> int:
        return self.extractor.dims

    def to(self, device: torch.device) -> "RecordedStream":
        return self

    def expect(self, items: Tensor) -> None:
        for number in self.starts[items].tolist():
            if number not in self.coming:
                self.coming[number] = self.pool.submit(self.read, number)

    def take(self, items: Tensor, nth: Tensor, device: torch.device) -> Tensor:
        self.expect(items)
        numbers, which = self.starts[items].unique(return_inverse=True)
        wanted: list[int] = numbers.tolist()
        waves = WaveStream(
            {self.utterances[number]: self.coming.pop(number).result() for number in wanted}, self.extractor
        )
        waves.values = waves.values.to(device)
        if self.gains is not None:
            waves.gains = torch.empty(len(numbers)).index_copy_(0, which, self.gains[items])
        return waves.take(which, nth, device)

    def read(self, number: int) -> np.ndarray:
        """The waveform (samples,) of one utterance."""
        utterance, wanted, rate = self.utterances[number], int(self.samples[number]), self.extractor.sample_frequency
        try:
            wave, own_rate = load_segment(*self.places[number])
            check_unchanged(wave, own_rate, self.unchecked.pop(utterance, None))
            wave = resample(wave, own_rate, int(rate))
        except SertkError as error:
            raise SertkError(f"{utterance}: {error}") from error
        if abs(len(wave) - wanted) > OVERSHOOT * rate:
            raise SertkError(
                f"{utterance}: {len(wave) / rate:.2f} s long, {wanted / rate:.2f} s in utt2dur: correct it there"
            )
        return np.pad(wave[:wanted], (0, max(0, wanted - len(wave))))


def frames_of(samples: Count, extractor: Framewise) -> Count:
    """How many frames so many samples give, a number or a tensor; below 1 where they are fewer than one frame has."""
    return (samples + sum(extractor.margin) - extractor.shortest) // extractor.shift + 1


def load_waves(feature_type: str, data_dir: PathLike, utterances: Sequence[str]) -> WaveStream:
    """The WaveStream of `utterances` of a data folder, in their order.

    Raises SertkError for a recording that is missing or broken, and for a type that archives alone can bring.
    """
    extractor = framewise_extractor(feature_type)
    locate_utterances(data_dir, utterances)
    found = progress(read_data_dir(data_dir, set(utterances)), f"reading {data_dir}/wav.scp", len(utterances))
    waves = {utterance: resample(samples, rate, int(extractor.sample_frequency)) for utterance, samples, rate in found}
    return WaveStream({utterance: waves[utterance] for utterance in utterances}, extractor)


def locate_waves(feature_type: str, data_dir: PathLike, utterances: Sequence[str]) -> RecordedStream:
    """The RecordedStream of `utterances` of a data folder, in their order; nothing is read but tables.

    Raises SertkError for utterances that these lack, and for a type that archives alone can bring.
    """
    extractor, places = framewise_extractor(feature_type), locate_utterances(data_dir, utterances)
    seconds = read_positive(Path(data_dir) / "utt2dur", utterances)
    return RecordedStream(
        utterances,
        [places[utterance] for utterance in utterances],
        [seconds[utterance] for utterance in utterances],
        read_hashes(data_dir),
        extractor,
    )


def framewise_extractor(feature_type: str) -> Framewise:
    """The extractor of a shipped type; raises SertkError where frames cannot be computed each by itself."""
    extractor = load_extractor(feature_type)
    if not is_framewise(extractor):
        raise SertkError(f"{feature_type} cannot be computed on the fly: leave on_the_fly out of the config")
    return extractor
