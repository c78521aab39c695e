"""What the classifiers' answers are worth: predictions in, rows of the tables that `evaluate` writes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from classifiers.bootstrap import MeasureOf, MetricRow, constant_answer, evaluate, group_mean
from classifiers.compare import Answers, delong, paired_bootstrap
from classifiers.prior import AtPrior
from classifiers.risk import Abstention
from pipeline.judged import own_answers, splits
from pipeline.params import Evaluate
from pipeline.progress import bar

Rows = list[dict[str, Any]]
Place = dict[str, str]

BY_METHOD = ("roc_auc", "average_precision", "balanced_accuracy", "recall", "eer")
UNKNOWN = "unknown"


def coverage(faces: pd.DataFrame, wanted: Evaluate, *, seed: int) -> Rows:
    """The row on the share of sampled frames with a usable face; ``faces`` has video, frame, group and status."""
    frames = faces.assign(ok=faces["status"] == "ok").groupby(["video_id", "frame_index"], as_index=False)
    found = frames.agg(ok=("ok", "max"), source_group=("source_group", "first"))
    ok = found["ok"].to_numpy(dtype=np.float64)
    row = group_mean("coverage", ok, found["source_group"].tolist(), n_boot=wanted.n_boot, seed=seed)
    return [_row({"level": "frame", "space": "faces", "model": "detector", "split": "all"}, row)]


def of_models(predictions: pd.DataFrame, wanted: Evaluate, *, seed: int) -> Rows:
    """Rows of ``metrics``: every classifier on every level and split, then the constant answers."""
    rows: Rows = []
    baselines: dict[tuple[str, str], Rows] = {}
    for place, part in _parts(predictions, what="metrics"):
        y, groups = _labels(part)
        more: list[MeasureOf] = [
            partial(Abstention.of, uncertain=part["uncertain"].to_numpy(dtype=bool)),
            partial(
                AtPrior.of,
                prior_fake=wanted.prior_fake,
                cost_false_alarm=wanted.cost_false_alarm,
                cost_miss=wanted.cost_miss,
            ),
        ]
        answers = _answers(part)
        drawn = {"n_boot": wanted.n_boot, "seed": seed}
        found = evaluate(y, answers.p_fake, groups, score=answers.score, more=more, **drawn)
        rows += [_row(place, m) for m in found]
        key = (place["level"], place["split"])
        if key not in baselines:
            constant = constant_answer(y, groups, share_fake=float(y.mean()), **drawn)
            where = place | {"space": "baseline", "model": "class-share"}
            baselines[key] = [_row(where, m) for m in constant]
    return rows + [row for part in baselines.values() for row in part]


def not_judged(predictions: pd.DataFrame, told: Mapping[str, Any]) -> Rows:
    """Rows of ``metrics`` for models that were not trained, without a number; ``told``: metadata of ``predictions``."""
    split = next(iter(splits(predictions)), "cv" if told.get("protocol") == "cv" else "test")
    nothing = {"metric": "roc_auc", "value": None, "ci_low": None, "ci_high": None, "n_groups": 0, "n_items": 0}
    return [
        {"level": level, "space": space, "model": model, "split": split, **nothing, "reason": reason}
        for space, model, reason in told.get("not_trained", ())
        for level in ("frame", "video")
    ]


def of_methods(predictions: pd.DataFrame, method_of: Mapping[str, str | None], wanted: Evaluate, *, seed: int) -> Rows:
    """Rows of ``method_metrics``: each method's fakes against all reals (NTU's categorical tagging).

    Parameters
    ----------
    method_of
        Manipulation method by id of a prediction, as `methods` gives them.
    """
    rows: Rows = []
    for place, part in _parts(predictions, what="methods"):
        method = pd.Series([method_of.get(i) or UNKNOWN for i in part["id"]], index=part.index)
        real = part["label"] == 0
        for name in sorted(set(method[~real])):
            chosen = part[real | (method == name)]
            y, groups = _labels(chosen)
            answers = _answers(chosen)
            found = evaluate(y, answers.p_fake, groups, score=answers.score, n_boot=wanted.n_boot, seed=seed)
            counts = {"method": name, "n_fakes": int(y.sum()), "n_reals": int(len(y) - y.sum())}
            for metric in found:
                if metric.metric in BY_METHOD:
                    row = _row(place | counts, metric)
                    del row["n_items"]
                    rows.append(row)
    return rows


def methods(faces: pd.DataFrame) -> dict[str, str | None]:
    """Manipulation method by face, track and video id, as the table ``predictions`` writes them."""
    known = faces.assign(track=faces["video_id"] + ":" + faces["track_id"].astype(str))
    ids = [known[["method"]].assign(id=known[c]) for c in ("face_id", "track", "video_id")]
    every = pd.concat(ids).drop_duplicates("id")
    return {str(i): None if pd.isna(m) else str(m) for i, m in zip(every["id"], every["method"], strict=True)}


def against_best(predictions: pd.DataFrame, metrics: Rows, wanted: Evaluate, *, seed: int) -> Rows:
    """Rows of ``comparisons``: at each level and split the model with the highest ROC-AUC against every other."""
    if not metrics:
        return []
    table = pd.DataFrame(metrics)
    auc = table[table["metric"].eq("roc_auc") & table["space"].ne("baseline") & table["value"].notna()]
    rows: Rows = []
    for (level, split), ranked in auc.groupby(["level", "split"], sort=True):
        part = predictions[predictions["level"].eq(str(level)) & predictions["split"].eq(str(split))]
        by_model = {key: rows_of.set_index("id") for key, rows_of in part.groupby(["space", "model"], sort=True)}
        order = ranked.sort_values(["value", "space", "model"], ascending=[False, True, True])
        best, *others = zip(order["space"], order["model"], strict=True)
        for other in others:
            place = {"level": str(level), "split": str(split), "space_a": best[0], "model_a": best[1]}
            place |= {"space_b": other[0], "model_b": other[1]}
            rows += _compare(place, by_model[best], by_model[other], wanted, seed)
    return rows


def _compare(place: Place, a: pd.DataFrame, b: pd.DataFrame, wanted: Evaluate, seed: int) -> Rows:
    """Both on the items that both have judged."""
    shared = a.index.intersection(b.index)
    if not len(shared):
        return []
    a, b = a.loc[shared], b.loc[shared]
    y, groups = _labels(a)
    both = (_answers(a), _answers(b))
    found = paired_bootstrap(y, *both, groups, n_boot=wanted.n_boot, seed=seed)
    if place["level"] == "video":  # where items come closest to being independent
        found.append(delong(y, *both, groups))
    return [place | _without_nan(asdict(c)) for c in found]


def _parts(predictions: pd.DataFrame, *, what: str) -> Iterator[tuple[Place, pd.DataFrame]]:
    names = ["level", "space", "model", "split"]
    parts = list(predictions.groupby(names, sort=True))
    for key, part in bar(parts, total=len(parts), what=what, unit="model"):
        yield dict(zip(names, map(str, key), strict=True)), part


def _labels(part: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    return part["label"].to_numpy(dtype=np.int64), part["source_group"].tolist()


def _answers(part: pd.DataFrame) -> Answers:
    return Answers(part["p_fake"].to_numpy(), own_answers(part))


def _row(place: Mapping[str, Any], metric: MetricRow) -> dict[str, Any]:
    """A row of a table; what cannot be computed is empty and has a reason."""
    facts = asdict(metric)
    del facts["n_boot_dropped"]
    return {**place, **_without_nan(facts)}


def _without_nan(facts: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in facts.items()}
