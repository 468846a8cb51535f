"""Zhao et al. 2019, Attention-Enhanced Connectionist Temporal Classification for Discrete SER: the networks."""

import torch.nn.functional as F
from torch import nn

from sertk.core.errors import SertkError
from sertk.layers.attention import ComponentAttention, LocalAttention, QuantumAttention
from sertk.layers.ctc import best_path, collapse, greedy_scores, longest_repetition, repetition_log_likelihood
from sertk.layers.recurrent import Blstm, masked_mean
from sertk.models.base import EmotionModel, Output, mean_loss


class BlstmCtc(EmotionModel):
    """BLSTM layers, attention that keeps the frames, softmax with a blank; the emotion is a sequence of its label.

    A Batch's `numbers` are the words or phonemes of each utterance. Where they are more labels than CTC can align
    with the frames, they are cut down to those, and the share of such utterances is logged as `capped`; `empty` is
    the share of those whose best path is nothing but blanks.
    """

    def __init__(self, config, shape):
        super().__init__(config, shape)
        dims = 2 * config.lstm_units
        self.blank = shape.classes
        self.blstm = Blstm(shape.only_dims(), config.lstm_units, config.lstm_layers)
        self.attention = make_attention(config, dims)
        self.output = nn.Linear(dims, shape.classes + 1)

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

    def pooled(self, batch):
        """The mean of what the output layer sees, (batch, 2 * units)."""
        return masked_mean(*self.hidden(batch))

    def scores(self, batch):
        """The mean over the frames, (batch, classes + 1)."""
        output = self(batch)
        return masked_mean(output.scores, output.lengths)


def make_attention(config, dims):
    if config.attention == "quantum":
        return QuantumAttention()
    windowed = {"local": LocalAttention, "component": ComponentAttention}.get(config.attention)
    return windowed(dims, config.scope, config.energy) if windowed else None
