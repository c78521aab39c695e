"""Read MobileStyleGAN's tensors out of its two IR files into the state dict of ``inversion.mobile.MobileGenerator``.

Every tensor is found by its name or by its place in the graph, and must have the expected shape.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch

from inversion.openvino_ir import IrGraph, IrLayer, read_ir

W_DIM = 512
#: Channels of the first convolution's output, then of each block's.
WIDTHS = (512, 512, 512, 512, 512, 256, 128, 64)
N_BLOCKS = 7
N_MAPPING_LAYERS = 8
#: Side of the constant input; each block doubles it and the output transform doubles once more.
INPUT_PX = 4

#: Digests of the files in random-face 2021.7.21.1.
SHA256: Mapping[str, str] = {
    "MappingNetwork.bin": "212dd716bdb556e18db603ea97300d4fa3c872b878c726b2402fea80820e7305",
    "MappingNetwork.xml": "73e2096cad6e696e4af47df2477e048ab4c42c0e0dec83c7c66604822689e55b",
    "SynthesisNetwork.bin": "c7da15fa22d508c82e1c30dd6b4cdf67fe3ccdddaf85b310ee764dbf0c289645",
    "SynthesisNetwork.xml": "7918fce515243954d3e06628cb39a23902d6b1d5d02932cc0c2faee7a2aeeedd",
}

State = dict[str, torch.Tensor]


def read_state(data_dir: Path, *, expected_sha256: Mapping[str, str] | None = SHA256) -> tuple[State, str]:
    """Read all tensors of the mapping and synthesis networks.

    Parameters
    ----------
    data_dir
        Folder with ``MappingNetwork.{xml,bin}`` and ``SynthesisNetwork.{xml,bin}``.
    expected_sha256
        File name to hex digest; ``None`` skips the check, for another trained copy of the same network.

    Returns
    -------
    state
        Tensor name to ``float32`` tensor.
    sha256
        Digest over the four files' digests in the order of their names.

    Raises
    ------
    inversion.openvino_ir.IrError
        If a file is missing, changed, damaged or of another structure.
    """
    mapping, digests = read_ir(data_dir / "MappingNetwork.xml", expected_sha256=expected_sha256)
    synthesis, more = read_ir(data_dir / "SynthesisNetwork.xml", expected_sha256=expected_sha256)
    digests |= more
    state = _mapping(mapping)
    state["constant"] = _tensor(synthesis.named_constant("m.input.input", (1, WIDTHS[0], INPUT_PX, INPUT_PX)))
    state |= _first(synthesis)
    for index in range(N_BLOCKS):
        state |= _block(synthesis, index)
    state |= _to_image(synthesis)
    lines = "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))
    return state, hashlib.sha256(lines.encode()).hexdigest()


def band_order(n_low: int) -> torch.Tensor:
    """Give the permutation from the file's wavelet channel order to whole bands side by side, ``int64`` [4 n_low].

    The file keeps the low channels first and then the three details of each channel next to each other; whole bands can
    be cut out without copying.
    """
    detail = n_low + torch.arange(3 * n_low).reshape(n_low, 3).T.reshape(-1)
    return torch.cat([torch.arange(n_low), detail])


def _tensor(values: object) -> torch.Tensor:
    return torch.as_tensor(values, dtype=torch.float32)


def _mapping(graph: IrGraph) -> State:
    layers = graph.find("MatMul")
    if len(layers) != N_MAPPING_LAYERS:
        graph.fail(f"expected {N_MAPPING_LAYERS} MatMul layers, found {len(layers)}")
    biases = [graph.input_of(graph.consumer(layer, "Add"), "Reshape") for layer in layers]
    return {
        "mapping_weight": torch.stack([_tensor(graph.constant_input(layer, (W_DIM, W_DIM))) for layer in layers]),
        "mapping_bias": torch.stack([_tensor(graph.constant_input(layer, (W_DIM,))) for layer in biases]),
    }


def _style(graph: IrGraph, ir_name: str, width: int, *, has_gain: bool) -> State:
    weight_name = f"{ir_name}.modulation.weight"
    weight = _tensor(graph.named_constant(weight_name, (width, W_DIM)))
    bias = _tensor(graph.named_constant(f"{ir_name}.modulation.bias", (1, width)))[0]
    if has_gain:  # equalised learning rate, left in the graph as a constant factor
        affine = graph.consumer(graph.consumer(graph.named("Const", weight_name), "MatMul"), "Add")
        multiply = graph.consumer(graph.consumer(affine, "Reshape"), "Multiply")
        gain = _tensor(graph.constant_input(multiply, (1, 1, 1, 1))).reshape(())
        weight, bias = weight * gain, bias * gain
    return {"weight": weight, "bias": bias}


def _noise_and_bias(graph: IrGraph, conv: IrLayer, bias_name: str, width: int, side_px: int) -> State:
    add_noise = graph.consumer(conv, "Add")
    graph.consumer(add_noise, "Add")  # the bias is added after the noise and nothing else reads the sum
    noise = _tensor(graph.constant_input(add_noise, (1, 1, side_px, side_px)))
    return {"noise": noise, "bias": _tensor(graph.named_constant(bias_name, (1, width, 1, 1))).reshape(-1)}


def _first(graph: IrGraph) -> State:
    width = WIDTHS[0]
    conv = graph.find("Convolution")[0] if graph.find("Convolution") else graph.fail("it holds no Convolution")
    state = {"kernel": _tensor(graph.constant_input(conv, (width, width, 3, 3)))}
    state |= _noise_and_bias(graph, conv, "m.conv1.bias", width, INPUT_PX)
    state |= _prefixed("style", _style(graph, "m.conv1.conv", width, has_gain=True))
    # The output feeds the first inverse Haar transform.
    return _prefixed("first", _reordered(state, ("kernel", "bias")))


def _block(graph: IrGraph, index: int) -> State:
    width, side_px = WIDTHS[index + 1], INPUT_PX * 2 ** (index + 1)
    wide = WIDTHS[index]
    up = _reordered(_style(graph, f"m.layers.{index}.up", wide, has_gain=False), ("weight", "bias"))
    conv1 = _separable(graph, f"m.layers.{index}.conv1", wide // 4, width, side_px)
    conv2 = _separable(graph, f"m.layers.{index}.conv2", width, width, side_px)
    if index + 1 < N_BLOCKS:
        conv2 = _reordered(conv2, ("kernel", "bias"))
    state = _prefixed("up", up) | _prefixed("conv1", conv1) | _prefixed("conv2", conv2)
    return _prefixed(f"blocks.{index}", state)


def _separable(graph: IrGraph, ir_name: str, n_in: int, n_out: int, side_px: int) -> State:
    depthwise_name = f"{ir_name}.conv.weight_dw"
    depthwise = _tensor(graph.named_constant(depthwise_name, (n_in, 1, 1, 3, 3)))[:, 0]
    pointwise = graph.consumer(graph.consumer(graph.named("Const", depthwise_name), "GroupConvolution"), "Convolution")
    state = {"depthwise": depthwise, "kernel": _tensor(graph.constant_input(pointwise, (n_out, n_in, 1, 1)))}
    state |= _noise_and_bias(graph, pointwise, f"{ir_name}.bias", n_out, side_px)
    return state | _prefixed("style", _style(graph, f"{ir_name}.conv", n_in, has_gain=True))


def _to_image(graph: IrGraph) -> State:
    ir_name, width = f"m.layers.{N_BLOCKS - 1}.to_img", WIDTHS[-1]
    state = {
        "kernel": _tensor(graph.named_constant(f"{ir_name}.conv.weight", (12, width, 1, 1))),
        "bias": _tensor(graph.named_constant(f"{ir_name}.bias", (1, 12, 1, 1))).reshape(-1),
    }
    style = _style(graph, f"{ir_name}.conv", width, has_gain=True)
    return _prefixed("to_image", _reordered(state, ("kernel", "bias")) | _prefixed("style", style))


def _reordered(state: State, names: tuple[str, ...]) -> State:
    """Bring the output channels of the named tensors into :func:`band_order`."""
    return state | {name: state[name][band_order(len(state[name]) // 4)] for name in names}


def _prefixed(prefix: str, state: State) -> State:
    return {f"{prefix}.{name}": tensor for name, tensor in state.items()}
