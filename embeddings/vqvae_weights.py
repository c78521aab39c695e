"""VQ-VAE-2 weights from a file, every tensor checked, and into one.

Read are our own .safetensors and checkpoints of rosinality/vq-vae-2-pytorch (.pt, .pth; read without running code).
Width and depth follow from the tensors' shapes, so a wider network needs no setting.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from embeddings.vqvae import VqVae2, VqVaeSize
from embeddings.weights import WeightsError, load_into, read_state_dict

__all__ = ["WeightsError", "load_vqvae", "save_vqvae"]

# What only training reads; our own files leave it out.
_TRAINING_ONLY = ("cluster_size", "embed_avg")
_MAX_BYTES = 1 << 30
# Upper ends that no such network comes near; indices are stored as int16.
_LIMITS = {"n_channels": 1024, "n_res_blocks": 32, "n_res_channels": 1024, "dim": 1024, "n_codes": 2**15 - 1}


def load_vqvae(path: Path) -> tuple[VqVae2, str]:
    """Read a network; frozen, float32, in eval mode, on the CPU.

    Returns
    -------
    (network, SHA-256 of the file as 64 hex digits)

    Raises
    ------
    WeightsError
        No such file, not readable as tensors, of another network, or tensors that are not finite numbers.
    """
    path = Path(path)
    if path.is_file() and path.stat().st_size > _MAX_BYTES:
        raise WeightsError(f"Weights file {path.name} has {path.stat().st_size} bytes, expected at most {_MAX_BYTES}.")
    state, sha256 = read_state_dict(path)
    for name, tensor in state.items():
        if tensor.layout != torch.strided or not tensor.is_floating_point():
            raise WeightsError(f"Weights file {path.name}: {name} expected plain floating-point numbers.")
    size = _size_of(state, path.name)
    for level in ("t", "b"):
        embed = state.get(f"quantize_{level}.embed")
        if embed is not None and embed.ndim == 2:
            state.setdefault(f"quantize_{level}.embed_avg", embed)
            state.setdefault(f"quantize_{level}.cluster_size", embed.new_ones(embed.shape[1]))
    model = VqVae2(size)
    load_into(model, state, source=path.name)
    return model.eval().requires_grad_(False), sha256


def _size_of(state: Mapping[str, Tensor], source: str) -> VqVaeSize:
    """Width and depth from the shapes of a few tensors; `load_into` then compares all of them."""
    blocks = [name for name in state if name.startswith("enc_b.blocks.") and name.endswith(".conv.1.weight")]
    keys = ["enc_b.blocks.4.weight", "quantize_t.embed", *blocks[:1]]
    for name in keys:
        if name not in state:
            raise WeightsError(f"Weights file {source} is no VQ-VAE-2 of two levels: {name} is missing.")
    first, embed = state[keys[0]], state[keys[1]]
    inner = state[blocks[0]] if blocks else first
    if first.ndim != 4 or embed.ndim != 2 or inner.ndim != 4:
        raise WeightsError(f"Weights file {source} is no VQ-VAE-2 of two levels: its tensors have other dimensions.")
    found = {
        "n_channels": first.shape[0],
        "n_res_blocks": len(blocks),
        "n_res_channels": inner.shape[0] if blocks else 1,
        "dim": embed.shape[0],
        "n_codes": embed.shape[1],
    }
    for name, value in found.items():
        if not (0 if name == "n_res_blocks" else 1) <= value <= _LIMITS[name]:
            raise WeightsError(f"Weights file {source}: {name} is {value}, expected at most {_LIMITS[name]}.")
    if found["n_channels"] % 2:
        raise WeightsError(f"Weights file {source}: n_channels is {found['n_channels']}, expected an even number.")
    return VqVaeSize(**found)


def save_vqvae(model: VqVae2, path: Path, *, facts: Mapping[str, object]) -> None:
    """Write a network as float16 safetensors, under a temporary name that is then changed.

    Parameters
    ----------
    model
        From `embeddings.vqvae_training`, or any other.
    path
        File that ends in .safetensors.
    facts
        How it was made and what was measured; stands in the file's metadata as JSON.
    """
    tensors = {
        name: tensor.detach().to("cpu", torch.float16).contiguous()
        for name, tensor in model.state_dict().items()
        if not name.endswith(_TRAINING_ONLY)
    }
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata={"facts": json.dumps(facts, sort_keys=True, default=str)})
    os.replace(part, path)  # noqa: PTH105 - os.replace is the documented atomic rename
