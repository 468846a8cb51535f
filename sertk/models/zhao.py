"""Zhao et al. 2019, Attention-Enhanced Connectionist Temporal Classification for Discrete SER: the networks."""

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import nn

from sertk.core.errors import SertkError
from sertk.core.typed import require
from sertk.layers.attention import ComponentAttention, LocalAttention, QuantumAttention
from sertk.layers.ctc import best_path, collapse, greedy_scores, longest_repetition, repetition_log_likelihood
from sertk.layers.recurrent import Blstm, masked_mean
from sertk.models.base import EmotionModel, Output, mean_loss


@dataclass(frozen=True)
class BlstmCtcConfig:
    name: str
    lstm_units: int = 128  # per direction
    lstm_layers: int = 2
    attention: Literal["none", "local", "component", "quantum"] = "none"
    scope: int = 9  # frames of the window of local and component attention
    energy: Literal["kernel", "frame", "window"] = "kernel"  # of local and component attention
    repeats: int = 1  # labels for each of the utterance's words or phonemes
    decision: Literal["greedy", "likelihood"] = "greedy"

    def __post_init__(self):
        for key in ("lstm_units", "lstm_layers", "scope", "repeats"):
            require(getattr(self, key) >= 1, key, "1 or more")
        require(self.scope % 2 == 1, "scope", "an odd number of frames")
        require((self.attention, self.energy) != ("local", "window"), "energy", "kernel or frame, for local attention")


class BlstmCtc(EmotionModel):
    """BLSTM layers, attention that keeps the frames, softmax with a blank; the emotion is a sequence of its label.

    A Batch's `numbers` are the words or phonemes of each utterance. Where they are more labels than CTC can align
    with the frames, they are cut down to those, and the share of such utterances is logged as `capped`; `empty` is
    the share of those whose best path is nothing but blanks.
    """

    Config = BlstmCtcConfig
    layers = ("pooled", *EmotionModel.layers)

    def __init__(self, config, shape):
        super().__init__()
        if shape.frames is not None:
            raise SertkError(f"{config.name} takes whole utterances: leave segment out of the config")
        dims = 2 * config.lstm_units
        self.config, self.blank = config, shape.classes
        self.blstm = Blstm(shape.only_dims(), config.lstm_units, config.lstm_layers)
        self.attention = make_attention(config, dims)
        self.output = nn.Linear(dims, shape.classes + 1)

    @property
    def needs_numbers(self):
        return self.config.decision == "likelihood"

    def hidden(self, batch):
        """(batch, frames, 2 * units), and the lengths."""
        stream = batch.only_stream()
        values = self.blstm(stream.values, stream.lengths)
        return (self.attention(values, stream.lengths) if self.attention else values), stream.lengths

    def forward(self, batch):
        """Scores of the classes and, last, of the blank."""
        values, lengths = self.hidden(batch)
        return Output(self.output(values), lengths)

    def log_probs(self, batch):
        """Log posteriors per frame (batch, frames, classes + 1), and the lengths."""
        output = self(batch)
        return output.scores.float().log_softmax(-1), output.lengths

    def loss(self, batch):
        log_probs, lengths = self.log_probs(batch)
        wanted, counts = self.counts(batch, lengths)
        targets = batch.labels[:, None].expand(-1, int(counts.max()))
        losses = F.ctc_loss(log_probs.transpose(0, 1), targets, lengths, counts, blank=self.blank, reduction="none")
        empty = (best_path(log_probs, lengths) == self.blank).all(1)
        figures = {"capped": (wanted > counts).float().mean(), "empty": empty.float().mean()}
        return mean_loss(losses, batch.weights), figures

    def counts(self, batch, lengths):
        """How often each utterance's label is to be repeated, and how often it can be: (batch,) each, on the CPU."""
        if batch.numbers is None:
            raise SertkError(
                f"{self.config.name} needs the number of words or phonemes of each utterance: a table of the data "
                "folder that the config names as numbers, which sertk-count-phones makes"
            )
        wanted = (batch.numbers * self.config.repeats).clamp(min=1)
        return wanted, wanted.minimum(longest_repetition(lengths))

    def posteriors(self, batch):
        """(batch, classes) in float64, by the best path or by the likelihood of each class's repetition."""
        log_probs, lengths = self.log_probs(batch)
        if self.config.decision == "greedy":
            return greedy_scores(log_probs, lengths)
        _, counts = self.counts(batch, lengths)
        return repetition_log_likelihood(log_probs.double(), lengths, counts).softmax(-1)

    def frame_posteriors(self, batch):
        """(batch, frames, classes + 1), the blank last."""
        return self.log_probs(batch)[0].exp()

    def path(self, frame_posteriors):
        """The classes on the best path through one utterance's posteriors (frames, classes + 1), collapsed."""
        return collapse(frame_posteriors.argmax(-1), self.blank)

    def vectors(self, batch, layer):
        if layer == "pooled":
            return masked_mean(*self.hidden(batch))[:, None]
        output = self(batch)
        return masked_mean(output.scores, output.lengths)[:, None]


def make_attention(config, dims):
    if config.attention == "quantum":
        return QuantumAttention()
    windowed = {"local": LocalAttention, "component": ComponentAttention}.get(config.attention)
    return windowed(dims, config.scope, config.energy) if windowed else None
