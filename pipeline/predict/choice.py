"""Which trained model judges: the one that is named, or the one that did best on videos it had not seen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from classifiers.persist import CARD_FILE, read_card
from pipeline import model_card
from pipeline.errors import UserError
from pipeline.paths import Paths
from pipeline.report import notes, scores
from pipeline.report.load import read_light
from pipeline.report.palette import metric_name

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
    """

    name: str
    folder: Path
    card: dict[str, Any]
    why: str
    figures: tuple[Figure, ...]
    source: str

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
        auc = next((f for f in self.figures if f.metric == scores.AUC), None)
        if auc is None:
            out.append("How well the model does on videos it has not seen was not measured.")
        elif auc.ci_low is not None and auc.ci_low <= 0.5:
            out.append(f"The model was not shown to tell real from fake: {auc}, and chance is 0.5.")
        if auc is not None and auc.n_groups < notes.MIN_GROUPS:
            out.append(f"The model was judged on only {auc.n_groups} independent source groups.")
        return out


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
        No such model, none at all, none that was judged; a card that is altered.
    """
    names = sorted(f.parent.name for f in paths.models.glob(f"*/{CARD_FILE}"))
    if not names:
        raise UserError(f"there is no trained model in {paths.models}: run `dvc repro`")
    metrics = _metrics(paths)
    if wanted is not None:
        if wanted not in names:
            raise UserError(f"no model '{wanted}'; there are: {', '.join(names)}")
        name, why = wanted, "named by --model"
    else:
        name, why = _best(metrics, names)
    try:
        card = read_card(paths.models / name)
    except ValueError as error:
        raise UserError(str(error)) from error
    # Cards did not always tell; then the faces that the project holds are what it was trained on.
    source = card["metadata"].get("source") or model_card.material(paths)["source"] or "unknown"
    return Choice(name, paths.models / name, card, why, _figures(metrics, name), source)


def _metrics(paths: Paths) -> pd.DataFrame | None:
    try:
        table = read_light(paths.table("metrics"), "metrics")
    except UserError:
        return None  # said where it matters: no default can be picked, and the figures are missing
    return table.assign(name=table["space"] + "-" + table["model"])


def _best(metrics: pd.DataFrame | None, names: list[str]) -> tuple[str, str]:
    if len(names) == 1:
        return names[0], "the only one there is"
    best = scores.best_model(metrics[metrics["name"].isin(names)]) if metrics is not None else None
    if best is None:
        raise UserError(f"no model was judged, so none is the best; name one with --model: {', '.join(names)}")
    figure = Figure(best.metric, best.value, best.ci_low, best.ci_high, best.n_groups, best.split)
    return f"{best.space}-{best.model}", f"the highest {best.level}-level out-of-sample {figure}"


def _figures(metrics: pd.DataFrame | None, name: str) -> tuple[Figure, ...]:
    if metrics is None:
        return ()
    rows = metrics[metrics["name"].eq(name) & metrics["level"].eq("video") & metrics["value"].notna()]
    rows = rows[rows["split"].isin(scores.judged_splits(rows)[:1])]
    found = {str(row["metric"]): row for _, row in rows.iterrows()}
    return tuple(_figure(found[m]) for m in SHOWN if m in found)


def _figure(row: pd.Series) -> Figure:
    low, high = (None if pd.isna(row[c]) else float(row[c]) for c in ("ci_low", "ci_high"))
    return Figure(str(row["metric"]), float(row["value"]), low, high, int(row["n_groups"]), str(row["split"]))
