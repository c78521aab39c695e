"""Descriptions of what weight files hold: tensors, arrays and objects as plain records, copied out only when wanted."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch

from inversion.safe_names import Buildable, PickleRefused

MAX_DIMENSIONS = 8
NUMPY_CODE = re.compile(r"[<|=]?(f[248]|[iu][1248]|b1)")


@dataclass(frozen=True)
class InertStorage:
    """A run of numbers of one type in the file; ``read`` gives its bytes."""

    dtype: torch.dtype
    n_items: int
    read: Callable[[], bytes | memoryview]


@dataclass(frozen=True)
class InertTensor:
    """Description of a tensor: a window of a storage."""

    storage: InertStorage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def n_bytes(self) -> int:
        """Bytes of a copy."""
        return math.prod(self.shape) * self.storage.dtype.itemsize

    def copy(self) -> torch.Tensor:
        """Copy the window out; :class:`PickleRefused` where it does not lie inside the storage's real data."""
        n_items, width = self.storage.n_items, self.storage.dtype.itemsize
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.stride, strict=True))
        numbers = (*self.shape, *self.stride, self.offset, n_items)
        if min(numbers) < 0 or 0 in self.shape or last >= n_items or math.prod(self.shape) > n_items:
            raise PickleRefused(f"a tensor of shape {list(self.shape)} does not fit its storage of {n_items} numbers")
        data = self.storage.read()
        if len(data) != n_items * width:
            raise PickleRefused(f"a storage declares {n_items * width:,} bytes and has {len(data):,}")
        window = bytearray(data[self.offset * width : (last + 1) * width])
        flat = torch.frombuffer(window, dtype=self.storage.dtype)
        return flat.as_strided(self.shape, self.stride).clone(memory_format=torch.contiguous_format)


@dataclass(frozen=True)
class InertObject:
    """An object of one of NVIDIA's "persistent" classes: the class's name and the object's attributes.

    The file also holds the class's source text; it is dropped.
    """

    class_name: str
    state: Mapping[object, object]


@dataclass
class InertDtype(Buildable):
    """A numpy number type, little-endian."""

    code: str

    def take_state(self, state: object) -> None:
        """Numpy gives the byte order again here."""
        if not (isinstance(state, tuple) and len(state) >= 2 and state[1] in ("<", "|", "=")):
            raise PickleRefused("a numpy type is not little-endian")

    @property
    def numpy(self) -> np.dtype:
        """The type itself, from one of a few fixed codes."""
        return np.dtype(self.code)


@dataclass
class InertArray(Buildable):
    """A numpy array, empty until its state comes."""

    dtype: InertDtype | None = None
    shape: tuple[int, ...] = (0,)
    data: bytes = b""

    def take_state(self, state: object) -> None:
        """Keep numpy's ``(version, shape, dtype, is_fortran, bytes)``."""
        match state:
            case (int(), tuple() as shape, InertDtype() as dtype, False | 0, bytes() as data) if are_sizes(shape):
                self.dtype, self.shape, self.data = dtype, cast("tuple[int, ...]", shape), data
            case _:
                raise PickleRefused("a numpy array is not one of plain numbers in C order")

    def tensor(self) -> InertTensor:
        """The same as a tensor's description."""
        if self.dtype is None:
            raise PickleRefused("a numpy array has no data")
        dtype = getattr(torch, self.dtype.numpy.name, None)
        if not isinstance(dtype, torch.dtype):
            raise PickleRefused(f"numpy type {self.dtype.code} has no counterpart")
        stride = tuple(math.prod(self.shape[axis + 1 :]) for axis in range(len(self.shape)))
        storage = InertStorage(dtype, len(self.data) // dtype.itemsize, lambda: self.data)
        return InertTensor(storage, 0, self.shape, stride)


@dataclass
class InertNamespace(Buildable):
    """The command line some checkpoints keep."""

    values: Mapping[object, object] | None = None

    def take_state(self, state: object) -> None:
        """Keep a dictionary."""
        if not isinstance(state, dict):
            raise PickleRefused("a saved command line is no dictionary")
        self.values = state


def materialise(tensors: Mapping[str, InertTensor], *, max_bytes: int) -> dict[str, torch.Tensor]:
    """Copy tensors out of a file.

    Parameters
    ----------
    tensors
        Name to description.
    max_bytes
        Bound on all copies together: the file's size. Many tensors on one storage could otherwise fill the memory.

    Raises
    ------
    PickleRefused
        If a tensor leaves its storage or all together exceed the bound; the message names the tensor.
    """
    copies, n_bytes = {}, 0
    for name, tensor in tensors.items():
        n_bytes += tensor.n_bytes
        if n_bytes > max_bytes:
            raise PickleRefused(f"tensor '{name}': the tensors declare more than the file's {max_bytes:,} bytes")
        try:
            copies[name] = tensor.copy()
        except PickleRefused as error:
            raise PickleRefused(f"tensor '{name}': {error}") from error
    return copies


def are_sizes(values: tuple[object, ...]) -> bool:
    """Whether the values can be a tensor's sizes or strides."""
    return len(values) <= MAX_DIMENSIONS and all(type(value) is int for value in values)
