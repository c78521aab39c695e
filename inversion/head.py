"""Light ends for MobileStyleGAN: from its features at 128 px to a 256 px image, from those at 64 px to a 128 px one.

Steps of an inversion through the full generator pay mostly for its two last blocks, at 256 and 512 px, whose detail the
256 px face does not show. A head stands in for them. It works on the features' own grid and gives the image's four Haar
bands, so nothing larger than that grid is ever computed but the image itself. It is an approximation, fitted to the
full generator's images reduced by area (``inversion.training``): good for gradients, never for judging a code.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from inversion.generator import check_w_plus
from inversion.mobile import LEAKY_SLOPE, Block, MobileGenerator, inverse_haar

ASSET_FORMAT = "mobile-head-2"
WIDTH = 128
N_BANDS = 12
N_CHANNELS, W_DIM = 16, 512


@dataclass(frozen=True)
class HeadPlan:
    """What a head stands on and what it stands in for.

    The code reaches the replaced blocks through their style layers alone. The head reads the code through six of the
    same layers, so that it has little to learn about thousands of dimensions of code.

    Attributes
    ----------
    name
        In the weight file.
    n_blocks, features_px, n_features
        Blocks of the generator before the head, side and channels of the features after them; the image has twice the
        side.
    style_widths, style_channels
        Outputs and W+ channel of each of the six style layers, the first replaced ones first, the output's last.
    """

    name: str
    n_blocks: int
    features_px: int
    n_features: int
    style_widths: tuple[int, ...]
    style_channels: tuple[int, ...]

    @property
    def up_channel(self) -> int:
        """W+ channel of the first replaced upsampling, whose style scales the features."""
        return self.style_channels[0]


#: First and second convolution of block 5; upsampling, first and second convolution of block 6; output convolution.
FINE = HeadPlan("fine", 5, 128, 256, (64, 128, 128, 32, 64, 64), (11, 12, 13, 13, 14, 15))
#: First and second convolution of blocks 4 and 5; second convolution of block 6; output convolution.
COARSE = HeadPlan("coarse", 4, 64, 512, (128, 256, 64, 128, 64, 64), (9, 10, 11, 12, 14, 15))
PLANS = {plan.name: plan for plan in (FINE, COARSE)}


class StyleScale(nn.Module):
    """Affine map from some of the replaced layers' styles to one factor per feature channel."""

    def __init__(self, plan: HeadPlan, groups: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.groups = groups
        self.linear = nn.Linear(sum(plan.style_widths[group] for group in groups), width)
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.ones_(self.linear.bias)

    def forward(self, styles: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Six [N, S] -> [N, width, 1, 1]."""
        return self.linear(torch.cat([styles[group] for group in self.groups], dim=1))[:, :, None, None]


class HeadLayer(nn.Module):
    """Style scale, depthwise 3 x 3 and pointwise convolution, fixed noise, leaky ReLU."""

    def __init__(self, plan: HeadPlan, groups: tuple[int, ...]) -> None:
        super().__init__()
        self.scale = StyleScale(plan, groups, WIDTH)
        self.depthwise = nn.Conv2d(WIDTH, WIDTH, 3, padding=1, groups=WIDTH)
        self.pointwise = nn.Conv2d(WIDTH, WIDTH, 1)
        self.noise = nn.Parameter(torch.zeros(1, 1, plan.features_px, plan.features_px))

    def forward(self, x: torch.Tensor, styles: tuple[torch.Tensor, ...], window: tuple[slice, slice]) -> torch.Tensor:
        """[N, WIDTH, H, W] -> the same."""
        x = conv(self.depthwise, x * self.scale(styles).to(x.dtype))
        return F.leaky_relu_(conv(self.pointwise, x).add_(self.noise[..., *window].to(x.dtype)), LEAKY_SLOPE)


class FastHead(nn.Module):
    """Features of the generator and their W+ codes to images of twice the side.

    The type of the features (``float32`` or ``bfloat16``) is the type of the computation.
    """

    def __init__(self, plan: HeadPlan = FINE) -> None:
        super().__init__()
        self.plan = plan
        self.up = nn.Linear(W_DIM, plan.n_features)
        self.styles = nn.ModuleList([nn.Linear(W_DIM, width) for width in plan.style_widths])
        self.spread = nn.Conv2d(plan.n_features, plan.n_features, 3, padding=1, groups=plan.n_features)
        self.enter = nn.Conv2d(plan.n_features, N_BANDS + WIDTH, 1)
        self.noise = nn.Parameter(torch.zeros(1, 1, plan.features_px, plan.features_px))
        self.layers = nn.ModuleList([HeadLayer(plan, (0, 1)), HeadLayer(plan, (1, 2))])
        self.leave_scale = StyleScale(plan, (3, 4, 5), WIDTH)
        self.leave = nn.Conv2d(WIDTH, N_BANDS, 1)
        self.direct_scale = StyleScale(plan, (0, 1, 2, 3, 4, 5), N_BANDS)
        self.band_noise = nn.Parameter(torch.zeros(1, N_BANDS, plan.features_px, plan.features_px))

    def forward(
        self, features: torch.Tensor, w_plus: torch.Tensor, *, corner: tuple[int, int] = (0, 0)
    ) -> torch.Tensor:
        """Make images.

        Parameters
        ----------
        features
            ``generator.features(w_plus, plan.n_blocks)`` [N, C, S, S], or a window of it, [N, C, H, W] (for fitting).
        w_plus
            The codes behind the features, floating point [N, 16, 512].
        corner
            Row and column of the window in the features.

        Returns
        -------
        torch.Tensor
            ``float32`` [N, 3, 2 H, 2 W], nominally [-1, 1], not clipped.

        Raises
        ------
        ValueError
            If a shape is wrong or the window leaves the features' grid.
        """
        check_w_plus(w_plus, n_channels=N_CHANNELS, w_dim=W_DIM)
        n, height, width = len(w_plus), *features.shape[-2:]
        plan = self.plan
        if features.ndim != 4 or features.shape[:2] != (n, plan.n_features):
            raise ValueError(f"expected features of shape [{n}, {plan.n_features}, H, W], got {list(features.shape)}")
        side = plan.features_px
        if min(corner) < 0 or corner[0] + height > side or corner[1] + width > side:
            raise ValueError(f"expected a window within {side} x {side}, got {height} x {width} at {corner}")
        window = (slice(corner[0], corner[0] + height), slice(corner[1], corner[1] + width))
        w = w_plus.to(self.up.weight.dtype)
        styles = tuple(style(w[:, c]) for style, c in zip(self.styles, plan.style_channels, strict=True))
        x = features * self.up(w[:, plan.up_channel])[:, :, None, None].to(features.dtype)
        direct, x = conv(self.enter, conv(self.spread, x)).split([N_BANDS, WIDTH], dim=1)
        x = F.leaky_relu(x + self.noise[..., *window].to(x.dtype), LEAKY_SLOPE)
        for layer in self.layers:
            x = layer(x, styles, window)
        bands = conv(self.leave, x * self.leave_scale(styles).to(x.dtype)).float()
        bands = bands + direct.float() * self.direct_scale(styles) + self.band_noise[..., *window]
        return inverse_haar(bands)


class Sketch:
    """Generator and head as one function of codes: [N, 16, 512] -> ``float32`` [N, 3, S, S], S twice the features'."""

    def __init__(self, generator: MobileGenerator, head: FastHead) -> None:
        self.generator = generator
        self.head = head

    def __call__(self, w_plus: torch.Tensor) -> torch.Tensor:
        """Draw; differentiable with respect to the codes."""
        return self.head(self.generator.features(w_plus, self.head.plan.n_blocks), w_plus)


def conv(layer: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """Run a convolution in the type of its input."""
    bias = None if layer.bias is None else layer.bias.to(x.dtype)
    return F.conv2d(x, layer.weight.to(x.dtype), bias, padding=layer.padding, groups=layer.groups)


@torch.no_grad()
def start_head(generator: MobileGenerator, plan: HeadPlan = FINE, *, n_codes: int = 4000, seed: int = 0) -> FastHead:
    """Give a head before fitting: the generator's own styles, no depthwise spread yet, an image of zeros.

    Styles are standardised over ``n_codes`` codes in W, so that all start with the same weight.
    """
    with torch.random.fork_rng(devices=[]):  # layers draw their first weights from the global generator
        torch.manual_seed(seed)
        head = FastHead(plan)
    codes = generator.map(torch.randn(n_codes, W_DIM, generator=torch.Generator().manual_seed(seed)))
    block = cast(Block, generator.blocks[plan.n_blocks])
    later, last = cast(Block, generator.blocks[5]), cast(Block, generator.blocks[6])
    middle = (last.up, last.conv1.style) if plan is FINE else (later.conv1.style, later.conv2.style)
    replaced = (block.conv1.style, block.conv2.style, *middle, last.conv2.style, generator.to_image.style)
    for layer, style in zip(cast(list[nn.Linear], list(head.styles)), replaced, strict=True):
        scales = style(codes)[:, :, 0, 0]
        mean, std = scales.mean(0), scales.std(0) + 1e-6
        layer.weight.copy_(style.weight / std[:, None])
        layer.bias.copy_((style.bias - mean) / std)
    head.up.weight.copy_(block.up.weight)
    head.up.bias.copy_(block.up.bias)
    head.spread.weight.zero_()
    head.spread.weight[:, :, 1, 1] = 1.0
    for tensor in (head.spread.bias, head.leave.weight, head.leave.bias, head.enter.weight[:N_BANDS]):
        assert tensor is not None
        tensor.zero_()
    return head.to(memory_format=torch.channels_last)


def save_head(head: FastHead, path: Path, *, facts: dict[str, object]) -> None:
    """Write a head as ``float16`` safetensors; ``facts`` (the generator's digest among them) go into the metadata."""
    tensors = {name: tensor.detach().cpu().half().contiguous() for name, tensor in head.state_dict().items()}
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata={"format": ASSET_FORMAT, "plan": head.plan.name, "facts": json.dumps(facts)})
    part.chmod(0o644)  # safetensors writes for the owner alone
    part.replace(path)


def load_head(path: Path, *, device: torch.device | str = "cpu", generator_sha256: str | None = None) -> FastHead:
    """Load a fitted head, frozen.

    Parameters
    ----------
    path
        File written by :func:`save_head`.
    device
        Where the head shall stand.
    generator_sha256
        If told, ``weights_sha256`` of the generator that the head shall serve.

    Raises
    ------
    ValueError
        If the file is missing, is no head, holds other tensors than expected, or was fitted to another generator.
    """
    if not path.is_file():
        raise ValueError(f"{path}: weight file is missing")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        if metadata.get("format") != ASSET_FORMAT:
            raise ValueError(f"{path}: expected format '{ASSET_FORMAT}', found '{metadata.get('format')}'")
        if metadata.get("plan") not in PLANS:
            raise ValueError(f"{path}: expected one of the heads {', '.join(PLANS)}, found '{metadata.get('plan')}'")
        facts = json.loads(metadata.get("facts", "{}"))
        head = FastHead(PLANS[metadata["plan"]])
        head.load_state_dict(tensors, strict=True)
    except (SafetensorError, RuntimeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not a head that fits this version ({str(error).splitlines()[0]})") from error
    fitted_to = facts.get("generator_sha256")
    if generator_sha256 is not None and fitted_to != generator_sha256:
        raise ValueError(f"{path}: fitted to generator {fitted_to}, not to {generator_sha256}")
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise ValueError(f"{path}: holds NaN or infinity")
    return head.requires_grad_(False).eval().to(device).to(memory_format=torch.channels_last)
