"""What every emotion model takes and gives."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sertk.core.errors import SertkError
from sertk.models.registry import MODELS, ModelConfig

T = TypeVar("T")


def only(by_feature_type: Mapping[str, T]) -> T:
    """The one value of a mapping by feature type; raises SertkError for several, as the model takes one type."""
    if len(by_feature_type) != 1:
        raise SertkError(f"the model takes one feature type, not {len(by_feature_type)}: {', '.join(by_feature_type)}")
    return next(iter(by_feature_type.values()))


def known(value: T | None, what: str) -> T:
    """What may be missing, such as a Batch's labels, where it is needed; raises ValueError that names it."""
    if value is None:
        raise ValueError(f"{what} are needed here, and not given")
    return value


@dataclass(frozen=True)
class Padded:
    """Sequences of one stream: values (batch, frames, dims), zero beyond lengths (batch,), which stay on the CPU."""

    values: Tensor
    lengths: Tensor


@dataclass(frozen=True)
class Batch:
    """Windows or whole utterances: `items` (batch,) are the utterances' places in their dataset."""

    items: Tensor
    streams: dict[str, Padded]
    labels: Tensor | None = None  # (batch,)
    weights: Tensor | None = None  # (batch,), of each item in the loss; None: all weigh the same
    numbers: Tensor | None = None  # (batch,), of what the config's `numbers` counts, on the CPU
    conditions: Tensor | None = None  # (batch, dims), of the config's feature type `conditions`
    tokens: Padded | None = None  # values (batch, tokens), of the texts to recognise

    def only_stream(self) -> Padded:
        return only(self.streams)


@dataclass(frozen=True)
class Output:
    """Scores (batch, classes), or scores per frame (batch, frames, classes) with lengths (batch,)."""

    scores: Tensor
    lengths: Tensor | None = None


@dataclass(frozen=True)
class Shape:
    """What a model is built for: dims per stream, the number of classes, frames per window (None: utterances)."""

    dims: dict[str, int]
    classes: int
    frames: int | None = None
    choose: bool = False  # the model takes the one of its streams that suits it best

    def only_dims(self) -> int:
        return only(self.dims)


def mean_loss(losses: Tensor, weights: Tensor | None) -> Tensor:
    """The mean of losses (batch,), weighted by a Batch's `weights`."""
    return losses.mean() if weights is None else (losses * weights).sum() / weights.sum()


class EmotionModel(nn.Module):
    """A network trained by gradient, by default a classifier; it takes its config of registry.py and a Shape."""

    __call__: Callable[[Batch], Output]

    def __init__(self, config: ModelConfig, shape: Shape):
        super().__init__()
        self.config, self.shape = config, shape

    @property
    def layers(self) -> tuple[str, ...]:
        """Those whose vectors `sertk-extract` can write."""
        return tuple(MODELS[self.config.name].layers)

    @property
    def sequences(self) -> tuple[str, ...]:
        """Those that give a row for each window, instead of a mean over the windows."""
        return ()

    @property
    def framewise(self) -> tuple[str, ...]:
        """Those that give a row for each frame of an utterance, by `frame_vectors`."""
        return ()

    @property
    def needs_labels(self) -> bool:
        """Whether it asks for the labels of what vectors are extracted from."""
        return self.config.needs_labels

    @property
    def needs_numbers(self) -> bool:
        """Whether it asks for the numbers of what is classified."""
        return self.config.needs_numbers

    def chosen(self) -> dict[str, object]:
        """What the training chose or weighed by itself, for people to read: {what: a number or a name}."""
        return {}

    def forward(self, batch: Batch) -> Output:
        raise NotImplementedError

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss to minimise, a scalar, and further scalars to log, whose means over an epoch are kept."""
        losses = F.cross_entropy(self(batch).scores.float(), known(batch.labels, "labels"), reduction="none")
        return mean_loss(losses, batch.weights), {}

    def posteriors(self, batch: Batch) -> Tensor:
        """(batch, classes), rows sum to 1."""
        return torch.softmax(self(batch).scores.float(), -1)

    def vectors(self, batch: Batch, layer: str) -> Tensor:
        """What a layer that is not framewise gives for each item: (batch, rows, dims), often one row."""
        rows = getattr(self, MODELS[self.config.name].layers[layer])(batch)
        return rows if rows.ndim == 3 else rows[:, None]

    def frame_vectors(self, batch: Batch, layer: str) -> Padded:
        """What one of the `framewise` layers gives for each utterance: (batch, frames, dims) and lengths."""
        raise NotImplementedError

    def scores(self, batch: Batch) -> Tensor:
        """The layer `output`, (batch, classes)."""
        return self(batch).scores


class WindowModel(EmotionModel):
    """A network that takes windows of one length alone, of `least` frames or more."""

    def __init__(self, config: ModelConfig, shape: Shape, least: int = 1):
        super().__init__(config, shape)
        if shape.frames is None:
            raise SertkError(f"{config.name} classifies windows: its config needs segment.frames")
        if shape.frames < least:
            raise SertkError(f"segment.frames is {shape.frames}, below the {least} that {config.name} needs")
        self.frames = shape.frames

    def only_windows(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The values (batch, frames, dims) of the one stream and its lengths; raises ValueError for other lengths."""
        stream = batch.only_stream()
        if not bool((stream.lengths == self.frames).all()):
            raise ValueError(f"{self.config.name} takes windows of {self.frames} frames")
        return stream.values, stream.lengths


class Frames(Protocol):
    """Sequences of one feature type, a Padded or a Stream of sertk.batches."""

    @property
    def values(self) -> Tensor: ...

    @property
    def lengths(self) -> Tensor: ...


class StoredFrames(Frames, Protocol):
    """A Stream of sertk.batches."""

    def rows(self, item: int) -> Tensor:
        """The frames of one utterance (frames, dims)."""
        ...


class Utterances(Protocol):
    """What a FittedModel sees of a Dataset of sertk.batches."""

    @property
    def streams(self) -> Mapping[str, StoredFrames]: ...

    @property
    def labels(self) -> Tensor | None: ...

    @property
    def weights(self) -> Tensor | None: ...

    @property
    def speakers(self) -> Sequence[str] | None: ...


class FittedModel(EmotionModel):
    """A model that is fitted to the whole training split at once, without gradients; buffers hold what it learnt."""

    def __init__(self, config: ModelConfig, shape: Shape):
        super().__init__(config, shape)
        self.classes = shape.classes

    def fit(self, train: Utterances, valid: Utterances, seed: int) -> None:
        """Learns from the Datasets `train`, which has every class, and `valid`, both normalised and labelled."""
        raise NotImplementedError

    def learn(self, **values: Any) -> None:
        """Keeps arrays as buffers by name."""
        for name, value in values.items():
            self.register_buffer(name, torch.as_tensor(value))

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False):
        """Takes buffers of any shape, as their sizes come with the data the model was fitted to."""
        self.learn(**state_dict)
        return super().load_state_dict(state_dict, strict, assign)
