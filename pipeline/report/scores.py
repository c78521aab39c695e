"""How well the classifiers answer: curves and counts from predictions, and the pick of the best model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.judged import splits
from pipeline.report.palette import lower_is_better

AUC = "roc_auc"
HEADLINE = ("roc_auc", "balanced_accuracy", "accuracy", "log_loss", "brier", "eer", "average_precision")
COUNTS = frozenset({"tp", "fp", "tn", "fn"})
BASELINE_NOTE = "The baseline gives every item the share of fakes as P(fake), so it always answers the majority class."
NOT_MODELS = ("faces", "baseline")


@dataclass(frozen=True)
class Choice:
    """One model on one feature space, judged on one level and one side of the split."""

    level: str
    space: str
    model: str
    split: str
    metric: str
    value: float
    ci_low: float | None
    ci_high: float | None
    n_groups: int
    n_items: int


def optional(value: float | None) -> float | None:
    """A finite number, else None."""
    return None if value is None or not np.isfinite(value) else float(value)


def model_rows(metrics: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``metrics`` that judge a classifier (no coverage, no constant baseline)."""
    return metrics[~metrics["space"].isin(NOT_MODELS)]


def metric_order(metrics: pd.DataFrame) -> list[str]:
    """Names of the metrics that have a value, the headline ones first; the confusion matrix's counts are left out."""
    present = set(model_rows(metrics).dropna(subset=["value"])["metric"]) - COUNTS
    return [m for m in HEADLINE if m in present] + sorted(present - set(HEADLINE))


def judged(metrics: pd.DataFrame) -> list[tuple[str, str]]:
    """``(level, split)`` pairs to report: video, track, frame, each on its most honest split.

    Tracks are left out where every video has one, for they say the same.
    """
    rows = model_rows(metrics)
    n_items = rows.groupby("level")["n_items"].max()
    pairs = []
    for level in ("video", "track", "frame"):
        sides = splits(rows[rows["level"] == level])
        if sides and not (level == "track" and n_items["track"] == n_items.get("video")):
            pairs.append((level, sides[0]))
    return pairs


def why_unjudged(metrics: pd.DataFrame, meta: Mapping[str, Any]) -> str:
    """Why ``metrics`` judges no classifier, as its writer or its rows say."""
    return str(meta.get("reason") or "; ".join(sorted(set(metrics["reason"].dropna()))) or "no reason recorded")


def best_model(metrics: pd.DataFrame) -> Choice | None:
    """The model of the highest ROC-AUC at video level, or at frame level where no video was judged.

    Chosen on the very rows that it is reported on, so its figure is optimistic; who shows it has to say so.
    """
    rows = model_rows(metrics)
    rows = rows[rows["metric"].eq(AUC) & rows["value"].notna()]
    rows = rows[rows["split"].isin(splits(rows)[:1])]
    for level in ("video", "frame"):
        part = rows[rows["level"] == level].sort_values(["value", "space", "model"], ascending=[False, True, True])
        if not part.empty:
            row = part.iloc[0]
            return Choice(
                level, row["space"], row["model"], row["split"], row["metric"], float(row["value"]),
                optional(row["ci_low"]), optional(row["ci_high"]), int(row["n_groups"]), int(row["n_items"]),
            )  # fmt: skip
    return None


def select(predictions: pd.DataFrame, *, level: str, space: str, model: str, split: str) -> pd.DataFrame:
    """Labelled predictions of one model on one level and split."""
    wanted = (
        predictions["level"].eq(level)
        & predictions["space"].eq(space)
        & predictions["model"].eq(model)
        & predictions["split"].eq(split)
        & predictions["label"].notna()
    )
    return predictions[wanted]


def confusion(label: np.ndarray, p_fake: np.ndarray, *, threshold: float = 0.5) -> np.ndarray:
    """Counts by label and verdict.

    Parameters
    ----------
    label : [n] int, 0 real or 1 fake
    p_fake : [n] float in [0, 1]; ``p_fake >= threshold`` is called fake

    Returns
    -------
    [2, 2] int64, rows the label (real, fake), columns the verdict (real, fake)
    """
    label = np.asarray(label, dtype=np.int64)
    verdict = (np.asarray(p_fake, dtype=np.float64) >= threshold).astype(np.int64)
    return np.bincount(2 * label + verdict, minlength=4).reshape(2, 2)


def roc(label: np.ndarray, p_fake: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Points of the ROC curve, from (0, 0) to (1, 1); equal scores are one step, so ties are no curve's gain.

    Returns
    -------
    (false_positive_rate [k], true_positive_rate [k]) float64, or None where one class is missing
    """
    label = np.asarray(label, dtype=np.int64)
    score = np.asarray(p_fake, dtype=np.float64)
    n_fake = int(label.sum())
    n_real = label.size - n_fake
    if n_fake == 0 or n_real == 0:
        return None
    order = np.argsort(-score, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(score[order])), label.size - 1)
    hits = np.cumsum(label[order])[last_of_tie]
    false = last_of_tie + 1 - hits
    return np.append(0.0, false / n_real), np.append(0.0, hits / n_fake)


def precision_recall(label: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision at every distinct score, highest first; float64 [k] each. ``label`` holds some fake."""
    label = np.asarray(label, dtype=np.int64)
    score = np.asarray(score, dtype=np.float64)
    order = np.argsort(-score, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(score[order])), label.size - 1)
    hits = np.cumsum(label[order])[last_of_tie]
    return hits / label.sum(), hits / (last_of_tie + 1)


def calibration(label: np.ndarray, p_fake: np.ndarray, *, n_bins: int = 10, min_per_bin: int = 10) -> pd.DataFrame:
    """Share of fakes against stated P(fake), in bins of equal count, with 95 % Wilson intervals.

    The intervals take items as independent; frames of one video are not, so at frame level they are too narrow.

    Returns
    -------
    DataFrame
        ``p_mean, share_fake, low, high`` in [0, 1] and ``n``. Fewer bins than asked for where a bin would hold fewer
        than ``min_per_bin`` items; no rows for no items.
    """
    order = np.argsort(p_fake, kind="stable")
    p_sorted, y_sorted = np.asarray(p_fake, dtype=np.float64)[order], np.asarray(label, dtype=np.float64)[order]
    n_bins = max(1, min(n_bins, p_sorted.size // min_per_bin))
    rows = []
    for p, y in zip(np.array_split(p_sorted, n_bins), np.array_split(y_sorted, n_bins), strict=True):
        if p.size:
            rows.append((p.mean(), y.mean(), *wilson(int(y.sum()), p.size), p.size))
    return pd.DataFrame(rows, columns=["p_mean", "share_fake", "low", "high", "n"])


def wilson(k: int, n: int, *, z: float = 1.959963984540054) -> tuple[float, float]:
    """Wilson score interval of a share ``k / n`` (Wilson, J. Am. Stat. Assoc. 22, 1927); ``n`` above 0."""
    share = k / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))


def baseline_value(metrics: pd.DataFrame, *, level: str, split: str, metric: str) -> float | None:
    """What a constant answer (the majority class) reaches, from the ``baseline`` rows; None where there is none."""
    rows = metrics[
        metrics["space"].eq("baseline")
        & metrics["level"].eq(level)
        & metrics["split"].eq(split)
        & metrics["metric"].eq(metric)
    ]
    values = rows["value"].dropna()
    return None if values.empty else float(values.min() if lower_is_better(metric) else values.max())


def metric_table(metrics: pd.DataFrame, *, level: str, split: str, names: list[str]) -> pd.DataFrame:
    """One row per space and model, best ROC-AUC first and baselines last; one cell ``(value, low, high)`` per metric.

    Returns
    -------
    DataFrame
        ``space, model, n_groups, n_items, reason`` and, per name in ``names``, a tuple of floats (None where empty).
    """
    rows = metrics[metrics["level"].eq(level) & metrics["split"].eq(split) & metrics["space"].ne("faces")]
    out = []
    for (space, model), part in rows.groupby(["space", "model"], sort=True):
        cells = {r["metric"]: tuple(optional(r[c]) for c in ("value", "ci_low", "ci_high")) for _, r in part.iterrows()}
        why = "" if space == "baseline" else "; ".join(sorted(set(part["reason"].dropna())))
        row: dict[str, Any] = {"space": space, "model": model, "reason": why}
        row |= {"n_groups": int(part["n_groups"].max()), "n_items": int(part["n_items"].max())}
        out.append(row | {n: cells.get(n, (None, None, None)) for n in names})
    key = AUC if AUC in names else names[0] if names else None
    sign = 1 if key and lower_is_better(key) else -1
    out.sort(
        key=lambda r: (r["space"] == "baseline", *_rank(r.get(key) if key else None, sign), r["space"], r["model"])
    )
    return pd.DataFrame(out, columns=["space", "model", "n_groups", "n_items", "reason", *names])


def remarks(reasons: Iterable[str | None]) -> str:
    """A sentence of what the rows of a table say of themselves, each remark once: '' or ' Remarks: ...; ... .'.

    Remarks that differ by the count they begin with become one of the largest.
    """
    counts: dict[str, set[int]] = {}
    for remark in (part for reason in reasons for part in (reason or "").split("; ") if part):
        start = re.match(r"(\d+) (?!%)", remark)  # a share is no count
        counts.setdefault(remark[start.end() :] if start else remark, set()).update([int(start[1])] if start else [])
    if not counts:
        return ""
    said = [f"{'up to ' * (len(n) > 1)}{max(n)} {text}" if n else text for text, n in counts.items()]
    return f" Remarks: {'; '.join(said)}."


def _rank(cell: tuple[float | None, ...] | None, sign: int) -> tuple[bool, float]:
    value = cell[0] if cell else None
    return (True, 0.0) if value is None else (False, sign * value)


def format_interval(cell: tuple[float | None, float | None, float | None], *, digits: int = 3) -> str:
    """``0.812 [0.745, 0.871]``, without the brackets where there is no interval, ``—`` where there is no value."""
    value, low, high = cell
    if value is None:
        return "—"
    text = f"{value:.{digits}f}"
    return text if low is None or high is None else f"{text} [{low:.{digits}f}, {high:.{digits}f}]"
