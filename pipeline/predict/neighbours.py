"""Training faces nearest to new ones, and how far apart training faces are among themselves. Arrays in and out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Metric = Literal["euclidean", "cosine"]
#: Codes of a generator or of a linear map are measured by length, activations of a network by direction.
_BY_LENGTH = frozenset({"wplus", "pca"})
MAX_REFERENCE = 400
MIN_REFERENCE = 30
QUANTILE = 0.99


def metric_of(bases: Sequence[str]) -> Metric:
    """How a space made of these stored ones is measured."""
    return "euclidean" if _BY_LENGTH.issuperset(bases) else "cosine"


@dataclass(frozen=True, eq=False)
class Training:
    """Vectors to compare with.

    Attributes
    ----------
    vectors : float32 [n, d]; for 'cosine' less `mean` and of length 1.
    mean : float32 [d], of the training vectors. Activations share a large common part, beside which directions hardly
        differ, so 'cosine' is measured from here.
    scale : float32 [d], what vectors are divided by: 1, or where a space has several parts, the spread of each part, so
        that none outweighs the others.
    far : distance that 99 % of training faces have at most from the nearest one of another source group; infinite
        where there are too few groups to tell.
    """

    vectors: NDArray[np.float32]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    metric: Metric
    far: float

    def nearest(self, queries: NDArray[np.float32], *, k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Rows of the `k` nearest training faces, nearest first, and their distances: both [n_queries, min(k, n)]."""
        distance = _distances(_prepared(queries, self.mean, self.scale, self.metric), self.vectors, self.metric)
        rows = np.argsort(distance, axis=1, kind="stable")[:, :k]
        return rows, np.take_along_axis(distance, rows, axis=1)


def training(
    vectors: NDArray[np.float32], groups: NDArray[np.object_], *, metric: Metric, seed: int, blocks: Sequence[int] = ()
) -> Training:
    """Prepare training vectors float32 [n, d] of source groups [n], n above 0.

    The reference for `far` is drawn with `seed`: at most 400 faces. `blocks` are the widths of a space's parts, where
    it has several.
    """
    mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    scale = np.ones(vectors.shape[1], dtype=np.float32)
    for start, width in zip(np.cumsum([0, *blocks])[:-1], blocks, strict=True):
        spread = float(np.sqrt(vectors[:, start : start + width].var(axis=0, dtype=np.float64).sum()))
        scale[start : start + width] = spread or 1.0
    ready = _prepared(vectors, mean, scale, metric)
    n = len(ready)
    drawn = np.random.default_rng(seed).permutation(n)[:MAX_REFERENCE]
    distance = _distances(ready[drawn], ready, metric)
    distance[groups[drawn][:, None] == groups[None, :]] = np.inf
    own = distance.min(axis=1)
    own = own[np.isfinite(own)]
    far = float(np.quantile(own, QUANTILE)) if len(own) >= MIN_REFERENCE else np.inf
    return Training(ready, mean, scale, metric, far)


def _prepared(
    vectors: NDArray[np.float32], mean: NDArray[np.float32], scale: NDArray[np.float32], metric: Metric
) -> NDArray[np.float32]:
    if metric == "euclidean":
        return vectors if (scale == 1).all() else vectors / scale
    centred = (vectors - mean) / scale
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return (centred / np.where(length > 0, length, 1)).astype(np.float32, copy=False)


def _distances(a: NDArray[np.float32], b: NDArray[np.float32], metric: Metric) -> NDArray[np.float64]:
    """Every pair: [n, d], [m, d] -> float64 [n, m]. Cosine distance is 1 - cos, in [0, 2]."""
    products = (a @ b.T).astype(np.float64)
    if metric == "cosine":
        return np.clip(1 - products, 0, 2)
    lengths = [np.einsum("nd,nd->n", x, x, dtype=np.float64) for x in (a, b)]
    return np.sqrt(np.maximum(lengths[0][:, None] + lengths[1][None] - 2 * products, 0))
