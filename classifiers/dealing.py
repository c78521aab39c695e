"""Dealing groups of unequal size and composition into parts of given shares."""

from __future__ import annotations

import numpy as np

from classifiers.checks import Float64Array, IntArray

# Swaps are tried pairwise, so only among this many groups; with more groups the greedy deal is already balanced.
MAX_GROUPS_TO_SWAP = 200
MAX_IMPROVEMENTS = 500
# Outweighs any imbalance: a part without a class is worse than any deviation in size.
MISSING_CLASS_PENALTY = 1e6


class Dealer:
    """Deals groups [G, C] into parts so that sum over parts and columns of (count - target)^2 / share is small."""

    def __init__(self, counts: Float64Array, shares: Float64Array, rng: np.random.Generator) -> None:
        self.g = counts / counts.sum(axis=0)  # [G, C], each column sums to 1
        self.shares = shares  # [k]
        self.load = np.zeros((len(shares), counts.shape[1]))  # [k, C], target: shares[:, None]
        self.n_of_class = np.zeros((len(shares), 2), dtype=np.int64)  # groups of a class in a part
        self.has = (counts[:, :2] > 0).astype(np.int64)  # [G, 2]
        self.part = np.full(len(counts), -1, dtype=np.int64)
        shuffled = rng.permutation(len(counts))
        # Groups with both classes first: each fills both needs of a part, so that no part can be left without a class.
        order = np.lexsort((-self.g[shuffled].sum(axis=1), -self.has[shuffled].sum(axis=1)))
        self.order = shuffled[order]

    def deal(self) -> IntArray:
        for i in self.order.tolist():
            cost = (self.g[i] * (2 * (self.load - self.shares[:, None]) + self.g[i])).sum(axis=1) / self.shares
            cost -= MISSING_CLASS_PENALTY * ((self.n_of_class == 0) & (self.has[i] > 0)).sum(axis=1)
            self._put(i, int(cost.argmin()))
        for _ in range(MAX_IMPROVEMENTS):
            if not self._improve():
                break
        return self.part

    def _put(self, i: int, part: int) -> None:
        old = self.part[i]
        if old >= 0:
            self.load[old] -= self.g[i]
            self.n_of_class[old] -= self.has[i]
        self.load[part] += self.g[i]
        self.n_of_class[part] += self.has[i]
        self.part[i] = part

    def _improve(self) -> bool:
        """Apply the best move of one group, or else the best swap of two; False when none helps."""
        excess = self.load - self.shares[:, None]
        share = self.shares[self.part]
        leave = (self.g * (self.g - 2 * excess[self.part])).sum(axis=1) / share  # [G]
        enter = (self.g[:, None] * (self.g[:, None] + 2 * excess)).sum(axis=2) / self.shares  # [G, k]
        gain = leave[:, None] + enter
        last = ((self.n_of_class[self.part] == self.has) & (self.has > 0)).any(axis=1)
        gain[last] = np.inf  # the last group of a class stays
        gain[np.arange(len(gain)), self.part] = np.inf
        i, to = np.unravel_index(int(gain.argmin()), gain.shape)
        if gain[i, to] < -1e-12:
            self._put(int(i), int(to))
            return True
        return len(self.g) <= MAX_GROUPS_TO_SWAP and self._swap(excess, share)

    def _swap(self, excess: Float64Array, share: Float64Array) -> bool:
        change = self.g[None] - self.g[:, None]  # [i, j, C]: what i's part gains when i goes and j comes
        change_has = self.has[None] - self.has[:, None]
        cost = (change * (change + 2 * excess[self.part][:, None])).sum(axis=2) / share[:, None]
        lacking = (self.n_of_class[self.part][:, None] + change_has == 0).any(axis=2)
        gain = cost + cost.T
        gain[lacking | lacking.T | (self.part[:, None] == self.part[None])] = np.inf
        i, j = (int(v) for v in np.unravel_index(int(gain.argmin()), gain.shape))
        if not gain[i, j] < -1e-12:
            return False
        part_i, part_j = int(self.part[i]), int(self.part[j])
        self._put(i, part_j)
        self._put(j, part_i)
        return True
