"""What a clustering is about: its mutual information with attributes of the faces, against shuffled ones.

For clusters C and an attribute A, with entropies H and I(C; A) = H(C) + H(A) - H(C, A),

    NMI = 2 I(C; A) / (H(C) + H(A)),        told = I(C; A) / H(A),

NMI in [0, 1] (Strehl and Ghosh, "Cluster ensembles", JMLR 3, 2002) and the share of the attribute's uncertainty that a
face's cluster takes away. Both grow with the number of clusters even where there is nothing, so they mean something
only beside the null (Vinh, Epps and Bailey, "Information theoretic measures for clusterings comparison", JMLR 11,
2010), here by shufflings that keep what belongs together (`embeddings.shuffles`):

    adjusted = (NMI - null mean) / (1 - null mean).

There is no interval of NMI itself: drawing groups again with repetition makes twins, which raises it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

UNKNOWN = -1
#: A shuffling reaches the observed value where it comes this near: the same counts may sum in another order.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Information:
    """One attribute beside one clustering.

    Attributes
    ----------
    nmi, told : float
        In [0, 1]; NaN with a ``reason`` where they cannot be measured.
    null_mean, null_low, null_high : float
        Mean and ends of the 95 % interval of the NMI of shuffled attributes.
    adjusted : float
        0 as under shuffling, 1 where clusters and attribute are the same; negative below the null.
    p_value : float
        Share of shufflings (the observed one among them) that reach ``nmi``.
    n_values, n_faces : int
        Different values, and faces that have one and are in a cluster.
    """

    nmi: float = math.nan
    told: float = math.nan
    null_mean: float = math.nan
    null_low: float = math.nan
    null_high: float = math.nan
    adjusted: float = math.nan
    p_value: float = math.nan
    n_values: int = 0
    n_faces: int = 0
    reason: str | None = None


def codes_of(values: Iterable[object]) -> NDArray[np.int64]:
    """Numbers for words, `UNKNOWN` for None: int64 [n]."""
    items = list(values)
    names = {name: i for i, name in enumerate(sorted({str(v) for v in items if v is not None}))}
    return np.array([UNKNOWN if v is None else names[str(v)] for v in items], dtype=np.int64)


def nmi(cluster: ArrayLike, values: ArrayLike) -> tuple[float, float]:
    """NMI and told of non-negative codes int [n]; rows with a negative one (noise, unknown) are left out.

    (NaN, NaN) where nothing is left; (0, 0) where clusters or values are all the same.
    """
    c, v = np.asarray(cluster, dtype=np.int64), np.asarray(values, dtype=np.int64)
    if c.shape != v.shape or c.ndim != 1:
        raise ValueError(f"Expected clusters and values of one shape [n], got {list(c.shape)} and {list(v.shape)}.")
    known = (c >= 0) & (v >= 0)
    if not known.any():
        return math.nan, math.nan
    c, v = c[known], v[known]
    h_cluster, h_values = _entropy(c), _entropy(v)
    both = max(0.0, h_cluster + h_values - _entropy(c * (int(v.max()) + 1) + v))
    if h_cluster == 0 or h_values == 0:
        return 0.0, 0.0
    return min(1.0, 2 * both / (h_cluster + h_values)), min(1.0, both / h_values)


def _entropy(codes: NDArray[np.int64]) -> float:
    """Of the codes' shares, in nats."""
    # Counting pairs of many clusters and many values in one array would cost more than sorting them.
    dense = int(codes.max()) <= 4 * len(codes)
    counts = np.bincount(codes) if dense else np.unique(codes, return_counts=True)[1]
    if counts.max() == len(codes):
        return 0.0
    shares = counts[counts > 0] / len(codes)
    return float(-(shares * np.log(shares)).sum())


@dataclass
class _Tally:
    """An attribute's codes and what its shufflings gave."""

    codes: NDArray[np.int64]
    drawn: list[float] = field(default_factory=list)


def information(
    cluster: ArrayLike, attributes: Mapping[str, ArrayLike], shuffles: Iterable[NDArray[np.intp]]
) -> dict[str, Information]:
    """Measure attributes that are shuffled alike.

    Parameters
    ----------
    cluster : array_like [n] of int
        -1 is noise, which is left out of every measure: its faces have nothing in common.
    attributes : name -> array_like [n] of int
        Codes, `UNKNOWN` where a face has none.
    shuffles : iterable of intp [n]
        As `shuffles.block_shuffles` gives them; all attributes go through each.

    Raises
    ------
    ValueError
        Lengths that differ.
    """
    labels = np.asarray(cluster, dtype=np.int64)
    out: dict[str, Information] = {}
    tallies: dict[str, _Tally] = {}
    for name, values in attributes.items():
        codes = np.asarray(values, dtype=np.int64)
        if codes.shape != labels.shape:
            raise ValueError(f"attribute '{name}': expected {len(labels)} values, got shape {list(codes.shape)}.")
        if reason := _why_not(labels, codes):
            inside = codes[(labels >= 0) & (codes >= 0)]
            out[name] = Information(n_values=len(np.unique(inside)), n_faces=len(inside), reason=reason)
        else:
            tallies[name] = _Tally(codes)
    if tallies:
        for donor in shuffles:
            for tally in tallies.values():
                tally.drawn.append(nmi(labels, tally.codes[donor])[0])
    found = out | {name: _measured(labels, tally) for name, tally in tallies.items()}
    return {name: found[name] for name in attributes}


def _why_not(cluster: NDArray[np.int64], codes: NDArray[np.int64]) -> str | None:
    """Why an attribute has nothing to share with the clusters."""
    clustered = cluster >= 0
    if not clustered.any():
        return "every face is noise"
    if len(np.unique(cluster[clustered])) == 1:
        return "there is one cluster alone"
    inside = codes[clustered & (codes >= 0)]
    if not len(inside):
        return "not known of any face in a cluster"
    n_values = len(np.unique(inside))
    if n_values == 1:
        return "the same for all faces in clusters"
    if n_values == len(inside):
        return "another value for every face in a cluster"
    if len(np.unique(cluster[clustered & (codes >= 0)])) == 1:
        return "known in one cluster alone"
    return None


def _measured(cluster: NDArray[np.int64], tally: _Tally) -> Information:
    value, told = nmi(cluster, tally.codes)
    drawn = np.array(tally.drawn)
    drawn = drawn[np.isfinite(drawn)]  # a shuffling may leave no known value in a cluster
    inside = tally.codes[(cluster >= 0) & (tally.codes >= 0)]
    counts = {"n_values": len(np.unique(inside)), "n_faces": len(inside)}
    if not len(drawn):
        return Information(value, told, reason="no shuffling could be made", **counts)
    mean = float(drawn.mean())
    low, high = (float(q) for q in np.quantile(drawn, [0.025, 0.975]))
    p_value = (1 + int((drawn >= value - _ROUNDING).sum())) / (1 + len(drawn))
    same = float(np.abs(drawn - value).max()) < _ROUNDING
    reason = "no shuffling changes it: clusters hold whole units" if same else None
    adjusted = 0.0 if same or mean >= 1 else (value - mean) / (1 - mean)
    return Information(value, told, mean, low, high, adjusted, p_value, reason=reason, **counts)
