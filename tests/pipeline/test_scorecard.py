"""Rows of the metric tables from predictions: levels, methods, the best model against the rest."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline import scorecard, tables
from pipeline.params import Evaluate

WANTED = Evaluate(n_boot=100, prior_fake=0.1, cost_false_alarm=1, cost_miss=1, n_study_faces=None)


@pytest.fixture(scope="module")
def faces() -> pd.DataFrame:
    """Twelve groups with a real and two fakes (swap, reenact) of two frames; one video with two tracks."""
    rows = []
    for group in range(12):
        for method in ("real", "swap", "reenact"):
            video = f"{method}{group:02d}"
            for frame in range(2):
                track = frame if video == "swap00" else 0
                rows.append((f"{video}f{frame}", video, frame, track, f"g{group:02d}", method, "ok"))
    columns = ["face_id", "video_id", "frame_index", "track_id", "source_group", "method", "status"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture(scope="module")
def predictions(faces: pd.DataFrame) -> pd.DataFrame:
    """Two models; the better one sees swaps and takes reenactments for reals."""
    rng = np.random.default_rng(0)
    parts = []
    for model, gain in (("rf", {"swap": 0.4}), ("logistic", {})):
        raw = np.clip(0.4 + faces["method"].map(gain).fillna(0) + 0.05 * rng.normal(size=len(faces)), 0, 1)
        ids = {"frame": faces["face_id"], "track": faces["video_id"] + ":" + faces["track_id"].astype(str)}
        for level, key in (ids | {"video": faces["video_id"]}).items():
            part = faces.assign(id=key, level=level, space="wplus", model=model, split="cv", p_fake_raw=raw)
            part["label"] = (part["method"] != "real").astype(int)
            parts.append(part.drop_duplicates("id"))
    every = pd.concat(parts)
    every["p_fake"] = every["p_fake_raw"] ** 2
    every["uncertain"] = False
    return every


def test_every_level_has_all_metrics_and_they_fit_the_table(predictions: pd.DataFrame, faces: pd.DataFrame) -> None:
    rows = scorecard.coverage(faces, WANTED, seed=0) + scorecard.of_models(predictions, WANTED, seed=0)
    table = tables.build("metrics", rows).to_pandas()
    counts = table.groupby("level")["n_items"].max()
    assert counts.to_dict() == {"frame": 72, "track": 37, "video": 36}
    of_model = table[table["model"].eq("rf") & table["level"].eq("video")].set_index("metric")
    assert {"ece", "band_risk", "aurc", "precision_at_prior", "accuracy_over_majority"} <= set(of_model.index)
    assert of_model.loc["tpr_at_fpr_01", "reason"] == "1 % of 12 reals is less than one: at least 100 are needed"
    assert of_model.loc["roc_auc", "value"] == pytest.approx(0.75, abs=0.1)  # half of the fakes are plain to see


def test_each_method_is_held_against_all_reals(predictions: pd.DataFrame, faces: pd.DataFrame) -> None:
    rows = scorecard.of_methods(predictions, scorecard.methods(faces), WANTED, seed=0)
    table = tables.build("method_metrics", rows).to_pandas()
    auc = table[table["metric"].eq("roc_auc") & table["model"].eq("rf")].set_index(["level", "method"])
    assert auc.loc[("video", "swap"), "value"] == 1
    assert auc.loc[("video", "reenact"), "value"] == pytest.approx(0.5, abs=0.25)
    assert auc.loc[("track", "swap"), ["n_fakes", "n_reals"]].tolist() == [13, 12]
    unknown = scorecard.of_methods(predictions, dict.fromkeys(predictions["id"]), WANTED, seed=0)
    assert {r["method"] for r in unknown} == {"unknown"}


def test_the_best_model_meets_every_other_once(predictions: pd.DataFrame) -> None:
    metrics = scorecard.of_models(predictions, WANTED, seed=0)
    rows = scorecard.against_best(predictions, metrics, WANTED, seed=0)
    table = tables.build("comparisons", rows).to_pandas()
    assert set(table["model_a"]) == {"rf"}
    assert set(table["model_b"]) == {"logistic"}
    assert table.groupby(["level", "method"]).size().to_dict() == {
        ("frame", "group bootstrap"): 3, ("track", "group bootstrap"): 3, ("video", "group bootstrap"): 3,
        ("video", "DeLong"): 1,
    }  # fmt: skip
    video = table[table["level"].eq("video") & table["metric"].eq("roc_auc")].set_index("method")
    values = {r["model"]: r["value"] for r in metrics if r["metric"] == "roc_auc" and r["level"] == "video"}
    assert video.loc["DeLong", "difference"] == pytest.approx(values["rf"] - values["logistic"])
    assert video.loc["DeLong", "reason"].startswith("takes 36 items as independent, they come from 12 groups")
    outside = (video["ci_low"] > 0) | (video["ci_high"] < 0)
    assert ((video["p_value"] < 0.05) == outside).all()


def test_nothing_to_judge_gives_no_rows(predictions: pd.DataFrame) -> None:
    none = predictions.iloc[:0]
    assert scorecard.of_models(none, WANTED, seed=0) == []
    assert scorecard.of_methods(none, {}, WANTED, seed=0) == []
    assert scorecard.against_best(none, [], WANTED, seed=0) == []
    reals = predictions[predictions["label"] == 0]
    rows = scorecard.of_models(reals, WANTED, seed=0)
    assert {r["reason"] for r in rows if r["metric"] == "accuracy"} == {"only real items"}
    assert scorecard.against_best(reals, rows, WANTED, seed=0) == []
