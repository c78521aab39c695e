"""The encoder of the mobile generator: an EfficientNet-Lite0 and a linear map from its features to a W+ code.

The map starts as a ridge regression of the generator's own codes on its own images (``inversion.fit_encoder``); map and
network are then tuned by what their codes draw (``inversion.tune_encoder``). A code costs one pass through Lite0.
"""

import json
from pathlib import Path

import timm
import torch
import torch.nn.functional as F  # noqa: N812
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

ASSET_FORMAT = "mobile-encoder-2"
IMAGE_PX = 256
#: Each of Lite0's five stage outputs is averaged over a grid of this many cells a side; 0 leaves the stage out.
GRIDS = (0, 0, 4, 8, 4)
STAGE_CHANNELS = (16, 24, 40, 112, 320)
N_FEATURES = sum(channels * grid**2 for channels, grid in zip(STAGE_CHANNELS, GRIDS, strict=True))
#: Before the names of the backbone's tensors in the file.
BACKBONE_PREFIX = "backbone."


class MobileEncoder(nn.Module):
    """Images to W+ codes. Made by :func:`load_encoder` or ``inversion.fit_encoder``.

    Parameters
    ----------
    backbone
        timm's ``tf_efficientnet_lite0`` in ``features_only`` form; becomes a part of this module.
    tensors
        ``feature_mean``, ``feature_std`` [F]; ``project`` [F, R]; ``expand`` [R, C * D]; ``offset`` [C, D].
    """

    feature_mean: torch.Tensor
    feature_std: torch.Tensor

    def __init__(self, backbone: nn.Module, tensors: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.backbone = backbone
        for name in ("feature_mean", "feature_std"):
            self.register_buffer(name, tensors[name].float())
        self.project, self.expand, self.offset = (
            nn.Parameter(tensors[name].float()) for name in ("project", "expand", "offset")
        )
        self.eval().requires_grad_(False)

    def predict(self, images: torch.Tensor) -> torch.Tensor:
        """Give first codes; differentiable with respect to the images.

        Parameters
        ----------
        images
            Floating point [N, 3, 256, 256], RGB in [-1, 1] (clipped to it), aligned as the generator's faces are.

        Returns
        -------
        torch.Tensor
            ``float32`` [N, C, D] on the images' device.

        Raises
        ------
        ValueError
            If the shape or the dtype is wrong or a value is not finite.
        """
        features = (pooled_features(self.backbone, images) - self.feature_mean) / self.feature_std
        return (features @ self.project @ self.expand).reshape(-1, *self.offset.shape) + self.offset

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Same as :meth:`predict`."""
        return self.predict(images)


def pooled_features(backbone: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Average the backbone's stage outputs over grids, ``float32`` [N, F]; images as for :class:`MobileEncoder`."""
    if images.ndim != 4 or tuple(images.shape[1:]) != (3, IMAGE_PX, IMAGE_PX) or not images.is_floating_point():
        expected = f"expected images as floating point [N, 3, {IMAGE_PX}, {IMAGE_PX}]"
        raise ValueError(f"{expected}, got {images.dtype} {list(images.shape)}")
    if not bool(torch.isfinite(images).all()):
        raise ValueError("expected finite pixels, got NaN or infinity")
    levels = (images.float().clamp(-1, 1) + 1) * 127.5
    stages = backbone(((levels - 127) / 128).contiguous(memory_format=torch.channels_last))
    widths = tuple(stage.shape[1] for stage in stages)
    if widths != STAGE_CHANNELS:
        raise ValueError(f"expected a backbone with stages of {STAGE_CHANNELS} channels, got {widths}")
    pooled = [F.adaptive_avg_pool2d(x, grid).flatten(1) for x, grid in zip(stages, GRIDS, strict=True) if grid]
    return torch.cat(pooled, dim=1)


def new_backbone() -> nn.Module:
    """Lite0 as the encoder wants it, with weights yet to be loaded."""
    backbone: nn.Module = timm.create_model("tf_efficientnet_lite0", pretrained=False, features_only=True)
    return backbone.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def save_encoder(encoder: MobileEncoder, path: Path, *, facts: dict[str, object]) -> None:
    """Write safetensors, kernels and the map's factors in ``float16``; ``facts`` go into the metadata."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in encoder.state_dict().items()}
    tensors = {name: t.half() if t.ndim > 1 and name != "offset" else t for name, t in tensors.items()}
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata={"format": ASSET_FORMAT, "facts": json.dumps(facts)})
    part.chmod(0o644)  # safetensors writes for the owner alone
    part.replace(path)


def load_encoder(
    path: Path, *, device: torch.device | str = "cpu", generator_sha256: str | None = None
) -> MobileEncoder:
    """Load a fitted encoder.

    Parameters
    ----------
    path
        File written by :func:`save_encoder`.
    device
        Where the encoder shall stand.
    generator_sha256
        If told, ``weights_sha256`` of the generator whose codes are wanted.

    Raises
    ------
    ValueError
        If the file is missing, is no encoder, holds other tensors than expected or was fitted to another generator.
    """
    backbone = new_backbone()
    tensors, facts = _read(path, {BACKBONE_PREFIX + k: list(v.shape) for k, v in backbone.state_dict().items()})
    if generator_sha256 is not None and facts.get("generator_sha256") != generator_sha256:
        raise ValueError(f"{path}: fitted to generator {facts.get('generator_sha256')}, not to {generator_sha256}")
    weights = {k.removeprefix(BACKBONE_PREFIX): v for k, v in tensors.items() if k.startswith(BACKBONE_PREFIX)}
    backbone.load_state_dict(weights)
    return MobileEncoder(backbone, {k: v for k, v in tensors.items() if not k.startswith(BACKBONE_PREFIX)}).to(device)


def _read(path: Path, backbone_shapes: dict[str, list[int]]) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    if not path.is_file():
        raise ValueError(f"{path}: weight file is missing")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        facts = json.loads(metadata.get("facts", "{}"))
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not a readable encoder ({error})") from error
    if metadata.get("format") != ASSET_FORMAT:
        raise ValueError(f"{path}: expected format '{ASSET_FORMAT}', found '{metadata.get('format')}'")
    shapes = {name: list(tensor.shape) for name, tensor in tensors.items()}
    rank, code = shapes.get("project", [0, 0])[-1], shapes.get("offset", [0, 0])
    expected = backbone_shapes | {name: [N_FEATURES] for name in ("feature_mean", "feature_std")}
    expected |= {"project": [N_FEATURES, rank], "expand": [rank, code[0] * code[-1]], "offset": [code[0], code[-1]]}
    if shapes != expected:
        odd = sorted(name for name in shapes.keys() | expected.keys() if shapes.get(name) != expected.get(name))
        told = ", ".join(f"{name} {shapes.get(name, 'absent')} for {expected.get(name, 'none')}" for name in odd[:3])
        raise ValueError(f"{path}: {len(odd)} tensors are not those of an encoder: {told}")
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise ValueError(f"{path}: holds NaN or infinity")
    return tensors, facts
