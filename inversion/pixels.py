"""The one place where pixel values change scale.

Images are ``uint8`` RGB, channels last, outside this package and ``float32``, channels first, in [-1, 1] inside it.
"""

import numpy as np
import numpy.typing as npt
import torch

#: Grey levels per unit: [-1, 1] spans the 255 steps between the darkest and the brightest level.
LEVELS_PER_UNIT = 127.5


def to_unit(rgb: npt.NDArray[np.uint8] | torch.Tensor) -> torch.Tensor:
    """Turn 8-bit images into tensors in [-1, 1].

    Parameters
    ----------
    rgb
        ``uint8`` [..., H, W, 3], RGB, array or tensor.

    Returns
    -------
    torch.Tensor
        ``float32`` [..., 3, H, W], ``value / 127.5 - 1``, contiguous, on the input's device. The input is copied.

    Raises
    ------
    ValueError
        If the dtype is not ``uint8`` or the last axis is not 3 long.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(rgb)) if isinstance(rgb, np.ndarray) else rgb
    if tensor.dtype != torch.uint8:
        raise ValueError(f"expected uint8 pixels, got {tensor.dtype}")
    if tensor.ndim < 3 or tensor.shape[-1] != 3:
        raise ValueError(f"expected pixels of shape [..., H, W, 3], got {list(tensor.shape)}")
    planes = torch.movedim(tensor, -1, -3).contiguous()  # [..., 3, H, W]
    return planes.to(torch.float32).div_(LEVELS_PER_UNIT).sub_(1.0)


def to_uint8(unit: torch.Tensor) -> npt.NDArray[np.uint8]:
    """Turn tensors in [-1, 1] into 8-bit images: clip, then round to the nearest level.

    ``to_uint8(to_unit(rgb))`` gives ``rgb`` back exactly.

    Parameters
    ----------
    unit
        Floating point [..., 3, H, W]; values outside [-1, 1] are clipped.

    Returns
    -------
    numpy.ndarray
        ``uint8`` [..., H, W, 3], RGB.

    Raises
    ------
    ValueError
        If the dtype is not floating point, the shape is wrong, or a value is not finite.
    """
    if not unit.is_floating_point():
        raise ValueError(f"expected floating point pixels in [-1, 1], got {unit.dtype}")
    if unit.ndim < 3 or unit.shape[-3] != 3:
        raise ValueError(f"expected pixels of shape [..., 3, H, W], got {list(unit.shape)}")
    values = unit.detach().to(torch.float32)
    if not bool(torch.isfinite(values).all()):
        raise ValueError("expected finite pixels, got NaN or infinity")
    levels = values.clamp(-1.0, 1.0).add(1.0).mul(LEVELS_PER_UNIT).round()
    return torch.movedim(levels.to(torch.uint8), -3, -1).contiguous().cpu().numpy()
