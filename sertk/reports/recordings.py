"""Recordings of utterances, small enough for a page."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from sertk.core.errors import SertkError
from sertk.core.files import PathLike, read_text
from sertk.evaluation.runs import DecodedRun
from sertk.experiments.experiment import Experiment
from sertk.features.audio import read_data_dir, resample

RATE = 16000  # Hz
LONGEST = 10  # seconds of a recording that are kept
MOST_BYTES = 12_000_000  # of all recordings of a page


class Recordings:
    """Reads recordings from the data folder that is named, else from the one that was decoded."""

    def __init__(self, data: PathLike | None = None):
        self.data = data
        self.left = MOST_BYTES

    def read(self, runs: Sequence[DecodedRun], utterances: Sequence[str]) -> tuple[dict[str, bytes], list[str]]:
        """({utterance: FLAC}, notes): what is there, mono at 16 kHz, and a line for whatever is not."""
        try:
            data = Path(self.data) if self.data else _trusted(Experiment.of(runs[0].path))
            errors, found = [], {}

            def skip(utterance, error):
                errors.append(f"{utterance}: {error}")

            for utterance, samples, rate in read_data_dir(data, set(utterances), skip):
                found[utterance] = flac(samples, rate)
        except SertkError as error:
            return {}, [f"No recordings: {error}."]
        notes = [f"No recording of {error}." for error in errors]
        kept = {}
        for utterance in utterances:
            if utterance not in found:
                continue
            if len(found[utterance]) > self.left:
                notes.append(f"More recordings than {MOST_BYTES / 1e6:.0f} MB are left out.")
                break
            self.left -= len(found[utterance])
            kept[utterance] = found[utterance]
        missing = sum(utterance not in found for utterance in utterances) - len(errors)
        return kept, notes + [f"{missing} of the utterances are not in {data}."] * (missing > 0)


def flac(samples: np.ndarray, rate: int) -> bytes:
    """The first seconds of mono samples (samples,) in [-1, 1] at `rate` Hz as the bytes of a FLAC file."""
    samples = resample(samples[: LONGEST * rate], rate, RATE)
    content = io.BytesIO()
    soundfile.write(content, np.clip(samples, -1, 1), RATE, format="FLAC", subtype="PCM_16")
    return content.getvalue()


def _trusted(experiment):
    """The data folder; SertkError if it is not there, has changed, or has commands that nobody asked to run."""
    data = experiment.inputs.data
    if not (data / "wav.scp").is_file():
        raise SertkError(f"{data} has no wav.scp; name the data folder with --data")
    if "|" in read_text(data / "wav.scp"):
        raise SertkError(f"{data}/wav.scp holds commands, which are only run where --data names the folder")
    experiment.check_runs()
    return data
