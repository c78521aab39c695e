"""Incremental PCA of images against scikit-learn's, exact PCA, and in another order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from sklearn.decomposition import PCA, IncrementalPCA

from embeddings.codec import Coded, mean_squared_error, to_unit
from embeddings.image_pca import ImagePca, ImagePcaFit, load_pca, save_pca


def images(n: int, *, side: int = 10, rank: int = 12, seed: int = 0) -> np.ndarray:
    """Images uint8 [n, side, side, 3] near a subspace with falling variances."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(side * side * 3, rank)))[0].T
    scores = rng.normal(size=(n, rank)) * 600 * 0.7 ** np.arange(rank)
    return np.clip(128 + scores @ basis, 0, 255).round().astype(np.uint8).reshape(n, side, side, 3)


def rows(pictures: np.ndarray) -> np.ndarray:
    return pictures.reshape(len(pictures), -1) / 127.5 - 1


def fit(pictures: np.ndarray, k: int, *, batch_rows: int = 512) -> ImagePca:
    model = ImagePcaFit(k, batch_rows=batch_rows)
    model.add(pictures)
    return model.finish()


def error_of(pca: ImagePca, pictures: np.ndarray) -> float:
    x = rows(pictures).astype(np.float32)
    return float(mean_squared_error(x, pca.inverse_transform(pca.transform(x))).mean())


def test_updates_equal_scikit_learns_batch_by_batch() -> None:
    pictures = images(240)
    ours = fit(pictures, 8, batch_rows=60)
    theirs = IncrementalPCA(8, batch_size=60).fit(rows(pictures))
    # Both follow Ross et al. on the same batches, so they drop the same: float32 components differ in the last digits.
    np.testing.assert_allclose(ours.explained_variance, theirs.explained_variance_, rtol=1e-5)
    np.testing.assert_allclose(np.abs((ours.components * theirs.components_).sum(axis=1)), 1, atol=1e-5)
    np.testing.assert_allclose(ours.mean, theirs.mean_, atol=1e-6)
    np.testing.assert_allclose(ours.components @ ours.components.T, np.eye(8), atol=1e-5)
    fresh = images(40, seed=0)
    expected = theirs.inverse_transform(theirs.transform(rows(fresh)))
    np.testing.assert_allclose(
        ours.inverse_transform(ours.transform(rows(fresh).astype(np.float32))), expected, atol=1e-5
    )


def test_one_batch_is_the_exact_pca() -> None:
    pictures = images(80)
    ours, exact = fit(pictures, 20), PCA(20, svd_solver="full").fit(rows(pictures))
    np.testing.assert_allclose(ours.explained_variance, exact.explained_variance_, rtol=1e-5)
    assert ours.n_fitted == 80


def test_reconstruction_error_falls_with_components() -> None:
    pictures = images(100)
    errors = [error_of(fit(pictures, k), pictures) for k in (1, 4, 16, 99)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-10, "as many components as directions lose nothing"


def test_the_size_of_what_is_added_does_not_matter() -> None:
    pictures = images(150)
    whole = fit(pictures, 6, batch_rows=64)
    parts = ImagePcaFit(6, batch_rows=64)
    for piece in np.split(pictures, [1, 2, 70, 70, 149]):
        parts.add(piece)
    np.testing.assert_array_equal(parts.finish().components, whole.components)


def test_another_order_gives_nearly_the_same_components() -> None:
    pictures = images(300)
    order = np.random.default_rng(1).permutation(300)
    one, other = fit(pictures, 6, batch_rows=50), fit(pictures[order], 6, batch_rows=50)
    cosines = np.linalg.svd(one.components @ other.components.T, compute_uv=False)
    # Variances fall by half from one component to the next, so little passes through what updates dropped.
    assert 1 - cosines.min() < 1e-2
    exact = fit(pictures, 6)
    for pca in (one, other):
        assert error_of(pca, pictures) < 1.02 * error_of(exact, pictures)


def test_few_faces_give_few_components() -> None:
    assert len(fit(images(5), 512).components) == 4
    assert len(fit(np.repeat(images(2), 10, axis=0), 512).components) == 1


def test_what_cannot_be_fitted_is_said() -> None:
    with pytest.raises(ValueError, match="at least 2 faces to be fitted on, got 0"):
        ImagePcaFit(3).finish()
    with pytest.raises(ValueError, match="at least 2 faces to be fitted on, got 1"):
        fit(images(1), 3)
    with pytest.raises(ValueError, match="all 9 faces are equal"):
        fit(np.full((9, 4, 4, 3), 77, dtype=np.uint8), 3)
    with pytest.raises(ValueError, match="at least 1 component"):
        ImagePcaFit(0)
    model = ImagePcaFit(3)
    model.add(images(3))
    with pytest.raises(ValueError, match="different sizes: 300 numbers, then 192"):
        model.add(images(3, side=8))
    with pytest.raises(ValueError, match=r"expected images uint8.*float64"):
        model.add(images(3).astype(float))


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    """Six smooth images uint8 [6, 256, 256, 3]."""
    coarse = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    return coarse.repeat(32, axis=1).repeat(32, axis=2)


def test_a_code_and_its_quality(faces: np.ndarray) -> None:
    pca = fit(faces[:4], 512)
    coded = pca.code(faces)
    assert coded.code.shape == (6, 3)
    assert coded.indices is None
    assert pca.codec_id.startswith("pca-3-")
    # Faces of the fit are reproduced, others are not: quality counts on others alone.
    assert coded.psnr_db[:4].min() > 80 > 30 > coded.psnr_db[4:].max()
    made = np.clip(pca.inverse_transform(coded.code), -1, 1)
    expected = np.square(made - to_unit(faces).reshape(6, -1)).mean(axis=1)
    np.testing.assert_allclose(coded.mse_unit[4:], expected[4:], rtol=1e-5)
    np.testing.assert_allclose(pca.code(faces[5:]).code, coded.code[5:], rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(coded.image, made.reshape(coded.image.shape))
    exact = Coded.judged(coded.code, None, target=to_unit(faces), made=to_unit(faces).reshape(6, -1))
    assert np.isinf(exact.psnr_db).all()
    with pytest.raises(ValueError, match=r"set faces\.size_px: 256"):
        pca.code(faces[:, :128, :128])
    with pytest.raises(ValueError, match=r"expected rows \[N, 196608\], got"):
        pca.transform(np.zeros((2, 5), dtype=np.float32))


def test_a_file_brings_it_back(faces: np.ndarray, tmp_path: Path) -> None:
    pca = fit(faces, 512)
    save_pca(pca, tmp_path / "pca.safetensors")
    loaded = load_pca(tmp_path / "pca.safetensors")
    assert loaded.codec_id == pca.codec_id
    np.testing.assert_array_equal(loaded.code(faces).code, pca.code(faces).code)


def test_a_damaged_file_is_refused(faces: np.ndarray, tmp_path: Path) -> None:
    file = tmp_path / "pca.safetensors"
    pca = fit(faces, 2)
    arrays = pca.arrays()
    for change, message in (
        ({"mean": arrays["mean"][:-1]}, "do not fit"),
        ({"components": np.full_like(arrays["components"], np.nan)}, "NaN or infinity"),
        ({"more": np.zeros(1)}, "expected"),
    ):
        save_file(arrays | change, file)
        with pytest.raises(ValueError, match=message):
            load_pca(file)
    save_pca(pca, file)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"pca\.safetensors cannot be read"):
        load_pca(file)
