"""An encoder: features of a frozen EfficientNet-Lite0, one linear map to a W+ code.

The map starts as a ridge regression of the generator's own codes on its own images (``inversion.fit_encoder``) and is
then tuned by what its codes draw (``inversion.tune_encoder``). It costs one pass through Lite0.
"""

import json
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

ASSET_FORMAT = "mobile-encoder-1"
IMAGE_PX = 256
#: Each of Lite0's five stage outputs is averaged over a grid of this many cells a side; 0 leaves the stage out.
GRIDS = (0, 0, 4, 8, 4)
STAGE_CHANNELS = (16, 24, 40, 112, 320)
N_FEATURES = sum(channels * grid**2 for channels, grid in zip(STAGE_CHANNELS, GRIDS, strict=True))
#: How far the probe's features may lie from those at fitting time, in standard deviations of a feature: float noise of
#: another machine or of folded batch normalisation stays near 1e-4, other weights are at 1 and above.
PROBE_TOLERANCE = 0.02

Backbone = nn.Module | Callable[[torch.Tensor], list[torch.Tensor]]


class LinearEncoder(nn.Module):
    """Images to W+ codes. Made by :func:`load_encoder` or ``inversion.fit_encoder``.

    Parameters
    ----------
    backbone
        timm's ``tf_efficientnet_lite0`` in ``features_only`` form, with ImageNet weights, in eval mode.
    tensors
        ``feature_mean``, ``feature_std`` [F]; ``project`` [F, R]; ``expand`` [R, C * D]; ``offset`` [C, D].
    """

    feature_mean: torch.Tensor
    feature_std: torch.Tensor
    project: torch.Tensor
    expand: torch.Tensor
    offset: torch.Tensor

    def __init__(self, backbone: Backbone, tensors: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self._backbone = (backbone,)  # in a tuple: it is the caller's, not a part of this module's state
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor.float())

    @property
    def backbone(self) -> Backbone:
        """The network behind the features."""
        return self._backbone[0]

    def standardise(self, features: torch.Tensor) -> torch.Tensor:
        """Pooled features [N, F] in standard deviations of those of the fit."""
        return (features - self.feature_mean) / self.feature_std

    def codes_of(self, standard: torch.Tensor) -> torch.Tensor:
        """Codes ``float32`` [N, C, D] of standardised features [N, F]."""
        return (standard @ self.project @ self.expand).reshape(-1, *self.offset.shape) + self.offset

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
        return self.codes_of(self.standardise(pooled_features(self._backbone[0], images)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Same as :meth:`predict`."""
        return self.predict(images)


def pooled_features(backbone: Backbone, images: torch.Tensor) -> torch.Tensor:
    """Average the backbone's stage outputs over grids, ``float32`` [N, F]; images as for :class:`LinearEncoder`."""
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


@torch.no_grad()
def probe_features(backbone: Backbone, device: torch.device | str = "cpu") -> torch.Tensor:
    """Give the features [F] of a fixed pattern of waves, by which a backbone with other weights is recognised."""
    place = torch.linspace(0, 1, IMAGE_PX, device=device)
    waves = [torch.sin((8 + 6 * k) * place[:, None] + (20 - 5 * k) * place[None] + k) for k in range(3)]
    return pooled_features(backbone, torch.stack(waves)[None])[0]


def save_encoder(encoder: LinearEncoder, path: Path, *, facts: dict[str, object]) -> None:
    """Write the map as safetensors, its two factors in ``float16``; ``facts`` go into the metadata."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in encoder.state_dict().items()}
    tensors |= {name: tensors[name].half() for name in ("project", "expand")}
    tensors["probe"] = probe_features(encoder._backbone[0]).cpu()
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata={"format": ASSET_FORMAT, "facts": json.dumps(facts)})
    part.chmod(0o644)  # safetensors writes for the owner alone
    part.replace(path)


def load_encoder(
    path: Path, *, backbone: Backbone, device: torch.device | str = "cpu", generator_sha256: str | None = None
) -> LinearEncoder:
    """Load a fitted encoder.

    Parameters
    ----------
    path
        File written by :func:`save_encoder`.
    backbone
        timm's ``features_only`` ``tf_efficientnet_lite0`` on ``device``, in eval mode, with the weights of the fit.
    device
        Where the map shall stand.
    generator_sha256
        If told, ``weights_sha256`` of the generator whose codes are wanted.

    Raises
    ------
    ValueError
        If the file is missing, is no encoder, holds other tensors than expected, was fitted to another generator or
        with other backbone weights.
    """
    tensors, facts = _read(path)
    if generator_sha256 is not None and facts.get("generator_sha256") != generator_sha256:
        raise ValueError(f"{path}: fitted to generator {facts.get('generator_sha256')}, not to {generator_sha256}")
    away = (probe_features(backbone, device).cpu() - tensors.pop("probe")).abs() / tensors["feature_std"]
    if not float(away.max()) <= PROBE_TOLERANCE:
        raise ValueError(
            f"{path}: the backbone's weights are not those of the fit (features differ by {away.max():.2g} sd)"
        )
    return LinearEncoder(backbone, tensors).eval().to(device)


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    if not path.is_file():
        raise ValueError(f"{path}: weight file is missing")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        facts = json.loads(metadata.get("facts", "{}"))
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not a readable encoder ({error})") from error
    if metadata.get("format") != ASSET_FORMAT:
        raise ValueError(f"{path}: expected format '{ASSET_FORMAT}', found '{metadata.get('format')}'")
    shapes = {name: list(tensor.shape) for name, tensor in tensors.items()}
    rank, code = shapes.get("project", [0, 0])[-1], shapes.get("offset", [0, 0])
    expected = {name: [N_FEATURES] for name in ("feature_mean", "feature_std", "probe")}
    expected |= {"project": [N_FEATURES, rank], "expand": [rank, code[0] * code[-1]], "offset": [code[0], code[-1]]}
    if shapes != expected:
        raise ValueError(f"{path}: expected tensors of shape {expected}, found {shapes}")
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise ValueError(f"{path}: holds NaN or infinity")
    return tensors, facts
