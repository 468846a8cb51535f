"""Vectors of a model's layer in the plane, by t-SNE."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from sertk.core.errors import SertkError
from sertk.core.files import PathLike, write_text
from sertk.core.messages import shown
from sertk.kaldi.archives import open_matrices
from sertk.kaldi.datadir import first_of

DIMS = 50  # as many principal components as t-SNE needs to find the neighbours
PERPLEXITY = 30

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Point:
    """A row, counted from 1, of an utterance's matrix in one of the archives."""

    archive: str
    utterance: str
    row: int
    label: str | None
    vector: np.ndarray  # (dims,)


def read_points(archives: Mapping[str, str], labels: Mapping[str, str] | None = None) -> Iterator[Point]:
    """Yields a `Point` for every row of every utterance of archives {name: rspecifier}, in their order.

    An utterance is a matrix (rows, dims), or a vector (dims,) as a single row. `labels` {utterance: label}
    may hold more utterances than the archives, which is logged. Raises SertkError for utterances without
    label and for differing dims.
    """
    seen, dims = {}, None
    for archive, rspecifier in archives.items():
        for utterance, matrix in open_matrices(rspecifier):
            matrix = np.atleast_2d(matrix)
            dims = dims or matrix.shape[1]
            if matrix.shape[1] != dims:
                raise SertkError(
                    f"{rspecifier}: {utterance} has {matrix.shape[1]} dimensions, the utterances before it "
                    f"{dims}; all must be of one layer"
                )
            label = None if labels is None else labels.get(utterance)
            seen[utterance] = label
            for row, vector in enumerate(matrix, start=1):
                yield Point(archive, utterance, row, label, vector.copy())
    if labels is not None:
        _check_labels(labels, seen)


def _check_labels(labels, seen):
    unlabelled = [utterance for utterance, label in seen.items() if label is None]
    if unlabelled:
        raise SertkError(
            f"{len(unlabelled)} of {len(seen)} utterances have no label in --utt2label: {first_of(unlabelled)}"
        )
    absent = [utterance for utterance in labels if utterance not in seen]
    if absent:
        drawn = f"{len(labels) - len(absent)} of {len(labels)} labelled utterances"
        what = "are in these archives; others, such as those of the validation split, are not drawn"
        log.info("%s %s: %s", drawn, what, first_of(absent))


def draw_points(points: Iterable[Point], count: int, seed: int = 0) -> list[Point]:
    """At most `count` of an iterable of points, each with the same chance, in their order.

    They are drawn while they are read (reservoir sampling, Vitter's algorithm R), so that no more are kept.
    """
    random = np.random.default_rng(seed)
    kept, total = [], 0
    for total, point in enumerate(points, start=1):
        if total <= count:
            kept.append((total, point))
        elif (place := random.integers(total)) < count:
            kept[place] = (total, point)
    if total > count:
        log.info("%d of %d points drawn at random with seed %d", count, total, seed)
    return [point for _, point in sorted(kept, key=lambda numbered: numbered[0])]


def embed(vectors: np.ndarray, perplexity: float | None = None, seed: int = 0) -> np.ndarray:
    """The t-SNE coordinates (points, 2) of vectors (points, dims), from a principal component start.

    More than 50 dims are reduced to their first 50 principal components (van der Maaten and Hinton 2008).
    The perplexity is 30, of fewer than 90 points a third of them, unless it is given. Raises SertkError where there
    are too few points for the one given, or nothing to tell them apart.
    """
    count, dims = vectors.shape
    vectors = unit_spread(vectors)
    if perplexity is None:
        perplexity = min(PERPLEXITY, count // 3 + 1)
    if count <= perplexity:
        raise SertkError(f"a perplexity of {perplexity:g} needs more than {count} points; lower --perplexity")
    log.info("t-SNE of %d points of %d dimensions, perplexity %g", count, dims, perplexity)
    start = time.monotonic()
    with threadpool_limits(1):  # sums of several threads differ from run to run
        if dims > DIMS:
            vectors = PCA(min(DIMS, count), random_state=seed).fit_transform(vectors)
        tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed)
        coordinates = tsne.fit_transform(vectors)
    if not np.isfinite(coordinates).all():
        raise SertkError("t-SNE found no places for the points; give other vectors, or another --perplexity")
    log.info("t-SNE took %.0f s, Kullback-Leibler divergence %.2f", time.monotonic() - start, tsne.kl_divergence_)
    return coordinates


def unit_spread(vectors: np.ndarray) -> np.ndarray:
    """Vectors (points, dims) around 0, float32, whose dimension of the widest range has the range 1.

    To t-SNE they are the same, but the squares of their distances can neither vanish nor overflow. Raises SertkError
    where there is nothing to tell them apart by.
    """
    wide = vectors.astype(np.float64)
    wide /= np.abs(wide).max() or 1.0  # so that a difference of two is finite
    wide -= wide.mean(axis=0)
    wide /= np.ptp(wide, axis=0).max() or 1.0
    scaled = wide.astype(np.float32)
    if scaled.shape[1] < 2 or not np.isfinite(scaled).all() or not np.ptp(scaled, axis=0).any():
        raise SertkError("t-SNE needs points of two or more dimensions that are not all the same")
    return scaled


def write_embedding(path: PathLike, points: Sequence[Point], coordinates: np.ndarray) -> None:
    """Writes points and their coordinates (points, 2) as a table with a header."""
    lines = ["archive\tutterance\trow\tlabel\tx\ty\n"]
    for point, (x, y) in zip(points, coordinates):
        fields = [shown(point.archive), point.utterance, str(point.row), point.label or "-", f"{x:.4f}", f"{y:.4f}"]
        lines.append("\t".join(fields) + "\n")
    write_text(path, "".join(lines))
