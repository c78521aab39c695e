"""Names of rosinality/stylegan2-pytorch checkpoints, told in NVIDIA's.

Both ports hold the same numbers: mapping layers, styles, kernels, fixed noise. The only arithmetic difference, a kernel
scaled before its norm is taken, shifts that norm's epsilon (1e-8) by a factor of the layer's inputs: below float32.
"""

import re
from dataclasses import replace

from inversion.safe_tensors import InertTensor
from inversion.stylegan2_state import WeightsError

_STYLED = {
    "conv.weight": "weight",
    "conv.modulation.weight": "affine.weight",
    "conv.modulation.bias": "affine.bias",
    "noise.weight": "noise_strength",
    "activate.bias": "bias",
    "conv.blur.kernel": "resample_filter",
}
_OUTPUT = {
    "conv.weight": "weight",
    "conv.modulation.weight": "affine.weight",
    "conv.modulation.bias": "affine.bias",
    "bias": "bias",
    "upsample.kernel": "resample_filter",
}


def is_rosinality(tensors: dict[str, InertTensor]) -> bool:
    """Whether a state dict has these names."""
    return "input.input" in tensors and "conv1.conv.weight" in tensors


def nvidia_names(tensors: dict[str, InertTensor]) -> dict[str, InertTensor]:
    """Rename a generator's tensors, and drop the dimensions of size 1 that NVIDIA's do not have.

    Raises
    ------
    WeightsError
        If a name is not one of such a generator.
    """
    renamed = {}
    for name, tensor in tensors.items():
        new = _nvidia_name(name)
        if new is None:
            raise WeightsError(f"'{name[:80]}' is no tensor of a StyleGAN2 generator with rosinality's names")
        if new in renamed:
            raise WeightsError(f"'{name[:80]}' is there twice under two spellings")
        renamed[new] = _squeezed(new, tensor)
    return renamed


def _nvidia_name(name: str) -> str | None:
    if match := re.fullmatch(r"style\.(\d{1,2})\.(weight|bias)", name):
        return f"mapping.fc{int(match[1]) - 1}.{match[2]}"  # 0 is the normalisation
    if name == "input.input":
        return "synthesis.b4.const"
    if match := re.fullmatch(r"noises\.noise_(\d{1,2})", name):
        return f"{_conv(int(match[1]) - 1)}.noise_const"
    if match := re.fullmatch(r"conv(1|s\.\d{1,2})\.(.+)", name):
        index = -1 if match[1] == "1" else int(match[1][2:])
        return f"{_conv(index)}.{_STYLED[match[2]]}" if match[2] in _STYLED else None
    if match := re.fullmatch(r"to_rgb(1|s\.\d{1,2})\.(.+)", name):
        side = 4 if match[1] == "1" else 8 * 2 ** int(match[1][2:])
        return f"synthesis.b{side}.torgb.{_OUTPUT[match[2]]}" if match[2] in _OUTPUT else None
    return None


def _conv(index: int) -> str:
    """Give a convolution's place: -1 is the first of all, then two for each doubling."""
    return "synthesis.b4.conv1" if index < 0 else f"synthesis.b{8 * 2 ** (index // 2)}.conv{index % 2}"


def _squeezed(name: str, tensor: InertTensor) -> InertTensor:
    """Drop leading, and for an output's bias trailing, dimensions of size 1."""
    wanted = {"const": 3, "noise_const": 2, "noise_strength": 0, "bias": 1}.get(name.rsplit(".", 1)[1])
    if name.endswith(".weight"):
        wanted = 2 if name.startswith("mapping.") or name.endswith("affine.weight") else 4
    shape, stride = list(tensor.shape), list(tensor.stride)
    while wanted is not None and len(shape) > wanted and 1 in (shape[0], shape[-1]):
        end = 0 if shape[0] == 1 else -1
        del shape[end], stride[end]
    return replace(tensor, shape=tuple(shape), stride=tuple(stride))
