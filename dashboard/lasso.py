"""Which points of a map a drawn line encloses: geometry on arrays, for 2-D and 3-D maps alike.

The browser sends the line as it was drawn and the projection it was drawn under, not the points: a few kB whatever the
size of the map, and the same answer for the same line.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_CORNERS = 1000


@dataclass(frozen=True, eq=False)
class Lasso:
    """A closed line on the screen.

    Attributes
    ----------
    corners : float64 [k, 2], in the screen's units: -1 to 1 from left to right and from bottom to top.
    matrix : float64 [4, 4], takes a point (x, y, z, 1) to (x w, y w, z w, w) on the screen.
    """

    corners: NDArray[np.float64]
    matrix: NDArray[np.float64]

    @classmethod
    def read(cls, sent: object) -> Lasso | None:
        """What a browser sent, ``{"corners": [[x, y], ...], "matrix": [16 numbers, by columns]}``; None for else."""
        try:
            corners = np.array(sent["corners"], dtype=np.float64)  # type: ignore[index]
            matrix = np.array(sent["matrix"], dtype=np.float64)  # type: ignore[index]
        except (TypeError, KeyError, ValueError):
            return None
        if corners.ndim != 2 or corners.shape[1] != 2 or not 3 <= len(corners) <= MAX_CORNERS or matrix.shape != (16,):
            return None
        if not (np.isfinite(corners).all() and np.isfinite(matrix).all()):
            return None
        return cls(corners, matrix.reshape(4, 4).T)


def enclosed(points: NDArray[np.float32], lasso: Lasso) -> NDArray[np.bool_]:
    """Whether each point lies within the line, float32 [n, 2] or [n, 3] -> bool [n].

    Even-odd rule: what a line that crosses itself encloses twice is outside. In 3-D everything behind one another is
    enclosed; what lies behind the eye is not.
    """
    n_dims = points.shape[1]
    screen = points.astype(np.float64) @ lasso.matrix[:, :n_dims].T + lasso.matrix[:, 3]  # [n, 4]
    w = screen[:, 3]
    x, y = np.divide(screen[:, :2], w[:, None], out=np.full((len(points), 2), np.inf), where=w[:, None] > 0).T
    low, high = lasso.corners.min(axis=0), lasso.corners.max(axis=0)
    near = np.flatnonzero((x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1]))
    out = np.zeros(len(points), dtype=bool)
    out[near] = _odd_crossings(x[near], y[near], lasso.corners)
    return out


def _odd_crossings(x: NDArray[np.float64], y: NDArray[np.float64], corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether a ray from each point to the right crosses the closed line an odd number of times."""
    inside = np.zeros(len(x), dtype=bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        spans = (y0 > y) != (y1 > y)
        inside[spans] ^= x[spans] < x0 + (y[spans] - y0) * (x1 - x0) / (y1 - y0)
    return inside
