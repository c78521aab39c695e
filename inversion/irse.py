"""IR-SE-50: the residual network of ArcFace with squeeze-and-excitation, the body that face encoders are built on.

Deng, Guo, Xue and Zafeiriou, "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019 (arXiv
1801.07698) for the blocks; Hu, Shen and Sun, "Squeeze-and-Excitation Networks", CVPR 2018 (arXiv 1709.01507) for the
last layer of each. Modules carry the names they have in the published weight files.
"""

from __future__ import annotations

from torch import Tensor, nn

#: Channels of the four stages and their number of blocks; the first block of each halves the side.
STAGES = ((64, 3), (128, 4), (256, 14), (512, 3))
#: Of squeeze-and-excitation: the middle layer has this many times fewer channels.
_REDUCTION = 16


class SqueezeExcite(nn.Module):
    """Scales each channel by a factor in (0, 1) that all channels' means decide."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(n_channels, n_channels // _REDUCTION, 1, bias=False)
        self.fc2 = nn.Conv2d(n_channels // _REDUCTION, n_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C, H, W]."""
        means = x.mean(dim=(2, 3), keepdim=True)  # [N, C, 1, 1]
        return x * self.fc2(self.fc1(means).relu()).sigmoid()


class IrSeBlock(nn.Module):
    """Residual block: normalise, convolve, convolve with the stride, normalise, squeeze and excite."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.shortcut_layer: nn.Module
        if n_in == n_out:
            self.shortcut_layer = nn.MaxPool2d(1, stride)  # of single pixels: takes every stride-th
        else:
            self.shortcut_layer = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(n_in),
            nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
            nn.PReLU(n_out),
            nn.Conv2d(n_out, n_out, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            SqueezeExcite(n_out),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C', ceil(H / stride), ceil(W / stride)]."""
        return self.shortcut_layer(x) + self.res_layer(x)


def input_layer() -> nn.Sequential:
    """[N, 3, H, W] -> [N, 64, H, W]."""
    return nn.Sequential(nn.Conv2d(3, STAGES[0][0], 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64))


def body() -> nn.Sequential:
    """The 24 blocks, [N, 64, H, W] -> [N, 512, H / 16, W / 16]."""
    blocks = []
    n_in = STAGES[0][0]
    for n_out, n_blocks in STAGES:
        for k in range(n_blocks):
            blocks.append(IrSeBlock(n_in, n_out, stride=2 if k == 0 else 1))
            n_in = n_out
    return nn.Sequential(*blocks)


def stage_outputs(blocks: nn.Sequential, x: Tensor) -> list[Tensor]:
    """What `body` gives after each of its four stages: [N, C, H / s, W / s] with s = 2, 4, 8, 16."""
    outputs, done = [], 0
    for _, n_blocks in STAGES:
        for block in blocks[done : done + n_blocks]:
            x = block(x)
        outputs.append(x)
        done += n_blocks
    return outputs
