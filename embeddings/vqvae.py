"""VQ-VAE-2: an image as two maps of codebook indices, and back (Razavi, van den Oord and Vinyals 2019).

An image of 256 px becomes 32 x 32 indices on top and 64 x 64 below, 5,120 in all: the 512 x 10 numbers of
LatentForensics. Layers and their names follow the checkpoints of rosinality/vq-vae-2-pytorch, so those files fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from embeddings.quantise import Quantiser

# One index of the top level covers 8 x 8 pixels.
STRIDE_PX = 8


@dataclass(frozen=True)
class VqVaeSize:
    """Width and depth of the network.

    Attributes
    ----------
    n_channels
        Of the features, even.
    n_res_blocks, n_res_channels
        Residual blocks of each encoder and decoder, and the channels inside one.
    dim, n_codes
        Length of a codebook vector, and vectors per codebook; each level has its own.
    """

    n_channels: int = 128
    n_res_blocks: int = 2
    n_res_channels: int = 32
    dim: int = 64
    n_codes: int = 512


class ResBlock(nn.Module):
    """``x + conv(x)`` with 3x3 and 1x1 convolutions."""

    def __init__(self, n_channels: int, n_inner: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.ReLU(), nn.Conv2d(n_channels, n_inner, 3, padding=1), nn.ReLU(), nn.Conv2d(n_inner, n_channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape."""
        return x + self.conv(x)


class Encoder(nn.Module):
    """Images or features to features at a quarter (``stride`` 4) or half (2) of the side."""

    def __init__(self, n_in: int, size: VqVaeSize, *, stride: int) -> None:
        super().__init__()
        width = size.n_channels
        layers: list[nn.Module] = [nn.Conv2d(n_in, width // 2, 4, stride=2, padding=1), nn.ReLU()]
        if stride == 4:
            layers += [nn.Conv2d(width // 2, width, 4, stride=2, padding=1), nn.ReLU()]
        layers.append(nn.Conv2d(width if stride == 4 else width // 2, width, 3, padding=1))
        layers += [ResBlock(width, size.n_res_channels) for _ in range(size.n_res_blocks)]
        self.blocks = nn.Sequential(*layers, nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """[N, n_in, H, W] -> [N, n_channels, H / stride, W / stride]."""
        return self.blocks(x)


class Decoder(nn.Module):
    """Code vectors to an image (``stride`` 4) or to features (2)."""

    def __init__(self, n_in: int, n_out: int, size: VqVaeSize, *, stride: int) -> None:
        super().__init__()
        width = size.n_channels
        layers: list[nn.Module] = [nn.Conv2d(n_in, width, 3, padding=1)]
        layers += [ResBlock(width, size.n_res_channels) for _ in range(size.n_res_blocks)]
        layers.append(nn.ReLU())
        if stride == 4:
            layers += [nn.ConvTranspose2d(width, width // 2, 4, stride=2, padding=1), nn.ReLU()]
        layers.append(nn.ConvTranspose2d(width // 2 if stride == 4 else width, n_out, 4, stride=2, padding=1))
        self.blocks = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """[N, n_in, h, w] -> [N, n_out, h stride, w stride]."""
        return self.blocks(x)


@dataclass(frozen=True)
class Encoded:
    """What the encoder makes of N images of S px.

    Attributes
    ----------
    top, bottom
        Quantised vectors, float32 [N, dim, S / 8, S / 8] and [N, dim, S / 4, S / 4].
    top_indices, bottom_indices
        int64 [N, S / 8, S / 8] and [N, S / 4, S / 4].
    top_vectors, bottom_vectors
        The vectors before they were quantised, for the codebooks to follow.
    top_commitment, bottom_commitment
        float32 []: how far the vectors lie from their codes (`embeddings.quantise.Quantiser`).
    """

    top: Tensor
    bottom: Tensor
    top_indices: Tensor
    bottom_indices: Tensor
    top_vectors: Tensor
    bottom_vectors: Tensor
    top_commitment: Tensor
    bottom_commitment: Tensor


class VqVae2(nn.Module):
    """Encoder, two codebooks and decoder; images are float [N, 3, S, S] in [-1, 1], S a multiple of 8."""

    def __init__(self, size: VqVaeSize | None = None) -> None:
        super().__init__()
        self.size = size = size or VqVaeSize()
        self.enc_b = Encoder(3, size, stride=4)
        self.enc_t = Encoder(size.n_channels, size, stride=2)
        self.quantize_conv_t = nn.Conv2d(size.n_channels, size.dim, 1)
        self.quantize_t = Quantiser(size.dim, size.n_codes)
        self.dec_t = Decoder(size.dim, size.dim, size, stride=2)
        self.quantize_conv_b = nn.Conv2d(size.dim + size.n_channels, size.dim, 1)
        self.quantize_b = Quantiser(size.dim, size.n_codes)
        self.upsample_t = nn.ConvTranspose2d(size.dim, size.dim, 4, stride=2, padding=1)
        self.dec = Decoder(2 * size.dim, 3, size, stride=4)

    def encode(self, images: Tensor) -> Encoded:
        """Quantise both levels; the bottom level sees what the top one already tells.

        Raises
        ------
        ValueError
            Not [N, 3, S, S] with S a multiple of 8.
        """
        if images.ndim != 4 or images.shape[1] != 3 or images.shape[2] % STRIDE_PX or images.shape[3] % STRIDE_PX:
            raise ValueError(f"expected images [N, 3, S, S] with S a multiple of {STRIDE_PX}, got {list(images.shape)}")
        features = self.enc_b(images)  # [N, C, S / 4, S / 4]
        top_vectors = self.quantize_conv_t(self.enc_t(features))  # [N, dim, S / 8, S / 8]
        top, top_commitment, top_indices = self.quantize_t(top_vectors)
        seen = torch.cat([self.dec_t(top), features], dim=1)  # [N, dim + C, S / 4, S / 4]
        bottom_vectors = self.quantize_conv_b(seen)
        bottom, bottom_commitment, bottom_indices = self.quantize_b(bottom_vectors)
        return Encoded(
            top=top,
            bottom=bottom,
            top_indices=top_indices,
            bottom_indices=bottom_indices,
            top_vectors=top_vectors,
            bottom_vectors=bottom_vectors,
            top_commitment=top_commitment,
            bottom_commitment=bottom_commitment,
        )

    def decode(self, top: Tensor, bottom: Tensor) -> Tensor:
        """Images float [N, 3, S, S], not clipped, of quantised vectors as in `Encoded`."""
        return self.dec(torch.cat([self.upsample_t(top), bottom], dim=1))

    def decode_indices(self, top: Tensor, bottom: Tensor) -> Tensor:
        """Images of indices int64 [N, S / 8, S / 8] and [N, S / 4, S / 4]."""
        return self.decode(self.quantize_t.look_up(top), self.quantize_b.look_up(bottom))

    def forward(self, images: Tensor) -> tuple[Tensor, Encoded]:
        """Reconstruction float [N, 3, S, S] and the code it was made from."""
        code = self.encode(images)
        return self.decode(code.top, code.bottom), code
