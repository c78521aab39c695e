"""From frames to a video: one P(fake) out of many."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from classifiers.checks import Float64Array, Groups, check_probabilities, group_codes

Aggregation = Literal["mean", "median", "topk", "noisy_or"]


def aggregate_p_fake(
    p_fake: npt.ArrayLike, video_ids: Groups, *, method: Aggregation = "mean", top_k: int = 3
) -> tuple[npt.NDArray[np.str_], Float64Array]:
    """P(fake) of each video.

    Parameters
    ----------
    p_fake : [n] P(fake) of frames.
    video_ids : [n] video of each frame.
    method
        ``mean``, ``median``; ``topk``: mean of the ``top_k`` highest (of all, where there are fewer): a video counts
        as fake when a few of its frames do; ``noisy_or``: ``1 - prod(1 - p)``, the probability that at least one frame
        is fake if frames were independent. They are not, so it saturates with many frames.
    top_k : number of frames of ``topk``.

    Returns
    -------
    Sorted video ids str [V] and P(fake) float64 [V] in [0, 1].

    Raises
    ------
    ValueError
        Values outside [0, 1], lengths that differ, an unknown method, ``top_k`` below 1.
    """
    if method not in get_args(Aggregation):
        raise ValueError(f"Unknown aggregation '{method}': expected one of {', '.join(get_args(Aggregation))}.")
    if top_k < 1:
        raise ValueError(f"Expected top_k of at least 1, got {top_k}.")
    p = check_probabilities(p_fake)
    codes, names = group_codes(video_ids, n=len(p))
    order = np.lexsort((-p, codes))  # by video, highest first
    p, codes = p[order], codes[order]
    start = np.flatnonzero(np.diff(codes, prepend=-1))
    n = np.diff(start, append=len(p))
    if method == "mean":
        return names, np.clip(np.add.reduceat(p, start) / n, 0, 1)
    if method == "median":
        return names, (p[start + (n - 1) // 2] + p[start + n // 2]) / 2
    if method == "topk":
        rank = np.arange(len(p)) - np.repeat(start, n)
        return names, np.clip(np.add.reduceat(np.where(rank < top_k, p, 0.0), start) / np.minimum(n, top_k), 0, 1)
    with np.errstate(divide="ignore"):  # p = 1 gives log(0) = -inf, and so exactly 1
        return names, -np.expm1(np.add.reduceat(np.log1p(-p), start))
