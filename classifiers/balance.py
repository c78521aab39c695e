"""Equal numbers of real and fake frames for training, by drawing (York: 40 frames of a real, 8 of a fake video)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from classifiers.checks import FAKE, REAL, Groups, IntArray, check_labels, group_codes


def balanced_rows(y: npt.ArrayLike, videos: Groups, *, seed: int) -> IntArray:
    """Rows to train on: all of the scarcer class and as many of the other, spread evenly over its videos.

    Each video gives a first frame, then each that has one a second, and so on until enough are drawn; which frames of a
    video, and which videos in the last round, follows ``seed``. So no video drops out while another gives two.

    Parameters
    ----------
    y : [n] labels of frames; videos : [n] video of each frame.

    Returns
    -------
    Row numbers int64 [2 m] in ascending order, m of each class.

    Raises
    ------
    ValueError
        One class only, lengths that differ.
    """
    labels = check_labels(y, both_classes=True)
    codes, _ = group_codes(videos, n=len(labels))
    rng = np.random.default_rng(seed)
    classes = [np.flatnonzero(labels == c) for c in (REAL, FAKE)]
    n_each = min(map(len, classes))
    drawn = []
    for rows in classes:
        mixed = rng.permutation(rows)
        by_video = mixed[np.argsort(codes[mixed], kind="stable")]
        first = np.r_[True, np.diff(codes[by_video]) > 0]
        place = np.arange(len(by_video)) - np.maximum.accumulate(np.where(first, np.arange(len(by_video)), 0))
        # Rounds in order, videos of a round in random order.
        drawn.append(by_video[np.lexsort((rng.random(len(by_video)), place))][:n_each])
    return np.sort(np.concatenate(drawn))
