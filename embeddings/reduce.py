"""Principal components: a projection that is fitted once, frozen, and stored as plain arrays.

Three ways to the same subspace
    'exact'       eigenvectors of the scatter matrix (d <= n) or of the Gram matrix (n < d), in float64.
    'randomised'  randomised SVD [1]_; quicker when both n and d are in the thousands, depends on ``seed``.
    'incremental' batches that need not fit in memory together [2]_; an approximation that forgets the directions
                  outside the leading ones batch by batch.

References
----------
.. [1] Halko, Martinsson and Tropp (2011). Finding structure with randomness. SIAM Review 53(2).
.. [2] Ross, Lim, Lin and Yang (2008). Incremental learning for robust visual tracking. IJCV 77.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh
from sklearn.decomposition import IncrementalPCA
from sklearn.utils.extmath import randomized_svd

from embeddings.checks import CHUNK_ROWS, as_matrix
from embeddings.projection import Pca

__all__ = ["Pca", "PcaMethod", "fit_pca", "fit_pca_batches"]

PcaMethod = Literal["exact", "randomised", "incremental"]
Floats = NDArray[np.floating]


def fit_pca(
    X: ArrayLike,
    n_components: int,
    *,
    whiten: bool = False,
    standardise: bool = False,
    seed: int = 0,
    method: PcaMethod = "exact",
) -> Pca:
    """Fit a projection on the rows of ``X``.

    Parameters
    ----------
    X : array_like [n, d]
        Finite real numbers, n >= 2. Fit on the training split alone.
    n_components : int
        Components wanted, at least 1. The result has fewer where the data holds fewer directions: at most
        min(n - 1, d), and none whose variance is rounding noise.
    whiten : bool
        Give every component unit variance on the rows fitted.
    standardise : bool
        Divide each column by its deviation first; a constant column is only centred.
    seed : int
        Used by 'randomised' alone.
    method : PcaMethod
        See the module's text.

    Raises
    ------
    ValueError
        Fewer than 2 rows, rows with NaN (counted), all rows equal, or a value out of range.
    """
    array = as_matrix(X)
    if method not in get_args(PcaMethod):
        raise ValueError(f"method: expected one of {', '.join(get_args(PcaMethod))}, got {method!r}.")
    if method == "incremental":
        return fit_pca_batches(lambda: _chunks(array, CHUNK_ROWS), n_components, whiten=whiten, standardise=standardise)
    n, mean, variance, scale = _column_moments(lambda: _chunks(array, CHUNK_ROWS), standardise=standardise)
    k = _n_possible(n_components, n, len(mean))
    if method == "exact":
        fit = _fit_scatter if len(mean) <= n else _fit_gram
        components, squares = fit(array, mean, scale, k)
    else:
        centred = (array - mean.astype(array.dtype)) / scale.astype(array.dtype)  # [n, d], the memory of X again
        _, singular, components = randomized_svd(centred, k, random_state=seed)
        squares = singular.astype(np.float64) ** 2
    return _freeze(mean, scale, components, squares / (n - 1), variance, n, whiten=whiten)


def fit_pca_batches(
    batches: Callable[[], Iterable[ArrayLike]],
    n_components: int,
    *,
    whiten: bool = False,
    standardise: bool = False,
) -> Pca:
    """Fit the 'incremental' projection on batches of rows that need not fit in memory together.

    Parameters
    ----------
    batches : callable
        Each call gives a new pass over the same batches [m, d], m of any size; two passes are made.
    n_components, whiten, standardise
        As in `fit_pca`.

    Raises
    ------
    ValueError
        As in `fit_pca`, and where batches differ in their number of columns.
    """
    n, mean, variance, scale = _column_moments(batches, standardise=standardise)
    k = _n_possible(n_components, n, len(mean))
    model = IncrementalPCA(n_components=k)
    # partial_fit needs k rows at least; a few times as many also costs fewer decompositions.
    for batch in _rebatched(batches(), min_rows=max(4 * k, 512), n_rows=n):
        model.partial_fit((batch - mean) / scale)
    return _freeze(mean, scale, model.components_, model.explained_variance_, variance, n, whiten=whiten)


def _fit_scatter(X: Floats, mean: Floats, scale: Floats, k: int) -> tuple[Floats, Floats]:
    scatter = np.zeros((X.shape[1], X.shape[1]))
    for chunk in _chunks(X, CHUNK_ROWS):
        centred = (chunk - mean) / scale
        scatter += centred.T @ centred
    values, vectors = eigh(scatter, subset_by_index=[len(scatter) - k, len(scatter) - 1])
    return vectors.T[::-1], values[::-1]


def _fit_gram(X: Floats, mean: Floats, scale: Floats, k: int) -> tuple[Floats, Floats]:
    centred = (X - mean) / scale  # [n, d] float64, and n < d
    values, vectors = eigh(centred @ centred.T, subset_by_index=[len(X) - k, len(X) - 1])
    components = vectors.T[::-1] @ centred  # [k, d], of length sqrt(value)
    lengths = np.linalg.norm(components, axis=1, keepdims=True)
    return components / np.where(lengths > 0, lengths, 1), values[::-1]


def _chunks(X: Floats, n_rows: int) -> Iterator[Floats]:
    return (X[i : i + n_rows] for i in range(0, len(X), n_rows))


def _rebatched(batches: Iterable[ArrayLike], *, min_rows: int, n_rows: int) -> Iterator[Floats]:
    """Join batches to at least ``min_rows`` rows each; a short rest joins the last one."""
    held: list[Floats] = []
    n_held = n_given = 0
    for batch in batches:
        held.append(as_matrix(batch))
        n_held += len(held[-1])
        if n_held >= min_rows and n_rows - n_given - n_held >= min_rows:
            yield np.concatenate(held)
            n_given, n_held, held = n_given + n_held, 0, []
    yield np.concatenate(held)


def _column_moments(
    batches: Callable[[], Iterable[ArrayLike]], *, standardise: bool
) -> tuple[int, Floats, Floats, Floats]:
    """One pass: rows, column means, column variances of the scaled columns, and the scale, all float64."""
    n, mean, squares = 0, np.zeros(0), np.zeros(0)
    for item in batches():
        batch = as_matrix(item).astype(np.float64)
        if n == 0:
            mean, squares = np.zeros(batch.shape[1]), np.zeros(batch.shape[1])
        if batch.shape[1] != len(mean):
            raise ValueError(f"PCA: batches differ in their columns: expected {len(mean)}, got {batch.shape[1]}.")
        if len(batch) == 0:
            continue
        # Chan, Golub and LeVeque's pairwise update: no cancellation, unlike E[x^2] - E[x]^2.
        batch_mean = batch.mean(axis=0)
        shift, total = batch_mean - mean, n + len(batch)
        squares += ((batch - batch_mean) ** 2).sum(axis=0) + shift**2 * (n * len(batch) / total)
        mean = mean + shift * (len(batch) / total)
        n = total
    if n < 2:
        raise ValueError(f"PCA needs at least 2 rows, got {n}.")
    variance = squares / (n - 1)
    constant = variance <= (1e-12 * np.abs(mean)) ** 2  # what rounding leaves of a constant column
    variance = np.where(constant, 0, variance)
    if not variance.any():
        raise ValueError(f"PCA: all {n} rows are equal, so there is no direction to project on.")
    if not standardise:
        return n, mean, variance, np.ones_like(mean)
    return n, mean, (~constant).astype(np.float64), np.where(constant, 1, np.sqrt(variance))


def _n_possible(n_components: int, n: int, d: int) -> int:
    if n_components < 1:
        raise ValueError(f"n_components: expected at least 1, got {n_components}.")
    return min(n_components, n - 1, d)


def _freeze(
    mean: Floats, scale: Floats, components: Floats, explained: Floats, variance: Floats, n: int, *, whiten: bool
) -> Pca:
    components, explained = np.asarray(components, dtype=np.float64), np.asarray(explained, dtype=np.float64)
    # Directions below this are rounding noise, which whitening would blow up.
    real = explained > explained[0] * max(n, len(mean)) * np.finfo(np.float64).eps
    components, explained = components[real], explained[real]
    largest = np.abs(components).argmax(axis=1)
    signs = np.sign(components[np.arange(len(components)), largest])
    return Pca(mean, scale, components * signs[:, None], explained, float(variance.sum()), whiten)
