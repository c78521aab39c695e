"""A light end for MobileStyleGAN: from its features at 128 px straight to a 256 px image.

Steps of an inversion through the full generator pay mostly for its two last blocks, at 256 and 512 px, whose detail the
256 px face does not show. This head stands in for them. It works on the features' own grid and gives the image's four
Haar bands, so nothing larger than 128 x 128 is ever computed but the image itself. It is an approximation, fitted to
the full generator's images reduced by area (``inversion.training``): good for gradients, never for judging a code.
"""

import json
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from inversion.generator import check_w_plus
from inversion.mobile import LEAKY_SLOPE, Block, MobileGenerator, inverse_haar

ASSET_FORMAT = "mobile-head-1"
WIDTH = 128
N_LAYERS = 2
FEATURES_PX = 128
N_BANDS = 12
N_CHANNELS, W_DIM, N_FEATURES = 16, 512, 256
#: The code reaches the replaced blocks through these style layers alone: first and second convolution of block 5;
#: upsampling, first and second convolution of block 6; the output convolution. The head reads the code through the same
#: layers, so that it has little to learn about 2,560 dimensions of code.
STYLE_WIDTHS = (64, 128, 128, 32, 64, 64)
STYLE_CHANNELS = (11, 12, 13, 13, 14, 15)
UP_CHANNEL = 11


class StyleScale(nn.Module):
    """Affine map from some of the replaced layers' styles to one factor per feature channel."""

    def __init__(self, groups: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.groups = groups
        self.linear = nn.Linear(sum(STYLE_WIDTHS[group] for group in groups), width)
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.ones_(self.linear.bias)

    def forward(self, styles: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Six [N, S] -> [N, width, 1, 1]."""
        return self.linear(torch.cat([styles[group] for group in self.groups], dim=1))[:, :, None, None]


class HeadLayer(nn.Module):
    """Style scale, depthwise 3 x 3 and pointwise convolution, fixed noise, leaky ReLU."""

    def __init__(self, groups: tuple[int, ...]) -> None:
        super().__init__()
        self.scale = StyleScale(groups, WIDTH)
        self.depthwise = nn.Conv2d(WIDTH, WIDTH, 3, padding=1, groups=WIDTH)
        self.pointwise = nn.Conv2d(WIDTH, WIDTH, 1)
        self.noise = nn.Parameter(torch.zeros(1, 1, FEATURES_PX, FEATURES_PX))

    def forward(self, x: torch.Tensor, styles: tuple[torch.Tensor, ...], window: tuple[slice, slice]) -> torch.Tensor:
        """[N, WIDTH, H, W] -> the same."""
        x = conv(self.depthwise, x * self.scale(styles).to(x.dtype))
        return F.leaky_relu_(conv(self.pointwise, x).add_(self.noise[..., *window].to(x.dtype)), LEAKY_SLOPE)


class FastHead(nn.Module):
    """Features at 128 px and their W+ codes to 256 px images.

    The type of the features (``float32`` or ``bfloat16``) is the type of the computation.
    """

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(W_DIM, N_FEATURES)
        self.styles = nn.ModuleList([nn.Linear(W_DIM, width) for width in STYLE_WIDTHS])
        self.spread = nn.Conv2d(N_FEATURES, N_FEATURES, 3, padding=1, groups=N_FEATURES)
        self.enter = nn.Conv2d(N_FEATURES, N_BANDS + WIDTH, 1)
        self.noise = nn.Parameter(torch.zeros(1, 1, FEATURES_PX, FEATURES_PX))
        self.layers = nn.ModuleList([HeadLayer((0, 1)), HeadLayer((1, 2))])
        self.leave_scale = StyleScale((3, 4, 5), WIDTH)
        self.leave = nn.Conv2d(WIDTH, N_BANDS, 1)
        self.direct_scale = StyleScale((0, 1, 2, 3, 4, 5), N_BANDS)
        self.band_noise = nn.Parameter(torch.zeros(1, N_BANDS, FEATURES_PX, FEATURES_PX))

    def forward(
        self, features: torch.Tensor, w_plus: torch.Tensor, *, corner: tuple[int, int] = (0, 0)
    ) -> torch.Tensor:
        """Make images.

        Parameters
        ----------
        features
            ``generator.features(w_plus)``, [N, 256, 128, 128], or a window of it, [N, 256, H, W] (used for fitting).
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
            If a shape is wrong or the window leaves the 128 x 128 grid.
        """
        check_w_plus(w_plus, n_channels=N_CHANNELS, w_dim=W_DIM)
        n, height, width = len(w_plus), *features.shape[-2:]
        if features.ndim != 4 or features.shape[:2] != (n, N_FEATURES):
            raise ValueError(f"expected features of shape [{n}, {N_FEATURES}, H, W], got {list(features.shape)}")
        if min(corner) < 0 or corner[0] + height > FEATURES_PX or corner[1] + width > FEATURES_PX:
            raise ValueError(
                f"expected a window within {FEATURES_PX} x {FEATURES_PX}, got {height} x {width} at {corner}"
            )
        window = (slice(corner[0], corner[0] + height), slice(corner[1], corner[1] + width))
        w = w_plus.to(self.up.weight.dtype)
        styles = tuple(style(w[:, c]) for style, c in zip(self.styles, STYLE_CHANNELS, strict=True))
        x = features * self.up(w[:, UP_CHANNEL])[:, :, None, None].to(features.dtype)
        direct, x = conv(self.enter, conv(self.spread, x)).split([N_BANDS, WIDTH], dim=1)
        x = F.leaky_relu(x + self.noise[..., *window].to(x.dtype), LEAKY_SLOPE)
        for layer in self.layers:
            x = layer(x, styles, window)
        bands = conv(self.leave, x * self.leave_scale(styles).to(x.dtype)).float()
        bands = bands + direct.float() * self.direct_scale(styles) + self.band_noise[..., *window]
        return inverse_haar(bands)


def conv(layer: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """Run a convolution in the type of its input."""
    bias = None if layer.bias is None else layer.bias.to(x.dtype)
    return F.conv2d(x, layer.weight.to(x.dtype), bias, padding=layer.padding, groups=layer.groups)


@torch.no_grad()
def start_head(generator: MobileGenerator, *, n_codes: int = 4000, seed: int = 0) -> FastHead:
    """Give a head before fitting: the generator's own styles, no depthwise spread yet, an image of zeros.

    Styles are standardised over ``n_codes`` codes in W, so that all start with the same weight.
    """
    with torch.random.fork_rng(devices=[]):  # layers draw their first weights from the global generator
        torch.manual_seed(seed)
        head = FastHead()
    codes = generator.map(torch.randn(n_codes, W_DIM, generator=torch.Generator().manual_seed(seed)))
    block, last = cast(Block, generator.blocks[5]), cast(Block, generator.blocks[6])
    replaced = (
        block.conv1.style,
        block.conv2.style,
        last.up,
        last.conv1.style,
        last.conv2.style,
        generator.to_image.style,
    )
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
    save_file(tensors, part, metadata={"format": ASSET_FORMAT, "facts": json.dumps(facts)})
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
    head = FastHead()
    if not path.is_file():
        raise ValueError(f"{path}: weight file is missing")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        if metadata.get("format") != ASSET_FORMAT:
            raise ValueError(f"{path}: expected format '{ASSET_FORMAT}', found '{metadata.get('format')}'")
        facts = json.loads(metadata.get("facts", "{}"))
        head.load_state_dict(tensors, strict=True)
    except (SafetensorError, RuntimeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not a head that fits this version ({str(error).splitlines()[0]})") from error
    fitted_to = facts.get("generator_sha256")
    if generator_sha256 is not None and fitted_to != generator_sha256:
        raise ValueError(f"{path}: fitted to generator {fitted_to}, not to {generator_sha256}")
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise ValueError(f"{path}: holds NaN or infinity")
    return head.requires_grad_(False).eval().to(device).to(memory_format=torch.channels_last)
