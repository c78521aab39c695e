"""Make ``mobile_parity.npz`` again: what OpenVINO itself gives for a few codes.

Needs the ``parity`` dependency group: ``uv run --group parity python tests/data/make_mobile_fixture.py``.
The tests read the file and need no OpenVINO.

OpenVINO runs in float32 (its CPU default may be bfloat16). The shipped network takes one code for all channels; for the
W+ case its graph is rewired, so that each style layer, known by its name, reads a channel of its own.
"""

import re
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset8 as ops

N_CHANNELS = 16
CROP = slice(448, 512)
PRECISION = {"INFERENCE_PRECISION_HINT": "f32", "EXECUTION_MODE_HINT": "ACCURACY"}


def channel_of(layer_name: str) -> int:
    """Give the W+ channel of a style layer from the name of its weight."""
    if layer_name.startswith("m.conv1."):
        return 0
    block, part = re.fullmatch(r"m\.layers\.(\d)\.(up|conv1|conv2|to_img)\..*", layer_name).groups()  # type: ignore[union-attr]
    return {"up": 1, "conv1": 1, "conv2": 2, "to_img": 3}[part] + 2 * int(block)


def with_channels(model: ov.Model) -> ov.Model:
    """Let the synthesis network take [1, 16, 512] instead of [1, 512]."""
    old = model.get_parameters()[0]
    new = ops.parameter([1, N_CHANNELS, 512], np.float32, "w_plus")
    n_rewired = 0
    for port in list(old.output(0).get_target_inputs()):
        node = port.get_node()
        is_style = node.get_type_name() == "MatMul"
        channel = channel_of(node.input_value(1).get_node().get_friendly_name()) if is_style else 0
        picked = ops.gather(new, np.int64(channel), np.int64(1))
        port.replace_source_output(picked.output(0))
        n_rewired += is_style
    if n_rewired != 23:
        raise RuntimeError(f"expected 23 style layers, rewired {n_rewired}")
    model.add_parameters([new])
    model.remove_parameter(old)
    model.validate_nodes_and_infer_types()
    return model


def first_output(compiled: ov.CompiledModel, value: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Run a network of one input and one output."""
    return next(iter(compiled([value]).values())).copy()


def main() -> None:
    """Write the fixture beside this file."""
    data = Path(distribution("random-face").locate_file("random_face/data"))  # importing it needs undeclared packages
    core = ov.Core()
    mapping = core.compile_model(str(data / "MappingNetwork.xml"), "CPU", PRECISION)
    shipped = core.compile_model(str(data / "SynthesisNetwork.xml"), "CPU", PRECISION)
    rewired = core.compile_model(with_channels(core.read_model(str(data / "SynthesisNetwork.xml"))), "CPU", PRECISION)
    z = np.random.default_rng(2026).standard_normal((N_CHANNELS + 1, 512)).astype(np.float32)
    w = np.concatenate([first_output(mapping, row[None]) for row in z])
    mean = w.mean(0)
    w_plus = np.stack([np.repeat(w[:1], N_CHANNELS, 0), mean + 0.7 * (w[1:] - mean)])
    images = np.concatenate([first_output(shipped, w_plus[:1, 0]), first_output(rewired, w_plus[1:])])
    small = images.reshape(2, 3, 64, 16, 64, 16).mean((3, 5), dtype=np.float64).astype(np.float32)
    target = Path(__file__).with_name("mobile_parity.npz")
    np.savez_compressed(target, z=z[:2], w=w[:2], w_plus=w_plus, crop=images[:, :, CROP, CROP], small=small)
    print(f"{target.name}: {target.stat().st_size / 1024:.0f} KiB, OpenVINO {ov.__version__}")


if __name__ == "__main__":
    main()
