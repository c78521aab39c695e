"""Shufflings that keep dependence: what belongs together moves together, as under the null of no relation.

Frames of one video look alike, and so do videos of one recording. A null that deals attributes out to single faces
calls every clustering of people a finding about whatever these people have in common. Here whole blocks (source groups)
take each other's place, inside them the parts (videos), and inside those the rows (faces): what is alike within a block
stays so, and only its relation to other things is broken (restricted permutations; Anderson and ter Braak, "Permutation
tests for multi-factorial analysis of variance", J. Stat. Comput. Simul. 73, 2003).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Blocks change places with blocks of like size; a class of fewer than this many is joined with the next.
MIN_EXCHANGE = 20


def block_shuffles(
    blocks: ArrayLike, parts: ArrayLike | None = None, *, n: int, rng: np.random.Generator
) -> Iterator[NDArray[np.intp]]:
    """Rows whose values each row takes on, shuffling after shuffling.

    Parameters
    ----------
    blocks : array_like [m]
        Block of each row (any hashable values of one type). Blocks exchange places.
    parts : array_like [m] or None
        Part of each row, such as its video, counted inside its block; parts of a block exchange places, and rows of a
        part. None: each block is one part.
    n : int
        Shufflings to make.

    Yields
    ------
    intp [m]
        ``values[donor]`` is the shuffled attribute. Where blocks are of equal size it is a permutation. Of a larger
        block a smaller one takes some, of a smaller one a larger one takes rows more than once.

    Raises
    ------
    ValueError
        Lengths that differ, or n below 1.
    """
    block_of = _codes(blocks)
    rows = len(block_of)
    part_names = block_of if parts is None else _codes(parts)
    if part_names.shape != (rows,) or n < 1:
        raise ValueError(f"Expected as many parts as blocks ({rows}) and n >= 1, got {len(part_names)} and {n}.")
    part_of = _codes(block_of * (int(part_names.max(initial=0)) + 1) + part_names)
    if not rows:
        yield from (np.empty(0, dtype=np.intp) for _ in range(n))
        return
    block_of_part = np.zeros(int(part_of.max()) + 1, dtype=np.int64)
    block_of_part[part_of] = block_of
    outer, inner = _Ragged(block_of_part), _Ragged(part_of)
    classes = _like_sizes(outer.sizes, np.bincount(block_of))
    for _ in range(n):
        donor_block = np.arange(len(outer.sizes))
        for members in classes:
            donor_block[members] = rng.permutation(members)
        donor_part = outer.dealt(donor_block[block_of_part], rng)
        yield inner.dealt(donor_part[part_of], rng)


class _Ragged:
    """Items in containers of unequal size: ``container`` int64 [m], from 0 without gaps."""

    def __init__(self, container: NDArray[np.int64]) -> None:
        self._container = container
        self.sizes = np.bincount(container)
        self._starts = np.cumsum(self.sizes) - self.sizes
        order = np.argsort(container, kind="stable")
        self._rank = np.empty(len(container), dtype=np.int64)
        self._rank[order] = np.arange(len(container)) - self._starts[container[order]]

    def dealt(self, donor: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.intp]:
        """An item of the container ``donor[i]`` for each item i, in an order drawn anew."""
        order = np.lexsort((rng.random(len(self._container)), self._container))
        return np.asarray(order[self._starts[donor] + self._rank % self.sizes[donor]], dtype=np.intp)


def _codes(values: ArrayLike) -> NDArray[np.int64]:
    return np.unique(np.asarray(values), return_inverse=True)[1].astype(np.int64).reshape(-1)


def _like_sizes(n_parts: NDArray[np.int64], n_rows: NDArray[np.int64]) -> list[NDArray[np.intp]]:
    """Blocks by size, in classes of at least `MIN_EXCHANGE` where there are as many."""
    order = np.lexsort((n_rows, n_parts))
    sizes = np.stack([n_parts, n_rows], axis=1)[order]
    edges = np.flatnonzero((sizes[1:] != sizes[:-1]).any(axis=1)) + 1
    starts = [0]
    for edge in edges:
        if edge - starts[-1] >= MIN_EXCHANGE and len(order) - edge >= MIN_EXCHANGE:
            starts.append(int(edge))
    return [order[a:b] for a, b in zip(starts, [*starts[1:], len(order)], strict=True)]
