"""Folds that leave a domain out: train on some manipulation methods (data sets, compressions), test on another.

Each source group is given to one domain, and of its videos only those of that domain are used. Training on the other
folds then sees neither the domain of the fold that is judged nor a group of it. The price is that a group whose videos
stand in several domains gives only those of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from classifiers.checks import FAKE, LABEL_NAMES, REAL, Groups, IntArray, check_labels, group_codes
from classifiers.splits import SplitError

UNUSED = -1


@dataclass(frozen=True)
class DomainFolds:
    """``fold`` int64 [n], -1 where an item is left out; ``names``: the domain each fold judges; ``n_unused`` items."""

    fold: IntArray
    names: tuple[str, ...]
    n_unused: int


def leave_one_out(
    groups: Groups, labels: Sequence[int], domains: Sequence[str | None], *, what: str, seed: int
) -> DomainFolds:
    """Deal groups to domains so that each domain gets about as many groups as any other that it may share them with.

    Parameters
    ----------
    groups, labels : [n] source groups and labels.
    domains : [n] domain of each item; None: of no domain, used wherever its group goes (real videos, where domains are
        manipulation methods). A fake without domain is left out.
    what : what a domain is, for messages: 'manipulation method'.
    seed : decides between domains that have as many groups.

    Raises
    ------
    SplitError
        Fewer than two domains, or one whose fold would lack a class.
    """
    y = check_labels(labels)
    codes, names = group_codes(groups, n=len(y))
    if len(domains) != len(y):
        raise ValueError(f"Expected domains of {len(y)} items, got {len(domains)}.")
    known = sorted({d for d in domains if d is not None})
    if len(known) < 2:
        there = f"all are '{known[0]}'" if known else "none is known"
        raise SplitError(f"Folds by {what} need at least two of them, but {there}: choose another split.by.")
    number = {name: k for k, name in enumerate(known)}
    domain = np.array([UNUSED if d is None else number[d] for d in domains])
    part = _deal(codes, y, domain, len(names), len(known), np.random.default_rng(seed))
    free = (domain == UNUSED) & (y == REAL)
    fold = np.where((domain == part[codes]) | free, part[codes], UNUSED).astype(np.int64)
    for k, name in enumerate(known):
        for c in (REAL, FAKE):
            if not ((fold == k) & (y == c)).any():
                raise SplitError(
                    f"The fold of {what} '{name}' would hold no {LABEL_NAMES[c]} video: "
                    f"add source groups with {LABEL_NAMES[c]} videos or choose another split.by."
                )
    return DomainFolds(fold, tuple(known), int((fold == UNUSED).sum()))


def _deal(
    codes: IntArray, y: IntArray, domain: IntArray, n_groups: int, n_domains: int, rng: np.random.Generator
) -> IntArray:
    """Domain of each group, int64 [G]: groups with the fewest choices first, each to the domain that has least."""
    offered = np.zeros((n_groups, n_domains), dtype=bool)
    offered[codes[domain >= 0], domain[domain >= 0]] = True
    holds = np.stack([np.bincount(codes[y == c], minlength=n_groups) > 0 for c in (REAL, FAKE)], axis=1)  # [G, 2]
    offered[~offered.any(axis=1)] = True  # only free items: anywhere
    load = np.zeros((n_domains, 2))  # groups with reals and with fakes that each domain has got
    part = np.empty(n_groups, dtype=np.int64)
    order = rng.permutation(n_groups)
    # Groups without fakes come last: they even out the reals.
    for g in order[np.lexsort((offered[order].sum(axis=1), ~holds[order, FAKE]))]:
        kinds = holds[g].astype(np.float64)
        cost = np.where(offered[g], load @ kinds, np.inf)
        part[g] = int(cost.argmin())
        load[part[g]] += kinds
    return part
