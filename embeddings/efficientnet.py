"""Images to vectors with a frozen EfficientNet.

Feature modes
    'stages'  spatial mean and standard deviation of every stage's output and of the head's (4,128 numbers for Lite0).
              Traces of forgery live in early layers, so this tells much more than the last layer alone.
    'blocks'  the same for every block's output and the head's (6,176 for Lite0).
    'texture' of every block's output means and deviations inside and outside the middle of the face, and correlations
              between channels; of the head's output the former alone (16,988 for Lite0). Tells most; see
              `embeddings.texture`.
    'pooled'  the head's output, averaged over the image (1,280 for Lite0).
    'logits'  the 1,000 ImageNet logits.

The order within 'stages' and 'blocks' is: first layer to last, and for each one all means, then all deviations.
'texture' goes from first block to last, for each one regions, then correlations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from timm.models.efficientnet import EfficientNet
from torch import Tensor, nn
from torch.nn.functional import interpolate

from embeddings.architectures import FEATURE_MODES, Architecture, FeatureMode, get_architecture
from embeddings.networks import fold_batch_norm, load_network
from embeddings.texture import correlations, regional

__all__ = ["Embedder", "Engine", "Precision", "load_embedder"]

Precision = Literal["fp32", "bf16"]
Engine = Literal["torch", "onnx"]

# The last stage has a stride of 32; below that its map would be padding alone.
_MIN_INPUT_PX = 32


class Embedder:
    """A frozen network that turns images into feature vectors. Made by `load_embedder`.

    Attributes
    ----------
    architecture : Architecture
    features : FeatureMode
    input_px : int
        Side to which images are resized.
    n_dims : int
        Length of a vector.
    embedder_id : str
        ``<name>-<features>-<input px>-<8 hex digits of the weights' SHA-256>``, then ``-crop<percent>`` and
        ``-bf16`` where they apply: equal ids mean comparable vectors.
    weights_sha256 : str
    backbone : EfficientNet
        timm's network in eval mode, batch normalisation folded into the convolutions.
    """

    def __init__(
        self,
        architecture: Architecture,
        backbone: EfficientNet,
        *,
        features: FeatureMode,
        input_px: int,
        crop_pct: float,
        precision: Precision,
        engine: Engine,
        device: torch.device,
        weights_sha256: str,
    ) -> None:
        self.architecture = architecture
        self.backbone = backbone
        self.features: FeatureMode = features
        self.input_px = input_px
        self.crop_pct = crop_pct
        self.precision: Precision = precision
        self.device = device
        self.weights_sha256 = weights_sha256
        self.n_dims = architecture.n_dims(features)
        self._mean_level = torch.tensor(architecture.mean, device=device).view(1, 3, 1, 1) * 255
        self._std_level = torch.tensor(architecture.std, device=device).view(1, 3, 1, 1) * 255
        self._onnx: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None
        if engine == "onnx":
            from embeddings.onnx_engine import OnnxEngine  # here, for most runs need not load it

            shape = (3, input_px, input_px)
            self._onnx = OnnxEngine(_Features(self), shape, n_threads=torch.get_num_threads())

    @property
    def embedder_id(self) -> str:
        parts = [self.architecture.timm_name, self.features, str(self.input_px), self.weights_sha256[:8]]
        if self.crop_pct < 1:
            parts.append(f"crop{self.crop_pct * 100:g}")
        if self.precision == "bf16":
            parts.append("bf16")
        return "-".join(parts)

    def embed(self, images: NDArray[np.uint8], *, batch_size: int = 32) -> NDArray[np.float32]:
        """Embed images.

        Parameters
        ----------
        images : uint8 [N, H, W, 3]
            RGB in 0..255, square (H = W); N may be 0.
        batch_size : int
            Images per pass; does not change a result beyond rounding (1e-5 of a vector's norm for fp32, 1e-2 for
            bf16).

        Returns
        -------
        float32 [N, n_dims]

        Raises
        ------
        ValueError
            Another dtype or shape, or a batch size below 1.
        """
        parts = list(self.embed_batches(images, batch_size=batch_size))
        return np.concatenate(parts) if parts else np.empty((0, self.n_dims), dtype=np.float32)

    def embed_batches(self, images: NDArray[np.uint8], *, batch_size: int = 32) -> Iterator[NDArray[np.float32]]:
        """Like `embed`, one array [<= batch_size, n_dims] at a time, so that a caller can show progress."""
        _check_images(images)
        if batch_size < 1:
            raise ValueError(f"batch_size: expected at least 1, got {batch_size}.")
        return (self._embed_batch(images[i : i + batch_size]) for i in range(0, len(images), batch_size))

    @torch.inference_mode()
    def _embed_batch(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        x = self.preprocess(images)
        if self._onnx is not None:
            return self._onnx(x.numpy())  # [N, D]
        if self.precision == "bf16":
            x = x.bfloat16()
        return self._features(x).float().cpu().numpy()  # [N, D]

    def preprocess(self, images: NDArray[np.uint8]) -> Tensor:
        """Resize with antialiasing, crop, and scale to the network's range.

        Parameters
        ----------
        images : uint8 [N, H, H, 3]

        Returns
        -------
        float32 [N, 3, input_px, input_px] on the embedder's device, channels-last in memory
        """
        # np.array copies: torch takes neither read-only nor negatively strided arrays.
        x = torch.from_numpy(np.array(images, order="C")).to(self.device)
        x = x.permute(0, 3, 1, 2).float()  # [N, 3, H, W], 0..255
        resized_px = round(self.input_px / self.crop_pct)
        if x.shape[-1] != resized_px:
            mode = self.architecture.interpolation
            x = interpolate(x, size=(resized_px, resized_px), mode=mode, antialias=True, align_corners=False)
            x = x.clamp(0, 255)  # bicubic overshoots at edges; an image file would clip there
        margin_px = (resized_px - self.input_px) // 2
        x = x[..., margin_px : margin_px + self.input_px, margin_px : margin_px + self.input_px]
        x = (x - self._mean_level) / self._std_level
        return x.contiguous(memory_format=torch.channels_last)  # [N, 3, input_px, input_px]

    def _features(self, x: Tensor) -> Tensor:
        net = self.backbone
        if self.features in ("pooled", "logits"):
            pooled = net.forward_features(x).float().mean(dim=(2, 3))  # [N, C]
            if self.features == "pooled":
                return pooled
            return net.classifier(pooled.to(x.dtype))  # [N, 1000]
        if self.features == "texture":
            *blocks, head = (y.float() for y in _layer_outputs(net, x, every_block=True))
            return torch.cat([s(y) for y in blocks for s in (regional, correlations)] + [regional(head)], dim=1)
        statistics = []
        for y in _layer_outputs(net, x, every_block=self.features == "blocks"):  # y: [N, C, h, w]
            # Of the whole map, so the divisor is h*w: a 1x1 map then has a deviation of 0, not NaN.
            std, mean = torch.std_mean(y.float(), dim=(2, 3), correction=0)  # [N, C] each
            statistics += [mean, std]
        return torch.cat(statistics, dim=1)


class _Features(nn.Module):
    """What an embedder computes of a preprocessed batch, as a module that can be exported."""

    def __init__(self, embedder: Embedder) -> None:
        super().__init__()
        self.backbone = embedder.backbone
        self._features = embedder._features
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self._features(x)


def load_embedder(
    name: str,
    weights_path: Path | None,
    *,
    features: FeatureMode = "stages",
    device: str | torch.device = "cpu",
    input_px: int | None = None,
    crop_pct: float = 1.0,
    precision: Precision = "fp32",
    engine: Engine = "torch",
) -> Embedder:
    """Load an EfficientNet with its weights.

    Parameters
    ----------
    name : str
        A key of ``ARCHITECTURES``, e.g. ``tf_efficientnet_lite0``.
    weights_path : Path or None
        A .safetensors or .pth file with timm's (or efficientnet_pytorch's) state dict. None takes the file of the
        installed package, which only Lite0 has.
    features : FeatureMode
        See the module's text.
    device : str or torch.device
    input_px : int or None
        Side of the network's input; None is the size it was trained for.
    crop_pct : float
        In (0, 1]. Share of the resized image kept by a centre crop. 1 (the whole image) suits images that are
        already cut to a face; ``architecture.crop_pct`` gives ImageNet's protocol.
    precision : 'fp32' or 'bf16'
        bf16 is about twice to three times as fast where the processor has it; vectors move by about 1 % of their norm.
    engine : 'torch' or 'onnx'
        ONNX Runtime is more than twice as fast on a CPU in fp32, and all it takes; it needs a second to start. Vectors
        differ by 1e-5 of their norm at most.

    Raises
    ------
    WeightsError
        The file is missing, unreadable, or of another network.
    ValueError
        An unknown name or mode, or a value out of range.
    """
    architecture = get_architecture(name)
    if features not in FEATURE_MODES:
        raise ValueError(f"features: expected one of {', '.join(FEATURE_MODES)}, got {features!r}.")
    if precision not in get_args(Precision):
        raise ValueError(f"precision: expected fp32 or bf16, got {precision!r}.")
    if engine not in get_args(Engine):
        raise ValueError(f"engine: expected torch or onnx, got {engine!r}.")
    if engine == "onnx" and (precision != "fp32" or torch.device(device).type != "cpu"):
        raise ValueError(f"engine: onnx runs in fp32 on a CPU, got {precision} on {device}.")
    input_px = architecture.input_px if input_px is None else input_px
    if input_px < _MIN_INPUT_PX:
        raise ValueError(f"input_px: expected at least {_MIN_INPUT_PX}, got {input_px}.")
    if not 0 < crop_pct <= 1:
        raise ValueError(f"crop_pct: expected a share in (0, 1], got {crop_pct}.")
    backbone, sha256 = load_network(architecture, weights_path)
    fold_batch_norm(backbone)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    backbone = backbone.to(device=device, dtype=dtype).to(memory_format=torch.channels_last)
    return Embedder(
        architecture,
        backbone,
        features=features,
        input_px=input_px,
        crop_pct=crop_pct,
        precision=precision,
        engine=engine,
        device=torch.device(device),
        weights_sha256=sha256,
    )


def _layer_outputs(net: EfficientNet, x: Tensor, *, every_block: bool) -> Iterator[Tensor]:
    """Outputs of every stage or block in order, then the head's after its activation: [N, C, h, w] each."""
    x = net.bn1(net.conv_stem(x))
    for stage in net.blocks:
        for block in stage:
            x = block(x)
            if every_block:
                yield x
        if not every_block:
            yield x
    yield net.bn2(net.conv_head(x))


def _check_images(images: NDArray[np.uint8]) -> None:
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
        got = images.dtype if isinstance(images, np.ndarray) else type(images).__name__
        raise ValueError(f"images: expected a NumPy array of uint8 (RGB, 0..255), got {got}.")
    if images.ndim != 4 or images.shape[3] != 3 or min(images.shape[1:3]) < 1:
        raise ValueError(f"images: expected shape [N, H, W, 3], got {list(images.shape)}.")
    if images.shape[1] != images.shape[2]:
        raise ValueError(
            f"images: expected square images, got {images.shape[1]} x {images.shape[2]} px (height x width); "
            "cut or pad them first, as resizing would distort them."
        )
