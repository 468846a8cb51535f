"""What is right by chance: systems that do not listen, as a floor under all others."""

import hashlib

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sertk.models.base import Batch, FittedModel, Output, Utterances, known


class MostFrequent(FittedModel):
    """Always the class that most training utterances have; posteriors are the classes' shares of these."""

    shares: Tensor

    def fit(self, train: Utterances, valid: Utterances, seed: int) -> None:
        counts = known(train.labels, "labels").bincount(minlength=self.classes).double()
        self.learn(shares=counts / counts.sum())

    def forward(self, batch: Batch) -> Output:
        return Output(self.shares.log().expand(len(batch.items), -1))


class Random(FittedModel):
    """A class drawn for each utterance, all with the same chance; its posterior is 1, the others' 0.

    What is drawn depends on the seed and on the utterance's own features alone, so that it is the same in
    every batch and order.
    """

    seed: Tensor

    def fit(self, train: Utterances, valid: Utterances, seed: int) -> None:
        self.learn(seed=seed)

    def forward(self, batch: Batch) -> Output:
        stream, seed = batch.only_stream(), int(self.seed)
        drawn = [
            draw(self.classes, seed, frames[:length])
            for frames, length in zip(stream.values.cpu().numpy(), stream.lengths.tolist())
        ]
        return Output(F.one_hot(torch.tensor(drawn), self.classes).to(stream.values))

    def posteriors(self, batch: Batch) -> Tensor:
        return self(batch).scores


def draw(classes: int, seed: int, frames: np.ndarray) -> int:
    """One of 0..classes-1 for an array (frames, dims), by a hash of its bytes that the seed is the key of."""
    digest = hashlib.blake2b(frames.tobytes(), digest_size=8, key=str(seed).encode()).digest()
    return int.from_bytes(digest, "big") % classes
