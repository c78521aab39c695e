"""StyleGAN2 generators in plain PyTorch, for the networks of NVIDIA's stylegan2-ada-pytorch and ports of them.

After Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (2020, arXiv:1912.04958), and for 16-bit
blocks Karras et al., "Training Generative Adversarial Networks with Limited Data" (2020, arXiv:2006.06676).
No compiled operations; CPU and GPU. Noise is fixed, so the W+ code alone determines the image.
``tests/inversion/test_stylegan2.py`` compares the images with those of NVIDIA's own code.

W+ channels: 0 feeds the first convolution; 2b - 1 and 2b the two convolutions of block b from 1 on; a block's image
output takes the channel after its last convolution.
"""

import math
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from inversion.generator import check_w_plus
from inversion.stylegan2_formats import read_network
from inversion.stylegan2_state import (
    ACTIVATION_GAIN,
    EPSILON,
    FIR_TAPS,
    FIRST_PX,
    LEAKY_SLOPE,
    Layout,
    State,
    digest,
    map_normal,
)

#: Sample behind ``std_w``; files keep the mean code alone.
N_SPREAD_SAMPLES, SPREAD_SEED = 10_000, 0
SMALL_PX = 256
Noise = Literal["const", "none"]


class Style(nn.Module):
    """Affine map from one W+ channel to one scale per feature channel."""

    def __init__(self, width: int, w_dim: int) -> None:
        super().__init__()
        self.weight = _frozen(width, w_dim)
        self.bias = _frozen(width)

    def forward(self, w: torch.Tensor) -> torch.Tensor:
        """[N, w_dim] -> [N, C]."""
        return F.linear(w, self.weight, self.bias)


class StyledConv(nn.Module):
    """Modulated 3 x 3 convolution, optionally doubling the size, then fixed noise, bias and leaky ReLU."""

    def __init__(self, n_in: int, n_out: int, side_px: int, layout: Layout) -> None:
        super().__init__()
        self.style = Style(n_in, layout.w_dim)
        self.weight = _frozen(n_out, n_in, 3, 3)
        self.noise = _frozen(1, 1, side_px, side_px)
        self.bias = _frozen(n_out)
        self.clamp = layout.clamp

    def forward(self, x: torch.Tensor, w: torch.Tensor, *, up_fir: torch.Tensor | None, gain: float) -> torch.Tensor:
        """[N, C, H, W], [N, w_dim] -> [N, C', H, W], or twice the size where ``up_fir`` [C', 1, 4, 4] is given."""
        scale = self.style(w)
        weight: torch.Tensor = self.weight
        if x.dtype == torch.float16:
            # The largest scale and weight become 1, so that nothing leaves the range of 16 bits; demodulation undoes
            # it.
            scale = scale / scale.abs().amax(1, keepdim=True)
            largest = weight.abs().amax((1, 2, 3), keepdim=True)
            weight = weight / (largest * math.sqrt(weight[0].numel()))
        # Scaling features before and after one shared convolution equals scaling the weights for each image
        # (section 2.2 of the paper): the norm of the scaled weights is all that is needed of them.
        energy = weight.square().sum((2, 3))  # [C', C]
        demodulation = torch.rsqrt(F.linear(scale.square(), energy) + EPSILON)  # [N, C']
        x = x * scale[:, :, None, None].to(x.dtype)
        weight = weight.to(x.dtype)
        if up_fir is None:
            x = F.conv2d(x, weight, padding=1)
        else:
            x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)  # [N, C', 2 H + 1, 2 W + 1]
            x = F.conv2d(x, up_fir.flip(2, 3).to(x.dtype), padding=1, groups=x.shape[1])
        # The gain is positive, so it may go before the leaky ReLU, where it costs no pass over the features.
        whole = gain * ACTIVATION_GAIN
        x = torch.addcmul((self.noise * whole).to(x.dtype), x, (demodulation * whole)[:, :, None, None].to(x.dtype))
        x = F.leaky_relu_(x.add_((self.bias * whole).to(x.dtype)[:, None, None]), LEAKY_SLOPE)
        return x if self.clamp is None else x.clamp(-self.clamp * gain, self.clamp * gain)


class ToImage(nn.Module):
    """Modulated pointwise convolution to RGB, without demodulation."""

    def __init__(self, n_in: int, layout: Layout) -> None:
        super().__init__()
        self.style = Style(n_in, layout.w_dim)
        self.weight = _frozen(3, n_in, 1, 1)
        self.bias = _frozen(3)
        self.clamp = layout.clamp

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W], [N, w_dim] -> [N, 3, H, W] in the type of the styles."""
        scale = self.style(w)
        y = F.conv2d(x * scale[:, :, None, None].to(x.dtype), self.weight.to(x.dtype), self.bias.to(x.dtype))
        return (y if self.clamp is None else y.clamp(-self.clamp, self.clamp)).to(scale.dtype)


class Block(nn.Module):
    """All layers of one resolution."""

    def __init__(self, index: int, layout: Layout) -> None:
        super().__init__()
        width, before = layout.widths[index], layout.widths[max(index - 1, 0)]
        side_px = FIRST_PX * 2**index
        self.may_be_half = index >= len(layout.widths) - layout.n_half and index > 0
        self.conv0 = StyledConv(before, width, side_px, layout) if index else None
        self.conv1 = StyledConv(width, width, side_px, layout)
        self.to_image = ToImage(width, layout) if layout.has_image_output(index) else None
        self.skip = _frozen(width, before, 1, 1) if index and layout.architecture == "resnet" else None

    def forward(
        self, x: torch.Tensor, image: torch.Tensor | None, codes: tuple[torch.Tensor, ...], fir: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Take features, the image so far, codes for two convolutions and the output, and the FIR times 4, [4, 4]."""
        gain = 1.0 if self.skip is None else math.sqrt(0.5)
        before = x
        if self.conv0 is not None:
            x = self.conv0(x, codes[0], up_fir=_per_channel(fir, self.conv0.weight.shape[0]), gain=1.0)
        x = self.conv1(x, codes[1], up_fir=None, gain=gain)
        if self.skip is not None:
            x = x + upsample(F.conv2d(before, (self.skip * gain).to(x.dtype)), fir)
        image = image if image is None else upsample(image, fir)
        if self.to_image is not None:
            new = self.to_image(x, codes[2])
            image = new if image is None else image + new
        return x, image


class StyleGan2(nn.Module):
    """A frozen generator, made by :func:`load_stylegan2`; see :class:`inversion.generator.Generator`.

    Differentiable with respect to the codes; its weights take no gradient.
    """

    fir: torch.Tensor
    mean_w: torch.Tensor
    std_w: torch.Tensor

    def __init__(self, state: State, layout: Layout, *, half: torch.dtype | None = None) -> None:
        super().__init__()
        self.layout = layout
        self.half_dtype = half
        self.n_channels, self.w_dim, self.resolution_px = layout.n_channels, layout.w_dim, layout.resolution_px
        self.weights_sha256 = digest(state, layout)
        pairs = zip(layout.mapping_widths, layout.mapping_widths[1:], strict=False)
        self.mapping = nn.ModuleList([Style(n_out, n_in) for n_in, n_out in pairs])
        self.constant = _frozen(1, layout.widths[0], FIRST_PX, FIRST_PX)
        self.blocks = nn.ModuleList([Block(index, layout) for index in range(len(layout.widths))])
        self.register_buffer("fir", torch.zeros(FIR_TAPS, FIR_TAPS))
        rest = {name: tensor for name, tensor in state.items() if name != "w_avg"}
        self.load_state_dict(rest, strict=True)
        random = torch.Generator().manual_seed(SPREAD_SEED)
        with torch.no_grad():
            codes = self._map(torch.randn(N_SPREAD_SAMPLES, layout.w_dim, generator=random))
        self.register_buffer("mean_w", state["w_avg"].clone())
        self.register_buffer("std_w", codes.std(0))

    def map(self, z: torch.Tensor, truncation: float = 1.0) -> torch.Tensor:
        """Map normal ``z`` to codes.

        Parameters
        ----------
        z
            ``float32`` [N, w_dim], standard normal.
        truncation
            1 leaves codes as they are, 0 gives the mean code; between, codes are pulled to the mean (StyleGAN's psi).

        Returns
        -------
        torch.Tensor
            ``float32`` [N, w_dim].

        Raises
        ------
        ValueError
            If the shape or the dtype is wrong.
        """
        if z.ndim != 2 or z.shape[1] != self.w_dim or not z.is_floating_point():
            raise ValueError(f"expected z as floating point [N, {self.w_dim}], got {z.dtype} {list(z.shape)}")
        w = self._map(z.to(self.mean_w))
        return w if truncation == 1.0 else torch.lerp(self.mean_w, w, truncation)

    def synthesise(self, w_plus: torch.Tensor) -> torch.Tensor:
        """Turn codes into images.

        Parameters
        ----------
        w_plus
            Floating point [N, n_channels, w_dim].

        Returns
        -------
        torch.Tensor
            ``float32`` [N, 3, resolution_px, resolution_px], RGB, nominally [-1, 1]: not clipped, so that gradients
            live everywhere.

        Raises
        ------
        ValueError
            If the shape or the dtype is wrong.
        """
        check_w_plus(w_plus, n_channels=self.n_channels, w_dim=self.w_dim)
        w = w_plus.to(self.mean_w)
        x = self.constant.expand(len(w), -1, -1, -1)  # [N, C, 4, 4]
        image = None
        fir = self.fir * 4  # doubling puts three zeros beside each value
        # Scales and the sum of the blocks' images stay in 32 bits, which autocast would not leave them.
        with torch.autocast(w.device.type, enabled=False):
            for index, block in enumerate(self.blocks):
                dtype = (block.may_be_half and self.half_dtype) or w.dtype
                channel = max(2 * index - 1, 0)
                codes = (w[:, channel], w[:, 2 * index], w[:, 2 * index + 1])
                x, image = block(x.to(dtype), image, codes, fir)
        assert image is not None  # every layout's last block makes one
        return image

    def synthesise_256(self, w_plus: torch.Tensor) -> torch.Tensor:
        """Give the image at 256 px, [N, 3, 256, 256]: larger ones reduced by area, smaller ones enlarged bilinearly.

        Enlarging by area would repeat pixels and show squares that no face has.
        """
        image = self.synthesise(w_plus)
        if self.resolution_px < SMALL_PX:
            return F.interpolate(image, size=(SMALL_PX, SMALL_PX), mode="bilinear", align_corners=False)
        return image if self.resolution_px == SMALL_PX else F.avg_pool2d(image, self.resolution_px // SMALL_PX)

    def _map(self, z: torch.Tensor) -> torch.Tensor:
        return map_normal(z, ((m.get_parameter("weight"), m.get_parameter("bias")) for m in self.mapping))


def upsample(x: torch.Tensor, fir: torch.Tensor) -> torch.Tensor:
    """Double the size: zeros between the values, then a convolution with ``fir`` [4, 4], whose sum is 4.

    [N, C, H, W] -> [N, C, 2 H, 2 W].
    """
    return F.conv_transpose2d(x, _per_channel(fir, x.shape[1]).to(x.dtype), stride=2, padding=1, groups=x.shape[1])


def load_stylegan2(
    path: Path, *, device: torch.device | str, noise: Noise = "const", half: torch.dtype | None = None
) -> StyleGan2:
    """Load a generator from any file that ``inversion.stylegan2_formats`` reads; nothing in the file is run.

    Parameters
    ----------
    path
        A ``.safetensors`` file made by ``stylegan2_formats.convert`` (the quick way), or one of the formats it reads.
    device
        Where the generator shall stand.
    noise
        ``const``: the noise images kept in the file; ``none``: no noise. Two noises are two generators, with digests
        of their own.
    half
        Number format of the blocks that were trained in 16-bit floats: None for ``float32`` like the rest;
        ``torch.float16``, which they were trained in; or ``torch.bfloat16``, for searches: gradients of a mean over
        pixels come near ``float16``'s smallest number.

    Raises
    ------
    inversion.safe_names.PickleRefused
        If the file asks for anything but data, or is damaged.
    inversion.stylegan2_state.WeightsError
        If it holds no StyleGAN2 generator.
    """
    if noise not in ("const", "none"):
        raise ValueError(f"expected noise 'const' or 'none', got {noise!r}")
    if half not in (None, torch.float16, torch.bfloat16):
        raise ValueError(f"expected half None, torch.float16 or torch.bfloat16, got {half}")
    state, layout = read_network(path)
    if noise == "none":
        state = {name: torch.zeros_like(t) if name.endswith(".noise") else t for name, t in state.items()}
    return StyleGan2(state, layout, half=half).to(device).eval()


def _per_channel(fir: torch.Tensor, n_channels: int) -> torch.Tensor:
    return fir.expand(n_channels, 1, -1, -1)


def _frozen(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(shape), requires_grad=False)
