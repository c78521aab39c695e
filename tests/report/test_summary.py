"""Counts and picks of the summaries, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.report import notes, summary


def faces(rows: list[tuple[str, int, str]]) -> pd.DataFrame:
    """Rows of ``(video_id, frame_index, status)``."""
    return pd.DataFrame(rows, columns=["video_id", "frame_index", "status"]).assign(label=0.0, method="real")


def test_coverage_counts_a_frame_with_two_faces_once() -> None:
    found = summary.coverage(
        faces([("a", 0, "ok"), ("a", 0, "ok"), ("a", 1, "no_face"), ("b", 0, "ok"), ("b", 0, "poor")])
    )
    assert (found.n_frames, found.n_ok, found.share) == (3, 2, 2 / 3)
    assert summary.coverage(faces([])).share is None


def test_reasons_merge_the_ok_rows_and_sort_by_count() -> None:
    table = pd.DataFrame({"status": ["ok", "no_face", "no_face", "ok", "ok"], "reason": [None, "x", "x", None, "note"]})
    assert summary.reasons(table).to_numpy().tolist() == [["ok", "—", 3], ["no_face", "x", 2]]


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=25), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_quality_picks_never_show_a_face_twice(values: list[float | None], n_each: int) -> None:
    table = pd.DataFrame(
        {"face_id": [f"{i:03d}" for i in range(len(values))], "lpips": np.array(values, dtype=np.float64)}
    )
    picks = summary.quality_picks(table, n_each=n_each)
    shown = pd.concat(picks.values())
    assert not shown["face_id"].duplicated().any()
    known = table["lpips"].dropna()
    assert len(shown) == min(len(known), 3 * n_each)
    if len(known):
        assert picks["best"]["lpips"].iloc[0] == known.min()
        assert shown["lpips"].max() == known.max()


def test_quality_summary_knows_which_end_is_poor() -> None:
    values = np.linspace(0, 1, 11)
    table = pd.DataFrame({"inverter_id": "a", "lpips": values, "mse_unit": np.nan, "psnr_db": 10 * values})
    made = summary.quality_summary(table).set_index("measure")
    assert list(made.index) == ["perceptual distance", "PSNR"]
    # Quantiles of an evenly spaced ramp are exact but for rounding.
    assert made[["good", "poor", "worst"]].to_numpy() == pytest.approx(np.array([[0.1, 0.9, 1.0], [9.0, 1.0, 0.0]]))


def test_cluster_summary_puts_noise_last_and_shares_over_known_labels() -> None:
    clusters = pd.DataFrame({"face_id": list("abcdef"), "cluster": [-1, -1, -1, 0, 1, 1], "membership": 0.5})
    known = pd.DataFrame(
        {"face_id": list("abcdef"), "video_id": list("vvvwxy"), "source_group": "g", "label": [0, 0, 0, 1, 1, np.nan]}
    )
    made = summary.cluster_summary(clusters, known)
    assert made["cluster"].tolist() == [1, 0, -1]
    assert made["share_fake"].tolist() == [1.0, 1.0, 0.0]
    assert made["n_videos"].tolist() == [2, 1, 1]


def test_exemplars_follow_the_rank_then_membership() -> None:
    table = pd.DataFrame(
        {
            "face_id": list("abcd"),
            "cluster": [0, 0, 0, -1],
            "membership": [0.1, 0.9, 0.5, 0.0],
            "outlier_score": 0.5,
            "exemplar_rank": [0, -1, -1, -1],
        }
    )
    assert summary.exemplars(table, 0, 2) == ["a", "b"]
    assert summary.exemplars(table, -1, 9) == ["d"]


def video(label: float, status: str = "ok", dataset: str = "folder") -> dict[str, object]:
    return {"label": label, "status": status, "dataset": dataset}


def test_warnings_name_one_class_few_frames_and_the_sample_set() -> None:
    one_class = pd.DataFrame([video(1), video(1, "rejected", "sample")])
    found = notes.material_warnings(one_class, faces([("a", 0, "ok"), ("a", 1, "no_face")]))
    assert found[0] == notes.SAMPLE_NOTICE
    assert "All usable labelled videos are fake" in found[1]
    assert found[2].startswith("1 of 2 catalogued files")
    assert found[3].startswith("Face coverage is 50.0% (1 of 2 sampled frames)")
    assert notes.material_warnings(pd.DataFrame([video(0), video(1)]), None) == []
    assert notes.all_warnings({}) == []


def test_warnings_name_models_whose_interval_includes_chance() -> None:
    table = pd.DataFrame(
        {
            "level": "video", "space": ["wplus", "efficientnet"], "model": "rf", "split": "cv", "metric": "roc_auc",
            "value": [0.55, 0.9], "ci_low": [0.4, 0.8], "ci_high": [0.7, 0.95], "n_groups": 50, "n_items": 60,
        }
    )  # fmt: skip
    assert notes.score_warnings(table) == [
        "The video-level ROC-AUC interval includes chance (0.5) for random forest on wplus."
    ]
    vague = table.assign(ci_low=0.4, n_groups=5)
    found = notes.score_warnings(vague)
    assert found[0].startswith("Only 5 independent source groups")
    assert "for every model" in found[1]


def test_a_channel_tells_only_above_its_null_and_above_chance() -> None:
    table = pd.DataFrame(
        {
            "channel": [3, 1, 2, 0],
            "method": "rf-alone-balanced_accuracy",
            "ci_low": [0.56, 0.52, 0.45, 0.55],
            "null_value": [0.5, 0.53, 0.4, np.nan],
        }
    )
    assert summary.telling_channels(table) == [3], "without a shuffled value nothing is shown"
    # No chance level is known for plain accuracy: the shuffled value alone decides, and nothing where there is none.
    assert summary.telling_channels(table.assign(method="rf-alone-accuracy")) == [2, 3]
