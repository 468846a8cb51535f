"""Decoding to posterior archives and tables of predictions."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sertk.core.files import PathLike, folder_aside, write_json, write_text, write_yaml
from sertk.core.locks import locked_folder
from sertk.experiments.environment import write_command
from sertk.experiments.layout import decoded_by
from sertk.inference.frames import FrameClassifier, write_frames
from sertk.inference.inputs import Input
from sertk.inference.trained import LoadedModel, TrainedModel
from sertk.kaldi.archives import MatrixWriter
from sertk.models.base import known


def write_decoded(trained: TrainedModel, seen: Input, out_dir: PathLike, card: Mapping[str, Any] | None = None) -> None:
    """Decodes an Input, of a split or of another corpus with its `card`, into the folder `out_dir`.

    It appears whole or not at all.
    """
    posteriors = trained.posteriors(seen.dataset).numpy()
    with locked_folder(out_dir), folder_aside(out_dir) as aside:
        _write_decoded(trained, seen, posteriors, aside, out_dir)
        write_json(decoded_by(aside), {"weights_sha256": trained.weights_digest})
        if card:
            write_yaml(aside / "card.yaml", card)
        write_command(aside)


def _write_decoded(trained: LoadedModel, seen: Input, posteriors: np.ndarray, aside: Path, out_dir: PathLike) -> None:
    utterances = seen.dataset.utterances
    write_posteriors(f"ark,scp:{aside}/posteriors.ark,{aside}/posteriors.scp", utterances, posteriors)
    if isinstance(trained.model, FrameClassifier):
        write_frames(trained, trained.model, seen.dataset, aside)
    for scp in aside.glob("*.scp"):
        write_text(scp, scp.read_text(encoding="utf-8").replace(f" {aside}/", f" {out_dir}/"))
    write_text(aside / "predictions.tsv", predictions(seen, trained.classes, posteriors))


def predictions(seen: Input, classes: Sequence[str], posteriors: np.ndarray) -> str:
    """The text of predictions.tsv: one line per utterance with reference, predicted class and posteriors."""
    lines = ["\t".join(["utterance", "speaker", "reference", "predicted", *classes])]
    names = zip(seen.dataset.utterances, seen.speakers, known(seen.references, "labels"))
    for (utterance, speaker, reference), row in zip(names, posteriors):
        predicted = classes[int(row.argmax())]
        lines.append("\t".join([utterance, speaker or "", reference, predicted, *(f"{value:.6f}" for value in row)]))
    return "\n".join(lines) + "\n"


def write_posteriors(wspecifier: str, utterances: Iterable[str], posteriors: np.ndarray) -> None:
    """One vector (classes,) per utterance."""
    with MatrixWriter(wspecifier) as writer:
        write_rows(writer, utterances, posteriors)


def write_rows(writer: MatrixWriter, utterances: Iterable[str], rows: Iterable[np.ndarray]) -> None:
    """Writes one array, a vector or a matrix, per utterance to a MatrixWriter, as float32."""
    for utterance, row in zip(utterances, rows):
        writer.write(utterance, row.astype(np.float32))
