"""What becomes of each name that a weight file may mention: our own builders of inert records, and nothing else.

Every builder checks its arguments and returns them, or something small: a file may hand one large object to a builder a
million times over, and copies would fill the memory.
"""

from typing import NoReturn, cast

import numpy as np
import torch

from inversion.safe_names import Builder, PickleRefused
from inversion.safe_tensors import (
    NUMPY_CODE,
    InertArray,
    InertDtype,
    InertNamespace,
    InertObject,
    InertStorage,
    InertTensor,
    are_sizes,
)

#: Bytes that a builder copies at most; they stand for single numbers.
MAX_COPIED_BYTES = 64
STORAGES: dict[str, torch.dtype] = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_DTYPE_NAMES = ("float32", "float16", "bfloat16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool")


def malformed(name: str, arguments: tuple[object, ...]) -> NoReturn:
    """Refuse a call because of the kinds of its arguments."""
    kinds = ", ".join(type(argument).__name__ for argument in arguments[:8])
    raise PickleRefused(f"'{name}' is given ({kinds}), which it does not take")


def _tensor(arguments: tuple[object, ...]) -> InertTensor:
    match arguments:
        case (InertStorage() as storage, int() as offset, tuple() as shape, tuple() as stride, bool(), *_) if (
            are_sizes(shape) and are_sizes(stride) and len(shape) == len(stride)
        ):
            return InertTensor(storage, offset, cast("tuple[int, ...]", shape), cast("tuple[int, ...]", stride))
    malformed("torch._utils._rebuild_tensor_v2", arguments)


def _parameter(arguments: tuple[object, ...]) -> InertTensor:
    match arguments:
        case (InertTensor() as tensor, bool(), *_):
            return tensor
    malformed("torch._utils._rebuild_parameter", arguments)


def _dictionary(arguments: tuple[object, ...]) -> dict[object, object]:
    return {} if not arguments else malformed("OrderedDict", arguments)


def _set(arguments: tuple[object, ...]) -> list[object]:
    # Nothing here asks what such a set holds, so its list stays as it is: no copy, however often it is named.
    match arguments:
        case (list() as items,):
            return items
    malformed("set", arguments)


def _device(arguments: tuple[object, ...]) -> str:
    match arguments:
        case (str() as kind, *_):
            return kind
    malformed("torch.device", arguments)


def _size(arguments: tuple[object, ...]) -> tuple[object, ...]:
    match arguments:
        case (tuple() as sizes,):
            return sizes
    malformed("torch.Size", arguments)


def _latin1(arguments: tuple[object, ...]) -> bytes:
    # How pickles of protocol 2 and below write bytes.
    match arguments:
        case (str() as text, "latin1" | "latin-1") if len(text) <= MAX_COPIED_BYTES and all(ord(c) < 256 for c in text):
            return text.encode("latin-1")
    malformed("_codecs.encode", arguments)


def _numpy_dtype(arguments: tuple[object, ...]) -> InertDtype:
    match arguments:
        case (str() as code, *_) if NUMPY_CODE.fullmatch(code):
            return InertDtype(code)
    malformed("numpy.dtype", arguments)


def _numpy_scalar(arguments: tuple[object, ...]) -> object:
    match arguments:
        case (InertDtype() as dtype, bytes() as data) if len(data) == dtype.numpy.itemsize:
            return np.frombuffer(data, dtype.numpy)[0].item()
    malformed("numpy scalar", arguments)


def _persistent_object(arguments: tuple[object, ...]) -> InertObject:
    match arguments:
        case ({"type": "class", "class_name": str() as name, "state": dict() as state},):
            return InertObject(name, state)
    malformed("torch_utils.persistence._reconstruct_persistent_obj", arguments)


CALLED: dict[str, Builder] = {
    "torch_utils.persistence._reconstruct_persistent_obj": _persistent_object,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.device": _device,
    "torch.Size": _size,
    "collections.OrderedDict": _dictionary,
    "_codecs.encode": _latin1,
    "numpy.dtype": _numpy_dtype,
    **dict.fromkeys(("builtins.set", "__builtin__.set"), _set),
    **{f"numpy.{core}.multiarray._reconstruct": lambda _: InertArray() for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _numpy_scalar for core in ("core", "_core")},
}
CREATED: dict[str, Builder] = {
    "dnnlib.util.EasyDict": _dictionary,
    "collections.OrderedDict": _dictionary,
    "argparse.Namespace": lambda _: InertNamespace(),
}
MENTIONED = frozenset({"numpy.ndarray", *(f"torch.{n}" for n in _DTYPE_NAMES), *(f"torch.{n}" for n in STORAGES)})
