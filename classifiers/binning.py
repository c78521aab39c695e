"""Numbers to named slices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from classifiers.checks import Float64Array


def name_bins(values: npt.ArrayLike, edges: Sequence[float], names: Sequence[str]) -> npt.NDArray[np.object_]:
    """The name of the bin each value falls in; a value on an edge belongs to the bin above; None for NaN.

    Parameters
    ----------
    values : [n] numbers, NaN where unknown.
    edges : ascending, one fewer than ``names``.

    Raises
    ------
    ValueError
        Edges that do not ascend, or another number of names.
    """
    if len(names) != len(edges) + 1 or list(edges) != sorted(set(edges)):
        raise ValueError(f"Expected ascending edges and one more name than edges, got {list(edges)} and {list(names)}.")
    numbers = np.asarray(values, dtype=np.float64)
    out = np.array(names, dtype=object)[np.digitize(numbers, edges)]
    out[~np.isfinite(numbers)] = None
    return out


def thirds(values: npt.ArrayLike, *, unit: str = "") -> npt.NDArray[np.object_]:
    """Name each value by the third of the known values it falls in, with the edges; None for NaN.

    Fewer parts come out where values repeat so often that edges coincide; one value alone makes one slice.
    """
    numbers = np.asarray(values, dtype=np.float64)
    known = numbers[np.isfinite(numbers)]
    if not len(known):
        return np.full(len(numbers), None, dtype=object)
    edges = _between(known, np.quantile(known, [1 / 3, 2 / 3]))
    text = [f"{edge:.3g}{f' {unit}' if unit else ''}" for edge in edges]
    if not edges:
        return name_bins(numbers, [], ["all"])
    middle = [f"{text[0]} to {text[1]}"] if len(edges) == 2 else []
    return name_bins(numbers, edges, [f"below {text[0]}", *middle, f"{text[-1]} and more"])


def _between(known: Float64Array, wanted: npt.NDArray[np.float64]) -> list[float]:
    """Edges that leave something on both sides."""
    return sorted({float(e) for e in wanted if e > known.min()})
