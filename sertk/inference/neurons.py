"""Units of a speech recogniser's layer that follow how loud the speech is (Lakomkin et al. 2017, Fig. 6)."""

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from sertk.batches.waves import Framewise, frames_of
from sertk.core.command import progress
from sertk.core.errors import SertkError
from sertk.core.files import PathLike, write_text
from sertk.features.audio import locate_utterances, read_data_dir, resample
from sertk.kaldi.archives import load_matrix
from sertk.models.deepspeech import SHORTEST, input_frame, output_lengths

SILENCE = 1e-10  # the least mean square: no window is below -100 dB

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Heard:
    """An utterance: samples (samples,) at `rate` Hz, and what a layer does and hears in each of its frames.

    `activations` are (frames, units), `loudness` (frames,) is in dB, `times` (frames,) are the middles in
    seconds of the windows whose loudness it is.
    """

    utterance: str
    samples: np.ndarray
    rate: int
    activations: np.ndarray
    loudness: np.ndarray
    times: np.ndarray


class Correlation:
    """Pearson's correlation of all columns of matrices (rows, columns) with the last one, matrix by matrix.

    What is kept are sums of products of deviations from the means so far, in float64 (Chan et al. 1979).
    """

    def __init__(self):
        self.rows = 0
        self.means, self.squares, self.products = np.zeros((3, 1))

    def add(self, values: np.ndarray) -> None:
        """Takes in a matrix (rows, columns)."""
        values = values.astype(np.float64)
        means = values.mean(0)
        own, difference = values - means, means - self.means
        rows = self.rows + len(values)
        weight = self.rows * len(values) / rows
        self.squares = self.squares + np.square(own).sum(0) + weight * difference**2
        self.products = self.products + own[:, -1] @ own + weight * difference[-1] * difference
        self.means = self.means + difference * len(values) / rows
        self.rows = rows

    def values(self) -> np.ndarray:
        """(columns - 1,), each in -1..1; 0 for a column that never changes."""
        scale = np.sqrt(self.squares[:-1] * self.squares[-1])
        return np.divide(self.products[:-1], scale, out=np.zeros_like(scale), where=scale > 0).clip(-1, 1)


def frame_loudness(waveform: np.ndarray, extractor: Framewise) -> np.ndarray:
    """The mean square (frames,) of each of an extractor's windows, in dB of full scale, -100 or more."""
    waveform = np.pad(waveform, extractor.margin, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(waveform, extractor.shortest)[:: extractor.shift]
    power = np.einsum("fs,fs->f", frames, frames, dtype=np.float64) / extractor.shortest
    return 10 * np.log10(np.maximum(power, SILENCE))


def read_heard(
    table: Mapping[str, str], data_dir: PathLike, wanted: Collection[str], extractor: Framewise
) -> Iterator[Heard]:
    """Yields a Heard for each of the `wanted` utterances of a data folder, in its order, one at a time.

    `table` is {utterance: location} of a layer's archives. A frame of the layer is paired with the window in
    the middle of those that the network's convolutions make it of; an utterance too short for one has no frames.
    Raises SertkError for an utterance without recording, and for archives that are no layer of these recordings.
    """
    locate_utterances(data_dir, wanted)
    for utterance, samples, rate in read_data_dir(data_dir, wanted):
        activations = np.atleast_2d(load_matrix(table[utterance]))
        waveform = resample(samples, rate, int(extractor.sample_frequency))
        windows = max(0, frames_of(len(waveform), extractor))
        frames = output_lengths(max(windows, SHORTEST))
        if len(activations) != frames:
            raise SertkError(
                f"{utterance}: {table[utterance]} has {len(activations)} rows, a speech recogniser's layer "
                f"{frames} for the {windows} windows of the recording"
            )
        if windows < SHORTEST:
            activations, loudness, centres = activations[:0], np.empty(0), np.empty(0)
        else:
            centres = input_frame(np.arange(frames))
            loudness = frame_loudness(waveform, extractor)[centres]
        middle = extractor.shortest / 2 - extractor.margin[0]
        times = (centres * extractor.shift + middle) / extractor.sample_frequency
        yield Heard(utterance, samples, rate, activations, loudness, times)


def loudness_correlations(table: Mapping[str, str], data_dir: PathLike, extractor: Framewise) -> tuple[np.ndarray, int]:
    """Pearson's correlation of each unit (units,) with the loudness, and over how many frames it is.

    They are those of all utterances of a table. Arguments and errors are otherwise those of `read_heard`.
    """
    correlation, units, short = Correlation(), None, 0
    for heard in progress(read_heard(table, data_dir, table, extractor), "listening", len(table)):
        units = units or heard.activations.shape[1]
        if heard.activations.shape[1] != units:
            own = heard.activations.shape[1]
            raise SertkError(f"{heard.utterance}: {own} units, the utterances before it {units}")
        if len(heard.loudness):
            correlation.add(np.column_stack([heard.activations, heard.loudness]))
        else:
            short += 1
    if not correlation.rows or not correlation.squares[-1]:
        what = "is equally loud" if correlation.rows else "is too short for a frame of the network"
        raise SertkError(f"{data_dir}: everything {what}: there is nothing to correlate with")
    if short:
        log.info("%d of %d utterances are too short for a frame of the network", short, len(table))
    return correlation.values(), correlation.rows


def write_correlations(path: PathLike, correlations: np.ndarray) -> None:
    """Writes a table of units, from 1, and their correlations (units,), those farthest from 0 first."""
    order = np.argsort(-np.abs(correlations), kind="stable")
    lines = [f"{unit + 1}\t{correlations[unit]:.6f}\n" for unit in order]
    write_text(path, "".join(["unit\tcorrelation\n", *lines]))
