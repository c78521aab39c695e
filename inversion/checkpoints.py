"""PyTorch weight files from others, read as data: a file can be refused, it can never run anything.

``torch.load(weights_only=True)`` rebuilds tensors, containers and numbers and refuses every other name a pickle refers
to. What it raises on damaged or hostile files, and advises there, is turned into one sentence about the file.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

# What a pickle machine and a zip reader raise on damaged bytes: wrong types on the stack, unknown keys, bad sizes.
_DAMAGE = (
    RuntimeError,
    EOFError,
    pickle.UnpicklingError,
    struct.error,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    OSError,
    OverflowError,
    MemoryError,  # a few bytes may ask for a buffer of any size
)
_FOREIGN_NAME = re.compile(r"GLOBAL ([\w.]+)|Trying to load unsupported GLOBAL ([\w.]+)|to load blocked ([\w.]+)")


class PlainObject:
    """Stands in for a class named by a file: keeps the attributes the file gives it, has no behaviour."""

    def __setstate__(self, state: object) -> None:
        self.state = state


def read_checkpoint(
    path: Path, *, kind: str, error: type[ValueError], plain_objects: tuple[str, ...] = ()
) -> tuple[object, str]:
    """Read what ``torch.save`` wrote (zip or the older format) without running any of it.

    Parameters
    ----------
    path
        The file. It is opened once: the hash is that of the bytes that were read.
    kind
        What was expected, with its article, for messages: ``"an ST-LPIPS weight file"``.
    error
        Raised where the file cannot be read.
    plain_objects
        Full names of classes the file may refer to; each object of theirs becomes a `PlainObject`.

    Returns
    -------
    content, sha256
        Containers, numbers and tensors (on the CPU), and the file's SHA-256.

    Raises
    ------
    FileNotFoundError
        No such file.
    ValueError
        As ``error``: truncated, of another format, or referring to code.
    """
    path = Path(path)
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        n_bytes = stream.seek(0, 2)
        stream.seek(0)
        try:
            with torch.serialization.safe_globals([(PlainObject, name) for name in plain_objects]):
                return torch.load(stream, map_location="cpu", weights_only=True), digest
        except _DAMAGE as problem:
            got = f"{path}: expected {kind}, got {n_bytes} bytes that cannot be read as one"
            raise error(f"{got} ({_reason(problem)})") from problem


def _reason(problem: Exception) -> str:
    foreign = _FOREIGN_NAME.search(str(problem))
    if foreign:  # torch goes on to advise how to run it all the same
        return f"it refers to {next(filter(None, foreign.groups()))}, which is not weights and is never run"
    return str(problem).splitlines()[0] if str(problem) else type(problem).__name__


def check_tensors(
    state: Mapping[str, Any], shapes: Mapping[str, torch.Size], *, where: str, error: type[ValueError]
) -> None:
    """Check that ``state`` holds exactly the tensors named, dense, of these shapes and finite.

    Parameters
    ----------
    state
        Name -> tensor, as read.
    shapes
        Name -> shape of every tensor expected; all floating point, but for the counters ``num_batches_tracked``.
    where
        File and network, for messages.
    error
        Raised with what is wrong.
    """

    def refuse(text: str) -> NoReturn:
        raise error(f"{where}: {text}")

    missing, unknown = sorted(shapes.keys() - state.keys()), sorted(state.keys() - shapes.keys())
    if missing or unknown:
        names = f"missing: {', '.join(missing[:3]) or 'none'}; unknown: {', '.join(unknown[:3]) or 'none'}"
        refuse(f"expected its {len(shapes)} tensors, got {len(state)} ({names})")
    for key, shape in shapes.items():
        tensor = state[key]
        if not isinstance(tensor, Tensor) or tensor.layout != torch.strided or tensor.is_quantized:
            refuse(f"{key}: expected a dense tensor, got {type(tensor).__name__} of another kind")
        if tensor.shape != shape:
            refuse(f"{key}: expected shape {list(shape)}, got {list(tensor.shape)}")
        if key.endswith("num_batches_tracked"):
            continue
        if not tensor.is_floating_point():
            refuse(f"{key}: expected floating-point weights, got {tensor.dtype}")
        if not tensor.isfinite().all():
            refuse(f"{key}: expected finite weights, got NaN or infinity")
