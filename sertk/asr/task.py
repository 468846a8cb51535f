"""The task of recognising words."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from sertk.asr.scoring import ErrorRates
from sertk.batches.dataset import feature_options, load_dataset
from sertk.batches.means import batches
from sertk.batches.streams import Dataset
from sertk.config.schema import Config
from sertk.core.distributed import summed, world
from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.kaldi.datadir import DataDir, first_of
from sertk.layers.ctc import shortest_input
from sertk.models.base import Batch, EmotionModel, known
from sertk.models.deepspeech import SHORTEST, as_deepspeech, output_lengths
from sertk.text.tokens import Tokens, text_of
from sertk.training.tasks.base import Task

log = logging.getLogger(__name__)


class AsrTask(Task):
    """Training of a speech recogniser on the data folders `train_dir` and `valid_dir`, by one process or several.

    Utterances that nothing can be learnt from are left out; `left_out` is {"train": {utterance: why}, "dev": ...}.
    """

    def __init__(self, config: Config, train_dir: PathLike, valid_dir: PathLike, tokens: Tokens, device: torch.device):
        (train, not_train), (valid, not_valid) = (
            load_transcribed(config, folder, tokens) for folder in (train_dir, valid_dir)
        )
        self.left_out = {"train": not_train, "dev": not_valid}
        self.feature_options = feature_options(config, train_dir)
        speakers = {**DataDir(train_dir).table("utt2spk"), **DataDir(valid_dir).table("utt2spk")}
        super().__init__(config, train, valid, speakers, tokens.pieces, device)

    def epoch_batches(self, generator: torch.Generator, epoch: int) -> list[Tensor]:
        """As for every task; a last batch with less than an utterance for each process is left to other epochs."""
        _, processes = world()
        return [chunk for chunk in super().epoch_batches(generator, epoch) if len(chunk) >= processes]

    def gather_all(self, chunks: Sequence[Tensor]) -> Iterator[Batch]:
        """Yields the Batch of this process's share of each chunk."""
        rank, processes = world()
        return super().gather_all([chunk[rank::processes] for chunk in chunks])

    @torch.no_grad()
    def validate(self, model: EmotionModel) -> dict[str, float]:
        """valid_loss (nats an utterance), valid_cer and valid_wer of the best paths, shares of the lengths."""
        network, texts = as_deepspeech(model.eval()), known(self.valid.tokens, "texts")
        rates, losses = ErrorRates(), torch.zeros(2, dtype=torch.float64)
        rank, processes = world()
        for batch in batches(self.valid, None, self.device, "train_hop", "validation", slice(rank, None, processes)):
            log_probs, lengths = network.log_probs(batch)
            losses[0] += float(network.losses(log_probs, lengths, known(batch.tokens, "texts")).double().sum())
            losses[1] += len(batch.items)
            for item, path in zip(batch.items.tolist(), network.paths(log_probs, lengths)):
                rates.add(text_of(self.classes, texts[item]), text_of(self.classes, path))
        total, count = summed(losses.to(self.device)).tolist()
        rates.counts = summed(torch.tensor(rates.counts, dtype=torch.float64, device=self.device)).tolist()
        return {"valid_loss": total / count, "valid_cer": rates.cer, "valid_wer": rates.wer}


def load_transcribed(config: Config, data_dir: PathLike, tokens: Tokens) -> tuple[Dataset, dict[str, str]]:
    """The Dataset of a data folder's utterances and the tokens of their texts, not yet normalised, from short to long.

    Utterances without text, with characters that no token has, too short for the network or for their text are
    left out, and come as {utterance: why} beside it; raises SertkError if none is left.
    """
    folder = DataDir(data_dir)
    texts, encoded, left_out = folder.table("text"), {}, {}
    for utterance in folder.utterances:
        try:
            encoded[utterance] = tokens.encode(texts.get(utterance, ""), utterance)
        except SertkError:
            left_out[utterance] = "characters that no token has"
    if not encoded:
        log_left_out(data_dir, left_out, len(folder.utterances))
    dataset = load_dataset(config, data_dir, list(encoded))
    frames = dict(zip(dataset.utterances, dataset.lengths().tolist()))
    for utterance, ids in encoded.items():
        if not ids:
            left_out[utterance] = "no text"
        elif frames[utterance] < SHORTEST:
            left_out[utterance] = f"fewer than {SHORTEST} frames"
        elif output_lengths(frames[utterance]) < shortest_input(ids):
            left_out[utterance] = "more text than CTC can align with its frames"
    log_left_out(data_dir, left_out, len(folder.utterances))
    places = [place for place, utterance in enumerate(dataset.utterances) if utterance not in left_out]
    kept = dataset.select(sorted(places, key=dataset.lengths().tolist().__getitem__))
    kept.tokens = [encoded[utterance] for utterance in kept.utterances]
    return kept, left_out


def log_left_out(data_dir: PathLike, left_out: Mapping[str, str], total: int) -> None:
    """Warns of what is left out, a line for each reason; raises SertkError where that is all."""
    for reason in sorted(set(left_out.values())):
        names = sorted(utterance for utterance, each in left_out.items() if each == reason)
        what = f"{len(names)} of {total} utterances are left out, with {reason}"
        log.warning("%s: %s: %s", Path(data_dir), what, first_of(names))
    if len(left_out) == total:
        raise SertkError(f"{data_dir}: no utterance is left to learn from")
