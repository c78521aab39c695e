"""Maps of two known blobs, of very few points and of equal points."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

from embeddings import maps, tsne
from embeddings.map_quality import map_quality
from embeddings.maps import MIN_POINTS, MapError, MapMaker, MapMethod, MapSettings


def make_map(X: np.ndarray, *, pca_dims: int = 50, **settings: object) -> maps.MapResult:
    asked = MapSettings(**settings)  # type: ignore[arg-type]
    return MapMaker(X, pca_dims=pca_dims, seed=asked.seed).make(asked)


N_EACH = 60
BLOB = np.repeat([0, 1], N_EACH)


@pytest.fixture(scope="module")
def blobs() -> np.ndarray:
    """Two spherical blobs in 20 dimensions, 18 deviations apart."""
    rng = np.random.default_rng(0)
    return (rng.normal(size=(2 * N_EACH, 20)) + 4.0 * BLOB[:, None]).astype(np.float32)


def _gap(coordinates: np.ndarray) -> float:
    """Smallest distance between the blobs by the largest radius of one: above 1 they are apart."""
    a, b = coordinates[BLOB == 0], coordinates[BLOB == 1]
    between = np.linalg.norm(a[:, None] - b[None], axis=2).min()
    return float(between / max(np.linalg.norm(c - c.mean(axis=0), axis=1).max() for c in (a, b)))


@pytest.mark.parametrize("method", ["tsne", "umap", "pca"])
@pytest.mark.parametrize("n_dims", [2, 3])
def test_blobs_stay_apart(method: MapMethod, n_dims: int, blobs: np.ndarray) -> None:
    result = make_map(blobs, method=method, n_dims=n_dims, perplexity=15)
    assert result.xyz.shape == (2 * N_EACH, n_dims)
    assert result.xyz.dtype == np.float32
    assert _gap(result.xyz) > 1
    assert result.notes == ()
    # A random placement scores 0.5.
    assert map_quality(blobs, result.xyz).trustworthiness > 0.75


@pytest.mark.parametrize("method", ["tsne", "umap"])
def test_a_seed_fixes_the_map_and_another_moves_it(method: MapMethod, blobs: np.ndarray) -> None:
    first, again, other = (make_map(blobs, method=method, perplexity=15, seed=s) for s in (5, 5, 6))
    np.testing.assert_array_equal(first.xyz, again.xyz)
    assert not np.array_equal(first.xyz, other.xyz)
    assert first.map_id == again.map_id != other.map_id


def test_the_fft_gradient_parts_the_blobs_too(blobs: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    # An interpolation step costs 10 ms however few the points, so this takes 100 steps, not 750.
    monkeypatch.setattr(tsne, "_STEPS", (50, 50))
    fft, bh = (make_map(blobs, perplexity=15, gradient=g) for g in ("fft", "bh"))
    assert (fft.settings["gradient"], bh.settings["gradient"]) == ("fft", "bh")
    # The same objective by two approximations: coordinates differ, what is near what does not.
    quality = [map_quality(blobs, m.xyz).trustworthiness for m in (fft, bh)]
    assert quality[0] == pytest.approx(quality[1], abs=0.03)
    assert _gap(fft.xyz) > 1


def test_ids_name_method_and_parameters(blobs: np.ndarray) -> None:
    assert make_map(blobs, perplexity=15.5).map_id == "tsne2-pca20-perp15.5-s0"
    assert make_map(blobs, method="umap", n_dims=3, pca_dims=8, min_dist=0.25).map_id == "umap3-pca8-nn15-md0.25-s0"
    assert make_map(blobs, method="pca", n_dims=3).map_id == "pca3"


@pytest.mark.parametrize("method", ["tsne", "umap", "pca"])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("n_dims", [2, 3])
def test_few_points_are_mapped_or_refused(method: MapMethod, n: int, n_dims: int, blobs: np.ndarray) -> None:
    if n < MIN_POINTS[method]:
        with pytest.raises(MapError, match=f"at least {MIN_POINTS[method]} points, got {n}"):
            make_map(blobs[:n], method=method, n_dims=n_dims)
        return
    result = make_map(blobs[:n], method=method, n_dims=n_dims)
    assert result.xyz.shape == (n, n_dims)
    assert np.isfinite(result.xyz).all()
    assert len(result.notes) == (method != "pca")


def test_lowered_parameters_are_named(blobs: np.ndarray) -> None:
    tsne = make_map(blobs[:10])
    assert tsne.settings["perplexity"] == 3
    assert tsne.map_id == "tsne2-pca9-perp3-s0"
    assert tsne.notes == ("perplexity lowered from 30 to 3: only 10 points.",)
    umap = make_map(blobs[:10], method="umap")
    assert umap.map_id == "umap2-pca9-nn9-md0.1-s0"
    assert umap.notes == ("n_neighbors lowered from 15 to 9: only 10 points.",)


@pytest.mark.parametrize("method", ["tsne", "umap", "pca"])
def test_equal_points_have_no_map(method: MapMethod) -> None:
    with pytest.raises(MapError, match="All 30 points are equal"):
        make_map(np.full((30, 5), 0.3), method=method)


@pytest.mark.parametrize("method", ["tsne", "umap"])
def test_many_duplicates_and_data_on_a_line(method: MapMethod, blobs: np.ndarray) -> None:
    repeated = np.repeat(blobs[[0, 1, -1]], 20, axis=0)
    line = np.outer(np.arange(30.0), np.ones(4))
    for X in (repeated, line):
        result = make_map(X, method=method, n_dims=3)
        assert np.isfinite(result.xyz).all()
        assert result.settings["pca_dims"] == np.linalg.matrix_rank(X - X.mean(axis=0))


def test_pca_map_is_the_leading_components(blobs: np.ndarray) -> None:
    coordinates = make_map(blobs, method="pca", n_dims=3).xyz
    centred = blobs.astype(float) - blobs.mean(axis=0, dtype=float)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(coordinates), np.abs(u[:, :3] * s[:3]), atol=1e-4)
    flat = make_map(np.outer(np.arange(5.0), np.ones(4)), method="pca", n_dims=3).xyz
    assert (flat[:, 1:] == 0).all()  # the data is a line, and the map says so


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "lda"}, "method: expected one of tsne, umap, pca"),
        ({"n_dims": 4}, "n_dims: expected 2 or 3, got 4"),
        ({"n_dims": 3, "gradient": "fft"}, "'fft' exists for 2-D maps only"),
        ({"gradient": "exact"}, "gradient: expected one of auto, bh, fft"),
        ({"perplexity": 0.5}, "perplexity: expected 1 to inf, got 0.5"),
        ({"perplexity": float("nan")}, "perplexity: expected 1 to inf, got nan"),
        ({"n_neighbors": 1}, "n_neighbors: expected 2 to inf, got 1"),
        ({"min_dist": 1.5}, "min_dist: expected 0 to 1, got 1.5"),
        ({"pca_dims": 0}, "n_components: expected"),
        ({"start": "random"}, "start: expected one of pca, spectral"),
        ({"exaggeration": 0.5}, "exaggeration: expected 1 to 100, got 0.5"),
        ({"perplexity": ()}, "perplexity: expected at least one value"),
    ],
)
def test_other_settings_are_refused(options: dict[str, object], message: str, blobs: np.ndarray) -> None:
    with pytest.raises(ValueError, match=message):
        make_map(blobs, **options)  # type: ignore[arg-type]


def test_nan_rows_are_counted(blobs: np.ndarray) -> None:
    broken = blobs.copy()
    broken[[1, 4, 9], 0] = np.nan
    with pytest.raises(ValueError, match="3 of 120 rows"):
        make_map(broken)


# --- several maps of the same points -----------------------------------------------------------------------------


def test_a_maker_gives_the_same_maps_as_single_calls(blobs: np.ndarray) -> None:
    maker = MapMaker(blobs)
    for n_dims in (2, 3):
        settings = MapSettings(n_dims=n_dims, perplexity=15)
        np.testing.assert_array_equal(maker.make(settings).xyz, MapMaker(blobs).make(settings).xyz)


def test_threads_do_not_move_a_map(blobs: np.ndarray) -> None:
    one, two = (MapMaker(blobs, n_jobs=n).make(MapSettings(perplexity=15)).xyz for n in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_several_scales_exaggeration_and_start_have_their_say(blobs: np.ndarray) -> None:
    plain = make_map(blobs, perplexity=10)
    for changed, name in (
        ({"perplexity": (10, 35)}, "tsne2-pca20-perp10+35-s0"),
        ({"perplexity": 10, "exaggeration": 4}, "tsne2-pca20-perp10-ex4-s0"),
        ({"perplexity": 10, "start": "spectral"}, "tsne2-pca20-perp10-spectral-s0"),
    ):
        other = make_map(blobs, **changed)
        assert other.map_id == name
        assert _gap(other.xyz) > 1
        assert not np.array_equal(other.xyz, plain.xyz)
    # Attraction times four: blobs of the same points are smaller against the map's extent.
    tight = make_map(blobs, perplexity=10, exaggeration=4)
    spread = [np.linalg.norm(m.xyz[BLOB == 0] - m.xyz[BLOB == 0].mean(0), axis=1).mean() for m in (plain, tight)]
    assert spread[1] < 0.7 * spread[0]


def test_too_many_points_for_space_are_told_of_umap(blobs: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, "MAX_POINTS_TSNE_3D", 100)
    with pytest.raises(MapError, match="at most 100 points, got 120; UMAP's"):
        make_map(blobs, n_dims=3)
    assert len(make_map(blobs).xyz) == 120


# --- quality -------------------------------------------------------------------------------------------------------


def test_quality_of_a_perfect_and_a_random_map(blobs: np.ndarray) -> None:
    perfect = map_quality(blobs, 3 * blobs)
    assert (perfect.trustworthiness, perfect.continuity, perfect.knn_recall) == (1.0, 1.0, 1.0)
    assert perfect.distance_spearman == pytest.approx(1)
    assert perfect.n_queries == 120
    random = map_quality(blobs, np.random.default_rng(1).normal(size=(120, 2)))
    assert random.trustworthiness == pytest.approx(0.5, abs=0.06)
    assert random.knn_recall == pytest.approx(15 / 119, abs=0.03)
    assert random.distance_spearman == pytest.approx(0, abs=0.1)


def test_quality_agrees_with_scikit_learn(blobs: np.ndarray) -> None:
    flat = blobs[:, :2]
    quality = map_quality(blobs, flat, n_neighbors=10)
    assert quality.trustworthiness == pytest.approx(trustworthiness(blobs, flat, n_neighbors=10), abs=1e-12)
    assert quality.continuity == pytest.approx(trustworthiness(flat, blobs, n_neighbors=10), abs=1e-12)
    near, near_flat = (NearestNeighbors(n_neighbors=10).fit(p).kneighbors(return_distance=False) for p in (blobs, flat))
    shared = [len(set(a) & set(b)) for a, b in zip(near, near_flat, strict=True)]
    assert quality.knn_recall == pytest.approx(np.mean(shared) / 10)


def test_large_maps_are_measured_on_a_sample_among_all_points(blobs: np.ndarray) -> None:
    flat = blobs[:, :2]
    quality, whole = map_quality(blobs, flat, max_queries=60, seed=2), map_quality(blobs, flat)
    assert quality.n_queries == 60
    assert quality == map_quality(blobs, flat, max_queries=60, seed=2)
    assert quality.trustworthiness == pytest.approx(whole.trustworthiness, abs=0.03)
    assert quality.trustworthiness != whole.trustworthiness


def test_quality_of_few_and_of_equal_points(blobs: np.ndarray) -> None:
    assert map_quality(blobs[:5], blobs[:5]).n_neighbors == 2
    assert np.isnan(map_quality(blobs[:5], np.zeros((5, 2))).distance_spearman)
    with pytest.raises(ValueError, match="n >= 3"):
        map_quality(blobs[:2], blobs[:2])
    with pytest.raises(ValueError, match="as many points as vectors, got 4 and 5"):
        map_quality(blobs[:5], blobs[:4])
