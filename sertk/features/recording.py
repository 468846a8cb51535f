"""An open recording, of any format, which is as long as what is decoded of it."""

import contextlib
import logging
import os
from collections.abc import Callable, Iterator

import numpy as np

from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.core.names import find_path
from sertk.features.decoder import Decoder, Source, open_decoder

BLOCK = 1 << 18  # samples that are decoded at a time
LOUDEST = 1e5  # times full scale; features of anything louder could overflow
STEP = 2.0**-15  # of 16 bits
CANCELLED = 1e-3  # the mean's power relative to that of the weakest channel, where channels cancel each other

OnWarning = Callable[[str], object]

log = logging.getLogger(__name__)


def log_warning(message: str) -> None:
    log.warning("warning: %s", message)


def silence_in(samples: np.ndarray) -> str | None:
    """A warning of samples (samples,) that are all the same."""
    low, high = samples.min(), samples.max()
    return f"silence, its samples are all {low:.4g}" if high - low < STEP else None


class Recording:
    """An open recording, which can be gone through once; `warnings` are complete when that was done."""

    def __init__(self, decoder: Decoder, length: int | None, where: PathLike, channel: int | None, warnings: list[str]):
        """`length` is the number of samples that there are at least, None where what is decoded alone tells it."""
        if channel is not None and not 0 <= channel < decoder.channels:
            raise SertkError(f"{where}: there is no channel {channel}, it has {decoder.channels} (from 0)")
        self.decoder, self.length, self.where, self.channel = decoder, length, where, channel
        self.rate = decoder.samplerate  # Hz
        self.warnings = [f"{where}: {warning}" for warning in warnings]

    def blocks(self, seconds: float) -> Iterator[np.ndarray]:
        """Yields the samples (samples,) as float32 in [-1, 1] in blocks of at most `seconds`."""
        return self._heard(max(1, int(seconds * self.rate)))

    def samples(self) -> np.ndarray:
        """All samples (samples,)."""
        return np.concatenate([*self._heard(BLOCK)])

    def span(self, first: int, stop: int) -> np.ndarray:
        """The samples from `first` to `stop` of a recording whose length is known; no others are read."""
        return np.concatenate([self._mixed(piece) for piece in self._decoded(BLOCK, first, stop)])

    def _decoded(self, size: int, first: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yields what is decoded from `first` to `stop`, or to the end, in pieces (samples, channels)."""
        place, goal = first, (self.length or 0) if stop is None else stop
        try:
            if first:  # behind a seek, to the beginning too, libmpg123 rounds otherwise
                self.decoder.go_to(first)
            while stop is None or place < stop:
                piece = self.decoder.read(min(size, goal - place) if place < goal else size, "float32", always_2d=True)
                if not len(piece):
                    break
                place += len(piece)
                yield piece
        except (RuntimeError, MemoryError) as error:
            if not goal or place < goal:
                raise SertkError(f"{self.where}: cut off or damaged: {error}") from error
            self.warnings.append(f"{self.where}: what follows its last frame is not read")
        if not place:
            raise SertkError(f"{self.where}: no samples")
        if place < goal:
            raise SertkError(f"{self.where}: cut off, its header says that it is longer")

    def _mixed(self, piece: np.ndarray) -> np.ndarray:
        """One channel of a piece (samples, channels), or the mean of all, (samples,)."""
        if self.channel is None and piece.shape[1] > 1:
            with np.errstate(over="ignore", invalid="ignore"):  # of what is refused below
                samples = piece.mean(axis=1)
        else:
            samples = np.ascontiguousarray(piece[:, self.channel or 0])
        if not max(samples.max(), -samples.min()) < LOUDEST:
            raise SertkError(f"{self.where}: NaN or infinite samples, or some above {LOUDEST:g} where full scale is 1")
        return samples

    def _heard(self, size: int) -> Iterator[np.ndarray]:
        """Yields all samples in blocks of `size`, and then warns of what makes them useless."""
        moments, extremes = Moments(), []
        for piece in self._decoded(size):
            samples = self._mixed(piece)
            extremes += [samples.min(), samples.max()]
            if self.channel is None and piece.shape[1] > 1:
                moments.add(np.column_stack([piece, samples]))
            yield samples
        if warning := moments.cancelling() or silence_in(np.array(extremes)):
            self.warnings.append(f"{self.where}: {warning}")


class Moments:
    """Sums of channels and of their mean, from which their powers are told."""

    def __init__(self):
        self.count, self.sums, self.squares = 0, np.zeros(1), np.zeros(1)

    def add(self, samples: np.ndarray) -> None:
        """Takes in samples (samples, channels + 1), the mean last."""
        self.count += len(samples)
        self.sums = self.sums + samples.sum(0, dtype=np.float64)
        self.squares = self.squares + np.einsum("sc,sc->c", samples, samples, dtype=np.float64)

    def cancelling(self) -> str | None:
        """A warning of channels whose mean has little power, beside that of each of them."""
        if not self.count:
            return None
        *powers, mixed = self.squares / self.count - (self.sums / self.count) ** 2
        if min(powers) > STEP**2 and mixed < CANCELLED * min(powers):
            return "its channels cancel each other in their mean: take one (`sox FILE OUT.wav remix 1`)"
        return None


@contextlib.contextmanager
def open_sound(source: Source, where: PathLike, channel: int | None = None) -> Iterator[Recording]:
    """Opens what open_decoder takes as a Recording; `where` names it in messages.

    Several channels are averaged, or `channel` (from 0) is taken. Raises SertkError for what is unreadable, empty, cut
    off or not finite.
    """
    with contextlib.ExitStack() as files:
        try:
            decoder, length, warnings = open_decoder(source, files)
        except SertkError as error:
            raise SertkError(f"{where}: {error}") from error
        except OSError as error:
            raise SertkError(f"{where}: {error.strerror}") from error
        yield Recording(decoder, length, where, channel, warnings)


@contextlib.contextmanager
def open_recording(path: PathLike, channel: int | None = None) -> Iterator[Recording]:
    """Opens an audio file, whose name is taken for nothing else, as a Recording; the errors are open_sound's."""
    path = find_path(path)
    if not path.exists():
        raise SertkError(f"{path}: no such file")
    if not path.is_file():
        raise SertkError(f"{path}: not a file with a beginning and an end")
    with open_sound(os.fsencode(path), path, channel) as recording:  # bytes, as names need not be UTF-8
        yield recording
