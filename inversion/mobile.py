"""MobileStyleGAN (FFHQ, 1024 px) in plain PyTorch, with the weights that the PyPI package ``random-face`` ships.

The network (Belousov, "MobileStyleGAN: A Lightweight Convolutional Neural Network for High-Fidelity Image Synthesis",
2021, arXiv:2104.04767) is distilled from StyleGAN2 FFHQ-1024: the same W space, images made in the Haar wavelet domain
by depthwise-separable convolutions. Its files fold demodulation and noise into constants, so the W+ code alone
determines the image. ``tests/inversion/test_mobile.py`` compares the images with OpenVINO's.

W+ channels: 0 feeds the first convolution; 1 + 2b the upsampling and first convolution of block b (0 to 6), 2 + 2b its
second convolution; 15 the output convolution.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from inversion.generator import check_w_plus
from inversion.mobile_weights import INPUT_PX, N_BLOCKS, N_MAPPING_LAYERS, SHA256, W_DIM, WIDTHS, read_state

N_CHANNELS = 2 * N_BLOCKS + 2
#: ``features`` stops after this many blocks, at 128 px.
N_FEATURE_BLOCKS = 5
LEAKY_SLOPE = 0.2
#: Sample behind ``mean_w`` and ``std_w``: the files hold no mean; the authors' own code draws 4,096 codes at run time.
N_MEAN_SAMPLES, MEAN_SEED = 10_000, 0


class Style(nn.Module):
    """Affine map from one W+ channel to one scale per feature channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = _frozen(width, W_DIM)
        self.bias = _frozen(width)

    def forward(self, w: torch.Tensor) -> torch.Tensor:
        """[N, 512] -> [N, C, 1, 1]."""
        return F.linear(w, self.weight, self.bias)[:, :, None, None]


class StyledConv(nn.Module):
    """Style scale, convolution (full 3 x 3, or depthwise 3 x 3 then pointwise), fixed noise, bias, leaky ReLU."""

    def __init__(self, n_in: int, n_out: int, side_px: int, *, separable: bool) -> None:
        super().__init__()
        self.style = Style(n_in)
        self.depthwise = _frozen(n_in, 1, 3, 3) if separable else None
        kernel_px = 1 if separable else 3
        self.kernel = _frozen(n_out, n_in, kernel_px, kernel_px)
        self.noise = _frozen(1, 1, side_px, side_px)
        self.bias = _frozen(n_out)

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W], [N, 512] -> [N, C', H, W]."""
        x = x * self.style(w).to(x.dtype)
        if self.depthwise is not None:
            x = F.conv2d(x, self.depthwise, padding=1, groups=x.shape[1])
        x = F.conv2d(x, self.kernel, self.bias.to(x.dtype), padding=self.kernel.shape[-1] // 2)
        # In place: neither step's backward needs what is overwritten, and memory traffic is what this network costs.
        return F.leaky_relu_(x.add_(self.noise), LEAKY_SLOPE)


class Block(nn.Module):
    """Double the size by an inverse Haar transform of scaled features, then two styled convolutions."""

    def __init__(self, n_in: int, n_out: int, side_px: int) -> None:
        super().__init__()
        self.up = Style(n_in)
        self.conv1 = StyledConv(n_in // 4, n_out, side_px, separable=True)
        self.conv2 = StyledConv(n_out, n_out, side_px, separable=True)

    def forward(self, x: torch.Tensor, w_first: torch.Tensor, w_second: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> [N, C', 2 H, 2 W]."""
        # The transform's factor 1/2 rides on the style: one pass over the features less.
        x = _twice_inverse_haar(x * (0.5 * self.up(w_first)).to(x.dtype))
        return self.conv2(self.conv1(x, w_first), w_second)


class ToImage(nn.Module):
    """Styled pointwise convolution to the RGB image's four Haar bands."""

    def __init__(self, n_in: int) -> None:
        super().__init__()
        self.style = Style(n_in)
        self.kernel = _frozen(12, n_in, 1, 1)
        self.bias = _frozen(12)

    def forward(self, x: torch.Tensor, w: torch.Tensor, n_bands: int) -> torch.Tensor:
        """[N, C, H, W] -> ``float32`` [N, 3 * n_bands, H, W], the low band first."""
        x = F.conv2d(x * self.style(w).to(x.dtype), self.kernel[: 3 * n_bands])
        return x.float() + self.bias[: 3 * n_bands, None, None]


class MobileGenerator(nn.Module):
    """The frozen generator, made by :func:`load_mobile`; see :class:`inversion.generator.Generator` for its attributes.

    Differentiable with respect to the codes; its weights take no gradient.
    """

    n_channels = N_CHANNELS
    w_dim = W_DIM
    resolution_px = INPUT_PX * 2 ** (N_BLOCKS + 1)
    n_feature_channels = WIDTHS[N_FEATURE_BLOCKS]
    mean_w: torch.Tensor
    std_w: torch.Tensor

    def __init__(self, state: Mapping[str, torch.Tensor], *, weights_sha256: str, dtype: torch.dtype) -> None:
        super().__init__()
        self.weights_sha256 = weights_sha256
        self.mapping_weight = _frozen(N_MAPPING_LAYERS, W_DIM, W_DIM)
        self.mapping_bias = _frozen(N_MAPPING_LAYERS, W_DIM)
        self.constant = _frozen(1, WIDTHS[0], INPUT_PX, INPUT_PX)
        self.first = StyledConv(WIDTHS[0], WIDTHS[0], INPUT_PX, separable=False)
        self.blocks = nn.ModuleList([Block(WIDTHS[b], WIDTHS[b + 1], INPUT_PX * 2 ** (b + 1)) for b in range(N_BLOCKS)])
        self.to_image = ToImage(WIDTHS[-1])
        self.load_state_dict(state, strict=True)
        random = torch.Generator().manual_seed(MEAN_SEED)
        with torch.no_grad():
            codes = self._map(torch.randn(N_MEAN_SAMPLES, W_DIM, generator=random))
        self.register_buffer("mean_w", codes.mean(0))
        self.register_buffer("std_w", codes.std(0))
        for parameter in self.parameters():
            if parameter.ndim == 4:  # kernels, noise and the constant set the type of the features; styles stay exact
                parameter.data = parameter.data.to(dtype)

    def map(self, z: torch.Tensor, truncation: float = 1.0) -> torch.Tensor:
        """Map normal ``z`` to codes.

        Parameters
        ----------
        z
            ``float32`` [N, 512], standard normal.
        truncation
            1 leaves codes as they are, 0 gives the mean code; between, codes are pulled to the mean (StyleGAN's psi).

        Returns
        -------
        torch.Tensor
            ``float32`` [N, 512].

        Raises
        ------
        ValueError
            If the shape or the dtype is wrong.
        """
        if z.ndim != 2 or z.shape[1] != W_DIM or not z.is_floating_point():
            raise ValueError(f"expected z as floating point [N, {W_DIM}], got {z.dtype} {list(z.shape)}")
        w = self._map(z.to(self.mean_w))
        return w if truncation == 1.0 else torch.lerp(self.mean_w, w, truncation)

    def features(self, w_plus: torch.Tensor, n_blocks: int = N_FEATURE_BLOCKS) -> torch.Tensor:
        """Give the features after some of the 7 blocks; channels from ``1 + 2 n_blocks`` on are not read.

        After 5 blocks they are [N, 256, 128, 128], after 4 blocks [N, 512, 64, 64].

        Whole Haar bands stand side by side: a quarter low channels, then three times as many of detail.
        """
        return self._trunk(w_plus, n_blocks)

    def synthesise(self, w_plus: torch.Tensor) -> torch.Tensor:
        """Turn codes into images.

        Parameters
        ----------
        w_plus
            Floating point [N, 16, 512].

        Returns
        -------
        torch.Tensor
            ``float32`` [N, 3, 1024, 1024], RGB, nominally [-1, 1]: not clipped, so that gradients live everywhere.

        Raises
        ------
        ValueError
            If the shape or the dtype is wrong.
        """
        return inverse_haar(self._image_bands(w_plus, n_bands=4))

    def synthesise_256(self, w_plus: torch.Tensor) -> torch.Tensor:
        """Give ``avg_pool2d(synthesise(w_plus), 4)``, [N, 3, 256, 256], without making the 1024 px image.

        The mean of each 2 x 2 square of an orthonormal inverse Haar transform is half its low band, so the three detail
        bands are not needed.
        """
        return F.avg_pool2d(self._image_bands(w_plus, n_bands=1), 2) * 0.5

    def _map(self, z: torch.Tensor) -> torch.Tensor:
        x = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
        for weight, bias in zip(self.mapping_weight, self.mapping_bias, strict=True):
            x = F.leaky_relu(F.linear(x, weight, bias), LEAKY_SLOPE) * math.sqrt(2.0)
        return x

    def _trunk(self, w_plus: torch.Tensor, n_blocks: int) -> torch.Tensor:
        check_w_plus(w_plus, n_channels=N_CHANNELS, w_dim=W_DIM)
        w = w_plus.to(self.mean_w.dtype)
        x = self.constant.expand(len(w), -1, -1, -1)  # [N, 512, 4, 4]
        x = self.first(x, w[:, 0])
        for index in range(n_blocks):
            x = self.blocks[index](x, w[:, 1 + 2 * index], w[:, 2 + 2 * index])
        return x

    def _image_bands(self, w_plus: torch.Tensor, n_bands: int) -> torch.Tensor:
        x = self._trunk(w_plus, N_BLOCKS)  # [N, 64, 512, 512]
        return self.to_image(x, w_plus[:, N_CHANNELS - 1].to(self.mean_w.dtype), n_bands)


def inverse_haar(bands: torch.Tensor) -> torch.Tensor:
    """Invert one level of the orthonormal 2-D Haar transform.

    Parameters
    ----------
    bands
        [N, 4 C, H, W], band by band: C low, then C vertical, C horizontal and C diagonal detail channels.

    Returns
    -------
    torch.Tensor
        [N, C, 2 H, 2 W], channels last in memory.
    """
    return _twice_inverse_haar(bands * 0.5)


def _twice_inverse_haar(bands: torch.Tensor) -> torch.Tensor:
    n, n_bands, height, width = bands.shape
    # Channels last throughout: each step then reads and writes whole rows of channels.
    pairs = bands.permute(0, 2, 3, 1).reshape(n, height, width, 2, n_bands // 2)
    plain, horizontal = pairs.unbind(3)  # each [N, H, W, low | vertical]
    columns = torch.stack((plain + horizontal, plain - horizontal), dim=3)  # [N, H, W, 2, low | vertical]
    low, vertical = columns.unflatten(4, (2, n_bands // 4)).unbind(4)
    pixels = torch.stack((low + vertical, low - vertical), dim=2)  # [N, H, 2, W, 2, C]
    return pixels.reshape(n, 2 * height, 2 * width, n_bands // 4).permute(0, 3, 1, 2)


def load_mobile(
    data_dir: Path,
    *,
    device: torch.device | str,
    dtype: torch.dtype = torch.float32,
    expected_sha256: Mapping[str, str] | None = SHA256,
) -> MobileGenerator:
    """Load the generator.

    Parameters
    ----------
    data_dir
        Folder with the four IR files (``random_face/data`` in the installed package).
    device
        Where the generator shall stand.
    dtype
        Type of the features and kernels: ``float32``, or ``bfloat16`` for speed (images stay ``float32`` and differ
        from the exact ones by about 49 dB PSNR). Styles and the mapping network are always ``float32``.
    expected_sha256
        File name to hex digest; ``None`` skips the check, for another trained copy of the same network.

    Raises
    ------
    inversion.openvino_ir.IrError
        If a file is missing, changed, damaged or of another structure.
    ValueError
        If the dtype is neither of the two.
    """
    if dtype not in (torch.float32, torch.bfloat16):
        raise ValueError(f"expected dtype torch.float32 or torch.bfloat16, got {dtype}")
    state, sha256 = read_state(data_dir, expected_sha256=expected_sha256)
    return (
        MobileGenerator(state, weights_sha256=sha256, dtype=dtype)
        .to(device)
        .to(memory_format=torch.channels_last)
        .eval()
    )


def _frozen(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(shape), requires_grad=False)
