"""What a result depends on: settings, code, weights and inputs, condensed into a fingerprint; and the device used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pipeline.errors import UserError

_PACKAGE_ROOT = Path(__file__).resolve().parent.parent


def digest(value: Any, *, n_chars: int = 16) -> str:
    """Stable hash of a JSON-serialisable value."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()[:n_chars]


@lru_cache(maxsize=1)
def code_hash() -> str:
    """Hash of the source of every package that can decide a result."""
    hasher = hashlib.blake2b(digest_size=16)
    for package in ("classifiers", "embeddings", "inversion", "pipeline"):
        for file in sorted((_PACKAGE_ROOT / package).rglob("*.py")):
            hasher.update(str(file.relative_to(_PACKAGE_ROOT)).encode() + b"\0" + file.read_bytes() + b"\0")
    return hasher.hexdigest()


def fingerprint(stage: str, params: Mapping[str, Any], *, inputs: Mapping[str, Any]) -> str:
    """Fingerprint of a stage's result: same fingerprint, same result on the same machine."""
    return digest({"stage": stage, "params": params, "code": code_hash(), "inputs": inputs})


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def pick_device(wanted: str) -> str:
    """``auto`` becomes ``cuda`` where a GPU is usable, else ``cpu``; UserError where a demanded GPU is not there."""
    import torch

    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise UserError("device: cuda is set in params.yaml, but torch sees no CUDA device; set it to auto or cpu")
    return "cuda" if wanted != "cpu" and available else "cpu"


def pick_precision(wanted: str, device: str) -> Literal["bf16", "fp32"]:
    """``auto`` becomes ``bf16`` where the device has instructions for it, else ``fp32``; other values stay.

    A CPU without them emulates bf16: twice as slow as fp32, not twice as fast (docs/performance.md).
    """
    import torch

    if wanted != "auto":
        return "bf16" if wanted == "bf16" else "fp32"
    if device == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        # Not in torch 2.11; there fp32 is taken, which is never wrong.
        instructions: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        fast = bool(instructions.get("avx512_bf16") or instructions.get("amx_bf16") or instructions.get("bf16"))
    return "bf16" if fast else "fp32"


def generator_for(seed: int, *names: str) -> np.random.Generator:
    """A random generator that depends on ``seed`` and ``names`` alone, not on what ran before."""
    words = np.frombuffer(hashlib.blake2b("\0".join(names).encode(), digest_size=16).digest(), dtype=np.uint32)
    return np.random.default_rng([seed, *words.tolist()])
