"""The table of architectures against the networks and configurations that timm has."""

from __future__ import annotations

import pytest
import timm
import torch

from embeddings.architectures import ARCHITECTURES, get_architecture


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_sizes_are_those_of_the_network_timm_builds(name: str) -> None:
    ours = ARCHITECTURES[name]
    with torch.device("meta"):  # shapes without memory
        net = timm.create_model(name)
    assert ours.stage_depths == tuple(len(stage) for stage in net.blocks)
    assert ours.stage_channels == tuple(_out_channels(stage) for stage in net.blocks)
    assert ours.n_dims("pooled") == net.num_features == net.conv_head.out_channels
    assert ours.n_dims("logits") == net.num_classes


def _out_channels(stage: torch.nn.Module) -> int:
    return [m.out_channels for m in stage.modules() if isinstance(m, torch.nn.Conv2d)][-1]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_preprocessing_is_timms(name: str) -> None:
    ours, config = ARCHITECTURES[name], timm.get_pretrained_cfg(name)
    assert config.input_size == (3, ours.input_px, ours.input_px)
    assert config.crop_pct == pytest.approx(ours.crop_pct)
    assert config.interpolation == ours.interpolation
    # Lite: timm rounds (x - 127) / 128 to (x - 127.5) / 127.5, a difference of 0.002 and 0.002 in [0, 1].
    tolerance = 0.0021 if "lite" in name else 1e-9
    assert config.mean == pytest.approx(ours.mean, abs=tolerance)
    assert config.std == pytest.approx(ours.std, abs=tolerance)


def test_lite0_has_the_sizes_of_the_published_baselines() -> None:
    lite0 = get_architecture("tf_efficientnet_lite0")
    assert [lite0.n_dims(f) for f in ("stages", "blocks", "texture", "pooled", "logits")] == [
        *(4128, 6176, 16988, 1280, 1000)
    ]


def test_unknown_names_are_refused_with_what_exists() -> None:
    with pytest.raises(ValueError, match=r"expected one of tf_efficientnet_lite0.*got 'resnet50'"):
        get_architecture("resnet50")
    with pytest.raises(ValueError, match="expected one of stages"):
        get_architecture("tf_efficientnet_b0").n_dims("layers")  # type: ignore[arg-type]
