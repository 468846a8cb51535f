"""What a run's decoding wrote of one utterance, frame by frame, beside the recording."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sertk.core.errors import SertkError
from sertk.core.files import PathLike, read_yaml
from sertk.features.audio import read_data_dir
from sertk.features.registry import load_extractor
from sertk.kaldi.archives import load_matrix, read_scp
from sertk.kaldi.datadir import read_lines, read_table

BLANK = "(blank)"


@dataclass(frozen=True)
class Timeline:
    """An utterance: its waveform (samples,) at `rate` Hz, and posteriors (frames, classes), `shift` seconds apart."""

    title: str
    samples: np.ndarray
    rate: int
    classes: list[str]
    posteriors: np.ndarray
    shift: float


def read_timeline(
    run_dir: PathLike, data_dir: PathLike, utterance: str, feats_config: PathLike | None = None
) -> Timeline:
    """The Timeline of an utterance of the decoded test split of a run; raises SertkError for one that is not there.

    `feats_config` describes the run's feature type where it is not a shipped one.
    """
    decoded = Path(run_dir) / "decode_test"
    frames = decoded / "frames.scp"
    if not frames.exists():
        raise SertkError(f"{frames}: missing; stage 4 makes it, for models with posteriors of frames such as blstm_ctc")
    table = read_scp(frames)
    if utterance not in table:
        raise SertkError(f"{frames}: no utterance {utterance}")
    posteriors = load_matrix(table[utterance])
    paths = read_table(decoded / "text", allow_empty=True)
    header, *_ = read_lines(decoded / "predictions.tsv")
    classes = header.split("\t")[4:]
    feature_type, *_ = read_yaml(Path(run_dir) / "config.yaml")["features"]
    extractor = load_extractor(feature_type, feats_config)
    if extractor.shift is None:
        raise SertkError(f"{feature_type}: one vector for an utterance, not frames of it")
    found = next(read_data_dir(data_dir, {utterance}), None)
    if found is None:
        raise SertkError(f"{data_dir}/wav.scp: no recording of {utterance}")
    _, samples, rate = found
    shift = extractor.shift / extractor.sample_frequency
    return Timeline(f"{utterance}\n{paths[utterance] or BLANK}", samples, rate, [*classes, BLANK], posteriors, shift)
