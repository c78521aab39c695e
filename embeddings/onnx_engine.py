"""A torch module on ONNX Runtime: on a CPU about twice as fast as torch for EfficientNets, equal to rounding.

ONNX Runtime fuses each convolution with its activation, and one image's maps stay in cache: so each image is a call of
its own, and calls are spread over threads. Results then depend neither on the batch nor on the number of threads.
"""

from __future__ import annotations

import io
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn


class OnnxEngine:
    """A network of fp32 weights, exported and loaded; takes about a second.

    Parameters
    ----------
    network : Module
        On the CPU, in eval mode; one tensor in, one out, first axis the batch.
    input_shape : tuple of int
        Of one image, without the batch.
    n_threads : int
        Images computed at a time, each on one core.
    """

    def __init__(self, network: nn.Module, input_shape: tuple[int, ...], *, n_threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            _exported(network, input_shape), options, providers=["CPUExecutionProvider"]
        )
        self._threads = ThreadPoolExecutor(n_threads, thread_name_prefix="onnx")

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Outputs float32 [N, ...] for inputs float32 [N, *input_shape]; N at least 1."""
        images = np.ascontiguousarray(x)
        return np.concatenate(list(self._threads.map(self._one, np.split(images, len(images)))))

    def _one(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        output: NDArray[np.float32] = self._session.run(None, {"x": image})[0]
        return output


def _exported(network: nn.Module, input_shape: tuple[int, ...]) -> bytes:
    """The network as an ONNX file's bytes."""
    file = io.BytesIO()
    images = torch.zeros(1, *input_shape)
    with warnings.catch_warnings(), torch.no_grad():
        network(images)  # fills the caches of constants, which tracing would take for part of the network
        # Tracing takes sizes for constants, which they are; the newer exporter would need another package.
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (images,), file, input_names=["x"], dynamo=False)  # type: ignore[arg-type]
    return file.getvalue()
