"""HDBSCAN against scikit-learn's implementation, known blobs, and input that has no clusters."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_rand_score

from embeddings.clusters import Clustering, exemplars, hdbscan_clusters, profile, wilson_interval

SIZES = (80, 50, 30)
BLOB = np.repeat([0, 1, 2], SIZES)


@pytest.fixture(scope="module")
def blobs() -> np.ndarray:
    """Three blobs of falling size in 10 dimensions, and 10 far points between."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 10)) * 10
    far = rng.uniform(-60, 60, size=(10, 10))
    return np.concatenate([centres[BLOB] + rng.normal(size=(len(BLOB), 10)), far]).astype(np.float32)


@pytest.fixture(scope="module")
def clustering(blobs: np.ndarray) -> Clustering:
    return hdbscan_clusters(blobs, space="pca10", min_cluster_size=10)


def test_blobs_are_found_and_far_points_are_noise(clustering: Clustering, blobs: np.ndarray) -> None:
    assert clustering.n_clusters == 3
    assert adjusted_rand_score(BLOB, clustering.cluster[: len(BLOB)]) > 0.99
    assert (clustering.cluster[len(BLOB) :] == -1).all()
    assert clustering.noise_share == pytest.approx(10 / len(blobs), abs=0.01)
    inside, outside = clustering.outlier_score[: len(BLOB)], clustering.outlier_score[len(BLOB) :]
    assert np.median(outside) > np.quantile(inside, 0.95)


def test_numbers_fall_with_size(clustering: Clustering) -> None:
    sizes = np.bincount(clustering.cluster[clustering.cluster >= 0])
    assert (np.diff(sizes) <= 0).all()
    assert clustering.cluster[0] == 0  # the largest blob


@pytest.mark.parametrize(("min_cluster_size", "min_samples"), [(5, 5), (10, 3), (15, 15)])
@pytest.mark.parametrize("selection", ["eom", "leaf"])
def test_equals_sklearns_hdbscan(blobs: np.ndarray, min_cluster_size: int, min_samples: int, selection: str) -> None:
    ours = hdbscan_clusters(
        blobs,
        space="x",
        min_cluster_size=min_cluster_size,
        min_samples=min_samples,
        selection=selection,  # type: ignore[arg-type]
    )
    # scikit-learn counts a point among its own neighbours, hence one more.
    theirs = HDBSCAN(
        min_cluster_size=min_cluster_size,
        min_samples=min_samples + 1,
        cluster_selection_method=selection,
        copy=True,
    ).fit(blobs.astype(float))
    assert adjusted_rand_score(theirs.labels_, ours.cluster) == 1.0
    np.testing.assert_allclose(ours.membership, theirs.probabilities_, atol=1e-6)


def test_ranges_and_types(clustering: Clustering) -> None:
    assert clustering.cluster.dtype == np.int32
    for values in (clustering.membership, clustering.outlier_score):
        assert values.dtype == np.float32
        assert values.min() >= 0
        assert values.max() <= 1
    assert (clustering.membership[clustering.cluster == -1] == 0).all()


def test_same_input_same_result(clustering: Clustering, blobs: np.ndarray) -> None:
    again = hdbscan_clusters(blobs, space="pca10", min_cluster_size=10)
    for name in ("cluster", "membership", "outlier_score"):
        np.testing.assert_array_equal(getattr(again, name), getattr(clustering, name))


def test_ids_name_space_and_parameters(blobs: np.ndarray) -> None:
    assert hdbscan_clusters(blobs, space="pca50").clustering_id == "hdbscan-pca50-mcs5-ms5"
    other = hdbscan_clusters(blobs, space="tsne2", min_samples=2, metric="cosine", selection="leaf")
    assert other.clustering_id == "hdbscan-tsne2-mcs5-ms2-cosine-leaf"


def test_cosine_sees_directions_alone() -> None:
    rng = np.random.default_rng(3)
    directions = np.eye(4)[:2][np.repeat([0, 1], 40)] + 0.02 * rng.normal(size=(80, 4))
    stretched = directions * rng.uniform(0.1, 100, size=(80, 1))
    found = hdbscan_clusters(stretched, space="x", metric="cosine")
    assert found.n_clusters == 2
    keep = found.cluster >= 0
    assert keep.mean() > 0.8
    assert adjusted_rand_score(np.repeat([0, 1], 40)[keep], found.cluster[keep]) == 1.0
    euclidean = hdbscan_clusters(stretched, space="x")
    assert adjusted_rand_score(np.repeat([0, 1], 40), euclidean.cluster) < 0.5
    with pytest.raises(ValueError, match="1 of 81 rows have length 0"):
        hdbscan_clusters(np.vstack([stretched, np.zeros(4)]), space="x", metric="cosine")


@pytest.mark.parametrize("n", [0, 1, 2, 4, 5])
def test_too_few_points_are_all_noise(n: int, blobs: np.ndarray) -> None:
    found = hdbscan_clusters(blobs[:n], space="x", min_cluster_size=5)
    assert (found.cluster == -1).all()
    assert found.cluster.shape == (n,)
    assert (found.membership == 0).all()
    assert np.isnan(found.outlier_score).all()  # nothing was measured
    assert found.n_clusters == 0
    assert (exemplars(blobs[:n], found) == -1).all()


def test_equal_points_are_noise_and_two_heaps_are_clusters() -> None:
    same = hdbscan_clusters(np.full((30, 3), 0.1), space="x")
    assert (same.cluster == -1).all()
    assert (same.outlier_score == 0).all()
    heaps = hdbscan_clusters(np.repeat(np.eye(3)[:2], [30, 20], axis=0), space="x")
    np.testing.assert_array_equal(heaps.cluster, np.repeat([0, 1], [30, 20]))
    assert np.isfinite(heaps.outlier_score).all()


def test_bad_input_is_refused(blobs: np.ndarray) -> None:
    broken = blobs.copy()
    broken[7] = np.nan
    with pytest.raises(ValueError, match="1 of 170 rows hold NaN or infinity"):
        hdbscan_clusters(broken, space="x")
    with pytest.raises(ValueError, match="min_cluster_size >= 2 and min_samples >= 1, got 1 and 1"):
        hdbscan_clusters(blobs, space="x", min_cluster_size=1)
    with pytest.raises(ValueError, match="metric in euclidean, manhattan, cosine"):
        hdbscan_clusters(blobs, space="x", metric="hamming")  # type: ignore[arg-type]


# --- description -----------------------------------------------------------------------------------------------


def _clustering(cluster: list[int], membership: list[float] | None = None) -> Clustering:
    n = len(cluster)
    strength = np.ones(n) if membership is None else np.array(membership)
    return Clustering(
        np.array(cluster, dtype=np.int32), strength.astype(np.float32), np.zeros(n, dtype=np.float32), "x"
    )


def test_exemplars_start_at_the_medoid() -> None:
    X = np.array([[0.0], [1.0], [2.5], [10.0], [50.0], [51.0], [99.0]])
    ranks = exemplars(X, _clustering([0, 0, 0, 0, 1, 1, -1]), k=3)
    # Sums of distances in cluster 0: 13.5, 11.5, 11.5, 26.5: rows 1 and 2 tie, the earlier is the medoid.
    np.testing.assert_array_equal(ranks, [1, 0, 2, -1, 0, 1, -1])


def test_exemplars_by_membership() -> None:
    X = np.zeros((4, 2))
    ranks = exemplars(X, _clustering([0, 0, 0, -1], [0.2, 0.9, 0.9, 0.0]), k=2, order="membership")
    np.testing.assert_array_equal(ranks, [-1, 0, 1, -1])


def test_exemplars_of_real_clusters(blobs: np.ndarray, clustering: Clustering) -> None:
    ranks = exemplars(blobs, clustering, k=8)
    for number in range(3):
        chosen = ranks[(clustering.cluster == number) & (ranks >= 0)]
        assert sorted(chosen) == list(range(8))
        medoid = np.flatnonzero((clustering.cluster == number) & (ranks == 0))[0]
        members = np.flatnonzero(clustering.cluster == number)
        sums = [np.linalg.norm(blobs[members] - blobs[i], axis=1).sum() for i in members]
        assert medoid == members[int(np.argmin(sums))]
    with pytest.raises(ValueError, match="expected 170 rows, as clustered, got 3"):
        exemplars(blobs[:3], clustering)
    with pytest.raises(ValueError, match="k >= 1"):
        exemplars(blobs, clustering, k=0)


@pytest.mark.parametrize(("k", "n"), [(0, 1), (0, 10), (3, 10), (10, 10), (321, 1000)])
def test_wilson_interval_equals_scipys(k: int, n: int) -> None:
    expected = binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(k / n, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_interval_of_nothing() -> None:
    assert all(math.isnan(v) for v in wilson_interval(math.nan, 0))
    with pytest.raises(ValueError, match=r"share: expected a value in \[0, 1\], got 1.5"):
        wilson_interval(1.5, 3)


def test_profile_counts_groups_not_frames() -> None:
    found = _clustering([0, 0, 0, 0, 1, 1, -1, -1])
    labels = [1, 1, 1, 0, 0, np.nan, 1, 0]
    groups = ["a", "a", "a", "b", "c", "d", "a", "e"]
    result = profile(found.cluster, labels, groups=groups)
    first, second = result.clusters
    assert (first.size, first.n_labelled, first.n_groups, first.fake_share) == (4, 4, 2, 0.75)
    assert (first.fake_share_low, first.fake_share_high) == wilson_interval(0.75, 2)
    assert (second.size, second.n_labelled, second.n_groups, second.fake_share) == (2, 1, 2, 0.0)
    assert (result.noise.cluster, result.noise.size, result.noise.fake_share) == (-1, 2, 0.5)
    assert result.noise_share == 0.25
    assert result.overall_fake_share == pytest.approx(4 / 7)
    # Without groups each point counts: a narrower interval.
    alone = profile(found.cluster, labels).clusters[0]
    assert alone.n_groups == 4
    assert alone.fake_share_high - alone.fake_share_low < first.fake_share_high - first.fake_share_low


def test_profile_of_nothing_and_of_bad_labels() -> None:
    empty = profile([], [])
    assert empty.clusters == ()
    assert math.isnan(empty.noise_share)
    assert math.isnan(empty.overall_fake_share)
    unknown = profile([0, 0], [np.nan, np.nan]).clusters[0]
    assert math.isnan(unknown.fake_share)
    assert math.isnan(unknown.fake_share_low)
    with pytest.raises(ValueError, match=r"1 labels are none of 0, 1 and NaN \(e.g. 2.0\)"):
        profile([0, 0], [0, 2])
    with pytest.raises(ValueError, match="expected 2 labels and groups"):
        profile([0, 0], [0, 1, 1])
