"""Normalisation of feature streams as configs describe it: how, and over which scope."""

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from sertk.config.normalise import Normalise
from sertk.core.errors import SertkError
from sertk.features.cmvn import CONSTANT, accumulate, mean_std

if TYPE_CHECKING:
    from sertk.batches.streams import Stream

MU = 255
FLATTEST = 1e-5  # below this range, or a window's standard deviation, values are constant and only shifted


@dataclass(frozen=True)
class Affine:
    """A shift and a scale per dimension: (values - shift) * scale + base, with shift and scale (..., dims)."""

    shift: Tensor
    scale: Tensor
    base: float = 0.0

    def apply_(self, values: Tensor) -> None:
        """Shifts and scales values (..., dims) in place."""
        values.sub_(self.shift.to(values)).mul_(self.scale.to(values))
        if self.base:
            values.add_(self.base)


def fit_affine(transform: Normalise, rows: Sequence[Tensor]) -> Affine:
    """The Affine that brings `rows`, a list of (frames, dims), to what the Normalise `transform` asks for."""
    if transform.how == "minmax":
        low = torch.stack([block.amin(0) for block in rows]).amin(0).double()
        return affine_of_range(transform, low, torch.stack([block.amax(0) for block in rows]).amax(0).double())
    return affine_of_stats(transform.how, functools.reduce(np.add, (accumulate(block.numpy()) for block in rows)))


def fit_each(transform: Normalise, values: Tensor, inside: Tensor) -> Affine:
    """As `fit_affine`, of each of values (batch, frames, dims) by itself; `inside` (batch, frames, 1) is no padding."""
    if transform.how == "minmax":
        low, high = values.where(inside, torch.inf).amin(1, True), values.where(inside, -torch.inf).amax(1, True)
        return affine_of_range(transform, low, high)
    counts = inside.sum(1, True)
    mean = (values * inside).sum(1, True) / counts
    variance = ((values - mean) * inside).square().sum(1, True) / counts
    constant = variance <= CONSTANT * (variance + mean.square())
    return Affine(mean, torch.ones_like(mean) if transform.how == "mean" else variance.masked_fill(constant, 1).rsqrt())


def affine_of_range(transform: Normalise, low: Tensor, high: Tensor) -> Affine:
    """The Affine that takes values from `low` to `high` to the range of a transform."""
    span, width = high - low, transform.range[1] - transform.range[0]
    return Affine(low, width / span.where(span > FLATTEST, width), transform.range[0])


def affine_of_stats(how: str, stats: np.ndarray) -> Affine:
    """The Affine for `mean` or `meanvar` from Kaldi's CMVN statistics (2, dims + 1)."""
    mean, deviation = (torch.from_numpy(values) for values in mean_std(stats))
    return Affine(mean, torch.ones_like(mean) if how == "mean" else 1 / deviation)


class Normaliser:
    """The normalisation transforms of one stream; global ones are fitted once, on a fold's training split."""

    def __init__(self, transforms: Iterable[Normalise], fitted: Mapping[int, Affine] | None = None):
        transforms = tuple(transforms)
        self.transforms = [transform for transform in transforms if transform.scope != "window"]
        self.window_transforms = [transform for transform in transforms if transform.scope == "window"]
        self.fitted = dict(fitted or {})  # place of the transform -> Affine

    def fit_apply_(self, stream: "Stream", groups: Sequence[str | None]) -> None:
        """Fits the global transforms on this stream while normalising it in place, as `apply_`."""
        for place, transform in enumerate(self.transforms):
            if transform.scope == "global":
                self.fitted[place] = fit_affine(transform, [stream.rows(item) for item in range(len(stream))])
            self._apply_transform_(place, transform, stream, groups)

    def apply_(
        self, stream: "Stream", groups: Sequence[str | None], cmvn: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Normalises a stream in place; one that is not kept is left to `apply_utterances`.

        `groups` has the speaker of each utterance; speakers' statistics are those of the stream's own
        utterances, or `cmvn[speaker]`, a Kaldi CMVN matrix (2, dims + 1). Raises SertkError when a speaker
        is missing there, or when other transforms come before the one of scope speaker, as `cmvn` describes the
        features as they are.
        """
        if cmvn and any(transform.scope == "speaker" for transform in self.transforms[1:]):
            raise SertkError("CMVN statistics of speakers cannot be given where other normalisation comes before")
        for place, transform in enumerate(self.transforms):
            self._apply_transform_(place, transform, stream, groups, cmvn)

    def _apply_transform_(
        self,
        place: int,
        transform: Normalise,
        stream: "Stream",
        groups: Sequence[str | None],
        cmvn: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        if not stream.kept:
            return
        if transform.scope == "global":
            self.fitted[place].apply_(stream.values)
            return
        members: dict[int | str | None, list[int]] = {}
        for item in range(len(stream)):
            members.setdefault(item if transform.scope == "utterance" else groups[item], []).append(item)
        for group, items in members.items():
            rows = [stream.rows(item) for item in items]
            if cmvn is None or transform.scope == "utterance":
                affine = fit_affine(transform, rows)
            else:
                affine = affine_of_cmvn(transform, group, cmvn, stream.dims)
            for block in rows:
                affine.apply_(block)

    def apply_utterances(self, values: Tensor, inside: Tensor) -> Tensor:
        """The transforms of scope `utterance` in place on whole utterances (batch, frames, dims), which are returned.

        `inside` (batch, frames, 1) is false in the padding, of which nothing is taken.
        """
        for transform in self.transforms:
            fit_each(transform, values, inside).apply_(values)
        return values

    def apply_windows(self, values: Tensor) -> Tensor:
        """The transforms of scope `window` on values (batch, frames, dims), which are left as they are."""
        for transform in self.window_transforms:
            if transform.how == "mulaw":
                values = values.abs().mul_(MU).log1p_().div_(math.log1p(MU)).copysign_(values)
                continue
            if transform.how == "minmax":
                low, high = values.amin((1, 2), keepdim=True), values.amax((1, 2), keepdim=True)
                span = (high - low).clamp(min=FLATTEST)
                values = (values - low).mul_((transform.range[1] - transform.range[0]) / span).add_(transform.range[0])
                continue
            values = values - values.mean(1, keepdim=True)
            if transform.how == "meanvar":
                values = values / values.square().mean(1, keepdim=True).sqrt().clamp(min=FLATTEST)
        return values

    def state(self) -> dict[int, dict[str, Any]]:
        """What a checkpoint keeps: plain numbers and tensors."""
        return {
            place: {"shift": affine.shift, "scale": affine.scale, "base": affine.base}
            for place, affine in self.fitted.items()
        }

    @classmethod
    def from_state(cls, transforms: Iterable[Normalise], state: Mapping[int, dict[str, Any]]) -> "Normaliser":
        return cls(transforms, {place: Affine(**fields) for place, fields in state.items()})


def affine_of_cmvn(transform: Normalise, speaker: Any, cmvn: Mapping[str, np.ndarray], dims: int) -> Affine:
    """The Affine by the statistics of a speaker; raises SertkError where they are missing, or of other dims."""
    if transform.how == "minmax":
        raise SertkError("CMVN statistics hold no minimum and maximum: normalise by mean or meanvar, or without them")
    if speaker not in cmvn:
        raise SertkError(f"speaker {speaker}: not among the CMVN statistics given")
    affine = affine_of_stats(transform.how, cmvn[speaker])
    if len(affine.shift) != dims:
        raise SertkError(f"{dims} dims, the CMVN statistics of speaker {speaker} have {len(affine.shift)}")
    return affine
