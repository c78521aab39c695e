"""Splits and folds by connected source group.

A source group joins everything that shares footage; it stands on one side only. Parts are stratified by how many
real and fake videos, and how many groups, they hold: groups are dealt out greedily, largest first, each to the part
that stays closest to its target share, then single moves and swaps improve the result. Same input and seed, same
result, whatever the order of the rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from classifiers.checks import FAKE, LABEL_NAMES, REAL, Float64Array, Groups, IntArray, check_labels, group_codes
from classifiers.dealing import Dealer

SPLIT_NAMES = ("train", "val", "test")


class SplitError(ValueError):
    """The source groups cannot make the parts that were asked for."""


class LeakError(ValueError):
    """A source group stands on more than one side."""


def three_way_split(
    groups: Groups, labels: npt.ArrayLike, *, fractions: Sequence[float] = (0.6, 0.2, 0.2), seed: int
) -> npt.NDArray[np.str_]:
    """Deal videos into train / val / test, never parting a source group.

    Parameters
    ----------
    groups : [n] source group of each video.
    labels : [n] 0 real, 1 fake.
    fractions : shares of train, val and test; they sum to 1, val or test may be 0.
    seed : decides between groups of equal size and composition.

    Returns
    -------
    str [n], each of `SPLIT_NAMES`.

    Raises
    ------
    SplitError
        A class stands in fewer groups than there are parts to fill, so that some part would lack it.
    ValueError
        Labels besides 0 and 1, missing groups, fractions that are negative or do not sum to 1.
    """
    shares = np.asarray(fractions, dtype=np.float64)
    if shares.shape != (3,) or (shares < 0).any() or shares[0] == 0 or abs(shares.sum() - 1) > 1e-6:
        given = ", ".join(f"{f:g}" for f in fractions)
        raise ValueError(f"Expected three shares (train > 0, val, test) that sum to 1, got ({given}).")
    part = _deal(groups, labels, shares, seed=seed, what="train, val and test", remedy="set val or test to 0")
    return np.array(SPLIT_NAMES, dtype=np.str_)[part]


def grouped_folds(groups: Groups, labels: npt.ArrayLike, *, n_folds: int, seed: int) -> IntArray:
    """Fold int64 [n] in 0..n_folds-1; each fold holds whole groups and both classes.

    Raises
    ------
    SplitError
        A class stands in fewer than ``n_folds`` groups (see ``max_folds``).
    """
    if n_folds < 2:
        raise ValueError(f"Expected at least 2 folds, got {n_folds}.")
    most = max_folds(groups, labels)
    remedy = f"lower the number of folds to {most}" if most >= 2 else "do without cross-validation"
    shares = np.full(n_folds, 1 / n_folds)
    return _deal(groups, labels, shares, seed=seed, what=f"{n_folds} folds", remedy=remedy)


def held_out(groups: Groups, labels: npt.ArrayLike, *, fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Mask bool [n] of about ``fraction`` of the items, whole groups, both classes on both sides.

    Raises
    ------
    SplitError
        A class stands in fewer than two groups.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"Expected a held-out fraction between 0 and 1, got {fraction:g}.")
    shares = np.array([1 - fraction, fraction])
    return _deal(groups, labels, shares, seed=seed, what="a validation part", remedy="train without one") == 1


def max_folds(groups: Groups, labels: npt.ArrayLike) -> int:
    """The most folds that can each hold both classes: the smaller number of groups in which a class stands."""
    y = check_labels(labels)
    codes, names = group_codes(groups, n=len(y))
    return int((_composition(codes, y, len(names))[:, :2] > 0).sum(axis=0).min())


def check_leaks(groups: Groups, split: Sequence[Any] | npt.NDArray[Any]) -> None:
    """Raise where a group stands on more than one side (splits or folds).

    Raises
    ------
    LeakError
        With the number of offending groups and the first five, each with its sides.
    """
    sides: dict[str, set[str]] = {}
    codes, names = group_codes(groups, n=len(split))
    for code, side in zip(codes.tolist(), list(split), strict=True):
        sides.setdefault(str(names[code]), set()).add(str(side))
    leaks = {name: where for name, where in sides.items() if len(where) > 1}
    if leaks:
        shown = "; ".join(f"{name} ({', '.join(sorted(leaks[name]))})" for name in sorted(leaks)[:5])
        more = "" if len(leaks) <= 5 else f"; and {len(leaks) - 5} more"
        raise LeakError(f"{len(leaks)} of {len(sides)} source groups stand on more than one side: {shown}{more}.")


def _composition(codes: IntArray, y: IntArray, n_groups: int) -> Float64Array:
    """Per group: real items, fake items, and 1 (the group itself). [G, 3]"""
    counts = np.ones((n_groups, 3))
    for c in (REAL, FAKE):
        counts[:, c] = np.bincount(codes[y == c], minlength=n_groups)
    return counts


def _deal(
    groups: Groups, labels: npt.ArrayLike, shares: Float64Array, *, seed: int, what: str, remedy: str
) -> IntArray:
    """Part of each item, int64 [n]; every part with a share above 0 holds both classes."""
    y = check_labels(labels)
    codes, names = group_codes(groups, n=len(y))
    counts = _composition(codes, y, len(names))
    used = np.flatnonzero(shares)
    n_with = (counts[:, :2] > 0).sum(axis=0)
    if n_with.min() < len(used):
        scarce, items = LABEL_NAMES[int(n_with.argmin())], Counter(y.tolist())
        raise SplitError(
            f"{what[0].upper()}{what[1:]} need {len(used)} source groups with each class, but '{scarce}' stands in "
            f"{int(n_with.min())} of {len(names)} groups ({items[REAL]} real and {items[FAKE]} fake items): "
            f"add {scarce} videos of other people or {remedy}."
        )
    dealer = Dealer(counts, shares[used], np.random.default_rng(seed))
    return used[dealer.deal()][codes]
