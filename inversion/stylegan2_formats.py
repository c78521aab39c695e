"""Read StyleGAN2 generators from the files others make, into the one state of ``inversion.stylegan2_state``.

Known are: NVIDIA's network pickles (stylegan2-ada-pytorch, ``G_ema``, an object of a "persistent" class), a plain state
dict with NVIDIA's names, and a checkpoint with the names of rosinality/stylegan2-pytorch (``g_ema``). All are read by
``inversion.safe_files``, so nothing in a file is imported or run. A state dict does not say how a network is clamped or
which blocks ran in 16 bits; it is then taken to be neither, as those ports are.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from inversion.safe_files import read_tensor_file
from inversion.safe_names import PickleRefused
from inversion.safe_tensors import InertArray, InertObject, InertTensor, materialise
from inversion.stylegan2_rosinality import is_rosinality, nvidia_names
from inversion.stylegan2_state import (
    FIRST_PX,
    MAX_MAPPING_LAYERS,
    MAX_PX,
    Architecture,
    Layout,
    State,
    WeightsError,
    check_state,
    load_state,
    map_normal,
    save_state,
)

#: Learning-rate factor of the mapping network, part of its arithmetic; every published network has this one.
MAPPING_RATE = 0.01
MAX_TENSORS, MAX_DEPTH, MAX_NAME = 10_000, 6, 80
#: Sample behind a mean code that a file lacks.
N_MEAN_SAMPLES, MEAN_SEED = 10_000, 0

Attributes = Mapping[str, Mapping[object, object]]


@dataclass
class _Network:
    """Tensors by NVIDIA's names, and each module's attributes where the file keeps them."""

    tensors: dict[str, InertTensor] = field(default_factory=dict)
    attributes: dict[str, Mapping[object, object]] = field(default_factory=dict)
    n_visited: int = 0  # parts, counted each time: a file may hang one part in many places


def convert(source: Path, target: Path, *, resolution_px: int | None = None) -> Layout:
    """Read any known format and write a safetensors file.

    Parameters
    ----------
    source, target
        The file to read; the one to write, under its name only when whole.
    resolution_px
        If told, the side of the images that the network must make.

    Raises
    ------
    PickleRefused, WeightsError
        As :func:`read_network`; a network of another resolution.
    OSError
        The target cannot be written.
    """
    state, layout = read_network(source)
    if resolution_px is not None and layout.resolution_px != resolution_px:
        raise WeightsError(f"{source}: expected a network of {resolution_px} px, found one of {layout.resolution_px}")
    save_state(state, layout, target, facts={"source": source.name})
    return layout


def read_network(path: Path) -> tuple[State, Layout]:
    """Read a generator.

    Parameters
    ----------
    path
        ``.safetensors`` made by :func:`convert`; otherwise a pickle or torch file in one of the known formats.

    Returns
    -------
    state
        ``float32`` tensors, named and shaped as ``Layout.shapes`` says, all finite.
    layout
        The network's structure.

    Raises
    ------
    PickleRefused
        If the file asks for anything but data, or is damaged.
    WeightsError
        If it holds no StyleGAN2 generator.
    """
    if path.suffix == ".safetensors":
        return load_state(path)
    content, n_bytes = read_tensor_file(path)
    try:
        network, mean = _find(content)
        layout = _layout(network)
        raw = {name: tensor.float() for name, tensor in materialise(network.tensors, max_bytes=n_bytes).items()}
        if mean is not None:
            raw["mapping.w_avg"] = (
                materialise({"latent_avg": mean}, max_bytes=n_bytes)["latent_avg"].float().reshape(-1)
            )
        state = _folded(raw, layout, rate=_mapping_rate(network.attributes))
        check_state(state, layout)
    except PickleRefused as error:
        raise PickleRefused(f"{path}: {error}") from error
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    return state, layout


def _find(content: object) -> tuple[_Network, InertTensor | None]:
    """Find the generator in a file's content; with it the mean code where it stands apart."""
    mean = None
    if isinstance(content, dict):
        for key in ("G_ema", "g_ema"):
            if key in content:
                mean = content.get("latent_avg")
                content = content[key]
                break
    if isinstance(content, InertObject):
        if content.class_name != "Generator":
            raise WeightsError(f"expected an object of class 'Generator', found '{content.class_name[:60]}'")
        network = _Network()
        _collect(content, "", network)
    elif isinstance(content, dict) and any(isinstance(value, InertTensor | InertArray) for value in content.values()):
        network = _Network(_plain(content))
    elif isinstance(content, dict):
        keys = ", ".join(str(key)[:30] for key in list(content)[:6])
        raise WeightsError(f"holds no generator: expected 'G_ema' or 'g_ema', found [{keys}]")
    else:
        raise WeightsError(f"holds no generator: expected a network, found a {type(content).__name__}")
    if any(name.startswith("synthesis.input.") for name in network.tensors):
        raise WeightsError("this is a StyleGAN3 generator, which has another structure than StyleGAN2")
    return network, mean if isinstance(mean, InertTensor) else None


def _plain(content: Mapping[object, object]) -> dict[str, InertTensor]:
    tensors = {}
    for name, value in content.items():
        tensor = value.tensor() if isinstance(value, InertArray) else value
        if not isinstance(name, str) or not isinstance(tensor, InertTensor):
            raise WeightsError(f"a state dict holds '{str(name)[:60]}', which is no tensor")
        tensors[name] = tensor
    return nvidia_names(tensors) if is_rosinality(tensors) else tensors


def _collect(module: InertObject, prefix: str, into: _Network) -> None:
    """Walk a module tree as ``torch.nn.Module.state_dict`` does."""
    into.n_visited += 1 + sum(len(_members(module, group)) for group in ("_parameters", "_buffers"))
    if prefix.count(".") > MAX_DEPTH or into.n_visited > MAX_TENSORS:
        raise WeightsError("the network is nested too deeply or has too many parts")
    into.attributes[prefix] = module.state
    for group in ("_parameters", "_buffers"):
        for name, value in _members(module, group):
            if isinstance(value, InertTensor):
                into.tensors[prefix + name] = value
            elif value is not None:
                raise WeightsError(f"'{prefix}{name}' is a {type(value).__name__}, not a tensor")
    for name, child in _members(module, "_modules"):
        if isinstance(child, InertObject):
            _collect(child, f"{prefix}{name}.", into)
        elif child is not None:
            raise WeightsError(f"'{prefix}{name}' is a {type(child).__name__}, not a module")


def _members(module: InertObject, group: str) -> list[tuple[str, object]]:
    members = module.state.get(group)
    if not isinstance(members, dict):
        raise WeightsError(f"an object of class '{module.class_name[:60]}' has no {group}: not a torch module")
    if len(members) > MAX_TENSORS:
        raise WeightsError("the network is nested too deeply or has too many parts")
    for name in members:
        if not isinstance(name, str) or len(name) > MAX_NAME:
            raise WeightsError(
                f"a part of the network is called '{str(name)[:MAX_NAME]}', which is no name of a module"
            )
    return list(members.items())


def _shape(network: _Network, name: str) -> tuple[int, ...]:
    if name not in network.tensors:
        raise WeightsError(f"not a StyleGAN2 generator: it has no tensor '{name}'")
    return network.tensors[name].shape


def _layout(network: _Network) -> Layout:
    """Read the structure off the tensors' names and shapes; what those do not show, off the attributes."""
    names = network.tensors.keys()
    sides = []
    side_px = FIRST_PX
    while f"synthesis.b{side_px}.conv1.weight" in names and side_px <= MAX_PX:
        sides.append(side_px)
        side_px *= 2
    widths = [_shape(network, f"synthesis.b{side}.conv1.bias")[0] for side in sides if _one_size(network, side)]
    if any(name.startswith("mapping.embed.") for name in names):
        raise WeightsError("this network is class-conditional, which is not supported")
    n_mapping = sum(f"mapping.fc{index}.weight" in names for index in range(MAX_MAPPING_LAYERS))
    mapping = [_shape(network, f"mapping.fc{index}.weight") for index in range(n_mapping)]
    if len(widths) < 2 or not mapping or any(len(shape) != 2 for shape in mapping):
        raise WeightsError(f"not a StyleGAN2 generator: {len(widths)} blocks and {len(mapping)} mapping layers found")
    architecture: Architecture = "orig"
    if "synthesis.b8.skip.weight" in names:
        architecture = "resnet"
    elif "synthesis.b4.torgb.weight" in names:
        architecture = "skip"
    clamp, n_half = _precision(network.attributes, sides)
    widths_of_map = (mapping[0][1], *(shape[0] for shape in mapping))
    return Layout(tuple(widths), widths_of_map, architecture, clamp, n_half)


def _one_size(network: _Network, side: int) -> bool:
    if len(_shape(network, f"synthesis.b{side}.conv1.bias")) != 1:
        raise WeightsError(f"tensor 'synthesis.b{side}.conv1.bias' is no vector")
    return True


def _precision(attributes: Attributes, sides: list[int]) -> tuple[float | None, int]:
    """Give the clamp and the number of 16-bit blocks, and refuse what is not built here."""
    clamps, halves = set(), 0
    for side in sides if attributes else []:
        block = attributes.get(f"synthesis.b{side}.", {})
        halves += block.get("use_fp16") is True
        for layer in ("conv0.", "conv1.", "torgb."):
            found = attributes.get(f"synthesis.b{side}.{layer}")
            if found is None:
                continue
            if found.get("activation", "lrelu") != "lrelu":
                raise WeightsError(f"activation {str(found.get('activation'))[:40]!r} is not supported, only 'lrelu'")
            clamp = found.get("conv_clamp")
            clamps.add(float(clamp) if isinstance(clamp, int | float) else None)
    if len(clamps) > 1:
        raise WeightsError(f"layers are clamped to different bounds: {sorted(map(str, clamps))}")
    return (clamps.pop() if clamps else None), halves


def _mapping_rate(attributes: Attributes) -> float:
    rate = attributes.get("mapping.fc0.", {}).get("bias_gain", MAPPING_RATE)
    if not isinstance(rate, int | float) or not math.isfinite(rate):
        raise WeightsError("the mapping network's learning-rate factor is no number")
    return float(rate)


def _folded(raw: Mapping[str, torch.Tensor], layout: Layout, *, rate: float) -> State:
    """Bring NVIDIA's tensors into our parametrisation: the gains of "equalised learning rate" are multiplied in.

    Gains: 1 / sqrt(inputs of the layer), times the learning-rate factor in the mapping network (Karras et al. 2018,
    arXiv:1710.10196, section 4.1).
    """
    left = dict(raw)

    def take(name: str) -> torch.Tensor:
        if name not in left:
            raise WeightsError(f"not a StyleGAN2 generator: it has no tensor '{name}'")
        return left.pop(name)

    def style(name: str, gain: float = 1.0) -> State:
        weight, bias = take(f"{name}.affine.weight"), take(f"{name}.affine.bias")
        return {"style.weight": weight * (gain / math.sqrt(layout.w_dim)), "style.bias": bias * gain}

    def conv(name: str) -> State:
        noise = left.pop(f"{name}.noise_const", None)
        strength = left.pop(f"{name}.noise_strength", None)
        weight = take(f"{name}.weight")
        side = int(name.split(".")[1][1:])
        if noise is None or strength is None:  # trained without noise
            folded = torch.zeros(1, 1, side, side)
        elif strength.numel() == 1 and noise.ndim == 2:
            folded = (noise * strength.reshape(()))[None, None]
        else:
            raise WeightsError(f"'{name}': noise of shape {list(noise.shape)} and strength {list(strength.shape)}")
        return {"weight": weight, "noise": folded, "bias": take(f"{name}.bias"), **style(name)}

    state: State = {"fir": _fir(left)}
    for index, n_in in enumerate(layout.mapping_widths[:-1]):
        state[f"mapping.{index}.weight"] = take(f"mapping.fc{index}.weight") * (rate / math.sqrt(n_in))
        state[f"mapping.{index}.bias"] = take(f"mapping.fc{index}.bias") * rate
    # Checkpoints of rosinality's training keep no mean code; those of its converter do.
    state["w_avg"] = left.pop("mapping.w_avg") if "mapping.w_avg" in left else _mean_code(state, layout)
    state["constant"] = take("synthesis.b4.const")[None]
    for block, width in enumerate(layout.widths):
        theirs, ours = f"synthesis.b{FIRST_PX * 2**block}", f"blocks.{block}"
        for layer in ("conv0", "conv1") if block else ("conv1",):
            state |= {f"{ours}.{layer}.{name}": t for name, t in conv(f"{theirs}.{layer}").items()}
        if layout.has_image_output(block):
            output = style(f"{theirs}.torgb", 1 / math.sqrt(width))
            output |= {part: take(f"{theirs}.torgb.{part}") for part in ("weight", "bias")}
            state |= {f"{ours}.to_image.{name}": t for name, t in output.items()}
        if block and layout.architecture == "resnet":
            state[f"{ours}.skip"] = take(f"{theirs}.skip.weight") / math.sqrt(layout.widths[block - 1])
    if left:
        raise WeightsError(f"tensors not known: {sorted(left)[:3]}")
    return {name: tensor.contiguous() for name, tensor in state.items()}


def _mean_code(state: State, layout: Layout) -> torch.Tensor:
    """Mean of the mapping network's codes [w_dim] over a seeded sample: float32."""
    random = torch.Generator().manual_seed(MEAN_SEED)
    z = torch.randn(N_MEAN_SAMPLES, layout.mapping_widths[0], generator=random)
    names = [f"mapping.{index}" for index in range(len(layout.mapping_widths) - 1)]
    return map_normal(z, ((state[f"{name}.weight"], state[f"{name}.bias"]) for name in names)).mean(0)


def _fir(left: dict[str, torch.Tensor]) -> torch.Tensor:
    """Take all copies of the low-pass filter out; they must agree."""
    found = [left.pop(name) for name in list(left) if name.endswith(".resample_filter")]
    found = [fir / fir.sum() for fir in found]  # ports differ in whether the gain of doubling the size, 4, is in it
    if not found:  # ports that write it in code all have the paper's
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
        found = [torch.outer(taps, taps) / 64]
    if any(fir.shape != found[0].shape or not torch.equal(fir, found[0]) for fir in found):
        raise WeightsError("the blocks have different low-pass filters")
    return found[0]
