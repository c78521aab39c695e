"""New vectors on a map that is there, whose points do not move.

A kept map is plain arrays: the projection, the points it was made from and where they lie. A new point of a PCA map
lies where the projection puts it. On a t-SNE map it starts among its nearest neighbours and is drawn to them and pushed
off the rest as openTSNE's partial embeddings are [1]_; on a UMAP map, whose gradient needs the fitted model, it stays
at the neighbours' weighted mean. A point's place depends on the map alone, not on who is placed beside it.

References
----------
.. [1] Poličar, Stražar and Zupan (2023). Embedding to reference t-SNE space addresses batch effects in single-cell
   classification. Machine Learning 112.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from openTSNE import PartialTSNEEmbedding, TSNEEmbedding, affinity
from scipy.sparse import csr_matrix
from sklearn.neighbors import NearestNeighbors

from embeddings.checks import as_matrix
from embeddings.map_settings import MapMethod
from embeddings.projection import Pca
from embeddings.tsne import FFT_FROM_N_POINTS

N_NEIGHBOURS = 25  # [1]_: few enough to be local, enough for a stray neighbour not to matter
_PERPLEXITY = 5.0
_STEPS = 100


@dataclass(frozen=True, eq=False)
class KeptMap:
    """A map to place new points on.

    Attributes
    ----------
    method : MapMethod
    pca : Pca
    reduced : float32 [n, k]
        Components of the points that the map was made from.
    xyz : float32 [n, n_dims]
        Where they lie.
    """

    method: MapMethod
    pca: Pca
    reduced: NDArray[np.float32]
    xyz: NDArray[np.float32]

    def arrays(self) -> dict[str, NDArray[np.floating]]:
        """All but the method, for a safetensors file."""
        return {**self.pca.arrays(), "reduced": self.reduced, "xyz": self.xyz}

    @classmethod
    def from_arrays(cls, method: MapMethod, arrays: Mapping[str, NDArray[np.floating]]) -> KeptMap:
        """Make the object that `arrays` came from.

        Raises
        ------
        ValueError
            An array is missing, or shapes do not belong together.
        """
        pca = Pca.from_arrays(arrays)
        if missing := [name for name in ("reduced", "xyz") if name not in arrays]:
            raise ValueError(f"map: missing {', '.join(missing)}.")
        reduced, xyz = (as_matrix(arrays[name], name=name) for name in ("reduced", "xyz"))
        if len(reduced) != len(xyz) or reduced.shape[1] != pca.n_components or xyz.shape[1] not in (2, 3):
            raise ValueError(
                f"map: shapes do not belong together: reduced {list(reduced.shape)}, xyz {list(xyz.shape)}, "
                f"{pca.n_components} components."
            )
        return cls(method, pca, reduced.astype(np.float32), xyz.astype(np.float32))


@dataclass(frozen=True, eq=False)
class Placed:
    """Where new points lie.

    Attributes
    ----------
    xyz : float32 [m, n_dims]
    strangeness : float32 [m]
        Distance to the nearest point of the map, in components, by the distance that 99 % of the map's own points have
        to theirs: above 1 a point is unlike all that the map was made from, and its place says little.
    """

    xyz: NDArray[np.float32]
    strangeness: NDArray[np.float32]


def place(kept: KeptMap, X: ArrayLike) -> Placed:
    """Place new vectors.

    Parameters
    ----------
    X : array_like [m, d]
        In the space the map was made from; m may be 0.

    Raises
    ------
    ValueError
        Another number of columns, or rows with NaN (counted).
    """
    new = kept.pca.transform(X)
    n_dims = kept.xyz.shape[1]
    if not len(new):
        return Placed(np.zeros((0, n_dims), np.float32), np.zeros(0, np.float32))
    k = min(N_NEIGHBOURS, len(kept.reduced))
    search = NearestNeighbors(n_neighbors=k).fit(kept.reduced)
    distances, neighbours = search.kneighbors(new)
    strangeness = (distances[:, 0] / _usual_distance(search, kept.reduced)).astype(np.float32)
    if kept.method == "pca":
        xyz = np.zeros((len(new), n_dims), dtype=np.float32)
        shared = min(n_dims, new.shape[1])
        xyz[:, :shared] = new[:, :shared]
        return Placed(xyz, strangeness)
    drawn = affinity.joint_probabilities_nn(
        neighbours,
        distances,
        [min(_PERPLEXITY, max(1.0, k / 3))],
        symmetrize=False,
        normalization="point-wise",
        n_reference_samples=len(kept.reduced),
    )
    begin = drawn @ kept.xyz.astype(np.float64)
    if kept.method == "umap":
        return Placed(begin.astype(np.float32), strangeness)
    gradient = "bh" if n_dims == 3 or len(kept.xyz) < FFT_FROM_N_POINTS else "fft"
    nobody = affinity.PrecomputedAffinities(csr_matrix((len(kept.xyz), len(kept.xyz))), normalize=False)
    whole = TSNEEmbedding(kept.xyz.astype(np.float64), nobody, negative_gradient_method=gradient)
    if gradient == "fft":
        whole.prepare_interpolation_grid()  # moves its copy of the map to the middle of a grid
    shift = np.asarray(whole)[0] - kept.xyz[0]
    partial = PartialTSNEEmbedding(begin + shift, whole, P=drawn, negative_gradient_method=gradient)
    moved = partial.optimize(
        _STEPS, learning_rate=0.1, exaggeration=1.5, momentum=0.8, max_grad_norm=0.25, inplace=False
    )
    return Placed((np.asarray(moved) - shift).astype(np.float32), strangeness)


def _usual_distance(search: NearestNeighbors, reduced: NDArray[np.float32]) -> float:
    """99th percentile of the distance to the nearest other point, over at most 2,000 points of the map."""
    rows = np.unique(np.linspace(0, len(reduced) - 1, 2000).astype(int))
    own = search.kneighbors(reduced[rows], n_neighbors=min(2, len(reduced)))[0][:, -1]
    return float(max(np.quantile(own, 0.99), np.finfo(np.float32).tiny))
