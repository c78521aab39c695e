"""Small StyleGAN2 networks whose numbers follow from a seed alone, and files of every known format that hold them.

``tests/data/make_stylegan2_fixture.py`` loads the same numbers into the authors' own code.
"""

from __future__ import annotations

import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import torch

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Toy:
    """Settings of a network, named as NVIDIA's constructor names them."""

    resolution: int = 16
    channel_base: int = 256
    channel_max: int = 16
    w_dim: int = 16
    num_layers: int = 2
    architecture: str = "skip"
    conv_clamp: float | None = None
    num_fp16_res: int = 0
    seed: int = 0

    @property
    def sides(self) -> list[int]:
        return [2**power for power in range(2, self.resolution.bit_length())]

    def width(self, side: int) -> int:
        return min(self.channel_base // side, self.channel_max)

    @property
    def n_channels(self) -> int:
        return 2 * len(self.sides)


def numbers(seed: int, *shape: int) -> torch.Tensor:
    """Draw uniform numbers of mean 0 and variance 1, ``float32``.

    From the generator's raw bits: NumPy promises never to change those, and does not for its distributions.
    """
    raw = np.random.PCG64(seed).random_raw(max(int(np.prod(shape)), 1)) >> np.uint64(11)
    values = (raw * 2.0**-53 - 0.5) * np.sqrt(12.0)
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def nvidia_tensors(toy: Toy) -> Tensors:
    """Give a network's state dict with NVIDIA's names; biases, noise strengths and the mean code are not zero."""
    shapes: dict[str, tuple[int, ...]] = {}
    for index in range(toy.num_layers):
        shapes |= {f"mapping.fc{index}.weight": (toy.w_dim, toy.w_dim), f"mapping.fc{index}.bias": (toy.w_dim,)}
    shapes["mapping.w_avg"] = (toy.w_dim,)
    for side in toy.sides:
        name, width, before = f"synthesis.b{side}", toy.width(side), toy.width(side // 2)
        if side == 4:
            shapes[f"{name}.const"] = (width, 4, 4)
        else:
            shapes |= _conv_shapes(f"{name}.conv0", before, width, side, toy.w_dim)
        shapes |= _conv_shapes(f"{name}.conv1", width, width, side, toy.w_dim)
        if toy.architecture == "skip" or side == toy.resolution:
            shapes |= {f"{name}.torgb.affine.weight": (width, toy.w_dim), f"{name}.torgb.affine.bias": (width,)}
            shapes |= {f"{name}.torgb.weight": (3, width, 1, 1), f"{name}.torgb.bias": (3,)}
        if toy.architecture == "resnet" and side > 4:
            shapes[f"{name}.skip.weight"] = (width, before, 1, 1)
    tensors = {name: numbers(1000 * toy.seed + i, *shape) for i, (name, shape) in enumerate(shapes.items())}
    for name, tensor in tensors.items():
        if name.endswith("affine.bias"):
            tensor.mul_(0.2).add_(1.0)
        elif name.endswith(("bias", "w_avg")):
            tensor.mul_(0.1)
        elif name.endswith("noise_strength"):
            tensor.abs_().mul_(0.2)
        elif name.startswith("mapping."):
            tensor.mul_(100.0)  # equalised learning rate: weights are stored divided by the factor 0.01
    return tensors | _filters(toy, tensors)


def _conv_shapes(name: str, n_in: int, n_out: int, side: int, w_dim: int) -> dict[str, tuple[int, ...]]:
    return {
        f"{name}.affine.weight": (n_in, w_dim),
        f"{name}.affine.bias": (n_in,),
        f"{name}.weight": (n_out, n_in, 3, 3),
        f"{name}.noise_const": (side, side),
        f"{name}.noise_strength": (),
        f"{name}.bias": (n_out,),
    }


def _filters(toy: Toy, tensors: Tensors) -> Tensors:
    owners = [f"synthesis.b{side}" for side in toy.sides]
    owners += [name.removesuffix(".noise_const") for name in tensors if name.endswith(".noise_const")]
    owners += [name.removesuffix(".weight") for name in tensors if name.endswith(".skip.weight")]
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return {f"{owner}.resample_filter": torch.outer(taps, taps) / 64 for owner in owners}


def rosinality_names(tensors: Tensors) -> Tensors:
    """Tell a ``skip`` network's tensors in rosinality's names and shapes."""
    renamed, n_convs = {}, 0
    for name, tensor in tensors.items():
        parts = name.split(".")
        if name == "mapping.w_avg" or (parts[-1] == "resample_filter" and "conv0" not in parts):
            continue
        if parts[0] == "mapping":
            renamed[f"style.{int(parts[1][2:]) + 1}.{parts[2]}"] = tensor
        elif parts[2] == "const":
            renamed["input.input"] = tensor[None]
        else:
            index = 2 * (int(parts[1][1:]).bit_length() - 4) + int(parts[2][-1] == "1")
            n_convs = max(n_convs, index + 1)
            renamed |= _rosinality_layer(parts, index, tensor)
    return renamed


def _rosinality_layer(parts: list[str], index: int, tensor: torch.Tensor) -> Tensors:
    side, layer, rest = int(parts[1][1:]), parts[2], ".".join(parts[3:])
    if rest == "noise_const":
        return {f"noises.noise_{index + 1}": tensor[None, None]}
    if layer == "torgb":
        name = "to_rgb1" if side == 4 else f"to_rgbs.{side.bit_length() - 4}"
        if rest == "bias":
            taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
            kernel = {} if side == 4 else {f"{name}.upsample.kernel": torch.outer(taps, taps) / 16}
            return {f"{name}.bias": tensor.reshape(1, -1, 1, 1)} | kernel
    else:
        name = "conv1" if side == 4 else f"convs.{index}"
        if rest == "noise_strength":
            return {f"{name}.noise.weight": tensor.reshape(1)}
        if rest == "resample_filter":
            return {f"{name}.conv.blur.kernel": tensor * 4}
        if rest == "bias":
            return {f"{name}.activate.bias": tensor}
    if rest == "weight":
        return {f"{name}.conv.weight": tensor[None]}
    return {f"{name}.conv.modulation.{rest.removeprefix('affine.')}": tensor}


@contextmanager
def fake_modules() -> Iterator[tuple[types.ModuleType, types.ModuleType]]:
    """Let ``torch_utils.persistence`` and ``dnnlib.util`` exist while a pickle that names them is written."""
    persistence, util = types.ModuleType("torch_utils.persistence"), types.ModuleType("dnnlib.util")

    def _reconstruct_persistent_obj(meta: object) -> None:
        raise AssertionError("a reader of pickles called what the file names")

    class EasyDict(dict[str, object]):
        pass

    for module, thing in ((persistence, _reconstruct_persistent_obj), (util, EasyDict)):
        thing.__module__, thing.__qualname__ = module.__name__, thing.__name__
        setattr(module, thing.__name__, thing)
    names = {"torch_utils": types.ModuleType("torch_utils"), "torch_utils.persistence": persistence}
    names |= {"dnnlib": types.ModuleType("dnnlib"), "dnnlib.util": util}
    with mock.patch.dict(sys.modules, names):
        yield persistence, util


class Persistent:
    """Pickles itself as an object of one of NVIDIA's persistent classes does."""

    #: The real files hold the class's source here. This one would be noticed if it were run.
    SOURCE = "raise SystemExit('the source in the pickle was run')\n"

    def __init__(self, class_name: str, state: dict[str, object]) -> None:
        self.class_name, self.state = class_name, state

    def __reduce__(self) -> tuple[object, ...]:
        meta = {"type": "class", "version": 6, "module_src": self.SOURCE}
        meta |= {"class_name": self.class_name, "state": self.state}
        rebuild = sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj
        return (rebuild, (meta,), None)


def persistent_network(toy: Toy, tensors: Tensors, *, class_name: str = "Generator") -> Persistent:
    """Give a network as the tree of objects that NVIDIA's ``G_ema`` is."""
    tree: dict[str, dict[str, torch.Tensor]] = {"": {}}
    for name, tensor in tensors.items():
        owner, _, leaf = name.rpartition(".")
        for depth in range(owner.count(".") + 1):
            tree.setdefault(".".join(owner.split(".")[: depth + 1]), {})
        tree.setdefault(owner, {})[leaf] = tensor
    return _module(toy, tree, "", class_name)


def _module(toy: Toy, tree: dict[str, dict[str, torch.Tensor]], path: str, class_name: str) -> Persistent:
    buffers = ("resample_filter", "noise_const", "w_avg")
    children = [p for p in tree if p and p.rpartition(".")[0] == path]
    state: dict[str, object] = {
        "training": False,
        "_parameters": OrderedDict(
            (k, torch.nn.Parameter(t, False)) for k, t in tree[path].items() if k not in buffers
        ),
        "_buffers": OrderedDict((k, t) for k, t in tree[path].items() if k in buffers),
        "_non_persistent_buffers_set": set(),
        "_backward_hooks": OrderedDict(),
        "_modules": OrderedDict((p.rpartition(".")[2], _module(toy, tree, p, "Layer")) for p in children),
        "weight_gain": 1 / np.sqrt(toy.w_dim),  # a numpy number, as in the real files
        "act_gain": np.sqrt(np.float32(2)),
        "_init_args": (),
        "_init_kwargs": sys.modules["dnnlib.util"].EasyDict(w_dim=toy.w_dim),
    }
    leaf = path.rpartition(".")[2]
    if leaf.startswith("fc"):
        state |= {"bias_gain": 0.01, "activation": "lrelu"}
    elif leaf in ("conv0", "conv1", "torgb"):
        state |= {"conv_clamp": toy.conv_clamp} | ({} if leaf == "torgb" else {"activation": "lrelu"})
    elif leaf.startswith("b"):
        state["use_fp16"] = int(leaf[1:]) > toy.resolution >> toy.num_fp16_res
    return Persistent(class_name, state)


def write_nvidia_pickle(path: Path, toy: Toy, tensors: Tensors, *, protocol: int = 4, **others: object) -> Path:
    """Write a network pickle in the format of stylegan2-ada-pytorch's training snapshots."""
    with fake_modules() as (_, util):
        network = persistent_network(toy, tensors)
        content = {"training_set_kwargs": util.EasyDict(path="faces.zip"), "augment_pipe": None}
        content |= {"G": network, "G_ema": network} | others
        path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path
