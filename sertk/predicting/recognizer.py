"""The object that recognises recordings; see load.load_recognizer."""

import dataclasses
import functools
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

from sertk.core.errors import SertkError, UsageError
from sertk.core.files import PathLike
from sertk.features.recording import open_recording
from sertk.predicting.chain import Chain, Piece
from sertk.predicting.live import PieceListener, SlidingListener
from sertk.predicting.system import System

LONGEST = 30.0  # seconds of a recording that is taken as one utterance, or read at once
BLOCK = 10.0  # seconds of a longer one that are held at a time
GROUP_SECONDS = {"cpu": 60.0, "cuda": 240.0}  # of recordings that are classified together, about
AHEAD = 4  # recordings for each thread whose features may wait
WORKERS = 8  # threads that classify, at most, as each holds a batch

T = TypeVar("T")
PathT = TypeVar("PathT", bound=PathLike)


@dataclass(frozen=True)
class Window:
    """What lies between `start` and `end`, in seconds, of a recording, with its posteriors {class: posterior}."""

    start: float
    end: float
    posteriors: dict[str, float]


@dataclass(frozen=True)
class Result:
    """What a recording was recognised as: `times` (windows, 2) in seconds, posteriors `rows` (windows, classes).

    `warnings` say what makes the recording useless, such as silence, or what of it could not be heard.
    """

    classes: list[str]
    seconds: float
    times: np.ndarray
    rows: np.ndarray
    warnings: Sequence[str] = ()

    @property
    def posteriors(self) -> dict[str, float]:
        """{class: posterior}, the mean over the windows."""
        return dict(zip(self.classes, self.rows.mean(0).tolist()))

    @property
    def label(self) -> str:
        return self.classes[int(self.rows.mean(0).argmax())]

    @property
    def windows(self) -> list[Window]:
        return [
            Window(start, end, dict(zip(self.classes, row)))
            for (start, end), row in zip(self.times.tolist(), self.rows.tolist())
        ]


class Recognizer:
    """A trained system as a function of a recording.

    `classes` are its labels, `card` says what it was trained and measured on. A system that has no windows of its own
    takes a recording of up to `window` seconds as one utterance, and a longer one in windows of that length, `hop`
    seconds apart (default: `window`).
    """

    def __init__(self, system: System, where: PathLike):
        self.chain, self.card = Chain(system, where), system.card
        self.classes = self.chain.classes

    def __call__(
        self, audio: PathLike | tuple[np.ndarray, int], window: float | None = None, hop: float | None = None
    ) -> Result:
        """The Result of a recording: a path, or (samples, rate) with the rate in Hz.

        Samples are floats in [-1, 1] or 16-bit integers, (samples,) or (samples, channels), the channels averaged.
        Raises SertkError for what is unreadable, not finite, or too short.
        """
        if isinstance(audio, (str, os.PathLike)):
            ((_, result),) = self.recognize([audio], window, hop)
        else:
            samples, rate = as_samples(*audio)
            result = self.guarded(lambda: self.of_samples(samples, rate, window, hop))
        if isinstance(result, SertkError):
            raise result
        return result

    def listen(
        self, rate: int, window: float | None = None, hop: float | None = None
    ) -> SlidingListener | PieceListener:
        """A listener for samples at `rate` Hz that come in pieces; see live.SlidingListener and live.PieceListener."""
        if self.chain.slides:
            if window or hop:
                raise UsageError("the model has windows of its own: no --window, no --hop")
            return SlidingListener(self.chain, rate)
        window = LONGEST if window is None else window
        hop = window if hop is None else hop
        if not 0 < hop <= window:
            raise UsageError(f"windows of {window:g} s, {hop:g} s apart: expected more than 0, and no gaps")
        return PieceListener(self.chain, rate, window, hop)

    def recognize(
        self,
        paths: Iterable[PathT],
        window: float | None = None,
        hop: float | None = None,
        speakers: Mapping[PathT, str] | None = None,
        channel: int | None = None,
    ) -> Iterator[tuple[PathT, Result | SertkError]]:
        """An iterator over (path, Result, or the SertkError that says why there is none) of each of `paths`.

        They come in order; those of a model that normalises by speaker, speaker by speaker: `speakers` is
        {path: speaker}, and a path that is not in it is a speaker of its own. `channel` is taken, from 0, instead of
        the mean.
        """
        self.listen(16000, window, hop)  # refuses what cannot be asked for
        channel = self.chain.channel if channel is None else channel
        if self.chain.pools_speakers:
            tasks = self.of_speakers(paths, window, hop, speakers or {}, channel)
        else:
            tasks = self.of_groups(paths, window, hop, channel)
        return itertools.chain.from_iterable(in_order(tasks, self.workers, self.workers))

    def of_groups(self, paths, window, hop, channel):
        """Yields functions that each classify recordings together and return what `recognize` yields of them."""
        group, seconds, enough = [], 0.0, GROUP_SECONDS[self.chain.final.device.type]
        for path, found in self.ahead(paths, window, channel):
            if found is not None:
                group.append((path, found))
                seconds += found.seconds if isinstance(found, Piece) else 0.0
            if found is None or seconds >= enough:
                yield functools.partial(self.of_pieces, group)
                group, seconds = [], 0.0
            if found is None:
                yield functools.partial(self.of_long_file, path, window, hop, channel)
        yield functools.partial(self.of_pieces, group)

    @property
    def workers(self) -> int:
        """Threads that classify, each for itself: several that share a recurrent layer mostly wait for each other."""
        return min(torch.get_num_threads(), WORKERS) if self.chain.final.device.type == "cpu" else 1

    def ahead(self, paths, window, channel):
        """Yields (path, Piece, None for a long recording, or an error); several are read and computed meanwhile."""
        threads = torch.get_num_threads()
        tasks = (functools.partial(self.of_short_file, path, window, channel) for path in paths)
        return in_order(tasks, threads, AHEAD * threads)

    def of_short_file(self, path, window, channel):
        """The path of a file with its Piece, None for a long one, or the error."""

        def read():
            with open_recording(path, channel) as recording:
                blocks, heard = [], 0
                for block in recording.blocks(BLOCK):
                    blocks.append(block)
                    heard += len(block)
                    if heard > (window or LONGEST) * recording.rate:
                        return None
                return self.chain.piece(np.concatenate(blocks), recording.rate, warnings=recording.warnings)

        return path, self.guarded(read)

    def of_long_file(self, path, window, hop, channel):
        def hear():
            with open_recording(path, channel) as recording:
                result = self.listened(self.listen(recording.rate, window, hop), recording.blocks(BLOCK))
                return dataclasses.replace(result, warnings=recording.warnings)

        return [(path, self.guarded(hear))]

    def of_samples(self, samples, rate, window, hop):
        """The Result of samples (samples,), in windows where they are too many for one utterance."""
        listener = self.listen(rate, window, hop)
        if len(samples) > (window or LONGEST) * rate:
            return self.listened(listener, np.split(samples, range(int(BLOCK * rate), len(samples), int(BLOCK * rate))))
        ((_, result),) = self.of_pieces([(None, self.chain.piece(samples, rate))])
        return result

    def listened(self, listener, blocks):
        """The Result of what a listener makes of blocks of samples, one after the other."""
        heard, found = 0, []
        for block in blocks:
            heard += len(block)
            found.append(listener.push(block))
        found.append(listener.close())
        times, rows = map(np.concatenate, zip(*found))
        return Result(self.classes, heard / listener.rate, times, rows)

    def of_pieces(self, group):
        """[(path, Result or error)] of (path, Piece or error) pairs, whose windows are classified together."""
        pieces = [found for _, found in group if isinstance(found, Piece)]
        windows = iter(self.chain.windows(pieces) if pieces else ())
        return [
            (path, self.joined([found], [next(windows)]) if isinstance(found, Piece) else found)
            for path, found in group
        ]

    def of_speakers(self, paths, window, hop, speakers, channel):
        """What `of_groups` yields, a function for each speaker, which holds all of the speaker's features."""
        members = {}
        for path in paths:
            members.setdefault(speakers.get(path, path), []).append(path)
        for own in members.values():
            yield functools.partial(self.of_speaker, own, window, hop, channel)

    def of_speaker(self, paths, window, hop, channel):
        found = [self.guarded(lambda path=path: self.pieces_of_file(path, window, hop, channel)) for path in paths]
        pieces = [piece for each in found if isinstance(each, list) for piece in each]
        windows = iter(self.chain.windows(pieces) if pieces else ())
        return [
            (path, self.joined(each, [next(windows) for _ in each]) if isinstance(each, list) else each)
            for path, each in zip(paths, found)
        ]

    def pieces_of_file(self, path, window, hop, channel):
        """All pieces of a file of any length, in windows if it is a long one."""
        window = window or LONGEST
        with open_recording(path, channel) as recording:
            cutter = PieceListener(self.chain, recording.rate, window, hop or window)
            cuts = [cut for block in recording.blocks(BLOCK) for cut in cutter.cut(block)]
            return [
                self.chain.piece(samples, recording.rate, start, recording.warnings)
                for start, samples in (*cuts, *cutter.rest())
            ]

    def joined(self, pieces, windows):
        """The Result of the pieces of one recording, with a window for each if they are several."""
        last = pieces[-1]
        times, rows = windows[0]
        if len(pieces) > 1:
            times = np.array([[piece.start, piece.start + piece.seconds] for piece in pieces])
            rows = np.array([rows.mean(0) for _, rows in windows])
        return Result(self.classes, last.start + last.seconds, times, rows, last.warnings)

    def guarded(self, function: Callable[[], T]) -> T | SertkError:
        """What `function` returns, or the SertkError that it raises."""
        try:
            return function()
        except UsageError:
            raise
        except SertkError as error:
            return error


def in_order(functions: Iterable[Callable[[], T]], threads: int, ahead: int) -> Iterator[T]:
    """Yields what `functions` return, in their order; up to `ahead` more are worked on, or wait, in `threads`."""
    every = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            waiting = deque()
            for function in functions:
                waiting.append(pool.submit(function))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    finally:
        torch.set_num_threads(every)  # of threads that begin later too


def as_samples(samples: np.ndarray, rate: float) -> tuple[np.ndarray, int]:
    """Anybody's samples as float32 (samples,) in [-1, 1], and the rate; raises SertkError for what are none."""
    samples = np.asarray(samples)
    if samples.ndim not in (1, 2) or samples.dtype.kind not in "fi" or not samples.size:
        raise SertkError(f"expected samples (samples,) or (samples, channels), got {samples.dtype} {samples.shape}")
    if rate != int(rate) or rate < 100:
        raise SertkError(f"a sampling rate of {rate} Hz: expected a whole number from 100")
    scale = 1.0 if samples.dtype.kind == "f" else 1.0 / (np.iinfo(samples.dtype).max + 1)
    samples = samples.astype(np.float32) * np.float32(scale)
    if not np.isfinite(samples).all():
        raise SertkError("NaN or infinite samples")
    return samples.mean(1) if samples.ndim == 2 else samples, int(rate)
