"""Zhao et al. 2019, Attention-Enhanced Connectionist Temporal Classification for Discrete SER: the networks."""

from torch import Tensor, nn

from sertk.core.errors import SertkError
from sertk.layers.attention import ComponentAttention, LocalAttention, QuantumAttention, WindowAttention
from sertk.layers.ctc import (
    best_path,
    collapse,
    ctc_losses,
    greedy_scores,
    longest_repetition,
    repetition_log_likelihood,
)
from sertk.layers.recurrent import Blstm, masked_mean
from sertk.models.base import Batch, EmotionModel, Output, Shape, known, mean_loss
from sertk.models.registry import BlstmCtcConfig


class BlstmCtc(EmotionModel):
    """BLSTM layers, attention that keeps the frames, softmax with a blank; the emotion is a sequence of its label.

    A Batch's `numbers` are the words or phonemes of each utterance. Where they are more labels than CTC can align
    with the frames, they are cut down to those, and the share of such utterances is logged as `capped`; `empty` is
    the share of those whose best path is nothing but blanks.
    """

    config: BlstmCtcConfig

    def __init__(self, config: BlstmCtcConfig, shape: Shape):
        super().__init__(config, shape)
        dims = 2 * config.lstm_units
        self.blank = shape.classes
        self.blstm = Blstm(shape.only_dims(), config.lstm_units, config.lstm_layers)
        self.attention = make_attention(config, dims)
        self.output = nn.Linear(dims, shape.classes + 1)

    def hidden(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(batch, frames, 2 * units), and the lengths."""
        stream = batch.only_stream()
        values = self.blstm(stream.values, stream.lengths)
        return (self.attention(values, stream.lengths) if self.attention else values), stream.lengths

    def forward(self, batch: Batch) -> Output:
        """Scores of the classes and, last, of the blank."""
        values, lengths = self.hidden(batch)
        return Output(self.output(values), lengths)

    def log_probs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log posteriors per frame (batch, frames, classes + 1), and the lengths."""
        values, lengths = self.hidden(batch)
        return self.output(values).float().log_softmax(-1), lengths

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        log_probs, lengths = self.log_probs(batch)
        wanted, counts = self.counts(batch, lengths)
        targets = known(batch.labels, "labels")[:, None].expand(-1, int(counts.max()))
        losses = ctc_losses(log_probs, lengths, targets, counts)
        empty = (best_path(log_probs, lengths) == self.blank).all(1)
        figures = {"capped": (wanted > counts).float().mean(), "empty": empty.float().mean()}
        return mean_loss(losses, batch.weights), figures

    def counts(self, batch: Batch, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """How often each utterance's label is to be repeated, and how often it can be: (batch,) each, on the CPU."""
        if batch.numbers is None:
            raise SertkError(
                f"{self.config.name} needs the number of words or phonemes of each utterance: a table of the data "
                "folder that the config names as numbers, which sertk-count-phones makes"
            )
        wanted = (batch.numbers * self.config.repeats).clamp(min=1)
        return wanted, wanted.minimum(longest_repetition(lengths))

    def posteriors(self, batch: Batch) -> Tensor:
        """(batch, classes) in float64, by the best path or by the likelihood of each class's repetition."""
        log_probs, lengths = self.log_probs(batch)
        if self.config.decision == "greedy":
            return greedy_scores(log_probs, lengths)
        _, counts = self.counts(batch, lengths)
        return repetition_log_likelihood(log_probs.double(), lengths, counts).softmax(-1)

    def frame_posteriors(self, batch: Batch) -> Tensor:
        """(batch, frames, classes + 1), the blank last."""
        return self.log_probs(batch)[0].exp()

    def path(self, frame_posteriors: Tensor) -> Tensor:
        """The classes on the best path through one utterance's posteriors (frames, classes + 1), collapsed."""
        return collapse(frame_posteriors.argmax(-1), self.blank)

    def pooled(self, batch: Batch) -> Tensor:
        """The mean of what the output layer sees, (batch, 2 * units)."""
        return masked_mean(*self.hidden(batch))

    def scores(self, batch: Batch) -> Tensor:
        """The mean over the frames, (batch, classes + 1)."""
        values, lengths = self.hidden(batch)
        return masked_mean(self.output(values), lengths)


def make_attention(config: BlstmCtcConfig, dims: int) -> WindowAttention | QuantumAttention | None:
    """The attention layer that a config asks for, of `dims` values a frame."""
    if config.attention == "quantum":
        return QuantumAttention()
    windowed = {"local": LocalAttention, "component": ComponentAttention}.get(config.attention)
    return windowed(dims, config.scope, config.energy) if windowed else None
