"""The shift-tolerant AlexNet and VGG-16 that ST-LPIPS looks through.

Ghildyal and Liu, "Shift-tolerant Perceptual Similarity Metric", ECCV 2022 (arXiv 2207.13686): the two classifiers with
each strided step made a stride-1 step followed by a blur of stride 2 (Zhang, "Making Convolutional Networks
Shift-Invariant Again", ICML 2019). Layers carry the names they have in the published weight files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

#: Of the binomial blur, along each axis.
BLUR_TAPS = (0.25, 0.5, 0.25)
#: What they become where the last one falls outside and is reflected onto the first.
_REFLECTED_TAPS = (0.5, 0.5)


class Blur(nn.Module):
    """Binomial 3 x 3 blur of each channel with stride 2, after reflecting two pixels at each side."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        # Not persistent: it is a constant, not a weight; weight files hold it too and their reader compares it.
        self.register_buffer("filt", blur_filter(n_channels), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C, (H + 1) // 2 + 1, (W + 1) // 2 + 1]."""
        # In float32 also under autocast: on CPUs a depthwise convolution's way back is ten times slower in bfloat16.
        with torch.autocast(x.device.type, enabled=False):
            x = F.pad(x.float(), (2, 2, 2, 2), mode="reflect")
            return F.conv2d(x, self.get_buffer("filt"), stride=2, groups=x.shape[1])


class ConvThenBlur(nn.Module):
    """A stride-1 convolution and the `Blur` after it, as one stride-2 convolution: same values, seven times faster.

    The two kernels convolved are two pixels wider than the first, and needed at every second pixel only. Borders: the
    blur sees its input y reflected, so with an odd number of rows its first and last output rows repeat their
    neighbours (the taps are symmetric); with an even number the last one is the mean of y's last two rows. The same
    holds for columns.
    """

    def __init__(self, n_in: int, n_out: int, kernel_px: int, *, padding_px: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_out, n_in, kernel_px, kernel_px))
        self.bias = nn.Parameter(torch.zeros(n_out))
        self._padding_px = padding_px

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C', (H' + 1) // 2 + 1, (W' + 1) // 2 + 1], with H', W' the convolution's output."""
        side_px = self.weight.shape[2]
        x = F.pad(x, (self._padding_px,) * 4)
        body = self._all_columns(x, BLUR_TAPS)
        y_rows_are_odd = (x.shape[2] - side_px + 1) % 2 == 1
        last = body[:, :, -1:] if y_rows_are_odd else self._all_columns(x[:, :, -side_px - 1 :], _REFLECTED_TAPS)
        return torch.cat([body[:, :, :1], body, last], dim=2)

    def _all_columns(self, x: Tensor, row_taps: tuple[float, ...]) -> Tensor:
        """Every output column of those output rows that `row_taps` give."""
        side_px = self.weight.shape[3]
        kernel = _convolve(self.weight, row_taps, dim=2)
        body = _conv_stride_2(x, _convolve(kernel, BLUR_TAPS, dim=3), self.bias)
        if (x.shape[3] - side_px + 1) % 2 == 1:
            last = body[..., -1:]
        else:
            last = _conv_stride_2(x[..., -side_px - 1 :], _convolve(kernel, _REFLECTED_TAPS, dim=3), self.bias)
        return torch.cat([body[..., :1], body, last], dim=3)


class Trunk(nn.Module):
    """A feed-forward network cut into slices; gives the activations after each of them."""

    def __init__(self, slices: Sequence[Mapping[int, nn.Module]]) -> None:
        super().__init__()
        self._names = [f"slice{k}" for k in range(1, len(slices) + 1)]
        for name, layers in zip(self._names, slices, strict=True):
            self.add_module(name, nn.Sequential())
            for index, layer in layers.items():
                self.get_submodule(name).add_module(str(index), layer)

    def forward(self, x: Tensor) -> list[Tensor]:
        """[N, 3, H, W] -> list of [N, C_l, H_l, W_l]."""
        outputs = []
        for name in self._names:
            x = self.get_submodule(name)(x)
            outputs.append(x)
        return outputs


def alex_trunk() -> Trunk:
    """Shift-tolerant AlexNet with zero weights."""
    return Trunk(
        [
            {0: ConvThenBlur(3, 64, 11, padding_px=2), 2: nn.ReLU()},  # 1 is the blur
            {3: nn.MaxPool2d(3, stride=1), 4: Blur(64), 5: nn.Conv2d(64, 192, 5, padding=2), 6: nn.ReLU()},
            {7: nn.MaxPool2d(3, stride=1), 8: Blur(192), 9: nn.Conv2d(192, 384, 3, padding=1), 10: nn.ReLU()},
            {11: nn.Conv2d(384, 256, 3, padding=1), 12: nn.ReLU()},
            {13: nn.Conv2d(256, 256, 3, padding=1), 14: nn.ReLU()},
        ]
    )


def vgg_trunk() -> Trunk:
    """Shift-tolerant VGG-16 with zero weights."""
    slices: list[dict[int, nn.Module]] = []
    n_in, index = 3, 0
    for n_out, n_convs in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]:
        layers: dict[int, nn.Module] = {}
        if slices:
            layers[index], layers[index + 1] = nn.MaxPool2d(2, stride=1), Blur(n_in)
            index += 2
        for _ in range(n_convs):
            layers[index], layers[index + 1] = nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU()
            n_in, index = n_out, index + 2
        slices.append(layers)
    return Trunk(slices)


#: Network name -> how to make it, channels after each slice, which layers of the weight file blur how many channels.
TRUNKS: dict[str, tuple[Callable[[], Trunk], tuple[int, ...], dict[str, int]]] = {
    "alex": (alex_trunk, (64, 192, 384, 256, 256), {"slice1.1": 64, "slice2.4": 64, "slice3.8": 192}),
    "vgg": (
        vgg_trunk,
        (64, 128, 256, 512, 512),
        {"slice2.5": 64, "slice3.11": 128, "slice4.19": 256, "slice5.27": 512},
    ),
}


def blur_filter(n_channels: int) -> Tensor:
    """The blur as a depthwise kernel, float32 [C, 1, 3, 3], of sum 1 in each channel."""
    taps = torch.tensor(BLUR_TAPS)
    return torch.outer(taps, taps).repeat(n_channels, 1, 1, 1)


def _convolve(kernel: Tensor, taps: tuple[float, ...], *, dim: int) -> Tensor:
    """The kernel of "correlate with `kernel`, then with `taps` along `dim`"."""
    length = kernel.shape[dim] + len(taps) - 1
    wide = kernel.new_zeros([length if d == dim else n for d, n in enumerate(kernel.shape)])
    for k, tap in enumerate(taps):
        wide.narrow(dim, k, kernel.shape[dim]).add_(kernel.detach(), alpha=tap)
    return wide


def _conv_stride_2(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """Convolution with stride 2, done with stride 1 on 2 x 2 squares of pixels laid side by side as channels.

    Three input channels fill vector units badly, above all on the way back to the image: a third of the time.
    """
    x = F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2))
    kernel = F.pad(kernel, (0, kernel.shape[3] % 2, 0, kernel.shape[2] % 2))
    squares = F.pixel_unshuffle(x, 2).contiguous(memory_format=torch.channels_last)
    return F.conv2d(squares, F.pixel_unshuffle(kernel, 2), bias)
