"""Tuning the encoder: it lowers its loss, goes on where it was stopped, and leaves what it must not touch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from inversion.code_set import CodeSet, draw_code_set, render
from inversion.encoder import MobileEncoder, load_encoder
from inversion.head import Sketch, load_head
from inversion.mobile import MobileGenerator
from inversion.perceptual import PerceptualDistance, load_stlpips
from inversion.tune_encoder import DrawnFaces, EncoderTuning, tune_encoder
from tests.inversion.conftest import ASSETS
from tests.inversion.test_perceptual import stlpips_path

SETTINGS = EncoderTuning(n_steps=6, n_photographs=1, n_drawn=1, learning_rate=0.01)


@pytest.fixture(scope="module")
def alex() -> PerceptualDistance:
    return load_stlpips(stlpips_path("alex"), net="alex")


@pytest.fixture(scope="module")
def drawn(mobile: MobileGenerator, tmp_path_factory: pytest.TempPathFactory) -> DrawnFaces:
    code_set: CodeSet = draw_code_set(mobile, n_fit=2, n_held=1, seed=9)
    path = tmp_path_factory.mktemp("drawn") / "images.npy"
    list(render(mobile, code_set, path))
    images = np.load(path, mmap_mode="r")
    return DrawnFaces(images, code_set.codes, code_set.fitted())


@pytest.fixture(scope="module")
def photographs(drawn: DrawnFaces) -> Tensor:
    """A drawn face in the place of a photograph."""
    pixels = torch.from_numpy(drawn.images[:1].astype(np.float32)).clamp(-1, 1)
    return ((pixels + 1) * 127.5).round().to(torch.uint8)


@pytest.fixture
def run(mobile: MobileGenerator, alex: PerceptualDistance, drawn: DrawnFaces):
    sketch = Sketch(mobile, load_head(ASSETS / "mobile_head_coarse.safetensors"))

    def tuned(
        photographs: Tensor | None,
        settings: EncoderTuning = SETTINGS,
        *,
        stop: int = 99,
        checkpoint: Path | None = None,
    ) -> tuple[MobileEncoder, list[float]]:
        encoder = load_encoder(ASSETS / "mobile_encoder.safetensors")
        losses = []
        steps = tune_encoder(
            encoder,
            generator=mobile,
            sketch=sketch,
            perceptual=alex,
            drawn=drawn,
            photographs=photographs,
            settings=settings,
            checkpoint=checkpoint,
        )
        for step, loss in steps:
            losses.append(loss)
            if step == stop:
                break
        return encoder, losses

    return tuned


def test_the_loss_falls_and_early_stages_stay(run, photographs: Tensor) -> None:
    before = load_encoder(ASSETS / "mobile_encoder.safetensors")
    encoder, losses = run(photographs)
    assert losses[-1] < 0.9 * losses[0]
    assert torch.equal(encoder.feature_mean, before.feature_mean)
    assert torch.equal(encoder.feature_std, before.feature_std)
    assert not torch.equal(encoder.expand, before.expand)
    assert not any(tensor.requires_grad for tensor in encoder.parameters())
    then, now = before.backbone.state_dict(), encoder.backbone.state_dict()
    moved = {
        name.split(".")[1] for name in then if name.startswith("blocks") and not torch.equal(then[name], now[name])
    }
    assert moved == {"2", "3", "4", "5", "6"}
    assert all(torch.equal(then[name], now[name]) for name in then if "running" in name), "statistics are not trained"


def test_a_stopped_tuning_goes_on_as_if_it_had_not_been(run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("inversion.tune_encoder.CHECKPOINT_STEPS", 2)
    whole, losses = run(None)
    run(None, stop=3, checkpoint=tmp_path / "state.pt")
    resumed, rest = run(None, checkpoint=tmp_path / "state.pt")
    assert len(rest) == 4, "two steps were kept"
    assert rest == pytest.approx(losses[2:], rel=1e-4)
    torch.testing.assert_close(resumed.expand, whole.expand, rtol=1e-3, atol=1e-5)
