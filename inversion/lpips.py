"""LPIPS as its authors publish it: torchvision's ImageNet classifiers and the learned weights of their channels.

Zhang, Isola, Efros, Shechtman and Wang, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR
2018 (arXiv 1801.03924), version 0.1 of the metric. The sum is that of `inversion.perceptual`; two files make it:

* the *trunk*, a torchvision state dict (``features.N.weight``; the classifier behind it is not used). AlexNet and
  VGG-16 are cut after five activations, SqueezeNet 1.1 after seven;
* the *linear* file of the authors' package ``lpips`` (``weights/v0.1/{alex,vgg,squeeze}.pth``): one weight a channel.

Both are read as data; neither that package nor torchvision is imported.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from inversion.checkpoints import check_tensors
from inversion.perceptual import PerceptualDistance, PerceptualWeightsError, read_state
from inversion.trunks import Trunk

LpipsNet = Literal["alex", "vgg", "squeeze"]
_CLASSIFIER = "classifier."


class Fire(nn.Module):
    """SqueezeNet's module: a 1 x 1 convolution to few channels, then 1 x 1 and 3 x 3 side by side.

    Iandola et al., "SqueezeNet", 2016 (arXiv 1602.07360).
    """

    def __init__(self, n_in: int, n_squeezed: int, n_expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(n_in, n_squeezed, 1)
        self.expand1x1 = nn.Conv2d(n_squeezed, n_expanded, 1)
        self.expand3x3 = nn.Conv2d(n_squeezed, n_expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, 2 * n_expanded, H, W]."""
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1).relu()


def _alex() -> Trunk:
    def pool() -> nn.Module:
        return nn.MaxPool2d(3, stride=2)

    return Trunk(
        [
            {0: nn.Conv2d(3, 64, 11, stride=4, padding=2), 1: nn.ReLU()},
            {2: pool(), 3: nn.Conv2d(64, 192, 5, padding=2), 4: nn.ReLU()},
            {5: pool(), 6: nn.Conv2d(192, 384, 3, padding=1), 7: nn.ReLU()},
            {8: nn.Conv2d(384, 256, 3, padding=1), 9: nn.ReLU()},
            {10: nn.Conv2d(256, 256, 3, padding=1), 11: nn.ReLU()},
        ]
    )


def _vgg() -> Trunk:
    slices: list[dict[int, nn.Module]] = []
    n_in, index = 3, 0
    for n_out, n_convs in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]:
        layers: dict[int, nn.Module] = {}
        if slices:
            layers[index] = nn.MaxPool2d(2)
            index += 1
        for _ in range(n_convs):
            layers[index], layers[index + 1] = nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU()
            n_in, index = n_out, index + 2
        slices.append(layers)
    return Trunk(slices)


def _squeeze() -> Trunk:
    def pool() -> nn.Module:
        return nn.MaxPool2d(3, stride=2, ceil_mode=True)

    return Trunk(
        [
            {0: nn.Conv2d(3, 64, 3, stride=2), 1: nn.ReLU()},
            {2: pool(), 3: Fire(64, 16, 64), 4: Fire(128, 16, 64)},
            {5: pool(), 6: Fire(128, 32, 128), 7: Fire(256, 32, 128)},
            {8: pool(), 9: Fire(256, 48, 192)},
            {10: Fire(384, 48, 192)},
            {11: Fire(384, 64, 256)},
            {12: Fire(512, 64, 256)},
        ]
    )


#: Network name -> how to make it, channels after each slice.
_TRUNKS: dict[str, tuple[Callable[[], Trunk], tuple[int, ...]]] = {
    "alex": (_alex, (64, 192, 384, 256, 256)),
    "vgg": (_vgg, (64, 128, 256, 512, 512)),
    "squeeze": (_squeeze, (64, 128, 256, 384, 384, 512, 512)),
}


def load_lpips(
    trunk_file: Path, linear_file: Path, *, net: LpipsNet, device: torch.device | str = "cpu"
) -> PerceptualDistance:
    """Read LPIPS from the files of torchvision and of the authors' package.

    Parameters
    ----------
    trunk_file
        torchvision's state dict: ``alexnet-owt-7be5be79.pth``, ``vgg16-397923af.pth`` or
        ``squeezenet1_1-b8a52dc0.pth``. Whether it is that very file is for the caller to check.
    linear_file
        ``weights/v0.1/<net>.pth`` of the package ``lpips``.
    net
        ``alex``, ``vgg`` or ``squeeze``; must fit both files.
    device
        Where the distance is computed.

    Returns
    -------
    PerceptualDistance
        Named ``lpips-<net>``; its ``weights_sha256`` is a digest over both files' hashes.

    Raises
    ------
    FileNotFoundError
        A file is missing; there is no fallback to other or random weights.
    PerceptualWeightsError
        A file is truncated, refers to code, is no state dict, is for another network, or holds NaN.
    """
    if net not in _TRUNKS:
        raise ValueError(f"LPIPS: expected net {', '.join(map(repr, get_args(LpipsNet)))}, got {net!r}")
    make_trunk, n_channels = _TRUNKS[net]
    with torch.device("meta"):  # every tensor comes from the file, or loading fails
        trunk = make_trunk()
    names = {key: f"features.{key.split('.', 1)[1]}" for key in trunk.state_dict()}  # slice2.3.weight -> features.3...
    state, trunk_sha256 = read_state(trunk_file, kind="a torchvision weight file")
    features = {key: value for key, value in state.items() if not str(key).startswith(_CLASSIFIER)}
    check_tensors(
        features,
        {names[key]: value.shape for key, value in trunk.state_dict().items()},
        where=f"{trunk_file}: LPIPS {net!r} trunk",
        error=PerceptualWeightsError,
    )
    trunk.load_state_dict({key: features[name].float() for key, name in names.items()}, assign=True)
    linear, linear_sha256 = read_state(linear_file, kind="an LPIPS linear weight file")
    keys = [f"lin{k}.model.1.weight" for k in range(len(n_channels))]
    check_tensors(
        linear,
        {key: torch.Size([1, c, 1, 1]) for key, c in zip(keys, n_channels, strict=True)},
        where=f"{linear_file}: LPIPS {net!r} linear weights",
        error=PerceptualWeightsError,
    )
    digest = hashlib.sha256(f"{trunk_sha256}{linear_sha256}".encode()).hexdigest()
    lin = [linear[key].float() for key in keys]
    return PerceptualDistance(trunk, lin, name=f"lpips-{net}", weights_sha256=digest).to(device)
