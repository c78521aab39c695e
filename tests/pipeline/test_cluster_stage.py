"""The stage ``cluster`` on made-up vectors: every method and space, and material that allows none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline import slice_inputs, tables
from pipeline.paths import Paths
from tests.pipeline import project
from tests.report import material

N_GROUPS, N_FRAMES = 12, 4


def make(folder: Path, vectors: np.ndarray, **changes: object) -> Paths:
    """A project with faces of ``N_GROUPS`` groups, these vectors and a 2-D map of their first numbers."""
    faces = [
        {"face_id": f"f{i:02d}", "video_id": f"v{i // N_FRAMES}", "frame_index": i, "track_id": 0, "label": i % 2,
         "source_group": f"g{i // N_FRAMES:02d}", "status": "ok"}
        for i in range(len(vectors))
    ]  # fmt: skip
    made = [
        {"face_id": f["face_id"], "embedder_id": "e", "embedding": v.tolist()}
        for f, v in zip(faces, vectors, strict=True)
    ]
    points = [
        {"face_id": f["face_id"], "map_id": f"efficientnet-{m}", "x": v[0], "y": v[1], "z": None}
        for m in ("pca2", "tsne2-perp9")
        for f, v in zip(faces, vectors, strict=True)
    ]
    for name, rows in (("faces", faces), ("embeddings", made), ("wplus", []), ("codes", []), ("map", points)):
        material.write(folder, name, rows)
    project.write_params(folder, {"spaces": ["efficientnet"], "cluster.min_cluster_size": 4} | changes)
    return Paths(folder)


def read(paths: Paths, name: str) -> pd.DataFrame:
    return tables.read_pandas(paths.table(name), name)


@pytest.fixture
def vectors() -> np.ndarray:
    """Three clusters of four groups each in 8 dimensions, one column constant."""
    rng = np.random.default_rng(0)
    X = np.repeat(9 * np.eye(8)[:3], 4 * N_FRAMES, axis=0) + rng.normal(size=(N_GROUPS * N_FRAMES, 8))
    X[:, 7] = 1
    return X.astype(np.float32)


def test_every_method_in_a_named_space(tmp_path: Path, vectors: np.ndarray) -> None:
    paths = make(
        tmp_path,
        vectors,
        **{"cluster.methods": ["hdbscan", "kmeans", "dbscan"], "cluster.spaces": ["pca", "map"]},
        **{"cluster.quick.n_draws": 3, "cluster.quick.min_cluster_sizes": [6]},
    )
    project.run(paths, "cluster")
    clusters = read(paths, "clusters")
    names = {i.removeprefix("efficientnet-") for i in clusters["clustering_id"]}
    assert {"hdbscan-pca7-mcs4-ms4", "kmeans-pca7-k3-s0", "hdbscan-tsne2-perp9-mcs4-ms4"} <= names
    assert {i.split("-")[0] for i in names} == {"hdbscan", "kmeans", "dbscan"}
    assert len(names) == 6
    assert set(clusters.groupby("clustering_id")["face_id"].nunique()) == {len(vectors)}
    in_pca = clusters[clusters["clustering_id"] == "efficientnet-hdbscan-pca7-mcs4-ms4"].set_index("face_id")
    assert in_pca["cluster"].max() == 2

    tree = read(paths, "cluster_tree")
    assert set(tree["clustering_id"]) == {i for i in clusters["clustering_id"] if "-hdbscan-" in i}
    mine = tree[tree["clustering_id"] == "efficientnet-hdbscan-pca7-mcs4-ms4"]
    assert set(mine["face_id"].dropna()) == set(in_pca.index)
    kept = mine[mine["selected"]].set_index("cluster")["size"]
    assert kept.to_dict() == in_pca[in_pca["cluster"] >= 0].groupby("cluster").size().to_dict()

    grid = read(paths, "cluster_grid")
    assert len(grid) == 2 * 2  # the setting in use and the other, in both spaces
    used = grid[grid["in_use"]]
    assert set(used["clustering_id"]) <= set(clusters["clustering_id"])
    assert (grid["n_draws"] == 3).all()
    assert used["stability"].between(0.5, 1).all()

    # Slices know one clustering of each feature space: HDBSCAN's in components.
    sliced = slice_inputs.with_clusters(paths, pd.DataFrame({"face_id": in_pca.index}))
    named = in_pca["cluster"].map(lambda c: "noise" if c < 0 else f"cluster {c:02d}")
    assert sliced["cluster:efficientnet"].tolist() == named.tolist()


@pytest.mark.parametrize(
    ("rows", "changes", "reason"),
    [
        (slice(0, 1), {}, "efficientnet pca: PCA needs at least 2 rows, got 1"),
        ([0] * 20, {}, "efficientnet pca: PCA: all 20 rows are equal"),
        (slice(0, 3), {"cluster.spaces": ["umap"]}, "efficientnet umap: umap: expected at least 4 points"),
        ([0, 0, 0, 1], {"cluster.methods": ["kmeans"]}, "kmeans pca1: kmeans: expected more than 2 different points"),
    ],
)
def test_what_cannot_be_clustered_has_a_reason(
    tmp_path: Path, vectors: np.ndarray, rows: slice | list[int], changes: dict, reason: str
) -> None:
    paths = make(tmp_path, vectors[rows], **changes)
    project.run(paths, "cluster")
    assert read(paths, "clusters").empty
    (skipped,) = tables.metadata(paths.table("clusters"))["skipped"]
    assert reason in skipped


def test_few_faces_are_noise_and_the_grid_says_why_it_knows_no_stability(tmp_path: Path, vectors: np.ndarray) -> None:
    paths = make(tmp_path, vectors[:3])
    project.run(paths, "cluster")
    assert (read(paths, "clusters")["cluster"] == -1).all()
    assert read(paths, "cluster_tree").empty
    grid = read(paths, "cluster_grid")
    assert (grid["n_clusters"] == 0).all()
    assert grid["stability"].isna().all()
    assert grid["reason"].tolist() == ["1 source group(s); draws need at least 5"] * len(grid)


def test_a_map_of_other_faces_is_refused(tmp_path: Path, vectors: np.ndarray) -> None:
    paths = make(tmp_path, vectors, **{"cluster.spaces": ["map"]})
    points = [{"face_id": "f00", "map_id": "efficientnet-tsne2", "x": 0.0, "y": 0.0, "z": None}]
    material.write(tmp_path, "map", points)
    project.run(paths, "cluster")
    (skipped,) = tables.metadata(paths.table("clusters"))["skipped"]
    assert "map efficientnet-tsne2 lacks 47 of 48 faces (the first is f01)" in skipped
    material.write(tmp_path, "map", [dict(points[0], z=1.0)])
    project.run(paths, "cluster")
    (skipped,) = tables.metadata(paths.table("clusters"))["skipped"]
    assert "holds no 2-D map of this space" in skipped
