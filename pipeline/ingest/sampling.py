"""Which frames of a video are looked at."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.ingest.records import FAKE, REAL

Mode = Literal["every_k", "uniform", "random", "per_class"]


def frame_indices(
    mode: Mode,
    n_frames: int,
    *,
    label: int | None = None,
    k: int = 10,
    n: int = 10,
    n_real: int = 40,
    n_fake: int = 8,
    rng: np.random.Generator | None = None,
) -> NDArray[np.int64]:
    """Choose frames by position.

    Parameters
    ----------
    mode : 'every_k', frames 0, k, 2k, ... (LatentForensics: k = 10); 'uniform', the middles of `n` equal segments;
        'random', `n` without replacement; 'per_class', uniform with `n_real` or `n_fake` by `label`, so that classes
        of unequal size give like numbers of faces (York: 40 and 8).
    n_frames : frames in the video, 0 or more. A video with fewer frames than asked for gives all of them.
    label : 0 or 1, needed by 'per_class'.
    rng : needed by 'random'.

    Returns
    -------
    int64 [m], ascending, distinct, each in [0, n_frames).

    Raises
    ------
    ValueError : an unknown mode, a count below 1, a negative `n_frames`, a missing `label` or `rng`.
    """
    if n_frames < 0:
        raise ValueError(f"n_frames must be 0 or more, not {n_frames}")
    if mode == "every_k":
        return np.arange(0, n_frames, _at_least_one("k", k), dtype=np.int64)
    if mode == "uniform":
        return _uniform(n_frames, _at_least_one("n", n))
    if mode == "random":
        if rng is None:
            raise ValueError("mode 'random' needs rng, a numpy.random.Generator")
        size = min(_at_least_one("n", n), n_frames)
        return np.sort(rng.choice(n_frames, size=size, replace=False)).astype(np.int64)
    if mode == "per_class":
        if label not in (REAL, FAKE):
            raise ValueError(f"mode 'per_class' needs the video's label, 0 or 1, not {label}")
        return _uniform(n_frames, _at_least_one("n_fake", n_fake) if label == FAKE else _at_least_one("n_real", n_real))
    raise ValueError(f"mode must be 'every_k', 'uniform', 'random' or 'per_class', not {mode!r}")


def _uniform(n_frames: int, n: int) -> NDArray[np.int64]:
    """Middles of n equal segments of [0, n_frames), in whole numbers so that no rounding decides."""
    n = min(n, n_frames)
    return (2 * np.arange(n, dtype=np.int64) + 1) * n_frames // max(2 * n, 1)


def _at_least_one(name: str, value: int) -> int:
    if value < 1:
        raise ValueError(f"{name} must be at least 1, not {value}")
    return value
