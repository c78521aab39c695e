"""The fast head: what the shipped file is worth, and how it is fitted, stored and refused."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import save_file

from inversion.code_set import CodeSet, draw_code_set, render
from inversion.codes import CodeKind, draw_codes
from inversion.fit_head import HeadFit, _haar, fit_head, head_psnr_db, start_direct
from inversion.head import FastHead, Sketch, load_head, save_head, start_head
from inversion.mobile import MobileGenerator, inverse_haar
from tests.inversion.conftest import ASSETS

HEAD = ASSETS / "mobile_head.safetensors"


@pytest.fixture(scope="module")
def head() -> FastHead:
    return load_head(HEAD)


@torch.no_grad()
@pytest.mark.parametrize(("kind", "least_db"), [("w", 25.0), ("crossover", 23.0), ("drift", 23.0)])
def test_the_shipped_head_is_faithful(
    head: FastHead, mobile_bf16: MobileGenerator, kind: CodeKind, least_db: float
) -> None:
    """On codes of a seed that no fit has seen; two codes scatter by 2 dB about the means that README.md of the assets

    states. The linear start of the fit reaches 17 dB.
    """
    w_plus = draw_codes(mobile_bf16, 2, kind=kind, random=torch.Generator().manual_seed(77))
    made = head(mobile_bf16.features(w_plus), w_plus).clamp(-1, 1)
    whole = torch.cat([mobile_bf16.synthesise_256(code[None]) for code in w_plus]).clamp(-1, 1)
    psnr_db = 10 * torch.log10(4 / (made - whole).square().mean((1, 2, 3)))
    assert float(psnr_db.mean()) > least_db


@torch.no_grad()
def test_the_shipped_coarse_head_is_faithful(mobile_bf16: MobileGenerator) -> None:
    """At 128 px, on the same codes; README.md of the assets states 26 dB."""
    sketch = Sketch(mobile_bf16, load_head(ASSETS / "mobile_head_coarse.safetensors"))
    w_plus = draw_codes(mobile_bf16, 2, kind="drift", random=torch.Generator().manual_seed(77))
    made = sketch(w_plus).clamp(-1, 1)
    assert made.shape == (2, 3, 128, 128)
    whole = F.avg_pool2d(torch.cat([mobile_bf16.synthesise_256(code[None]) for code in w_plus]), 2).clamp(-1, 1)
    assert float((10 * torch.log10(4 / (made - whole).square().mean((1, 2, 3)))).mean()) > 23.0


def test_its_gradients_point_where_the_generators_do(head: FastHead, mobile_bf16: MobileGenerator) -> None:
    """Towards the mean face's image, from one code: the use the head is made for."""
    random = torch.Generator().manual_seed(78)
    start = draw_codes(mobile_bf16, 1, kind="w", random=random)
    with torch.no_grad():
        target = mobile_bf16.synthesise_256(mobile_bf16.mean_w.expand(1, 16, 512))

    def gradient(image_of: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        w_plus = start.clone().requires_grad_()
        F.mse_loss(image_of(w_plus), target).backward()
        assert w_plus.grad is not None
        return w_plus.grad

    through_head = gradient(lambda w: head(mobile_bf16.features(w), w))
    through_all = gradient(mobile_bf16.synthesise_256)
    assert float(F.cosine_similarity(through_head.flatten(), through_all.flatten(), dim=0)) > 0.5  # noise gives 0.01
    assert float(through_head[:, 11:].abs().sum()) > 0  # late channels reach the image through the head


@torch.no_grad()
def test_windows_are_cut_from_the_whole(head: FastHead, mobile_bf16: MobileGenerator) -> None:
    w_plus = draw_codes(mobile_bf16, 1, kind="drift", random=torch.Generator().manual_seed(79))
    features = mobile_bf16.features(w_plus).float()
    whole = head(features, w_plus)
    window = head(features[:, :, 40:80, 16:64], w_plus, corner=(40, 16))
    assert window.shape == (1, 3, 80, 96)
    # Three 3 x 3 convolutions see three features, 6 px, beyond an edge.
    assert torch.allclose(window[..., 6:-6, 6:-6], whole[..., 86:154, 38:122], atol=1e-4)


@torch.no_grad()
def test_a_batch_does_not_change_its_items(head: FastHead, mobile_bf16: MobileGenerator) -> None:
    w_plus = draw_codes(mobile_bf16, 2, kind="crossover", random=torch.Generator().manual_seed(80))
    features = mobile_bf16.features(w_plus).float()
    assert torch.allclose(head(features, w_plus)[1:], head(features[1:], w_plus[1:]), atol=1e-4)


def test_wrong_arguments_are_refused(head: FastHead) -> None:
    w_plus = torch.zeros(1, 16, 512)
    with pytest.raises(ValueError, match=r"\[N, 16, 512\], got \[1, 14, 512\]"):
        head(torch.zeros(1, 256, 128, 128), w_plus[:, :14])
    with pytest.raises(ValueError, match=r"features of shape \[1, 256, H, W\], got \[2, 256, 8, 8\]"):
        head(torch.zeros(2, 256, 8, 8), w_plus)
    with pytest.raises(ValueError, match="expected a window within 128 x 128, got 8 x 8 at"):
        head(torch.zeros(1, 256, 8, 8), w_plus, corner=(121, 0))


def test_files_that_are_no_head_are_refused(head: FastHead, mobile: MobileGenerator, tmp_path: Path) -> None:
    path = tmp_path / "head.safetensors"
    with pytest.raises(ValueError, match="weight file is missing"):
        load_head(path)
    path.write_bytes(HEAD.read_bytes()[:5000])
    with pytest.raises(ValueError, match="not a head that fits this version"):
        load_head(path)
    save_file({"x": torch.zeros(1)}, path, metadata={"format": "other"})
    with pytest.raises(ValueError, match="expected format 'mobile-head-2', found 'other'"):
        load_head(path)
    save_file({"x": torch.zeros(1)}, path, metadata={"format": "mobile-head-2"})
    with pytest.raises(ValueError, match="expected one of the heads fine, coarse, found 'None'"):
        load_head(path)
    save_file({"x": torch.zeros(1)}, path, metadata={"format": "mobile-head-2", "plan": "fine"})
    with pytest.raises(ValueError, match="not a head that fits this version"):
        load_head(path)
    assert load_head(HEAD, generator_sha256=mobile.weights_sha256)
    with pytest.raises(ValueError, match="fitted to generator"):
        load_head(HEAD, generator_sha256="0" * 64)
    with torch.no_grad():
        broken = FastHead()
        broken.leave.weight.fill_(float("nan"))
    save_head(broken, path, facts={})
    with pytest.raises(ValueError, match="NaN or infinity"):
        load_head(path)


@pytest.fixture(scope="module")
def small_set(mobile_bf16: MobileGenerator, tmp_path_factory: pytest.TempPathFactory) -> tuple[CodeSet, np.ndarray]:
    code_set = draw_code_set(mobile_bf16, n_fit=6, n_held=3, seed=3)
    path = tmp_path_factory.mktemp("codes") / "images.npy"
    assert list(render(mobile_bf16, code_set, path)) == list(range(1, 10))
    assert list(render(mobile_bf16, code_set, path)) == [9]  # taken as it is
    return code_set, np.load(path, mmap_mode="r")


def test_fitting_lowers_the_error_and_repeats(
    mobile_bf16: MobileGenerator, small_set: tuple[CodeSet, np.ndarray]
) -> None:
    code_set, images = small_set
    settings = HeadFit(n_steps=12, n_pool=4, n_windows=2, window_px=24)

    def fitted(seed: int, n_steps: int = settings.n_steps) -> tuple[FastHead, list[float]]:
        head = start_head(mobile_bf16, n_codes=500, seed=seed)
        start_direct(head, mobile_bf16, code_set, images, n_codes=3, n_pixels=800)
        steps = HeadFit(**{**vars(settings), "seed": seed, "n_steps": n_steps})
        return head, [loss for _, loss in fit_head(head, mobile_bf16, code_set, images, steps)]

    state = torch.get_rng_state()
    head, losses = fitted(0)
    assert torch.equal(torch.get_rng_state(), state)  # the global generator is as it was
    assert np.mean(losses[-4:]) < np.mean(losses[:4])
    again, same_losses = fitted(0)
    assert same_losses == losses
    assert torch.equal(head.leave.weight, again.leave.weight)
    assert fitted(1, n_steps=1)[1][0] != losses[0]
    assert not any(parameter.requires_grad for parameter in head.parameters())
    mse = 4 * 10 ** (-head_psnr_db(head, mobile_bf16, code_set, images, [0]) / 10)
    assert math.isfinite(mse)


def test_the_analysis_transform_undoes_the_generators() -> None:
    bands = torch.randn(2, 12, 6, 4, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(_haar(inverse_haar(bands)), bands, atol=1e-6)


def test_code_sets_are_drawn_by_seed_and_keep_codes_apart(mobile: MobileGenerator) -> None:
    drawn = draw_code_set(mobile, n_fit=58, n_held=20, seed=5)
    assert drawn.codes.shape == (78, 16, 512)
    assert [len(drawn.fitted(kind)) for kind in ("w", "crossover", "drift")] == [34, 10, 14]
    assert [len(drawn.held(kind)) for kind in ("w", "crossover", "drift")] == [8, 6, 6]
    assert set(drawn.fitted()) == set(range(20, 78))
    again = draw_code_set(mobile, n_fit=58, n_held=20, seed=5)
    assert torch.equal(again.codes, drawn.codes)
    assert again.kinds == drawn.kinds
    assert not torch.equal(draw_code_set(mobile, n_fit=58, n_held=20, seed=6).codes, drawn.codes)
    spread = drawn.codes.std(1).mean(-1)  # over channels
    assert all((spread[i] == 0) == (drawn.kinds[i] == "w") for i in drawn.fitted("w") + drawn.fitted("drift"))


def test_kinds_of_codes(mobile: MobileGenerator) -> None:
    crossed = draw_codes(mobile, 40, kind="crossover", random=torch.Generator().manual_seed(1))
    n_changes = (crossed.diff(dim=1).abs().sum(-1) > 0).sum(1)
    assert int(n_changes.max()) == 2
    drifted = draw_codes(mobile, 40, kind="drift", random=torch.Generator().manual_seed(1))
    assert bool((drifted.diff(dim=1).abs().sum(-1) > 0).all())
    with pytest.raises(ValueError, match="at least one code"):
        draw_codes(mobile, 0, kind="w", random=torch.Generator())
    with pytest.raises(ValueError, match="among w, crossover and drift, got 'other'"):
        draw_codes(mobile, 1, kind="other", random=torch.Generator())  # type: ignore[arg-type]
