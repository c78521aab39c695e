"""HDBSCAN of three packages beside each other: seconds, processor seconds, peak memory, agreement.

    uv run lf bench cluster [--sizes 2000 10000] [--dims 2 50] [--vectors FILE.npy] [--contenders hdbscan ...]

``ours`` is what the pipeline runs, ``hdbscan`` has the exact spanning tree, ``hdbscan-approx`` the package's default;
``fast_hdbscan`` is left out where it is not installed (``uv run --with fast-hdbscan lf bench cluster``). Each works in
a process of its own, on the same rows, once its functions are compiled; ``start s`` is what that and imports cost.
Rows are a mixture of known clusters with a tenth of noise, or, of ``--vectors`` [m, k], principal components of rows
drawn with replacement, plus noise of a tenth of each component's deviation. ARI is against the mixture's clusters,
``same`` against the first contender that ended.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from benchmarks import machine
from benchmarks.child import in_child_for, peak_mb
from embeddings.clusters import hdbscan_clusters
from embeddings.reduce import fit_pca

Floats = NDArray[np.float32]
Labels = NDArray[np.integer]
SIZES = (2000, 10_000, 30_000, 130_000)
DIMS = (2, 50)
# As many neighbours for all: scikit-learn counts the point itself.
MIN_CLUSTER_SIZE = MIN_SAMPLES = 15
_POINTS_PER_CLUSTER = 260  # 500 clusters at 130,000 points
_NOISE_SHARE = 0.1
_JITTER = 0.1


def mixture(n: int, d: int) -> tuple[Floats, Labels]:
    """Gaussian clusters of different spread, and noise over the space of their centres (label -1)."""
    rng = np.random.default_rng(0)
    k = max(5, n // _POINTS_PER_CLUSTER)
    # In the plane as far apart as on a t-SNE map, in many dimensions as far as such distances concentrate.
    scale = 4.0 if d > 3 else 5 * np.sqrt(k)
    centres, spread = scale * rng.normal(size=(k, d)), rng.uniform(0.5, 1.5, k)
    truth = rng.integers(0, k, n)
    X = centres[truth] + spread[truth, None] * rng.normal(size=(n, d))
    noise = rng.random(n) < _NOISE_SHARE
    X[noise] = scale * rng.normal(size=(int(noise.sum()), d))
    return X.astype(np.float32), np.where(noise, -1, truth)


def resampled(components: Floats, n: int, d: int) -> tuple[Floats, None]:
    """Rows of real components drawn with replacement, each with noise of a tenth of the deviations."""
    rng = np.random.default_rng(0)
    real = components[:, :d]
    X = real[rng.integers(0, len(real), n)] + _JITTER * real.std(axis=0) * rng.normal(size=(n, real.shape[1]))
    return X.astype(np.float32), None


def ours(X: Floats) -> Labels:
    return hdbscan_clusters(X, space="x", min_cluster_size=MIN_CLUSTER_SIZE, min_samples=MIN_SAMPLES).cluster


def _hdbscan(X: Floats, *, approx: bool) -> Labels:
    from hdbscan import HDBSCAN

    model = HDBSCAN(
        min_cluster_size=MIN_CLUSTER_SIZE, min_samples=MIN_SAMPLES, approx_min_span_tree=approx, core_dist_n_jobs=1
    )
    return np.asarray(model.fit(X.astype(np.float64)).labels_)


def exact(X: Floats) -> Labels:
    return _hdbscan(X, approx=False)


def approximate(X: Floats) -> Labels:
    return _hdbscan(X, approx=True)


def fast(X: Floats) -> Labels:
    from fast_hdbscan import HDBSCAN

    return np.asarray(HDBSCAN(min_cluster_size=MIN_CLUSTER_SIZE, min_samples=MIN_SAMPLES).fit(X).labels_)


def sklearns(X: Floats) -> Labels:
    from sklearn.cluster import HDBSCAN

    model = HDBSCAN(min_cluster_size=MIN_CLUSTER_SIZE, min_samples=MIN_SAMPLES + 1, n_jobs=-1, copy=True)
    return np.asarray(model.fit(X.astype(np.float64)).labels_)


CONTENDERS: dict[str, Callable[[Floats], Labels]] = {
    "hdbscan": exact,
    "ours": ours,
    "hdbscan-approx": approximate,
    "fast_hdbscan": fast,
    "sklearn": sklearns,
}


@dataclass(frozen=True)
class Outcome:
    """What a contender took and found."""

    start_s: float
    seconds: float
    cpu_s: float
    extra_mb: float
    labels: Labels


def measure(cluster: Callable[[Floats], Labels], X: Floats) -> Outcome:
    """Seconds to start and to cluster, processor seconds, memory beyond that of the points in MB, labels."""
    started_s = time.perf_counter()
    cluster(X[:500])  # imports, compiled functions and thread pools
    ready_s = time.perf_counter()
    before_mb, cpu_s = peak_mb(), time.process_time()
    labels = cluster(X)
    seconds, cpu_s = time.perf_counter() - ready_s, time.process_time() - cpu_s
    return Outcome(ready_s - started_s, seconds, cpu_s, peak_mb() - before_mb, labels)


def compare(data: str, X: Floats, truth: Labels | None, names: Sequence[str], limit_s: float) -> None:
    """Print a line for each contender."""
    first: Labels | None = None
    for name in names:
        found = in_child_for(limit_s, measure, CONTENDERS[name], X)
        line = f"{data:9}{len(X):8}{X.shape[1]:5}  {name:15}"
        if found is None:
            print(f"{line}  not done in {limit_s:.0f} s", flush=True)
            continue
        first = found.labels if first is None else first
        ari = f"{adjusted_rand_score(truth, found.labels):.3f}" if truth is not None else "-"
        same = f"{adjusted_rand_score(first, found.labels):.4f}"
        print(
            f"{line}{found.start_s:8.1f}{found.seconds:9.1f}{found.cpu_s:9.1f}{found.extra_mb:8.0f}"
            f"{found.labels.max() + 1:9}{(found.labels < 0).mean():7.2f}{ari:>7}{same:>8}",
            flush=True,
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all sizes, print one line for each contender."""
    parser = argparse.ArgumentParser(
        prog="lf bench cluster", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--dims", type=int, nargs="+", default=DIMS)
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--vectors", type=Path, help="matrix of real vectors, .npy; the mixture alone without it")
    parser.add_argument(
        "--limit-s", type=float, default=600, help="a contender is ended after so many seconds, start and all"
    )
    asked = parser.parse_args(arguments)
    names = [n for n in asked.contenders if n != "fast_hdbscan" or importlib.util.find_spec("fast_hdbscan")]
    components = None
    if asked.vectors is not None:
        vectors = np.load(asked.vectors)
        components = fit_pca(vectors, max(asked.dims)).transform(vectors)
    print(machine.facts())
    print(
        f"{'data':9}{'rows':>8}{'dims':>5}  {'contender':15}{'start s':>8}{'s':>9}{'cpu s':>9}{'MB':>8}{'clusters':>9}"
        f"{'noise':>7}{'ARI':>7}{'same':>8}"
    )
    for d in asked.dims:
        for n in asked.sizes:
            compare("mixture", *mixture(n, d), names, asked.limit_s)
            if components is not None:
                compare("resampled", *resampled(components, n, d), names, asked.limit_s)


if __name__ == "__main__":
    main()
