"""Perceptual distance between face images, and ST-LPIPS read from its published weight files.

ST-LPIPS (Ghildyal and Liu, "Shift-tolerant Perceptual Similarity Metric", ECCV 2022, arXiv 2207.13686) is LPIPS (Zhang
et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018, arXiv 1801.03924) over
networks that small shifts disturb less:

    d(x, y) = sum_l  mean_{h,w}  sum_c  lin_l[c] * (f_l(x)[c,h,w] - f_l(y)[c,h,w])^2

where f_l are the activations after slice l, scaled to unit length over channels at each position. Its scale is not
LPIPS's: a number from one is never to be quoted as the other, so a distance carries its `name`. LPIPS itself is the
same sum over other networks and weights: `inversion.lpips`.

The weight files hold the whole networks. They are read with ``weights_only=True`` and run in `inversion.trunks`; no
code of the package that ships them is imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from inversion.checkpoints import check_tensors, read_checkpoint
from inversion.trunks import TRUNKS, blur_filter

StLpipsNet = Literal["alex", "vgg"]
Features = list[Tensor]

#: Below this the deepest slice has too few positions to average over.
MIN_SIDE_PX = 64
_LENGTH_EPS = 1e-10  # of the published metric: added to the length of the feature vector
# Of LPIPS since v0.1: brings [-1, 1] to the mean and deviation of ImageNet, which the networks were trained with.
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)


class PerceptualWeightsError(ValueError):
    """A weight file that is truncated, of another kind, or for another network."""


class PerceptualDistance(nn.Module):
    """Weighted squared distance of unit-length activations, summed over the slices of a fixed network.

    Made by a loader: `load_stlpips` or `inversion.lpips.load_lpips`. The weights are frozen; gradients flow to the
    images. Each image's distance is computed apart from the others of its batch.

    Parameters
    ----------
    trunk
        Maps float images [N, 3, H, W], shifted and scaled, to a list of activations [N, C_l, H_l, W_l].
    lin
        For each activation, the weights [C_l] of its channels.
    name
        Names metric and network, e.g. ``stlpips-alex``; goes into identifiers of results.
    weights_sha256
        Of the file the weights were read from; where there are several, one digest over theirs.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, trunk: nn.Module, lin: Sequence[Tensor], *, name: str, weights_sha256: str) -> None:
        super().__init__()
        self.name = name
        self.weights_sha256 = weights_sha256
        self.trunk = trunk
        self.register_buffer("shift", torch.tensor(_SHIFT).reshape(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(_SCALE).reshape(1, 3, 1, 1))
        for k, weights in enumerate(lin):
            self.register_buffer(f"lin{k}", weights.reshape(-1).clone())
        self._n_slices = len(lin)
        self.requires_grad_(False).eval()

    def features(self, images: Tensor) -> Features:
        """Activations of the network, scaled to unit length over channels at each position.

        Parameters
        ----------
        images
            Float [N, 3, H, W], sides of at least 64 px, in [-1, 1] (not checked: a generator may overshoot a little).

        Returns
        -------
        list of float [N, C_l, H_l, W_l], one for each slice.
        """
        _check_images(images)
        x = (images - self.shift) / self.scale
        return [self._unit_length(f) for f in self.trunk(x)]

    def distance_to(self, features: Features, images: Tensor) -> Tensor:
        """Distance [N] of `images` [N, 3, H, W] from precomputed `features` of as many images of the same size."""
        return self.distance_between(features, self.features(images))

    def distance_between(self, a: Features, b: Features) -> Tensor:
        """Distance float32 [N] between two lists of features."""
        total = a[0].new_zeros(a[0].shape[0], dtype=torch.float32)
        for k, (fa, fb) in enumerate(zip(a, b, strict=True)):
            if fa.shape != fb.shape:
                raise ValueError(
                    f"features of slice {k}: expected equal shapes, got {tuple(fa.shape)} and {tuple(fb.shape)}"
                )
            squared = (fa.float() - fb.float()).square()
            per_channel = squared.mean(dim=(2, 3))  # [N, C_l]
            total = total + per_channel @ self.get_buffer(f"lin{k}")
        return total

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Distance float32 [N] between images `x` and `y`, both float [N, 3, H, W] in [-1, 1]; 0 for equal images."""
        if x.shape != y.shape:
            raise ValueError(
                f"perceptual distance: expected images of equal shape, got {tuple(x.shape)} and {tuple(y.shape)}"
            )
        return self.distance_between(self.features(x), self.features(y))

    @staticmethod
    def _unit_length(f: Tensor) -> Tensor:
        f = f.float()  # the length of hundreds of channels is not to be summed in bf16
        # vector_norm has gradient 0 at a zero vector; the published square root of a sum has NaN there (flat images).
        return f / (torch.linalg.vector_norm(f, dim=1, keepdim=True) + _LENGTH_EPS)


def _check_images(images: Tensor) -> None:
    if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < MIN_SIDE_PX:
        expected = f"[N, 3, H, W] with sides of at least {MIN_SIDE_PX} px"
        raise ValueError(f"perceptual distance: expected images {expected}, got {list(images.shape)}")
    if not images.is_floating_point():
        raise ValueError(f"perceptual distance: expected floating-point images in [-1, 1], got dtype {images.dtype}")


def load_stlpips(path: Path, *, net: StLpipsNet, device: torch.device | str = "cpu") -> PerceptualDistance:
    """Read ST-LPIPS from the weight file of its authors' package, ``{alex,vgg}_shift_tolerant.pth``.

    Parameters
    ----------
    path
        The weight file: a state dict of network, blur filters, linear and scaling layers.
    net
        ``alex`` or ``vgg``; must fit the file.
    device
        Where the distance is computed.

    Raises
    ------
    FileNotFoundError
        No such file; there is no fallback to other or random weights.
    PerceptualWeightsError
        The file is truncated, not a state dict, or for another network.
    """
    if net not in TRUNKS:
        raise ValueError(f"ST-LPIPS: expected net 'alex' or 'vgg', got {net!r}")
    state, digest = read_state(path, kind="an ST-LPIPS weight file")
    make_trunk, n_channels, blurs = TRUNKS[net]
    trunk = make_trunk()
    learned = {f"net.{k}": v.shape for k, v in trunk.state_dict().items()}
    learned |= {f"lin{k}.model.1.weight": torch.Size([1, c, 1, 1]) for k, c in enumerate(n_channels)}
    constants = {f"net.{k}.filt": blur_filter(c) for k, c in blurs.items()}
    constants["scaling_layer.shift"] = torch.tensor(_SHIFT).reshape(1, 3, 1, 1)
    constants["scaling_layer.scale"] = torch.tensor(_SCALE).reshape(1, 3, 1, 1)
    _check_state(state, learned, constants, where=f"{path}: ST-LPIPS {net!r}")
    trunk.load_state_dict({k: state[f"net.{k}"] for k in trunk.state_dict()})
    lin = [state[f"lin{k}.model.1.weight"] for k in range(len(n_channels))]
    return PerceptualDistance(trunk, lin, name=f"stlpips-{net}", weights_sha256=digest).to(device)


def read_state(path: Path, *, kind: str) -> tuple[dict[str, Tensor], str]:
    """Read a dictionary of tensors and the file's SHA-256; `kind` (with its article) names what was expected."""
    state, digest = read_checkpoint(path, kind=kind, error=PerceptualWeightsError)
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise PerceptualWeightsError(
            f"{path}: expected a dictionary of tensors, got {type(state).__name__} of something else"
        )
    return state, digest


def _check_state(
    state: Mapping[str, Tensor], learned: Mapping[str, torch.Size], constants: Mapping[str, Tensor], *, where: str
) -> None:
    shapes = {**learned, **{k: v.shape for k, v in constants.items()}}
    check_tensors(state, shapes, where=where, error=PerceptualWeightsError)
    for key, constant in constants.items():
        if not torch.allclose(state[key], constant, rtol=0, atol=1e-6):
            raise PerceptualWeightsError(f"{where}: {key}: expected the published constant, got other values")
