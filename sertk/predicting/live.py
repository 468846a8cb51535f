"""Recordings that come in pieces, from a microphone or a long file, recognised as they come."""

import math
from collections.abc import Iterable, Iterator

import numpy as np
import torch

from sertk.batches.means import BATCH_FRAMES
from sertk.batches.streams import Dataset, Stream, WindowSampler
from sertk.features.audio import resample
from sertk.features.extractor import Extractor, check_length
from sertk.predicting.chain import Chain, window_times

TAPS = 64  # samples of the lower rate, on either side, beyond which no resampling kernel reaches


class Resampler:
    """Gives, piece by piece, the samples that `resample` gives for all at once."""

    def __init__(self, rate: int, target: int):
        self.rate, self.target = rate, target
        self.period = rate // math.gcd(rate, target)  # samples after which the kernel repeats itself
        self.margin = self.period * math.ceil(TAPS * max(1, rate / target) / self.period)
        self.kept, self.done = np.zeros(0, np.float32), 0  # samples from a whole period on; those that are resampled

    def push(self, samples: np.ndarray, last: bool = False) -> np.ndarray:
        """The samples that can be told now; of the `last` call, all that are left."""
        if self.rate == self.target:
            return samples
        self.kept = np.concatenate([self.kept, samples])
        ready = len(self.kept) if last else (len(self.kept) - self.margin) // self.period * self.period
        if ready <= self.done:
            return np.zeros(0, np.float32)
        made = resample(self.kept, self.rate, self.target)
        made = made[self.place(self.done) : None if last else self.place(ready)]
        cut = max(0, ready - self.margin) // self.period * self.period
        self.kept, self.done = self.kept[cut:], ready - cut
        return made

    def place(self, samples: int) -> int:
        """How many samples at `target` Hz so many at `rate` Hz, whole periods, are."""
        return samples * self.target // self.rate

    @property
    def delay(self) -> float:
        """Seconds of samples that have to follow."""
        return 0.0 if self.rate == self.target else (self.margin + self.period) / self.rate


class Framer:
    """Gives, piece by piece, the frames of an extractor, each computed with its `context` on either side.

    Raises ValueError for features that are no frames, or depend on the whole waveform.
    """

    def __init__(self, extractor: Extractor):
        if extractor.shift is None or extractor.context is None:
            raise ValueError(f"{extractor}: its features are only known of a whole recording")
        self.extractor, self.shift, self.context = extractor, extractor.shift, extractor.context
        self.around = math.ceil(self.context * extractor.sample_frequency / self.shift)
        self.kept, self.done = np.zeros(0, np.float32), 0  # samples; frames of them that were given

    def push(self, samples: np.ndarray, last: bool = False) -> np.ndarray:
        """The frames (frames, dims) that can be told now; of the `last` call, all that are left."""
        extractor, self.kept = self.extractor, np.concatenate([self.kept, samples])
        there = (len(self.kept) - extractor.shortest) // self.shift + 1
        ready = there if last else there - self.around
        if ready <= self.done:
            return np.zeros((0, extractor.dims), np.float32)
        frames = extractor(self.kept)[self.done : ready]
        cut = max(0, ready - self.around)
        self.kept, self.done = self.kept[cut * self.shift :], ready - cut
        return frames


class SlidingListener:
    """The windows of a model that classifies windows, of samples that come in pieces; see Chain.slides.

    `push` and `close` give times (windows, 2) in seconds and posteriors (windows, classes) of the windows that are
    complete: the same as of the whole recording at once, where the features depend on their context alone.
    `delay` is how many seconds of samples have to follow the end of a window. Raises ValueError for another model.
    """

    def __init__(self, chain: Chain, rate: int):
        segment = chain.final.config.segment
        if segment is None:
            raise ValueError(f"{chain.final.where}: this model has no windows")
        self.model, self.segment = chain.final, segment
        ((self.name, self.extractor),) = chain.extractors.items()
        self.resampler = Resampler(rate, int(self.extractor.sample_frequency))
        self.framer = Framer(self.extractor)
        self.delay = self.resampler.delay + self.framer.context
        self.frames = np.zeros((0, self.extractor.dims), np.float32)
        self.rate, self.heard = rate, 0  # samples
        self.first, self.next = 0, 0  # the places of the kept frames and of the next window

    @property
    def before(self) -> int:
        """Frames of a window before the one at its place."""
        return 0 if self.segment.pad == "zero" else self.segment.frames // 2

    def push(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.heard += len(samples)
        self.take(self.framer.push(self.resampler.push(samples)))
        last = self.first + len(self.frames) - self.segment.frames + self.before  # a window there is complete
        return self.classify(np.arange(self.next, last + 1, self.segment.decode_hop))

    def close(self) -> tuple[np.ndarray, np.ndarray]:
        """The windows that reach over the end; raises SertkError where there was not a frame."""
        self.take(self.framer.push(self.resampler.push(np.zeros(0, np.float32), last=True), last=True))
        total = self.first + len(self.frames)
        if not total:
            check_length(len(self.framer.kept), self.extractor)
        last, hop = total - 1, self.segment.decode_hop
        if self.segment.pad == "zero":
            last = max(0, total - self.segment.frames)
            places = np.minimum(np.arange(self.next, last + hop, hop), last)
        else:
            places = np.arange(self.next, last + 1, hop)
        return self.classify(places)

    def take(self, frames: np.ndarray) -> None:
        stream = Stream([frames])
        if len(frames):
            self.model.normalisers[self.name].apply_(stream, [None])
        self.frames = np.concatenate([self.frames, stream.values.numpy()])

    @torch.inference_mode()
    def classify(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Times and posteriors of the windows at frames `places`; frames that no later one needs are dropped."""
        if not len(places):
            return np.zeros((0, 2)), np.zeros((0, len(self.model.classes)))
        dataset = Dataset(["heard"], {self.name: Stream([self.frames])}, self.model.normalisers)
        sampler = WindowSampler(dataset, self.segment, self.segment.decode_hop)
        windows = torch.from_numpy(np.stack([np.zeros_like(places), places - self.first], 1))
        rows = [
            self.model.model.posteriors(sampler.gather(chunk, self.model.device)).double().cpu()
            for chunk in windows.split(max(1, BATCH_FRAMES // self.segment.frames))
        ]
        self.next = int(places[-1]) + self.segment.decode_hop
        # The last window of those that lie inside may begin before the next one
        drop = max(0, min(self.next - self.before - self.first, len(self.frames) - self.segment.frames))
        self.frames, self.first = self.frames[drop:], self.first + drop
        rate = self.extractor.sample_frequency
        times = window_times(places, self.segment, self.framer.shift / rate, self.extractor.shortest / rate)
        return times.clip(0, self.heard / self.rate), torch.cat(rows).numpy()


class PieceListener:
    """Windows of `window` seconds, `hop` apart, each recognised as an utterance of its own.

    `push` and `close` are as SlidingListener's. The last window ends with the recording; a recording that is shorter
    than a window is one by itself.
    """

    delay = 0.0

    def __init__(self, chain: Chain, rate: int, window: float, hop: float):
        self.chain, self.rate = chain, rate
        self.size, self.hop = max(1, round(window * rate)), max(1, round(hop * rate))
        self.kept, self.first, self.next = np.zeros(0, np.float32), 0, 0  # samples, their place, the next window's

    def push(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What is complete, of the samples (samples,) that follow those before."""
        return self.classify(self.cut(samples))

    def close(self) -> tuple[np.ndarray, np.ndarray]:
        return self.classify(self.rest())

    def cut(self, samples: np.ndarray) -> Iterator[tuple[float, np.ndarray]]:
        """Yields (start in seconds, samples) of the windows that are complete."""
        self.kept = np.concatenate([self.kept, samples])
        while self.next + self.size <= self.first + len(self.kept):
            yield self.next / self.rate, self.kept[self.next - self.first :][: self.size]
            self.next += self.hop
            # The last window may begin up to a window before the end
            drop = min(self.next, self.first + len(self.kept) - self.size) - self.first
            self.kept, self.first = self.kept[max(0, drop) :], self.first + max(0, drop)

    def rest(self) -> Iterator[tuple[float, np.ndarray]]:
        """Yields the window that ends with the recording, unless the one before did."""
        end = self.first + len(self.kept)
        covered = self.next - self.hop + self.size if self.next else 0
        if end > covered or not end:
            start = max(self.first, end - self.size)
            yield start / self.rate, self.kept[start - self.first :]

    def classify(self, cuts: Iterable[tuple[float, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
        """Times and mean posteriors of each window."""
        pieces = [self.chain.piece(samples, self.rate, start) for start, samples in cuts]
        times = np.array([[piece.start, piece.start + piece.seconds] for piece in pieces]).reshape(-1, 2)
        windows = self.chain.windows(pieces) if pieces else []
        rows = [posteriors.mean(0) for _, posteriors in windows]
        return times, np.array(rows).reshape(-1, len(self.chain.classes))
