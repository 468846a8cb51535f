"""The words that a trained speech recogniser hears."""

from pathlib import Path
from typing import Any

import torch

from sertk.asr.scoring import ErrorRates
from sertk.batches.means import batches
from sertk.batches.streams import Dataset
from sertk.core.files import PathLike, write_json
from sertk.inference.inputs import read_data_dir
from sertk.inference.trained import LoadedModel, TrainedModel
from sertk.kaldi.datadir import DataDir, require_all, write_table
from sertk.models.deepspeech import as_deepspeech
from sertk.text.tokens import text_of


@torch.inference_mode()
def recognise(trained: LoadedModel, dataset: Dataset) -> dict[str, str]:
    """{utterance: text} of the best paths, for all utterances of a normalised Dataset."""
    model, texts = as_deepspeech(trained.model), {}
    for batch in batches(dataset, None, trained.device, "decode_hop"):
        for item, path in zip(batch.items.tolist(), model.paths(*model.log_probs(batch))):
            texts[dataset.utterances[item]] = text_of(trained.classes, path)
    return dict(sorted(texts.items()))


def decode_asr(trained: TrainedModel, data_dir: PathLike) -> dict[str, Any] | None:
    """Writes decode_NAME/text, what was recognised in the data folder NAME, and its error rates.

    Returns {"cer", "wer", ...}, or None for a folder without the table `text`.
    Raises SertkError where this lacks an utterance.
    """
    dataset = read_data_dir(trained, data_dir, {}).dataset
    folder = trained.run_dir / f"decode_{Path(data_dir).name}"
    recognised = recognise(trained, dataset)
    write_table(folder / "text", recognised)
    data = DataDir(data_dir)
    if not data.has("text"):
        return None
    texts, rates = data.table("text"), ErrorRates()
    require_all(Path(data_dir) / "text", texts, recognised)
    for utterance, hypothesis in recognised.items():
        rates.add(texts[utterance], hypothesis)
    hours = round(data.hours(recognised), 3)
    results = {"utterances": len(recognised), "hours": hours, "cer": rates.cer, "wer": rates.wer}
    write_json(folder / "results.json", results)
    return results
