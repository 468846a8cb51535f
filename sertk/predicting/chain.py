"""From waveforms to posteriors: the extractors and all trained parts of a system."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sertk.batches.means import utterance_rows
from sertk.batches.streams import Dataset, Stream, make_sampler
from sertk.config.schema import Segment
from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.features.audio import resample
from sertk.features.extractor import Extractor, check_length
from sertk.features.registry import make_extractor
from sertk.inference.trained import LoadedModel
from sertk.models.encoder_streams import ENCODER, encoder_stream, is_encoder
from sertk.predicting.system import System, archived_encoder


@dataclass(frozen=True)
class Piece:
    """What is seen as an utterance, a recording or a cut of one, in seconds: its features {type: (frames, dims)}.

    `warnings` are of the whole recording.
    """

    features: dict[str, np.ndarray]
    start: float
    seconds: float
    warnings: Sequence[str] = ()


class Chain:
    """The parts of a System in order; the last one classifies, the others and its encoder make its features.

    Raises SertkError for a system that cannot recognise what is not labelled or counted, and for feature types whose
    options are not known.
    """

    def __init__(self, system: System, where: PathLike):
        self.parts = needed_parts(system.parts)
        self.encoder, self.reused = system.encoder, archived_encoder(system.parts)
        *earlier, self.final = self.parts.values()
        self.earlier = {model.config.extract: model for model in earlier if model.config.extract}
        self.classes: list[str] = self.final.classes
        self.extractors: dict[str, Extractor] = {ENCODER: self.encoder.extractor} if self.encoder else {}
        self.channel: int | None = None
        for name, model in self.parts.items():
            check_needs(model, where)
            archived = filter(is_encoder, model.config.taken) if self.encoder else ()
            for feature_type in sorted({*model.config.taken} - self.earlier.keys() - {*archived}):
                self.add_extractor(feature_type, model.feature_options.get(feature_type), f"{where}: {name}")

    def add_extractor(self, feature_type: str, options: Mapping[str, Any] | None, where: str) -> None:
        """Makes the extractor of a feature type by its options; raises SertkError where nobody knows them."""
        if options is None:
            raise SertkError(
                f"{where}: nothing says how its {feature_type} features were made; describe them with "
                f"--feats_config {feature_type}=FILE, or name a shipped type in the place of FILE"
            )
        self.channel = options.get("channel", self.channel)
        own = {key: value for key, value in options.items() if key != "channel"}
        self.extractors[feature_type] = make_extractor(own, f"{where}: {feature_type}")

    @property
    def pools_speakers(self) -> bool:
        """Whether statistics are taken over all recordings of a speaker."""
        return any(model.needs_speakers() for model in self.parts.values())

    @property
    def slides(self) -> bool:
        """Whether windows of a recording of any length are the same without knowing the rest of it."""
        config = self.final.config
        scopes = {transform.scope for transform in config.normalise}
        contexts = [extractor.context for extractor in self.extractors.values()]
        return (
            bool(config.segment)
            and self.encoder is None
            and len(self.parts) == len(contexts) == 1
            and scopes <= {"global", "window"}
            and None not in contexts
        )

    def piece(self, samples: np.ndarray, rate: int, start: float = 0.0, warnings: Sequence[str] = ()) -> Piece:
        """The Piece of samples (samples,) at `rate` Hz, which begin `start` seconds into the recording.

        Raises SertkError for one without a frame.
        """
        features = {}
        for feature_type, extractor in self.extractors.items():
            wave = resample(samples, rate, int(extractor.sample_frequency))
            check_length(len(wave), extractor)
            features[feature_type] = extractor(wave)
        return Piece(features, start, len(samples) / rate, warnings)

    def windows(self, pieces: Sequence[Piece]) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each of `pieces` the times (windows, 2), start and end in seconds, and posteriors (windows, classes)."""
        dataset = self.normalised(pieces)
        final = self.final
        rows = utterance_rows(
            lambda batch: final.model.posteriors(batch).double()[:, None],
            dataset,
            final.config.segment,
            final.device,
            None,
        )
        return [(times, own.numpy()) for times, own in zip(self.times(dataset, pieces), rows)]

    def normalised(self, pieces: Sequence[Piece]) -> Dataset:
        """What the last part sees of `pieces`, which count as one speaker's."""
        names = [str(place) for place in range(len(pieces))]
        matrices = {name: [piece.features[name] for piece in pieces] for name in self.extractors}

        def seen_by(model):
            streams = {name: Stream(matrices[name]) for name in model.config.streams}
            conditions = model.config.conditions
            conditions = torch.from_numpy(np.concatenate(matrices[conditions])) if conditions else None
            return model.normalise(Dataset(names, streams, {}, conditions=conditions), [None] * len(pieces))

        if self.encoder and self.reused:
            rows = self.encoder.encode(matrices[ENCODER], self.reused.layers, self.reused.pool)
            for layer, own in zip(self.reused.layers, zip(*rows)):
                matrices[encoder_stream(layer)] = [matrix.cpu().numpy() for matrix in own]
        for feature_type, model in self.earlier.items():
            rows = model.vectors(seen_by(model), feature_type)
            matrices[feature_type] = [matrix.numpy().astype(np.float32) for matrix in rows]
        return seen_by(self.final)

    def times(self, dataset: Dataset, pieces: Sequence[Piece]) -> list[np.ndarray]:
        """Start and end in seconds of each window of each piece: a list of (windows, 2)."""
        segment, feature_type = self.final.config.segment, self.final.config.streams[0]
        extractor = self.extractors.get(feature_type)
        if segment is None or extractor is None or extractor.shift is None:
            counts = window_counts(dataset, segment)
            return [
                np.tile([piece.start, piece.start + piece.seconds], (count, 1)) for piece, count in zip(pieces, counts)
            ]
        windows = make_sampler(dataset, segment, "decode_hop").all_windows()
        items, places = windows.numpy().T
        starts, ends = np.array([(piece.start, piece.seconds) for piece in pieces]).T
        rate = extractor.sample_frequency
        times = window_times(places, segment, extractor.shift / rate, extractor.shortest / rate)
        times = (times - extractor.margin[0] / rate).clip(0, ends[items, None]) + starts[items, None]
        return np.split(times, np.cumsum(np.bincount(items, minlength=len(pieces)))[:-1])


def window_counts(dataset: Dataset, segment: Segment | None) -> list[int]:
    """How many windows each utterance has; 1 where it is seen whole."""
    if segment is None:
        return [1] * len(dataset.utterances)
    items = make_sampler(dataset, segment, "decode_hop").all_windows()[:, 0]
    return items.bincount(minlength=len(dataset.utterances)).tolist()


def window_times(places: np.ndarray, segment: Segment, shift: float, length: float) -> np.ndarray:
    """Start and end in seconds (windows, 2) of the windows at frames `places` (windows,), not cut at any edge.

    Frames are `shift` seconds apart, and each is `length` seconds long.
    """
    first = places - (0 if segment.pad == "zero" else segment.frames // 2)
    return np.stack([first * shift, (first + segment.frames - 1) * shift + length], 1)


def needed_parts(parts: dict[str, LoadedModel]) -> dict[str, LoadedModel]:
    """Those of {name: model} on whose features the last one depends, in order."""
    kept, wanted = [], set()
    for place, (name, model) in enumerate(reversed(parts.items())):
        if place == 0 or model.config.extract in wanted:
            kept.append(name)
            wanted |= {*model.config.taken}
    return {name: parts[name] for name in reversed(kept)}


def check_needs(model: LoadedModel, where: PathLike) -> None:
    """Raises SertkError for a model that asks for labels or counts, which a recording does not tell."""
    if model.model.needs_labels:
        raise SertkError(
            f"{where}: {model.config.model.name} is told the labels of what it recognises (condition oracle)"
        )
    if model.model.needs_numbers:
        raise SertkError(
            f"{where}: {model.config.model.name} decides by the numbers of words or phonemes (decision likelihood), "
            "which a recording does not tell; model.decision=greedy needs none"
        )
