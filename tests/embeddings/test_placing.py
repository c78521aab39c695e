"""New points on a kept map: of known blobs, of the map's own points, of strangers."""

from __future__ import annotations

import numpy as np
import pytest

from embeddings import placing
from embeddings.maps import MapMaker, MapMethod, MapSettings
from embeddings.placing import KeptMap, place

CENTRES = np.random.default_rng(0).normal(size=(6, 20)) * 4
BLOB = np.arange(300) % 6
POINTS = (CENTRES[BLOB] + np.random.default_rng(1).normal(size=(300, 20))).astype(np.float32)
NEW = (CENTRES[BLOB[:60]] + np.random.default_rng(2).normal(size=(60, 20))).astype(np.float32)


def _kept(method: MapMethod, n_dims: int = 2) -> KeptMap:
    maker = MapMaker(POINTS)
    assert maker.pca is not None
    # A UMAP map is only read where its points lie, and making one would wait for numba: t-SNE's does as well.
    made = maker.make(MapSettings(method="pca" if method == "pca" else "tsne", n_dims=n_dims, perplexity=20))
    return KeptMap(method, maker.pca, maker.reduced, made.xyz)


@pytest.fixture(scope="module")
def kept() -> KeptMap:
    return _kept("tsne")


@pytest.mark.parametrize(("method", "n_dims"), [("tsne", 2), ("tsne", 3), ("umap", 2), ("pca", 3)])
def test_new_points_lie_in_their_blob(method: MapMethod, n_dims: int) -> None:
    there = _kept(method, n_dims)
    before = there.xyz.copy()
    placed = place(there, NEW)
    assert placed.xyz.shape == (60, n_dims)
    assert placed.xyz.dtype == np.float32
    centres = np.stack([there.xyz[b == BLOB].mean(axis=0) for b in range(6)])
    nearest = np.linalg.norm(placed.xyz[:, None] - centres[None], axis=2).argmin(axis=1)
    assert (nearest == BLOB[:60]).mean() > 0.95  # a sixth by chance
    np.testing.assert_array_equal(there.xyz, before)


def test_a_point_of_the_map_comes_back_to_its_place(kept: KeptMap) -> None:
    gap = np.linalg.norm(place(kept, POINTS[:50]).xyz - kept.xyz[:50], axis=1)
    assert np.median(gap) < 0.05 * np.ptp(kept.xyz, axis=0).max()


def test_the_fft_gradient_places_them_in_the_same_blob(kept: KeptMap, monkeypatch: pytest.MonkeyPatch) -> None:
    # Its grid is centred, the map is not: a shift that was not taken back would show.
    moved = KeptMap("tsne", kept.pca, kept.reduced, kept.xyz + np.float32(40))
    monkeypatch.setattr(placing, "FFT_FROM_N_POINTS", 100)
    fft = place(moved, NEW[:12]).xyz
    monkeypatch.setattr(placing, "FFT_FROM_N_POINTS", 10_000)
    exact = place(moved, NEW[:12]).xyz
    assert not np.array_equal(fft, exact)
    np.testing.assert_allclose(fft, exact, atol=0.05 * np.ptp(kept.xyz, axis=0).max())


def test_a_place_does_not_depend_on_the_others(kept: KeptMap) -> None:
    together = place(kept, NEW)
    np.testing.assert_array_equal(place(kept, NEW[7:8]).xyz[0], together.xyz[7])
    assert place(kept, NEW[:0]).xyz.shape == (0, 2)


def test_strangers_are_told(kept: KeptMap) -> None:
    assert np.median(place(kept, NEW).strangeness) < 1
    assert (place(kept, NEW[:3] + 40).strangeness > 5).all()


def test_arrays_make_the_same_map_again(kept: KeptMap) -> None:
    again = KeptMap.from_arrays("tsne", kept.arrays())
    np.testing.assert_array_equal(place(again, NEW).xyz, place(kept, NEW).xyz)


def test_arrays_that_do_not_belong_together_are_refused(kept: KeptMap) -> None:
    arrays = kept.arrays()
    with pytest.raises(ValueError, match="missing xyz"):
        KeptMap.from_arrays("tsne", {n: a for n, a in arrays.items() if n != "xyz"})
    with pytest.raises(ValueError, match="do not belong together"):
        KeptMap.from_arrays("tsne", {**arrays, "xyz": arrays["xyz"][:-1]})


def test_other_vectors_are_refused(kept: KeptMap) -> None:
    with pytest.raises(ValueError, match="expected 20 columns, got 19"):
        place(kept, NEW[:, :19])
    broken = NEW.copy()
    broken[[0, 3], 2] = np.nan
    with pytest.raises(ValueError, match="2 of 60 rows"):
        place(kept, broken)
