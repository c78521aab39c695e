"""What ``dvc plots`` and ``dvc metrics`` read: CSV and JSON beside the tables."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from classifiers.metrics import roc_points
from classifiers.risk import risk_coverage
from pipeline.judged import own_answers
from pipeline.paths import Paths

_HEADLINE = ("roc_auc", "balanced_accuracy", "accuracy", "log_loss")


def write_plots(predictions: pd.DataFrame, paths: Paths) -> None:
    """ROC, risk-coverage points and confusion rows per video for ``dvc plots``, which draws each file as one curve."""
    for folder in (paths.plots / "roc", paths.plots / "risk", paths.plots / "confusion"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    # Validation rows may have been used for choices; what is shown are rows that no choice has seen.
    video = predictions[(predictions["level"] == "video") & predictions["split"].isin(["cv", "test"])]
    for (space, model), part in video.groupby(["space", "model"]):
        confusion = {
            "actual": np.where(part["label"] == 1, "fake", "real"),
            "predicted": np.where(part["p_fake"] >= 0.5, "fake", "real"),
        }
        pd.DataFrame(confusion).to_csv(paths.plots / "confusion" / f"{space}-{model}.csv", index=False)
        curve = risk_coverage(part["label"].to_numpy(), part["p_fake"].to_numpy())
        risk = pd.DataFrame({"coverage": curve.coverage, "risk": curve.risk})
        risk.to_csv(paths.plots / "risk" / f"{space}-{model}.csv", index=False)
        if part["label"].nunique() == 2:
            score = own_answers(part)
            fpr, tpr, _ = roc_points(part["label"].to_numpy(), score)
            pd.DataFrame({"fpr": fpr, "tpr": tpr}).to_csv(paths.plots / "roc" / f"{space}-{model}.csv", index=False)


def write_headline(rows: Sequence[Mapping[str, object]], paths: Paths) -> None:
    """Video-level metrics and coverage for ``dvc metrics``."""
    headline: dict[str, object] = {}
    for row in rows:
        if row["metric"] == "coverage":
            headline["coverage"] = row["value"]
        elif row["level"] == "video" and row["split"] in ("cv", "test") and row["metric"] in _HEADLINE:
            place = headline.setdefault(f"{row['space']}-{row['model']}", {})
            assert isinstance(place, dict)
            place[str(row["metric"])] = row["value"]
    paths.metrics_json.write_text(json.dumps(headline, indent=2) + "\n", encoding="utf-8")
