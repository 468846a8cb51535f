"""Where a network with attention pooling looks: its maps, laid over a whole utterance."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from sertk.batches.dataset import load_dataset
from sertk.batches.means import BATCH_FRAMES
from sertk.batches.streams import Dataset, WindowSampler
from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.inference.trained import TrainedModel
from sertk.kaldi.datadir import DataDir
from sertk.models.base import Batch, known


@runtime_checkable
class Attentive(Protocol):
    """A model with attention pooling of windows."""

    cell: int  # bins, and frames, that a place of the maps stands for

    def attention_maps(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The top-down maps (batch, classes, height, width) and the bottom-up one (batch, 1, height, width)."""
        ...


@dataclass(frozen=True)
class AttentionMaps:
    """One utterance: its spectrogram and both maps on the grid of that, (frames, bins) each, and its posteriors.

    `top_down` is that of `label`, `posteriors` is {class: posterior}. Where windows overlap, maps are averaged, as
    scores are.
    """

    utterance: str
    label: str
    posteriors: dict[str, float]
    spectrogram: np.ndarray
    top_down: np.ndarray
    bottom_up: np.ndarray


def attention_maps(
    trained: TrainedModel, data_dir: PathLike, utterance: str, label: str | None = None
) -> AttentionMaps:
    """The AttentionMaps of an utterance of a data folder for the class `label`, or the one that is recognised.

    Raises SertkError for a model without attention pooling, an unknown utterance, or an unknown class.
    """
    model = trained.model
    if not isinstance(model, Attentive):
        raise SertkError(f"{trained.run_dir}: {trained.config.model.name} has no attention maps; cnn_attpool has")
    speakers = DataDir(data_dir).table("utt2spk")
    if utterance not in speakers:
        raise SertkError(f"{data_dir}/utt2spk: no utterance {utterance}")
    if label is not None and label not in trained.classes:
        raise SertkError(f"no class {label}: the model was trained for {', '.join(trained.classes)}")
    own = speakers[utterance]
    # Statistics of a speaker are those of all that the folder has of him, as in decoding it
    needed = [utt for utt, speaker in speakers.items() if speaker == own] if trained.needs_speakers() else [utterance]
    place = needed.index(utterance)
    dataset = load_dataset(trained.config, data_dir, needed, trained.own_feats)
    (stream,) = dataset.streams.values()
    spectrogram = stream.rows(place).cpu().numpy().copy()
    trained.normalise(dataset, [own] * len(needed))
    posteriors = dict(zip(trained.classes, trained.posteriors(dataset)[place].tolist()))
    label = label or max(posteriors, key=posteriors.__getitem__)
    top_down, bottom_up = mean_maps(trained, model, dataset, place, trained.classes.index(label))
    return AttentionMaps(utterance, label, posteriors, spectrogram, top_down, bottom_up)


@torch.inference_mode()
def mean_maps(trained: TrainedModel, model: Attentive, dataset: Dataset, item: int, label: int) -> np.ndarray:
    """The top-down map of a class and the bottom-up map of a Dataset's utterance `item`: (frames, bins) each."""
    segment = known(trained.config.segment, "windows")
    sampler = WindowSampler(dataset, segment, segment.decode_hop)
    windows = sampler.windows_of(torch.tensor([item]), torch.tensor(0))
    chunks = []
    for chunk in windows.split(max(1, BATCH_FRAMES // segment.frames)):
        top_down, bottom_up = model.attention_maps(sampler.gather(chunk, trained.device))
        chunks.append(torch.stack([top_down[:, label], bottom_up[:, 0]], 1).double().cpu())
    maps = torch.cat(chunks)
    (stream,) = dataset.streams.values()
    length = int(stream.lengths[item])
    # Cells at the upper edges reach over what the convolutions cut off there
    rows, columns = (
        (torch.arange(size) // model.cell).clamp(max=cells - 1)
        for size, cells in zip((stream.dims, segment.frames), maps.shape[2:])
    )
    sums, counts = torch.zeros(2, length, stream.dims, dtype=torch.float64), torch.zeros(length, 1)
    for place, own in zip(windows[:, 1].tolist(), maps[:, :, rows][..., columns].transpose(2, 3)):
        inside = slice(place, min(place + segment.frames, length))
        sums[:, inside] += own[:, : inside.stop - place]
        counts[inside] += 1
    return (sums / counts).numpy()
