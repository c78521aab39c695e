"""Our chunked PCA beside scikit-learn's, on the same float32 rows: seconds, peak memory, agreement.

uv run lf bench pca
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np
from sklearn.decomposition import PCA

from benchmarks import machine
from benchmarks.child import in_child, peak_mb
from embeddings.reduce import fit_pca

# Rows and features: the sample set's codes, the DFDC crops' embeddings, LatentForensics' size.
SIZES = ((144, 8192), (1500, 4128), (4173, 4128), (15000, 8192))
N_COMPONENTS = 50


def rows(n: int, d: int) -> np.ndarray:
    """Features float32 [n, d] with 200 strong directions in noise."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d), dtype=np.float32)
    mix = rng.standard_normal((200, d), dtype=np.float32) / 14
    X += 2 * rng.standard_normal((n, 200), dtype=np.float32) @ mix
    return X


def ours_pca(X: np.ndarray) -> np.ndarray:
    return fit_pca(X, N_COMPONENTS).explained_variance


def sklearn_pca(X: np.ndarray) -> np.ndarray:
    return np.asarray(
        PCA(N_COMPONENTS, svd_solver="full" if len(X) < X.shape[1] else "covariance_eigh").fit(X).explained_variance_
    )


def measure(function: Callable[..., np.ndarray], n: int, d: int) -> tuple[float, float, np.ndarray]:
    """Seconds, memory above that of the data in MB, result."""
    X = rows(n, d)
    function(X[:60])  # imports and thread pools are not what is measured
    before_mb = peak_mb()
    started_s = time.perf_counter()
    result = function(X)
    seconds = time.perf_counter() - started_s
    return seconds, peak_mb() - before_mb, result


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all sizes, print one line each."""
    parser = argparse.ArgumentParser(
        prog="lf bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--max-rows", type=int, default=SIZES[-1][0])
    asked = parser.parse_args(arguments)
    print(machine.facts())
    print(f"{'rows':>7}{'columns':>9}{'ours s':>9}{'sklearn s':>11}{'ours MB':>9}{'sklearn MB':>12}  apart")
    for n, d in SIZES:
        if n > asked.max_rows:
            continue
        own_s, own_mb, own = in_child(measure, ours_pca, n, d)
        other_s, other_mb, other = in_child(measure, sklearn_pca, n, d)
        apart = float(np.abs(own - other).max() / np.abs(other).max())
        print(f"{n:7}{d:9}{own_s:9.2f}{other_s:11.2f}{own_mb:9.0f}{other_mb:12.0f}  {apart:.1e}", flush=True)


if __name__ == "__main__":
    main()
