"""The EfficientNets that can be used as embedders: their shape, preprocessing and sizes of their features.

Widths and depths follow the compound scaling of EfficientNet [1]_ (B0 to B7) and its Lite variants [2]_, which have
no squeeze-and-excitation and scale neither stem nor head. Input sizes, crop fractions and interpolation are those of
timm's pretrained configurations; a test compares every number here with the networks that timm builds.

Scale of the pixels: B0 to B7 take ImageNet's mean and deviation. That holds for timm's ``in1k``, ``aa_in1k``,
``ra_in1k`` and ``ns_jft_in1k`` weights; AdvProp weights (``ap_in1k``) were trained on another scale and are not
meant here. The Lite networks were trained on (x - 127) / 128 [2]_, which timm rounds to (x - 127.5) / 127.5.

References
----------
.. [1] Tan and Le (2019). EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks. ICML.
.. [2] https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from embeddings.texture import n_correlations, n_regional

FeatureMode = Literal["stages", "blocks", "texture", "pooled", "logits"]
FEATURE_MODES: tuple[FeatureMode, ...] = get_args(FeatureMode)

N_CLASSES = 1000  # ImageNet-1k
_STAGE_CHANNELS = (16, 24, 40, 80, 112, 192, 320)
_STAGE_DEPTHS = (1, 2, 2, 3, 3, 4, 1)
_HEAD_CHANNELS = 1280

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_LITE_MEAN = (127 / 255,) * 3
_LITE_STD = (128 / 255,) * 3


@dataclass(frozen=True)
class Architecture:
    """One network by its timm name.

    Attributes
    ----------
    timm_name : str
        Name for ``timm.create_model``; also the key in ``ARCHITECTURES``.
    input_px : int
        Side of the square input the weights were trained or tuned for.
    mean, std : tuple of 3 floats
        Per RGB channel, for pixels in [0, 1].
    crop_pct : float
        Share of the resized image that the centre crop of ImageNet's protocol keeps.
    interpolation : 'bicubic' or 'bilinear'
        How that protocol resizes.
    stage_channels, stage_depths : tuple of 7 ints
        Output channels and number of blocks of each stage.
    head_channels : int
        Channels of the last 1x1 convolution, which is also the length of the pooled feature.
    """

    timm_name: str
    input_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop_pct: float
    interpolation: Literal["bicubic", "bilinear"]
    stage_channels: tuple[int, ...]
    stage_depths: tuple[int, ...]
    head_channels: int

    def n_dims(self, features: FeatureMode) -> int:
        """Length of one image's feature vector.

        'stages' and 'blocks' hold a mean and a deviation for each channel of every stage (block) and of the head.
        """
        if features == "stages":
            return 2 * (sum(self.stage_channels) + self.head_channels)
        if features == "blocks":
            per_stage = (c * n for c, n in zip(self.stage_channels, self.stage_depths, strict=True))
            return 2 * (sum(per_stage) + self.head_channels)
        if features == "texture":
            blocks = [c for c, n in zip(self.stage_channels, self.stage_depths, strict=True) for _ in range(n)]
            return sum(n_regional(c) + n_correlations(c) for c in blocks) + n_regional(self.head_channels)
        if features == "pooled":
            return self.head_channels
        if features == "logits":
            return N_CLASSES
        raise ValueError(f"features: expected one of {', '.join(FEATURE_MODES)}, got {features!r}.")


def _scaled_channels(channels: int, width: float) -> int:
    """Scale a number of channels to a multiple of 8, never losing more than 10 % (EfficientNet's rounding)."""
    scaled = channels * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


def _b(index: int, width: float, depth: float, input_px: int, crop_pct: float) -> Architecture:
    return Architecture(
        timm_name=f"tf_efficientnet_b{index}",
        input_px=input_px,
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
        crop_pct=crop_pct,
        interpolation="bicubic",
        stage_channels=tuple(_scaled_channels(c, width) for c in _STAGE_CHANNELS),
        stage_depths=tuple(math.ceil(n * depth) for n in _STAGE_DEPTHS),
        head_channels=_scaled_channels(_HEAD_CHANNELS, width),
    )


def _lite(index: int, width: float, depth: float, input_px: int, crop_pct: float) -> Architecture:
    last = len(_STAGE_DEPTHS) - 1
    return Architecture(
        timm_name=f"tf_efficientnet_lite{index}",
        input_px=input_px,
        mean=_LITE_MEAN,
        std=_LITE_STD,
        crop_pct=crop_pct,
        interpolation="bicubic" if index < 3 else "bilinear",
        stage_channels=tuple(_scaled_channels(c, width) for c in _STAGE_CHANNELS),
        stage_depths=tuple(n if i in (0, last) else math.ceil(n * depth) for i, n in enumerate(_STAGE_DEPTHS)),
        head_channels=_HEAD_CHANNELS,
    )


ARCHITECTURES: dict[str, Architecture] = {
    architecture.timm_name: architecture
    for architecture in (
        _lite(0, 1.0, 1.0, 224, 0.875),
        _lite(1, 1.0, 1.1, 240, 0.882),
        _lite(2, 1.1, 1.2, 260, 0.890),
        _lite(3, 1.2, 1.4, 300, 0.904),
        _lite(4, 1.4, 1.8, 380, 0.920),
        _b(0, 1.0, 1.0, 224, 0.875),
        _b(1, 1.0, 1.1, 240, 0.882),
        _b(2, 1.1, 1.2, 260, 0.890),
        _b(3, 1.2, 1.4, 300, 0.904),
        _b(4, 1.4, 1.8, 380, 0.922),
        _b(5, 1.6, 2.2, 456, 0.934),
        _b(6, 1.8, 2.6, 528, 0.942),
        _b(7, 2.0, 3.1, 600, 0.949),
    )
}
DEFAULT_ARCHITECTURE = "tf_efficientnet_lite0"


def get_architecture(name: str) -> Architecture:
    """Look a network up by its timm name.

    Raises
    ------
    ValueError
        Unknown name; the message lists those that exist.
    """
    if name not in ARCHITECTURES:
        raise ValueError(f"architecture: expected one of {', '.join(ARCHITECTURES)}, got {name!r}.")
    return ARCHITECTURES[name]
