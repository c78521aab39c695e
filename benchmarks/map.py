"""From vectors in Parquet to a map and clusters: seconds, peak memory, and what the map keeps, by number of faces.

    uv run lf bench map                                       1,000 to 130,000 faces of a mixture with known clusters
    uv run lf bench map --vectors FILE.npy --sizes 130000     real vectors [n, d], extended

The mixture has 500 clusters in 40 of its 1,280 dimensions, and noise. Real vectors are extended by points on the way
from one vector to one of its ten nearest, with noise of 0.15 of each column's deviation. ``ours`` is what `lf map` and
`lf cluster` do: principal components, t-SNE, HDBSCAN on the map, as York has it. ``ours-3d`` is UMAP's map in space.
``sklearn`` is scikit-learn's t-SNE with its defaults after the same components, and the hdbscan package's defaults on
its map; ``opentsne`` openTSNE's own defaults (250 and 500 steps where ours makes 125 and 350 beyond 10,000 faces), with
our clusters; ``pca`` two components alone. Quality is that of 1,000 faces among all, against the components. Each runs
in a process of its own; ARI is to the mixture's clusters.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks import machine
from benchmarks.child import in_child, peak_mb
from pipeline import tables
from pipeline.schemas import TABLES

SIZES = (1_000, 10_000, 30_000, 130_000)
SKLEARN_TO = 10_000  # its Barnes-Hut t-SNE takes a quarter of an hour for ten times as many
N_DIMS, N_CLUSTERS, N_REAL_DIMS = 1_280, 500, 40
_CHUNK_ROWS = 10_000
Floats = NDArray[np.float32]
Rows = Callable[[int], Iterator[Floats]]


def mixture(n: int) -> Iterator[Floats]:
    """Chunks float32 [m, 1280] of the mixture; `mixture_labels` says which cluster a row is of."""
    rng = np.random.default_rng(1)
    centres = 3 * rng.standard_normal((N_CLUSTERS, N_REAL_DIMS), dtype=np.float32)
    turn = np.linalg.qr(rng.standard_normal((N_DIMS, N_REAL_DIMS)))[0].T.astype(np.float32)
    labels = mixture_labels(n)
    for start in range(0, n, _CHUNK_ROWS):
        part = labels[start : start + _CHUNK_ROWS]
        inside = centres[part] + rng.standard_normal((len(part), N_REAL_DIMS), dtype=np.float32)
        yield inside @ turn + 0.1 * rng.standard_normal((len(part), N_DIMS), dtype=np.float32)


def mixture_labels(n: int) -> NDArray[np.intp]:
    """Cluster of each row."""
    return np.random.default_rng(0).integers(N_CLUSTERS, size=n)


def extended(vectors: Floats) -> Rows:
    """Chunks of real vectors, followed by points between neighbours."""
    from sklearn.neighbors import NearestNeighbors

    near = NearestNeighbors(n_neighbors=11).fit(vectors).kneighbors(vectors, return_distance=False)[:, 1:]
    spread = vectors.std(axis=0)

    def rows(n: int) -> Iterator[Floats]:
        yield vectors[:n]
        rng = np.random.default_rng(0)
        for start in range(len(vectors), n, _CHUNK_ROWS):
            m = min(_CHUNK_ROWS, n - start)
            first = rng.integers(len(vectors), size=m)
            second = near[first, rng.integers(near.shape[1], size=m)]
            share = rng.random((m, 1), dtype=np.float32)
            noise = 0.15 * spread * rng.standard_normal((m, vectors.shape[1]), dtype=np.float32)
            yield (1 - share) * vectors[first] + share * vectors[second] + noise

    return rows


def write(rows: Iterator[Floats], folder: Path) -> None:
    """The table ``embeddings`` as the pipeline writes it."""

    def parts() -> Iterator[pa.Table]:
        at = 0
        for chunk in rows:
            ids = pa.array([f"{at + i:016x}" for i in range(len(chunk))])
            at += len(chunk)
            offsets = pa.array(np.arange(0, chunk.size + 1, chunk.shape[1], dtype=np.int32))
            vectors = pa.ListArray.from_arrays(offsets, pa.array(chunk.ravel()))
            columns = [ids, pa.repeat(pa.scalar("made-up"), len(chunk)), vectors]
            yield pa.Table.from_arrays(columns, schema=TABLES["embeddings"].arrow)

    tables.write_shards(parts(), folder, name="embeddings", meta={})


def _read(folder: Path) -> Floats:
    """Vectors float32 [n, d], batch by batch as `pipeline.stages.features` reads them: never twice in memory."""
    out: Floats | None = None
    at = 0
    for batch in tables.read_batches(folder, "embeddings", columns=["embedding"], batch_rows=1024):
        values = batch.column("embedding").flatten().to_numpy(zero_copy_only=False)
        if out is None:
            out = np.empty((tables.n_rows(folder), len(values) // batch.num_rows), np.float32)
        out[at : at + batch.num_rows] = values.reshape(batch.num_rows, -1)
        at += batch.num_rows
    assert out is not None
    return out


def _laps() -> Callable[[], float]:
    last = [time.perf_counter()]

    def lap() -> float:
        now = time.perf_counter()
        seconds, last[0] = now - last[0], now
        return seconds

    return lap


def run(contender: str, folder: Path, min_cluster_size: int) -> dict[str, Any]:
    """Seconds of each part, the map, the components it is held against, and the clusters."""
    from embeddings.clusters import hdbscan_clusters
    from embeddings.maps import MapMaker, MapSettings

    lap = _laps()
    out: dict[str, Any] = {"read": (X := _read(folder), lap())[1]}
    maker = MapMaker(X, n_jobs=os.cpu_count() or 1)
    del X
    out["pca"] = lap()
    clusters = None
    if contender == "sklearn":
        from hdbscan import HDBSCAN
        from sklearn.manifold import TSNE

        xyz = TSNE(n_jobs=-1, random_state=0).fit_transform(maker.reduced)
        out["map"] = lap()
        clusters = HDBSCAN(min_cluster_size=min_cluster_size).fit_predict(xyz)
    elif contender == "opentsne":
        import openTSNE

        xyz = np.asarray(openTSNE.TSNE(n_jobs=-1, random_state=0).fit(maker.reduced), dtype=np.float32)
        out["map"] = lap()
        clusters = hdbscan_clusters(xyz, space="tsne2", min_cluster_size=min_cluster_size).cluster
    else:
        method, n_dims = {"ours": ("tsne", 2), "ours-3d": ("umap", 3), "pca": ("pca", 2)}[contender]
        xyz = maker.make(MapSettings(method=method, n_dims=n_dims)).xyz  # type: ignore[arg-type]
        out["map"] = lap()
        if contender == "ours":
            made = hdbscan_clusters(xyz, space="tsne2", min_cluster_size=min_cluster_size)
            clusters = made.cluster
    out["cluster"] = lap()
    return {**out, "xyz": xyz, "reduced": maker.reduced, "clusters": clusters}


def measure(contender: str, folder: Path, min_cluster_size: int, labels: NDArray[np.intp] | None) -> tuple[Any, ...]:
    """Seconds by part, peak memory in MB, quality, ARI, number of clusters, share of noise."""
    from sklearn.metrics import adjusted_rand_score

    from embeddings.map_quality import map_quality

    found = run(contender, folder, min_cluster_size)
    memory_mb = peak_mb()
    seconds = {name: found[name] for name in ("read", "pca", "map", "cluster")}
    quality = map_quality(found["reduced"], found["xyz"])
    clusters, ari, n_clusters, noise = found["clusters"], None, None, None
    if clusters is not None:
        ari = None if labels is None else float(adjusted_rand_score(labels, clusters))
        n_clusters, noise = int(clusters.max(initial=-1)) + 1, float((clusters < 0).mean())
    return seconds, memory_mb, quality, ari, n_clusters, noise


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every contender at every size, print a line each."""
    parser = argparse.ArgumentParser(
        prog="lf bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vectors", type=Path, help="real vectors [n, d], a .npy file")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--contenders", nargs="+", default=["ours", "opentsne", "ours-3d", "sklearn", "pca"])
    parser.add_argument("--min-cluster-size", type=int, default=20)
    asked = parser.parse_args(arguments)
    rows = mixture if asked.vectors is None else extended(np.load(asked.vectors).astype(np.float32))
    print(machine.facts())
    print(
        f"{'faces':>8} {'':9}{'read s':>8}{'pca s':>8}{'map s':>8}{'cluster s':>10}{'all s':>8}{'peak MB':>9}"
        f"{'trustw.':>9}{'recall':>8}{'spearman':>9}{'clusters':>9}{'noise':>7}{'ARI':>7}"
    )
    for n in asked.sizes:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "embeddings"
            write(rows(n), folder)
            for contender in asked.contenders:
                if contender == "sklearn" and n > SKLEARN_TO:
                    continue
                labels = mixture_labels(n) if asked.vectors is None else None
                found = in_child(measure, contender, folder, asked.min_cluster_size, labels)
                _print(n, contender, found)


def _print(n: int, contender: str, found: tuple[Any, ...]) -> None:
    seconds, memory_mb, quality, ari, n_clusters, noise = found
    parts = "".join(
        f"{seconds[name]:{width}.1f}" for name, width in (("read", 8), ("pca", 8), ("map", 8), ("cluster", 10))
    )
    kept = f"{quality.trustworthiness:9.3f}{quality.knn_recall:8.3f}{quality.distance_spearman:9.3f}"
    groups = "" if n_clusters is None else f"{n_clusters:9}{noise:7.1%}" + ("" if ari is None else f"{ari:7.3f}")
    print(f"{n:8} {contender:9}{parts}{sum(seconds.values()):8.1f}{memory_mb:9.0f}{kept}{groups}", flush=True)


if __name__ == "__main__":
    main()
