"""Which trained model judges: the one that is named, or the one that did best on videos it had not seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pandas as pd

from classifiers.persist import CARD_FILE, read_card
from pipeline import model_card
from pipeline.errors import UserError
from pipeline.judged import splits
from pipeline.paths import Paths
from pipeline.report import notes, scores
from pipeline.report.load import read_light
from pipeline.report.palette import metric_name

ALPHA = 0.05  # of the intervals
SHOWN = ("roc_auc", "log_loss", "balanced_accuracy", "accuracy", "brier", "eer")
SAMPLE_NOTICE = (
    "The model was trained on the sample set, whose real and fake clips are both synthetic: its scores say nothing "
    "about real footage."
)


@dataclass(frozen=True)
class Figure:
    """A metric of the model on videos that it, or its like, had not seen."""

    metric: str
    value: float
    ci_low: float | None
    ci_high: float | None
    n_groups: int
    split: str

    def __str__(self) -> str:
        text = scores.format_interval((self.value, self.ci_low, self.ci_high))
        return f"{metric_name(self.metric)} {text} on {self.n_groups} source groups ({self.split})"


@dataclass(frozen=True)
class Choice:
    """A stored model, its card, why it was taken and how it did.

    Attributes
    ----------
    source : layout of the material it was trained on, ``unknown`` where nobody recorded it.
    n_compared : models of which it was picked as the best by its figures; 1 where the figures had no part in it.
    measured_here : whether the figures are in this project's metrics too; else they are what the model's card states.
    """

    name: str
    folder: Path
    card: dict[str, Any]
    why: str
    figures: tuple[Figure, ...]
    source: str
    n_compared: int = 1
    measured_here: bool = True

    @property
    def space(self) -> str:
        """Feature space of its vectors."""
        return str(self.card["metadata"].get("space"))

    @property
    def makers(self) -> list[str]:
        """What made the vectors it was trained on: an id for each part of its space."""
        parts = self.card["metadata"].get("parts")
        return [str(p["feature_id"]) for p in parts] if parts else [str(self.card["metadata"].get("feature_id"))]

    @property
    def feature_id(self) -> str:
        """The same as one text."""
        return " + ".join(self.makers)

    def warnings(self) -> list[str]:
        """What a reader of any of its scores has to know first."""
        out = [SAMPLE_NOTICE] if self.source == "sample" else []
        if self.source == "unknown":
            out.append("It is not recorded what the model was trained on.")
        if self.figures and not self.measured_here:
            out.append("The model's figures are those its own card states; this project's metrics do not have them.")
        if self.n_compared > 1:
            out.append(
                f"The model was picked as the best of {self.n_compared} on the very videos its figures come from, so "
                "they are optimistic: only new footage is fair."
            )
        stored = self.card["metadata"].get("calibration") or {}
        if stored.get("method") == "platt" and stored.get("slope") == 0:
            out.append(f"P(fake) is 0.5 whatever the clip shows: {stored.get('reason')}.")
        auc = next((f for f in self.figures if f.metric == scores.AUC), None)
        if auc is None:
            out.append("How well the model does on videos it has not seen was not measured.")
        elif (low := _low_of_best(auc, self.n_compared)) is not None and low <= 0.5:
            out.append(f"The model was not shown to tell real from fake: {auc}, and chance is 0.5{self._best_of(low)}.")
        if auc is not None and auc.n_groups < notes.MIN_GROUPS:
            out.append(f"The model was judged on only {auc.n_groups} independent source groups.")
        return out

    def _best_of(self, low: float) -> str:
        if self.n_compared == 1:
            return ""
        level = 100 * (1 - ALPHA / self.n_compared)
        return f"; for the best of {self.n_compared} the {level:.4g} % interval counts, which begins at about {low:.3f}"


def _low_of_best(figure: Figure, n_compared: int) -> float | None:
    """Lower end of the interval at Bonferroni's level for the best of several models.

    Tables hold 95 % intervals alone, so its lower arm is stretched as that of a normal distribution would be.
    """
    if figure.ci_low is None:
        return None
    wanted, stored = (NormalDist().inv_cdf(1 - ALPHA / (2 * n)) for n in (n_compared, 1))
    return figure.value - (figure.value - figure.ci_low) * wanted / stored


def choose(paths: Paths, wanted: str | None) -> Choice:
    """Find the model.

    Parameters
    ----------
    wanted
        ``SPACE-MODEL`` as in ``models/``; None for the highest video-level out-of-sample ROC-AUC, the measure by which
        the report names its best model.

    Raises
    ------
    UserError
        No such model, none at all, none that was judged; a card that is altered, or of another model than its folder
        or the figures it was picked by say.
    """
    names = sorted(f.parent.name for f in paths.models.glob(f"*/{CARD_FILE}"))
    if not names:
        raise UserError(f"there is no trained model in {paths.models}: run `dvc repro`")
    metrics = _metrics(paths)
    if wanted is not None:
        if wanted not in names:
            raise UserError(f"no model '{wanted}'; there are: {', '.join(names)}")
        name, why, n_compared = wanted, "named by --model", 1
    else:
        name, why, n_compared = _best(metrics, names)
    try:
        card = read_card(paths.models / name)
    except ValueError as error:
        raise UserError(str(error)) from error
    holds = f"{card['metadata'].get('space')}-{card['name']}"
    if holds != name:
        raise UserError(f"{paths.models / name} holds the model {holds}: give the folder that name")
    figures, measured_here = _figures(metrics, card, name)
    if n_compared > 1 and not measured_here:
        raise UserError(
            f"the model {name} would be taken as the best by {paths.table('metrics')}, but its card states other "
            "figures, so it is not the one measured there: run `dvc repro`, or name a model with --model"
        )
    # Cards did not always tell; then the faces that the project holds are what it was trained on.
    source = card["metadata"].get("source") or model_card.material(paths)["source"] or "unknown"
    return Choice(name, paths.models / name, card, why, figures, source, n_compared, measured_here)


def _metrics(paths: Paths) -> pd.DataFrame | None:
    try:
        table = read_light(paths.table("metrics"), "metrics")
    except UserError:
        return None  # said where it matters: no default can be picked, and the figures are missing
    return table.assign(name=table["space"] + "-" + table["model"])


def _best(metrics: pd.DataFrame | None, names: list[str]) -> tuple[str, str, int]:
    """Name, why, and of how many models it is the best."""
    if len(names) == 1:
        return names[0], "the only one there is", 1
    there = metrics[metrics["name"].isin(names)] if metrics is not None else None
    best = scores.best_model(there) if there is not None else None
    if there is None or best is None:
        raise UserError(f"no model was judged, so none is the best; name one with --model: {', '.join(names)}")
    figure = Figure(best.metric, best.value, best.ci_low, best.ci_high, best.n_groups, best.split)
    rivals = there[there["level"].eq(best.level) & there["split"].eq(best.split) & there["metric"].eq(best.metric)]
    n_compared = int(rivals["value"].notna().sum())
    why = f"the highest {best.level}-level out-of-sample {figure}, of {n_compared} models"
    return f"{best.space}-{best.model}", why, n_compared


def _figures(metrics: pd.DataFrame | None, card: Mapping[str, Any], name: str) -> tuple[tuple[Figure, ...], bool]:
    """The model's figures, and whether they are this project's.

    A model of the same name that was trained elsewhere, or before, is not what the table measured: then its card's own
    figures are the ones to show.
    """
    own = _shown(pd.DataFrame(card["metadata"].get("scores") or []))
    here = _shown(metrics[metrics["name"].eq(name)]) if metrics is not None else ()
    return (here, True) if _is_same(here, own) else (own, False)


def _is_same(here: tuple[Figure, ...], own: tuple[Figure, ...]) -> bool:
    """Whether both are of the same answers, by a figure that has no draws in it and differs between any two models."""
    first, second = (next((f for f in found if f.metric == "log_loss"), None) for found in (here, own))
    if first is None or second is None:
        return first is second
    return (first.split, first.n_groups) == (second.split, second.n_groups) and math.isclose(
        first.value, second.value, rel_tol=1e-6
    )


def _shown(table: pd.DataFrame) -> tuple[Figure, ...]:
    if table.empty:
        return ()
    rows = table[table["level"].eq("video") & table["value"].notna()]
    rows = rows[rows["split"].isin(splits(rows)[:1])]
    found = {str(row["metric"]): row for _, row in rows.iterrows()}
    return tuple(_figure(found[m]) for m in SHOWN if m in found)


def _figure(row: pd.Series) -> Figure:
    low, high = (None if pd.isna(row[c]) else float(row[c]) for c in ("ci_low", "ci_high"))
    return Figure(str(row["metric"]), float(row["value"]), low, high, int(row["n_groups"]), str(row["split"]))
