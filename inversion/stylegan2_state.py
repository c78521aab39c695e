"""What a StyleGAN2 generator is made of: layout, names and shapes of its tensors, and their safetensors file."""

import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
import torch.nn.functional as F  # noqa: N812
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

FORMAT = "stylegan2-1"
LEAKY_SLOPE = 0.2
#: A leaky ReLU of unit variance in and out (gain sqrt 2, as in the paper's code).
ACTIVATION_GAIN = math.sqrt(2.0)
EPSILON = 1e-8
FIRST_PX, MAX_PX, MAX_WIDTH, MAX_MAPPING_LAYERS = 4, 4096, 4096, 64
FIR_TAPS = 4
Architecture = Literal["orig", "skip", "resnet"]
State = dict[str, torch.Tensor]


class WeightsError(ValueError):
    """The file is no StyleGAN2 generator that can be run here; the message says why."""


def map_normal(z: torch.Tensor, layers: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    """The mapping network: normal ``z`` [N, D] through layers of (weight, bias), gains folded in, to codes [N, D]."""
    x = z * torch.rsqrt(z.square().mean(1, keepdim=True) + EPSILON)
    for weight, bias in layers:
        x = F.leaky_relu(F.linear(x, weight, bias), LEAKY_SLOPE) * ACTIVATION_GAIN
    return x


@dataclass(frozen=True)
class Layout:
    """Structure of a network.

    Attributes
    ----------
    widths
        Channels of each block's features, from 4 px upwards; each block doubles the side.
    mapping_widths
        Numbers going into the mapping network, then out of each of its layers; the first and last are equal.
    architecture
        How the image leaves: ``skip`` adds up the images of all blocks, ``resnet`` and ``orig`` take the last block's.
    clamp
        Bound on the features' absolute value after each convolution (``conv_clamp``), for 16-bit floats; None: none.
    n_half
        Number of last blocks that were trained in 16-bit floats (``num_fp16_res``).
    """

    widths: tuple[int, ...]
    mapping_widths: tuple[int, ...]
    architecture: Architecture = "skip"
    clamp: float | None = None
    n_half: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        sizes = (*self.widths, *self.mapping_widths)
        if not 2 <= len(self.widths) <= 11 or not 2 <= len(self.mapping_widths) <= MAX_MAPPING_LAYERS + 1:
            raise WeightsError(f"{len(self.widths)} blocks and {len(self.mapping_widths) - 1} mapping layers")
        if min(sizes) < 1 or max(sizes) > MAX_WIDTH or not 0 <= self.n_half <= len(self.widths):
            raise WeightsError(f"widths {self.widths} and {self.mapping_widths} are out of range")
        if self.mapping_widths[0] != self.mapping_widths[-1]:
            raise WeightsError(f"z has {self.mapping_widths[0]} numbers and w {self.mapping_widths[-1]}: not supported")
        if self.architecture not in get_args(Architecture) or not (self.clamp is None or self.clamp > 0):
            raise WeightsError(f"architecture {str(self.architecture)[:40]!r} with clamp {self.clamp}")

    @property
    def w_dim(self) -> int:
        """Numbers per W+ channel."""
        return self.mapping_widths[-1]

    @property
    def resolution_px(self) -> int:
        """Side of the image."""
        return FIRST_PX * 2 ** (len(self.widths) - 1)

    @property
    def n_channels(self) -> int:
        """W+ channels: one per convolution, and one for the last block's image output."""
        return 2 * len(self.widths)

    def has_image_output(self, block: int) -> bool:
        """Whether a block makes an image."""
        return self.architecture == "skip" or block == len(self.widths) - 1

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor's name and shape, in the network's own parametrisation.

        All gains are folded in: weights are used as they stand, ``noise`` is already multiplied by its strength.
        ``w_avg`` is the mean code.
        """
        shapes: dict[str, tuple[int, ...]] = {"w_avg": (self.w_dim,), "fir": (FIR_TAPS, FIR_TAPS)}
        for index, (n_in, n_out) in enumerate(zip(self.mapping_widths, self.mapping_widths[1:], strict=False)):
            shapes |= {f"mapping.{index}.weight": (n_out, n_in), f"mapping.{index}.bias": (n_out,)}
        shapes["constant"] = (1, self.widths[0], FIRST_PX, FIRST_PX)
        for block, width in enumerate(self.widths):
            side_px, before = FIRST_PX * 2**block, self.widths[max(block - 1, 0)]
            if block:
                shapes |= self._conv(f"blocks.{block}.conv0", before, width, side_px)
            shapes |= self._conv(f"blocks.{block}.conv1", width, width, side_px)
            if self.has_image_output(block):
                shapes |= self._style(f"blocks.{block}.to_image", width)
                shapes |= {
                    f"blocks.{block}.to_image.weight": (3, width, 1, 1),
                    f"blocks.{block}.to_image.bias": (3,),
                }
            if block and self.architecture == "resnet":
                shapes[f"blocks.{block}.skip"] = (width, before, 1, 1)
        return shapes

    def _style(self, name: str, width: int) -> dict[str, tuple[int, ...]]:
        return {f"{name}.style.weight": (width, self.w_dim), f"{name}.style.bias": (width,)}

    def _conv(self, name: str, n_in: int, n_out: int, side_px: int) -> dict[str, tuple[int, ...]]:
        return self._style(name, n_in) | {
            f"{name}.weight": (n_out, n_in, 3, 3),
            f"{name}.noise": (1, 1, side_px, side_px),
            f"{name}.bias": (n_out,),
        }


def check_state(state: Mapping[str, torch.Tensor], layout: Layout) -> None:
    """Raise :class:`WeightsError` unless exactly the layout's tensors are there, in shape and finite."""
    expected = layout.shapes()
    missing, extra = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    if missing or extra:
        raise WeightsError(f"tensors missing: {missing[:3] or 'none'}; not known: {extra[:3] or 'none'}")
    for name, shape in expected.items():
        tensor = state[name]
        if tuple(tensor.shape) != shape or tensor.dtype != torch.float32:
            raise WeightsError(
                f"tensor '{name}': expected float32 {list(shape)}, got {tensor.dtype} {list(tensor.shape)}"
            )
        if not bool(torch.isfinite(tensor).all()):
            raise WeightsError(f"tensor '{name}' holds NaN or infinity")


def digest(state: Mapping[str, torch.Tensor], layout: Layout) -> str:
    """SHA-256 over layout and tensors: the same for a network whichever file it came from."""
    content = hashlib.sha256(json.dumps(asdict(layout), sort_keys=True).encode())
    for name in sorted(state):
        content.update(name.encode())
        content.update(state[name].contiguous().numpy().data)
    return content.hexdigest()


def save_state(state: Mapping[str, torch.Tensor], layout: Layout, path: Path, *, facts: Mapping[str, str]) -> None:
    """Write a checked state to a safetensors file, by a temporary name first.

    ``facts`` are kept beside it (where it came from); the values are free text. OSError where it cannot be written.
    """
    check_state(state, layout)
    metadata = {"format": FORMAT, "layout": json.dumps(asdict(layout)), "facts": json.dumps(dict(facts))}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, temporary, metadata=metadata)
        temporary.replace(path)
    except SafetensorError as error:  # a full disk, a folder that is not there
        raise OSError(str(error).splitlines()[0]) from error
    finally:
        temporary.unlink(missing_ok=True)


def load_state(path: Path) -> tuple[State, Layout]:
    """Read what :func:`save_state` wrote.

    Raises
    ------
    WeightsError
        If the file is missing, damaged or of another structure.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: weight file is missing")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise WeightsError(f"{path}: expected format {FORMAT}, found {metadata.get('format')}")
            values = json.loads(metadata["layout"])
            layout = Layout(**{**values, **{name: tuple(values[name]) for name in ("widths", "mapping_widths")}})
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        check_state(state, layout)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise WeightsError(f"{path}: not a network of this version ({str(error).splitlines()[0][:200]})") from error
    return state, layout
