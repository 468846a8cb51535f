"""What pictures show of a recording of any length."""

import os
from pathlib import Path

import numpy as np

from sertk.core.files import PathLike
from sertk.features.kaldi import Fbank
from sertk.features.recording import open_recording
from sertk.predicting.live import Framer, Resampler
from sertk.reports.plots.prediction import Overview

COLUMNS = 1500  # of a picture, at most
RATE = 16000  # Hz
BLOCK = 10.0  # seconds that are held at a time


def overview_of(path: PathLike, seconds: float, channel: int | None = None) -> Overview:
    """The Overview of an audio file that lasts `seconds`, in memory that does not grow with its length."""
    with open_recording(path, channel) as recording:
        resampler, framer = Resampler(recording.rate, RATE), Framer(Fbank(float(RATE)))
        envelope = Columns(seconds * recording.rate, 1)
        log_mel = Columns(seconds * RATE / framer.shift, framer.extractor.dims)
        heard = 0
        for block in recording.blocks(BLOCK):
            heard += len(block)
            envelope.add(block[:, None])
            log_mel.add(framer.push(resampler.push(block)))
        log_mel.add(framer.push(resampler.push(np.zeros(0, np.float32), last=True), last=True))
    return Overview(heard / recording.rate, np.stack([envelope.low[:, 0], envelope.high[:, 0]], 1), log_mel.means())


class Columns:
    """Lowest, highest and mean values of rows (rows, dims) that come in pieces, in at most COLUMNS columns."""

    def __init__(self, expected: float, dims: int):
        self.size = max(1, int(np.ceil(expected / COLUMNS)))  # rows of a column
        self.rows, self.counts = 0, np.zeros(0)
        self.low, self.high, self.sums = np.zeros((3, 0, dims))

    def add(self, rows: np.ndarray) -> None:
        """Takes in rows (rows, dims) that follow those before."""
        if not len(rows):
            return
        places = (self.rows + np.arange(len(rows))) // self.size
        first, self.rows = places[0], self.rows + len(rows)
        columns = places[-1] + 1
        starts = np.flatnonzero(np.diff(places, prepend=first - 1))
        self.low = widened(self.low, columns, np.inf)
        self.high = widened(self.high, columns, -np.inf)
        self.sums = widened(self.sums, columns, 0.0)
        self.counts = widened(self.counts, columns, 0.0)
        self.low[first:] = np.minimum(self.low[first:], np.minimum.reduceat(rows, starts))
        self.high[first:] = np.maximum(self.high[first:], np.maximum.reduceat(rows, starts))
        self.sums[first:] += np.add.reduceat(rows, starts, dtype=np.float64)
        self.counts[first:] += np.bincount(places - first)

    def means(self) -> np.ndarray:
        """(columns, dims)."""
        return self.sums / self.counts[:, None]


def widened(values: np.ndarray, columns: int, fill: float) -> np.ndarray:
    """`values` (columns, ...) with more columns, which hold `fill`."""
    return np.concatenate([values, np.full((columns - len(values), *values.shape[1:]), fill)])


def picture_path(folder: PathLike, path: PathLike) -> str:
    """FOLDER/a_b_c.wav.png for a/b/c.wav, so that recordings of one name have pictures of their own."""
    names = [name for name in Path(os.path.normpath(path)).parts if name not in ("/", "..")]
    return os.path.join(folder, "_".join(names) + ".png")
