"""Pairs of items that look alike although their groups are said to share nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifiers.checks import Groups, check_features, group_codes

BLOCK_ROWS = 2048


@dataclass(frozen=True)
class Pair:
    """Two items (row numbers, ``first < second``) of different groups, and how alike they are (cosine, up to 1)."""

    first: int
    second: int
    similarity: float


def alike_pairs(
    vectors: npt.ArrayLike, groups: Groups, owners: Groups, *, above: float, max_pairs: int = 100_000
) -> list[Pair]:
    """Pairs of items across groups whose vectors have a cosine of at least ``above``, the most alike first.

    Parameters
    ----------
    vectors : [n, d]; rows of zeros (flat images) are like nothing.
    groups : [n] what must not share anything.
    owners : [n] what an item belongs to (a video): of two owners only their most alike pair is listed.
    max_pairs : bound on what is held in memory; beyond it the search ends, for the material is one large leak.

    Raises
    ------
    ValueError
        Input of the wrong shape, or ``above`` outside (0, 1].
    """
    if not 0 < above <= 1:
        raise ValueError(f"Expected a similarity in (0, 1], got {above:g}.")
    matrix = check_features(vectors)
    code, owner = (group_codes(g, n=len(matrix))[0] for g in (groups, owners))
    length = np.linalg.norm(matrix, axis=1, keepdims=True)
    unit = matrix / np.where(length > 0, length, 1)
    best: dict[tuple[int, int], Pair] = {}
    for start in range(0, len(unit), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        alike = unit[rows] @ unit[start:].T  # [b, n - start]
        alike[code[rows, None] == code[None, start:]] = -1
        for i, j in np.argwhere(alike >= above):
            first, second = start + int(i), start + int(j)
            if first < second:
                pair = Pair(first, second, min(float(alike[i, j]), 1.0))
                key = (min(owner[first], owner[second]), max(owner[first], owner[second]))
                if key not in best or best[key].similarity < pair.similarity:
                    best[key] = pair
        if len(best) > max_pairs:
            break
    return sorted(best.values(), key=lambda p: (-p.similarity, p.first, p.second))


def shared_keys(keys: Sequence[Sequence[str]], groups: Groups) -> dict[str, list[str]]:
    """Keys (people) that stand in more than one group: key -> its groups, sorted. ``keys`` [n] of any number each."""
    names = [str(g) for g in groups]
    if len(keys) != len(names):
        raise ValueError(f"Expected keys of {len(names)} items, got {len(keys)}.")
    found: dict[str, set[str]] = {}
    for own, group in zip(keys, names, strict=True):
        for key in own:
            found.setdefault(key, set()).add(group)
    return {key: sorted(where) for key, where in sorted(found.items()) if len(where) > 1}
