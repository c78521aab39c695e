"""KMeans, DBSCAN and UMAP's space on planted clusters and on input that has none."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from embeddings.cluster_space import umap_space
from embeddings.flat_clusters import dbscan_clusters, kmeans_clusters

TRUTH = np.repeat([0, 1, 2], [50, 30, 20])


@pytest.fixture(scope="module")
def blobs() -> np.ndarray:
    """Three round blobs of falling size in 6 dimensions."""
    return 12 * np.eye(6)[TRUTH] + np.random.default_rng(0).normal(size=(100, 6))


def test_kmeans_finds_blobs_and_their_number(blobs: np.ndarray) -> None:
    found = kmeans_clusters(blobs, space="pca6")
    assert found.clustering_id == "kmeans-pca6-k3-s0"
    np.testing.assert_array_equal(found.cluster, TRUTH)  # numbered by falling size
    assert found.membership.min() > 0.4
    assert found.membership.max() <= 1
    assert np.isnan(found.outlier_score).all()
    assert kmeans_clusters(blobs, space="pca6", k=2).n_clusters == 2


def test_dbscan_finds_blobs_and_its_radius(blobs: np.ndarray) -> None:
    far = np.vstack([blobs, 100 * np.eye(6)[:4]])
    found = dbscan_clusters(far, space="pca6")
    assert found.clustering_id.startswith("dbscan-pca6-eps")
    assert found.n_clusters == 3
    assert (found.cluster[100:] == -1).all()
    assert adjusted_rand_score(TRUTH, found.cluster[:100]) > 0.9
    assert set(found.membership.tolist()) == {0.0, 1.0}
    wide = dbscan_clusters(far, space="x", eps=1000, min_samples=3)
    assert (wide.clustering_id, wide.n_clusters, wide.noise_share) == ("dbscan-x-eps1000-ms3", 1, 0.0)


def test_min_samples_means_the_same_as_for_hdbscan() -> None:
    row = np.arange(3.0)[:, None]  # the middle point has two neighbours within 1
    assert dbscan_clusters(row, space="x", eps=1.0, min_samples=2).n_clusters == 1
    assert dbscan_clusters(np.arange(4.0)[:, None], space="x", eps=1.0, min_samples=3).n_clusters == 0


def test_too_few_or_equal_points() -> None:
    for n in (0, 1, 5):
        assert (dbscan_clusters(np.zeros((n, 2)), space="x").cluster == -1).all()
    with pytest.raises(ValueError, match="30 of 30 with 5 equals; give eps"):
        dbscan_clusters(np.ones((30, 2)), space="x")
    assert dbscan_clusters(np.ones((30, 2)), space="x", eps=1).n_clusters == 1
    with pytest.raises(ValueError, match="more than 2 different points for 2 clusters, got 1"):
        kmeans_clusters(np.ones((30, 2)), space="x")
    with pytest.raises(ValueError, match="more than 8 different points for 8 clusters, got 3"):
        kmeans_clusters(np.repeat(np.eye(3), 5, axis=0), space="x", k=8)
    heaps = kmeans_clusters(np.repeat(np.eye(3), 5, axis=0), space="x")
    assert heaps.n_clusters == 2
    assert np.isfinite(heaps.membership).all()


def test_bad_parameters_and_nan_are_refused(blobs: np.ndarray) -> None:
    broken = blobs.copy()
    broken[3, 2] = np.nan
    for cluster in (kmeans_clusters, dbscan_clusters):
        with pytest.raises(ValueError, match="1 of 100 rows hold NaN"):
            cluster(broken, space="x")
    with pytest.raises(ValueError, match="k >= 2, got 1"):
        kmeans_clusters(blobs, space="x", k=1)
    with pytest.raises(ValueError, match="eps > 0, got 5 and 0"):
        dbscan_clusters(blobs, space="x", eps=0)


def test_umap_refuses_what_it_cannot_reduce() -> None:
    with pytest.raises(ValueError, match="at least 4 points that differ, got 3"):
        umap_space(np.eye(3))
    with pytest.raises(ValueError, match="at least 4 points that differ, got 9"):
        umap_space(np.ones((9, 3)))
    with pytest.raises(ValueError, match="n_dims >= 3 and n_neighbors >= 2, got 2 and 30"):
        umap_space(np.eye(9), n_dims=2)


@pytest.mark.slow
def test_umap_keeps_blobs_apart_and_names_what_it_used(blobs: np.ndarray) -> None:
    made, name = umap_space(blobs, n_dims=4, n_neighbors=200)
    assert (made.shape, made.dtype, name) == ((100, 4), np.float32, "umap4-nn99-s0")
    near, _ = umap_space(blobs, n_dims=4, n_neighbors=15)
    np.testing.assert_array_equal(near, umap_space(blobs, n_dims=4, n_neighbors=15)[0])
    assert adjusted_rand_score(TRUTH, kmeans_clusters(near, space="x", k=3).cluster) > 0.9
