"""What pictures show of a recording of any length."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sertk.features.audio import open_recording
from sertk.features.kaldi import Fbank
from sertk.predicting.live import Framer, Resampler

COLUMNS = 1500  # of a picture, at most
RATE = 16000  # Hz
BLOCK = 10.0  # seconds that are held at a time


@dataclass(frozen=True)
class Overview:
    """Lowest and highest sample (columns, 2) and mean log mel energies (columns, bins), both over `seconds`."""

    seconds: float
    envelope: np.ndarray
    log_mel: np.ndarray


def overview_of(path, channel=None):
    """The Overview of an audio file, in memory that does not grow with its length."""
    with open_recording(path, channel) as recording:
        resampler, framer = Resampler(recording.rate, RATE), Framer(Fbank(float(RATE)))
        envelope, log_mel = (
            Columns(recording.seconds * recording.rate),
            Columns(recording.seconds * RATE / framer.extractor.shift),
        )
        heard = 0
        for block in recording.blocks(BLOCK):
            heard += len(block)
            envelope.add(block[:, None])
            log_mel.add(framer.push(resampler.push(block)))
        log_mel.add(framer.push(resampler.push(np.zeros(0, np.float32), last=True), last=True))
    return Overview(heard / recording.rate, np.stack([envelope.low[:, 0], envelope.high[:, 0]], 1), log_mel.means())


class Columns:
    """Lowest, highest and mean values of rows (rows, dims) that come in pieces, in at most COLUMNS columns."""

    def __init__(self, expected):
        self.size = max(1, int(np.ceil(expected / COLUMNS)))  # rows of a column
        self.rows, self.low, self.high, self.sums, self.counts = 0, None, None, None, np.zeros(0)

    def add(self, rows):
        if not len(rows):
            return
        places = (self.rows + np.arange(len(rows))) // self.size
        first, self.rows = places[0], self.rows + len(rows)
        columns, dims = places[-1] + 1, rows.shape[1]
        starts = np.flatnonzero(np.diff(places, prepend=first - 1))
        self.low = widened(self.low, columns, dims, np.inf)
        self.high = widened(self.high, columns, dims, -np.inf)
        self.sums = widened(self.sums, columns, dims, 0.0)
        self.counts = np.concatenate([self.counts, np.zeros(columns - len(self.counts))])
        self.low[first:] = np.minimum(self.low[first:], np.minimum.reduceat(rows, starts))
        self.high[first:] = np.maximum(self.high[first:], np.maximum.reduceat(rows, starts))
        self.sums[first:] += np.add.reduceat(rows, starts, dtype=np.float64)
        self.counts[first:] += np.bincount(places - first)

    def means(self):
        return self.sums / self.counts[:, None]


def widened(values, columns, dims, fill):
    values = np.zeros((0, dims)) if values is None else values
    return np.concatenate([values, np.full((columns - len(values), dims), fill)])


def picture_path(folder, path):
    """FOLDER/a_b_c.wav.png for a/b/c.wav, so that recordings of one name have pictures of their own."""
    parts = [part for part in Path(os.path.normpath(path)).parts if part not in ("/", "..")]
    return os.path.join(folder, "_".join(parts) + ".png")
