"""Shufflings that keep footage together, mutual information against them, and clusters in a code space."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import normalized_mutual_info_score

from embeddings.cluster_codes import channel_distances, mean_codes, nearest_clusters, walk
from embeddings.cluster_information import UNKNOWN, codes_of, information, nmi
from embeddings.shuffles import MIN_EXCHANGE, block_shuffles


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_what_belongs_together_moves_together() -> None:
    """Groups of equal size change places whole, videos inside their group, faces inside their video."""
    groups = np.repeat(np.arange(6), 6)
    videos = np.repeat(np.arange(18), 2)
    moved = False
    for donor in block_shuffles(groups, videos, n=20, rng=rng()):
        assert sorted(donor) == list(range(36)), "with equal sizes a shuffling is a permutation"
        for column, size in ((groups, 6), (videos, 2)):
            taken = column[donor].reshape(-1, size)
            assert (taken == taken[:, :1]).all()
        moved |= bool((donor != np.arange(36)).any())
    assert moved


def test_parts_are_counted_inside_their_block() -> None:
    donors = block_shuffles(["a", "a", "b", "b"], ["v", "w", "v", "w"], n=10, rng=rng())
    assert all(set(d[:2] // 2) == {d[0] // 2} for d in donors), "video v of a is not video v of b"


def test_blocks_of_unequal_size_take_what_there_is() -> None:
    groups = np.repeat([0, 1, 2], [1, 4, 7])
    for donor in block_shuffles(groups, n=20, rng=rng()):
        taken = groups[donor]
        assert all(len(set(taken[groups == g])) == 1 for g in range(3))
        for g in range(3):
            counts = np.bincount(donor[groups == g])
            assert counts[counts > 0].max() - counts[counts > 0].min() <= 1, "no face is taken much more than another"


def test_blocks_change_places_with_blocks_of_like_size() -> None:
    sizes = np.repeat([1, 9], MIN_EXCHANGE)
    groups = np.repeat(np.arange(2 * MIN_EXCHANGE), sizes)
    for donor in block_shuffles(groups, n=5, rng=rng()):
        assert (sizes[groups[donor]] == sizes[groups]).all()


def test_shufflings_follow_the_seed_and_take_an_empty_set() -> None:
    first, again, other = (next(block_shuffles(np.arange(50), n=1, rng=rng(s))) for s in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    assert [len(d) for d in block_shuffles([], n=2, rng=rng())] == [0, 0]
    with pytest.raises(ValueError, match="as many parts as blocks"):
        next(block_shuffles([1, 2], [1], n=1, rng=rng()))


def test_mutual_information_is_scikit_learns() -> None:
    cluster, values = rng().integers(-1, 7, 400), rng(1).integers(-1, 5, 400)
    values[:200] = cluster[:200]
    known = (cluster >= 0) & (values >= 0)
    assert nmi(cluster, values)[0] == pytest.approx(normalized_mutual_info_score(values[known], cluster[known]))
    many = rng(2).integers(0, 10**6, 400)  # so many values that pairs are counted by sorting
    assert nmi(cluster, many)[0] == pytest.approx(
        normalized_mutual_info_score(many[cluster >= 0], cluster[cluster >= 0])
    )


def test_a_cluster_tells_what_it_tells() -> None:
    assert nmi([0, 0, 1, 1], [5, 5, 3, 3]) == (1.0, 1.0)
    value, told = nmi([0, 1, 2, 3], [0, 0, 1, 1])
    assert told == pytest.approx(1.0)
    assert value == pytest.approx(2 * math.log(2) / (math.log(2) + math.log(4)))
    assert nmi([0, 0, 1, 1], [7, 7, 7, 7]) == (0.0, 0.0)
    assert all(math.isnan(x) for x in nmi([-1, -1], [0, 1]))
    with pytest.raises(ValueError, match="one shape"):
        nmi([0, 1], [0])


def test_clusters_of_groups_are_not_about_what_groups_have_in_common() -> None:
    """The point of the null: face by face what 12 people have by chance looks like a finding, by group it does not."""
    groups = np.repeat(np.arange(12), 10)
    cluster, tone = groups, rng().integers(0, 2, 12)[groups]
    by_face = information(cluster, {"tone": tone}, block_shuffles(np.arange(120), n=200, rng=rng()))["tone"]
    by_group = information(cluster, {"tone": tone}, block_shuffles(groups, n=200, rng=rng()))["tone"]
    assert by_face.p_value < 0.01
    assert by_group.nmi == by_face.nmi
    assert (by_group.p_value, by_group.adjusted) == (1.0, 0.0)
    assert "clusters hold whole units" in str(by_group.reason)


def test_p_values_are_even_where_there_is_nothing() -> None:
    """Clusters and attribute both hang on the group and not on each other: 5 % of worlds come out below 0.05."""
    p = []
    for seed in range(100):
        r = rng(seed)
        groups = np.repeat(np.arange(20), 4)
        cluster = np.where(r.random(80) < 0.8, r.integers(0, 4, 20)[groups], r.integers(0, 4, 80))
        value = np.where(r.random(80) < 0.8, r.integers(0, 3, 20)[groups], r.integers(0, 3, 80))
        p.append(information(cluster, {"a": value}, block_shuffles(groups, n=59, rng=r))["a"].p_value)
    # Binomial(100, 0.05): 99.9 % lie at 13 or below. Shuffled face by face, a third of these worlds come out.
    assert np.sum(np.array(p) < 0.05) <= 13
    assert 0.4 < np.mean(p) < 0.65


@pytest.mark.parametrize(
    ("cluster", "values", "reason"),
    [
        ([-1, -1, -1, -1], [0, 1, 0, 1], "every face is noise"),
        ([0, 0, 0, -1], [0, 1, 0, 1], "there is one cluster alone"),
        ([0, 0, 1, 1], [UNKNOWN] * 4, "not known of any face in a cluster"),
        ([0, 0, 1, 1], [3] * 4, "the same for all faces in clusters"),
        ([0, 0, 1, 1], [0, 1, 2, 3], "another value for every face in a cluster"),
        ([0, 0, 0, 1], [0, 0, 1, UNKNOWN], "known in one cluster alone"),
        ([], [], "every face is noise"),
    ],
)
def test_what_cannot_be_measured_says_why(cluster: list[int], values: list[int], reason: str) -> None:
    found = information(cluster, {"a": values}, block_shuffles(np.arange(len(cluster)), n=3, rng=rng()))["a"]
    assert found.reason == reason
    assert math.isnan(found.p_value)


def test_one_group_alone_gives_no_finding() -> None:
    cluster, values, groups = [0, 0, 1, 1], [0, 0, 1, 1], ["g"] * 4
    found = information(cluster, {"a": values}, block_shuffles(groups, ["v", "v", "w", "w"], n=50, rng=rng()))["a"]
    assert found.nmi == 1
    assert found.p_value == 1.0


def test_words_become_codes() -> None:
    assert codes_of(["b", None, "a", "b"]).tolist() == [1, UNKNOWN, 0, 1]


def test_distances_of_clusters_are_in_units_of_their_spread() -> None:
    X = np.array([[-1.0, 0], [1, 0], [9, 0], [11, 0], [29, 0], [31, 0], [500, 0]])
    near = nearest_clusters(X, [0, 0, 1, 1, 2, 2, -1], k=2)
    assert near[0].others == (1, 2)
    assert near[0].distances == pytest.approx((10.0, 30.0))
    assert near[2].others == (1, 0)
    assert nearest_clusters(X, [0, 0, 0, -1, -1, -1, -1])[0].others == ()
    same = nearest_clusters([[0.0], [0.0], [1.0], [1.0]], [0, 0, 1, 1])
    assert same[0].distances == (math.inf,)
    with pytest.raises(ValueError, match="a cluster for each of 7 rows"):
        nearest_clusters(X, [0])


def planted(n_groups: int = 30, per_group: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes [n, 3, 5] of groups that differ anyhow; of the first half channel 1 is moved, too. Cluster: the half."""
    groups = np.repeat(np.arange(n_groups), per_group)
    codes = rng().normal(size=(n_groups, 3, 5))[groups] + 0.3 * rng(1).normal(size=(len(groups), 3, 5))
    cluster = (groups >= n_groups // 2).astype(int)
    codes[cluster == 0, 1] += 2
    return codes.astype(np.float32), cluster, groups


def test_the_channel_that_was_moved_stands_out_and_no_other() -> None:
    codes, cluster, groups = planted()
    found = channel_distances(codes, cluster, block_shuffles(groups, n=200, rng=rng()))
    assert found.clusters.tolist() == [0, 1]
    np.testing.assert_allclose(found.distance[0], found.distance[1], rtol=1e-4)  # two halves differ from each other
    assert (found.distance[:, 1] > 2 * found.null_high[:, 1]).all()
    assert (found.distance[:, [0, 2]] < found.null_high[:, [0, 2]]).all()
    by_hand = (codes[cluster == 0].mean(axis=0) - codes[cluster == 1].mean(axis=0)) / codes.std(axis=0)
    np.testing.assert_allclose(found.distance[0], np.sqrt((by_hand**2).mean(axis=1)), rtol=1e-4)


def test_noise_is_part_of_the_rest_but_no_cluster() -> None:
    codes, cluster, _ = planted()
    found = channel_distances(codes, np.where(cluster == 1, -1, 0))
    np.testing.assert_allclose(found.distance[0], channel_distances(codes, cluster).distance[0], rtol=1e-4)
    assert found.clusters.tolist() == [0]
    assert np.isnan(found.null_mean).all()


def test_channels_of_clusters_that_allow_no_comparison() -> None:
    codes, cluster, groups = planted()
    assert np.isnan(channel_distances(codes, np.zeros(len(codes), int)).distance).all(), "there is no rest"
    assert channel_distances(codes, np.full(len(codes), -1)).distance.shape == (0, 3)
    codes[:, 2] = 1
    constant = channel_distances(codes, cluster, block_shuffles(groups, n=20, rng=rng()))
    assert np.isnan(constant.distance[:, 2]).all()
    assert np.isfinite(constant.distance[:, :2]).all()
    with pytest.raises(ValueError, match=r"codes \[n, n_channels, w_dim\]"):
        channel_distances(codes[:, 0], cluster)
    codes[0] = np.nan
    with pytest.raises(ValueError, match="1 of 120 rows hold NaN"):
        channel_distances(codes, cluster)


def test_mean_codes_and_walks() -> None:
    codes, cluster, _ = planted()
    means = mean_codes(codes, np.where(cluster == 1, -1, 0))
    assert list(means) == [0]
    np.testing.assert_allclose(means[0], codes[cluster == 0].mean(axis=0), rtol=1e-5)
    path = walk(means[0], means[0] + 1, n_steps=5)
    assert path.shape == (5, 3, 5)
    np.testing.assert_allclose(path[:, 0, 0] - means[0][0, 0], [0, 0.25, 0.5, 0.75, 1], atol=1e-6)
    with pytest.raises(ValueError, match="n_steps >= 2"):
        walk(means[0], means[0], n_steps=1)
