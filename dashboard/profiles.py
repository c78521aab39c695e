"""What a selection of faces is made of, compared with other faces: shares and means with intervals over source groups.

Frames of one video, and a fake and its original, are not independent, so source groups are the sample unit (as in
`classifiers.bootstrap`, which resamples them). Here every figure is a ratio of sums over groups, whose variance has a
closed form (linearisation; Cochran 1977, section 11), so that a profile of 130,000 faces needs no draws. Near 0 and 1
a share's interval is Wilson's with the number of faces that would be as informative if they were independent (Korn and
Graubard 1998).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

N_VALUES = 8  # of each category, the most frequent ones of both sides
SHARES = (("method", "method"), ("compression", "compression"), ("dataset", "data set"), ("split", "split"))
MEANS = (
    ("face_width_px", "face width (px)"), ("blur", "sharpness"), ("lpips", "perceptual distance"),
    ("yaw_deg", "head yaw (deg)"), ("p_fake", "P(fake)"), ("outlier_score", "outlier score"),
)  # fmt: skip


# Fewer source groups on a side and the difference's interval is too short: of four against sixty it leaves out a true 0
# in 12 % of draws, of ten in 5 %.
MIN_GROUPS = 8


@dataclass(frozen=True)
class Estimate:
    """A share or a mean with its 95 % interval over source groups; NaN where it cannot be told."""

    value: float
    low: float
    high: float
    n_items: int
    n_groups: int


def estimate(values: NDArray[np.float64], groups: NDArray[np.int64], *, is_share: bool) -> Estimate:
    """Mean of ``values`` [n] with an interval over ``groups`` [n]; NaN values do not count.

    With fewer than two groups there is no interval.
    """
    known = np.isfinite(values)
    values, groups = values[known], groups[known]
    if not len(values):
        return Estimate(np.nan, np.nan, np.nan, 0, 0)
    mean = float(values.mean())
    influence, n_groups = _influence(values, groups, mean)
    if n_groups < 2:
        return Estimate(mean, np.nan, np.nan, len(values), n_groups)
    variance = n_groups / (n_groups - 1) * float((influence**2).sum())
    t = float(stdtrit(n_groups - 1, 0.975))
    if is_share:
        # All the same: each group tells as much as one independent face.
        n_effective = mean * (1 - mean) / variance if variance > 0 else float(n_groups)
        return Estimate(mean, *_wilson(mean, n_effective, t), len(values), n_groups)
    margin = t * np.sqrt(variance)
    return Estimate(mean, mean - margin, mean + margin, len(values), n_groups)


def difference(
    values: NDArray[np.float64], groups: NDArray[np.int64], a: NDArray[np.bool_], b: NDArray[np.bool_]
) -> Estimate:
    """Mean over ``a`` less mean over ``b`` (bool [n] each), with an interval that knows of groups on both sides."""
    known = np.isfinite(values)
    parts = [(values[side & known], groups[side & known]) for side in (a, b)]
    if any(not len(v) for v, _ in parts):
        return Estimate(np.nan, np.nan, np.nan, 0, 0)
    means = [float(v.mean()) for v, _ in parts]
    influence = np.zeros(int(groups.max()) + 1)
    for sign, mean, (v, g) in zip((1, -1), means, parts, strict=True):
        influence += sign * np.bincount(g, v - mean, len(influence)) / len(v)
    counts = [len(np.unique(g)) for _, g in parts]
    n_groups = min(counts)
    n_items = min(len(v) for v, _ in parts)
    if n_groups < MIN_GROUPS:
        return Estimate(means[0] - means[1], np.nan, np.nan, n_items, n_groups)
    margin = stdtrit(n_groups - 1, 0.975) * np.sqrt(n_groups / (n_groups - 1) * (influence**2).sum())
    value = means[0] - means[1]
    return Estimate(value, value - margin, value + margin, n_items, n_groups)


def _influence(values: NDArray[np.float64], groups: NDArray[np.int64], mean: float) -> tuple[NDArray[np.float64], int]:
    """Each group's part in the error of the mean, and the number of groups."""
    _, codes = np.unique(groups, return_inverse=True)
    sums = np.bincount(codes, values - mean)
    return sums / len(values), len(sums)


def _wilson(p: float, n: float, z: float) -> tuple[float, float]:
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    margin = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return max(0.0, centre - margin), min(1.0, centre + margin)


def profile(
    points: pd.DataFrame, groups: NDArray[np.int64], a: NDArray[np.bool_], b: NDArray[np.bool_]
) -> pd.DataFrame:
    """Two sets of faces side by side.

    Parameters
    ----------
    points : rows as `dashboard.map_points` makes them.
    groups : int [n], source groups.
    a, b : bool [n], the selection and what it is compared with.

    Returns
    -------
    DataFrame
        ``part, what, is_share, a, a_low, a_high, b, b_low, b_high, difference, low, high, n_groups, differs``; values
        are shares in [0, 1] or means in the column's unit. ``differs``: the interval of the difference leaves out 0.
    """
    rows = []
    for part, what, values, is_share in _measures(points, a, b):
        both = [estimate(values[side], groups[side], is_share=is_share) for side in (a, b)]
        apart = difference(values, groups, a, b)
        rows.append(
            {"part": part, "what": what, "is_share": is_share}
            | {f"{n}{end}": v for n, e in zip("ab", both, strict=True)
               for end, v in (("", e.value), ("_low", e.low), ("_high", e.high))}
            | {"difference": apart.value, "low": apart.low, "high": apart.high, "n_groups": both[0].n_groups,
               "differs": bool(apart.low > 0 or apart.high < 0)}
        )  # fmt: skip
    return pd.DataFrame(rows)


def _measures(
    points: pd.DataFrame, a: NDArray[np.bool_], b: NDArray[np.bool_]
) -> Iterator[tuple[str, str, NDArray[np.float64], bool]]:
    """``part, what``, a value per face (NaN: not known) and whether it is a share, of all that can be compared."""
    label = points["label"].astype(object)
    fake = np.where(label.eq("fake"), 1.0, np.where(label.eq("real"), 0.0, np.nan))
    if np.isfinite(fake).any():
        yield "label", "fake", fake, True
    for column, name in SHARES:
        values = points[column]
        if values.notna().any():
            codes, distinct = pd.factorize(values)
            counts = np.bincount(codes[(a | b) & (codes >= 0)], minlength=len(distinct))
            if (counts > 0).sum() < 2:
                continue  # the same for all: nothing to compare
            for index in np.argsort(-counts, kind="stable")[:N_VALUES]:
                if counts[index]:
                    yield name, str(distinct[index]), np.where(codes < 0, np.nan, codes == index).astype(float), True
    for column, name in MEANS:
        if column in points.columns and points[column].notna().any():
            yield "mean", name, points[column].to_numpy(dtype=np.float64, na_value=np.nan), False


@dataclass(frozen=True)
class Sizes:
    """How much a set of faces holds; None where nothing is known of it."""

    n_faces: int
    n_videos: int
    n_groups: int
    n_identities: int | None


def sizes(points: pd.DataFrame, chosen: NDArray[np.bool_]) -> Sizes:
    """Count faces, videos, source groups and people among chosen rows."""
    part = points[chosen]
    people = int(part["identity"].nunique()) if points["identity"].notna().any() else None
    return Sizes(len(part), int(part["video_id"].nunique()), int(part["source_group"].nunique()), people)
