"""PCA against scikit-learn's full SVD, and on data that has too few rows, directions or differences."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from embeddings.reduce import Pca, PcaMethod, fit_pca, fit_pca_batches


def _low_rank(n: int, d: int, rank: int, seed: int = 0, noise: float = 0.01) -> np.ndarray:
    """Rows in a ``rank``-dimensional subspace with clearly separate variances, plus noise, off the origin."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, rank)) * 10.0 / (1 + np.arange(rank))
    basis = np.linalg.qr(rng.normal(size=(d, rank)))[0].T
    return (scores @ basis + noise * rng.normal(size=(n, d)) + rng.normal(size=d) * 5).astype(np.float32)


def _up_to_sign(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a`` with each column's sign as in ``b``."""
    return a * np.sign((a * b).sum(axis=0))


@pytest.mark.parametrize(("n", "d"), [(300, 40), (40, 300)])  # by scatter and by Gram matrix
@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("standardise", [False, True])
def test_exact_equals_sklearns_full_svd(n: int, d: int, whiten: bool, standardise: bool) -> None:
    X = _low_rank(n, d, 6)
    reference_in = (
        StandardScaler().fit_transform(X.astype(float)) * np.sqrt((n - 1) / n) if standardise else X.astype(float)
    )
    reference = PCA(5, svd_solver="full", whiten=whiten).fit(reference_in)
    ours = fit_pca(X, 5, whiten=whiten, standardise=standardise)
    codes, expected = ours.transform(X), reference.transform(reference_in)
    # float32 codes: 1e-7 of the largest value, times some for the sum over columns.
    np.testing.assert_allclose(_up_to_sign(codes, expected), expected, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(ours.explained_variance_ratio, reference.explained_variance_ratio_, rtol=1e-9)
    np.testing.assert_allclose(ours.components @ ours.components.T, np.eye(5), atol=1e-10)


@pytest.mark.parametrize(("method", "tolerance"), [("randomised", 1e-3), ("incremental", 2e-2)])
def test_approximate_methods_find_the_same_subspace(method: PcaMethod, tolerance: float) -> None:
    # Signal variances are 1e4 to 1e6 times the noise's, so all methods must agree on the leading directions; the
    # incremental one drops what lies outside the leading k between batches and is the coarsest.
    X = _low_rank(2000, 60, 6)
    exact, other = fit_pca(X, 6), fit_pca(X, 6, method=method, seed=3)
    cosines = np.linalg.svd(exact.components @ other.components.T, compute_uv=False)
    assert 1 - cosines.min() < tolerance
    np.testing.assert_allclose(other.explained_variance, exact.explained_variance, rtol=tolerance)


def test_batches_of_any_size_fit_in_two_passes() -> None:
    X = _low_rank(1500, 30, 4)
    sizes = [1, 2, 700, 0, 5, 500, 292]
    cuts = np.split(X, np.cumsum(sizes)[:-1])
    model = fit_pca_batches(lambda: iter(cuts), 4, standardise=True)
    exact = fit_pca(X, 4, standardise=True)
    np.testing.assert_allclose(model.mean, exact.mean, atol=1e-6)
    np.testing.assert_allclose(model.scale, exact.scale, rtol=1e-6)
    assert np.abs(np.linalg.svd(exact.components @ model.components.T, compute_uv=False) - 1).max() < 0.02


def test_few_rows_give_few_components() -> None:
    X = _low_rank(5, 30, 4)
    for method in ("exact", "randomised", "incremental"):
        model = fit_pca(X, 50, method=method, whiten=True)
        assert model.n_components == 4  # five points span four directions
        # All of them kept: nothing is lost, and whitened codes have unit deviation.
        np.testing.assert_allclose(model.inverse_transform(model.transform(X)), X, atol=1e-3)
        np.testing.assert_allclose(model.transform(X).std(axis=0, ddof=1), 1, rtol=1e-3)


def test_directions_that_are_rounding_noise_are_dropped() -> None:
    line = np.outer(np.linspace(-1, 1, 50), np.ones(8))
    assert fit_pca(line, 5, whiten=True).n_components == 1


def test_constant_columns_stay_out() -> None:
    X = _low_rank(60, 6, 3).astype(float)
    X[:, 2] = 0.1  # has no exact binary value: the mean of sixty is off by a rounding
    model = fit_pca(X, 6, standardise=True)
    assert model.scale[2] == 1
    assert np.isfinite(model.transform(X)).all()
    # The last directions are close in variance, so rounding turns them a little: 1e-16 by their relative gap.
    np.testing.assert_allclose(model.components[:, 2], 0, atol=1e-9)


def test_moments_of_data_far_from_zero() -> None:
    X = 1e6 + _low_rank(500, 5, 5).astype(float)
    model = fit_pca(X, 5, standardise=True, method="incremental")
    np.testing.assert_allclose(model.scale, X.std(axis=0, ddof=1), rtol=1e-9)


def test_rows_are_projected_alone() -> None:
    X = _low_rank(5000, 10, 3)
    model = fit_pca(X, 3)
    alone = np.concatenate([model.transform(X[i : i + 1]) for i in (0, 17, 4999)])
    # One row and many go through different matrix products: the last float32 digits.
    np.testing.assert_allclose(alone, model.transform(X)[[0, 17, 4999]], rtol=1e-5, atol=1e-5)
    assert model.transform(np.empty((0, 10))).shape == (0, 3)


def test_same_seed_same_projection_and_id() -> None:
    X = _low_rank(200, 50, 5, noise=1)
    first, again = (fit_pca(X, 5, method="randomised", seed=1) for _ in range(2))
    np.testing.assert_array_equal(first.components, again.components)
    assert first.pca_id == again.pca_id
    other = fit_pca(X, 5, method="randomised", seed=2)
    assert other.pca_id != first.pca_id
    assert fit_pca(X, 5, whiten=True, standardise=True).pca_id.startswith("pca5-std-white-")


def test_arrays_bring_the_projection_back() -> None:
    X = _low_rank(100, 12, 5)
    model = fit_pca(X, 4, whiten=True, standardise=True)
    loaded = Pca.from_arrays(model.arrays())
    np.testing.assert_array_equal(loaded.transform(X), model.transform(X))
    assert loaded.pca_id == model.pca_id
    arrays = model.arrays()
    with pytest.raises(ValueError, match="shapes do not belong together"):
        Pca.from_arrays({**arrays, "mean": arrays["mean"][:-1]})
    with pytest.raises(ValueError, match="missing scale"):
        Pca.from_arrays({k: v for k, v in arrays.items() if k != "scale"})


@pytest.mark.parametrize("method", ["exact", "randomised", "incremental"])
def test_data_without_directions_is_refused(method: PcaMethod) -> None:
    with pytest.raises(ValueError, match="all 20 rows are equal"):
        fit_pca(np.full((20, 4), 0.1), 2, method=method)
    for n in (0, 1):
        with pytest.raises(ValueError, match=f"at least 2 rows, got {n}"):
            fit_pca(np.zeros((n, 4)), 2, method=method)


def test_bad_input_is_refused_with_counts() -> None:
    X = _low_rank(30, 4, 2)
    X[[3, 8], 1] = np.nan, np.inf
    with pytest.raises(ValueError, match=r"2 of 30 rows hold NaN or infinity \(the first is row 3\)"):
        fit_pca(X, 2)
    good = fit_pca(_low_rank(30, 4, 2), 2)
    with pytest.raises(ValueError, match="expected 4 columns, got 5"):
        good.transform(np.zeros((2, 5)))
    with pytest.raises(ValueError, match=r"matrix \[n, d\].*got shape \[4\]"):
        good.transform(np.zeros(4))
    with pytest.raises(ValueError, match="real numbers, got dtype"):
        fit_pca(np.array([["a", "b"], ["c", "d"]]), 1)
    with pytest.raises(ValueError, match="n_components: expected at least 1, got 0"):
        fit_pca(_low_rank(30, 4, 2), 0)
    with pytest.raises(ValueError, match="method: expected one of exact"):
        fit_pca(_low_rank(30, 4, 2), 2, method="svd")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="batches differ in their columns: expected 4, got 3"):
        fit_pca_batches(lambda: [np.zeros((2, 4)), np.zeros((2, 3))], 1)
