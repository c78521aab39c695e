"""The e4e encoder: one pass from a face to a W+ code of StyleGAN2, read from its authors' checkpoints.

Tov, Alaluf, Nitzan, Patashnik and Cohen-Or, "Designing an Encoder for StyleGAN Image Manipulation", ACM Transactions on
Graphics 40(4) (SIGGRAPH), 2021 (arXiv 2102.02766). An IR-SE-50 body, a feature pyramid over its last three stages, and
one head a style:

    w_0 = head_0(c_3) + mean_0,     w_i = head_0(c_3) + head_i(level_i) + mean_i   (i = 1 ... n - 1),

where level_i is the 16 px features c_3 for i < 3, the 32 px sum for i < 7 and the 64 px sum beyond. (In training the
offsets head_i come in one after the other; a finished encoder uses all.) n = 2 log2(size) - 2 for a generator of that
size: 18 styles for 1024 px.

A checkpoint (``e4e_ffhq_encode.pt``) holds ``state_dict`` (``encoder.*``; the generator ``decoder.*`` is not used),
``latent_avg`` (the mean code the encoder's output is added to) and ``opts``, the options of its training: a dictionary
or, where somebody saved the parser's result, an ``argparse.Namespace``. That class is harmless, but it is not needed
either, so it is not looked up: an inert stand-in receives the attributes. Nothing the file names is ever called.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from inversion.checkpoints import PlainObject, check_tensors, read_checkpoint
from inversion.irse import body, input_layer, stage_outputs

IMAGE_PX = 256
W_DIM = 512
#: Styles from this index on read the 32 px level; from the second on the 64 px level.
MIDDLE_FROM, FINE_FROM = 3, 7
_LEVEL_PX = (16, 32, 64)
#: How far the mean codes of file and generator may lie apart, root mean square over dimensions, in standard deviations.
#: Both are estimates of one mean from many codes, a few hundredths apart; means of W lie 0.36 from zero in FFHQ-1024's
#: network, so two networks' means lie some 0.5 apart.
MAX_MEAN_APART = 0.1
_PREFIX = "encoder."


class E4eWeightsError(ValueError):
    """A checkpoint that is truncated, of another kind, or for another generator."""


class StyleHead(nn.Module):
    """Features of one level to one code, by halving the side until a pixel is left."""

    def __init__(self, side_px: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(int(math.log2(side_px))):
            layers += [nn.Conv2d(W_DIM, W_DIM, 3, stride=2, padding=1), nn.LeakyReLU(0.01)]
        self.convs = nn.Sequential(*layers)
        self.linear = nn.Linear(W_DIM, W_DIM)

    def forward(self, x: Tensor) -> Tensor:
        """[N, 512, side_px, side_px] -> [N, 512]."""
        x = self.convs(x).flatten(1)
        # StyleGAN's "equalised" layer: stored weights have unit variance and are scaled where they are used.
        return F.linear(x, self.linear.weight / math.sqrt(W_DIM), self.linear.bias)


class E4eEncoder(nn.Module):
    """Faces to W+ codes. Made by :func:`load_e4e`, without weights of its own until then.

    Attributes
    ----------
    name
        Goes into identifiers of results.
    weights_sha256
        Of the checkpoint; empty before it is read.
    """

    latent_avg: Tensor
    name = "e4e"
    weights_sha256 = ""

    def __init__(self, n_styles: int) -> None:
        super().__init__()
        self.n_styles = n_styles
        self.input_layer = input_layer()
        self.body = body()
        self.styles = nn.ModuleList(StyleHead(_LEVEL_PX[_level(i)]) for i in range(n_styles))
        self.latlayer1 = nn.Conv2d(256, W_DIM, 1)
        self.latlayer2 = nn.Conv2d(128, W_DIM, 1)
        self.register_buffer("latent_avg", torch.zeros(n_styles, W_DIM), persistent=False)

    def predict(self, images: Tensor) -> Tensor:
        """Give codes.

        Parameters
        ----------
        images
            Floating point [N, 3, 256, 256], RGB in [-1, 1] (not clipped), aligned as FFHQ is.

        Returns
        -------
        Tensor
            ``float32`` [N, n_styles, 512] on the images' device; a face's code does not depend on the others.

        Raises
        ------
        ValueError
            If the shape or the dtype is wrong or a value is not finite.
        """
        _check_images(images)
        _, c1, c2, c3 = stage_outputs(self.body, self.input_layer(images.float()))
        p2 = _upsampled(c3, like=c2) + self.latlayer1(c2)  # [N, 512, 32, 32]
        p1 = _upsampled(p2, like=c1) + self.latlayer2(c1)  # [N, 512, 64, 64]
        levels = (c3, p2, p1)
        base, *offsets = (head(levels[_level(i)]) for i, head in enumerate(self.styles))
        codes = torch.stack([base, *(base + offset for offset in offsets)], dim=1)  # [N, n_styles, 512]
        return codes + self.latent_avg

    def forward(self, images: Tensor) -> Tensor:
        """Same as :meth:`predict`."""
        return self.predict(images)


def _level(style: int) -> int:
    return (style >= MIDDLE_FROM) + (style >= FINE_FROM)


def _upsampled(x: Tensor, *, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=True)


def _check_images(images: Tensor) -> None:
    expected = f"e4e: expected images as floating point [N, 3, {IMAGE_PX}, {IMAGE_PX}]"
    if images.ndim != 4 or tuple(images.shape[1:]) != (3, IMAGE_PX, IMAGE_PX) or len(images) == 0:
        raise ValueError(f"{expected} with N of at least 1, got {list(images.shape)}")
    if not images.is_floating_point():
        raise ValueError(f"{expected}, got {images.dtype}")
    if not bool(images.isfinite().all()):
        raise ValueError(f"{expected}, got NaN or infinity")


def load_e4e(path: Path, *, n_styles: int, device: torch.device | str = "cpu") -> E4eEncoder:
    """Read an encoder from a checkpoint of its authors' code.

    Parameters
    ----------
    path
        The checkpoint.
    n_styles
        W+ channels of the generator the codes are for; the file must give as many.
    device
        Where the encoder shall stand.

    Raises
    ------
    FileNotFoundError
        No such file; there is no fallback to random weights.
    E4eWeightsError
        The file is truncated, refers to code, is no checkpoint of this encoder, lacks its mean code, is for a generator
        with other channels, or holds NaN.
    """
    content, digest = read_checkpoint(
        path, kind="an e4e checkpoint", error=E4eWeightsError, plain_objects=("argparse.Namespace",)
    )
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
        raise E4eWeightsError(
            f"{path}: expected an e4e checkpoint with 'state_dict', got {type(content).__name__} without"
        )
    _check_options(content.get("opts"), path)
    state = {
        key.removeprefix(_PREFIX): value
        for key, value in content["state_dict"].items()
        if isinstance(key, str) and key.startswith(_PREFIX)
    }
    found = len({key.split(".")[1] for key in state if key.startswith("styles.")})
    if found != n_styles:
        raise E4eWeightsError(f"{path}: expected an encoder of {n_styles} styles, as the generator has, got {found}")
    latent_avg = _mean_code(content, n_styles, path)
    with torch.device("meta"):  # every tensor comes from the file, or loading fails
        encoder = E4eEncoder(n_styles)
    shapes = {key: value.shape for key, value in encoder.state_dict().items()}
    check_tensors(state, shapes, where=f"{path}: e4e encoder", error=E4eWeightsError)
    for key, value in state.items():
        if key.endswith("running_var") and bool((value < 0).any()):
            raise E4eWeightsError(f"{path}: e4e encoder: {key}: expected variances, got negative values")
    floats = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    encoder.load_state_dict(floats, assign=True)
    encoder.latent_avg = latent_avg
    encoder.weights_sha256 = digest
    return encoder.requires_grad_(False).eval().to(device)


def check_mean(encoder: E4eEncoder, *, mean_w: Tensor, std_w: Tensor) -> None:
    """Raise :class:`E4eWeightsError` unless the encoder was trained with the generator that has this W.

    Parameters
    ----------
    encoder
        As read: its codes are offsets from the mean code of its own generator.
    mean_w, std_w
        Floating point [512]: mean and standard deviation of the generator's codes.
    """
    apart = ((encoder.latent_avg.mean(0).to(mean_w) - mean_w) / std_w).square().mean().sqrt().item()
    if not apart <= MAX_MEAN_APART:
        raise E4eWeightsError(
            f"e4e: made for another generator: its mean code lies {apart:.2f} standard deviations from this one's, "
            f"at most {MAX_MEAN_APART} is expected"
        )


def _check_options(opts: object, path: Path) -> None:
    """The other encoders of that code share all tensor names with this one and mean something else by them."""
    values = opts.state if isinstance(opts, PlainObject) else opts
    if not isinstance(values, Mapping):
        raise E4eWeightsError(f"{path}: expected the options of the encoder's training in 'opts', got none")
    kind = values.get("encoder_type")
    if kind != "Encoder4Editing":
        raise E4eWeightsError(f"{path}: expected an encoder of type 'Encoder4Editing', got {str(kind)[:40]!r}")
    if values.get("start_from_latent_avg") is False:
        raise E4eWeightsError(f"{path}: expected codes as offsets from the mean code, got start_from_latent_avg: False")


def _mean_code(content: Mapping[str, Any], n_styles: int, path: Path) -> Tensor:
    """The mean code as float32 [n_styles, 512]; some files repeat it for each style, some do not."""
    mean = content.get("latent_avg")
    if not isinstance(mean, Tensor):
        raise E4eWeightsError(f"{path}: expected the mean code in 'latent_avg', got none; codes would be far off")
    shape = torch.Size([n_styles, W_DIM]) if mean.shape[0:1] == (n_styles,) else torch.Size([1, W_DIM])
    mean = mean.unsqueeze(0) if mean.ndim == 1 else mean
    check_tensors({"latent_avg": mean}, {"latent_avg": shape}, where=f"{path}: e4e", error=E4eWeightsError)
    return mean.float().expand(n_styles, W_DIM).clone()
