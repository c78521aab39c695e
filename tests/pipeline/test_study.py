"""The reconstruction study and the effort curve, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline import curves, projectors, study, tables

BOOT: dict[str, Any] = {"n_boot": 200, "seed": 0}


def wplus(distances: dict[str, float], *, poor: str = "") -> pd.DataFrame:
    """Codes of one inverter."""
    return pd.DataFrame(
        {
            "face_id": list(distances),
            "inverter_id": "mobile",
            "lpips": np.array([*distances.values()], dtype=np.float32),
            "mse_unit": 0.2,
            "psnr_db": 10.0,
            "w_distance_std": 1.5,
            "status": ["poor" if face in poor else "ok" for face in distances],
        }
    )


def codes(distances: dict[str, float], *, codec_id: str = "pca-3-abc", in_fit: str = "") -> pd.DataFrame:
    """Codes of one codec."""
    return pd.DataFrame(
        {
            "face_id": list(distances), "codec_id": codec_id, "lpips": [*distances.values()], "mse_unit": 0.1,
            "psnr_db": None, "in_fit": [face in in_fit for face in distances],
        }
    )  # fmt: skip


def rows_of(found: list[dict[str, Any]], projector_id: str) -> dict[str, dict[str, Any]]:
    return {row["measure"]: row for row in found if row["projector_id"] == projector_id}


def test_projectors_are_compared_on_faces_that_all_have_and_none_was_fitted_on() -> None:
    judged = projectors.judged(
        wplus({"a": 0.1, "b": 0.2, "c": 0.4, "d": 9.0, "e": np.nan}), codes(dict.fromkeys("abce", 0.3), in_fit="a")
    )
    found = study.study(judged, dict(zip("abcde", "xyyzz", strict=True)), n_faces=None, above=None, **BOOT)
    mobile, pca = (rows_of(found, name) for name in ("mobile", "pca-3-abc"))
    assert mobile["lpips"]["value"] == pytest.approx(0.3), (
        "of b and c: a was fitted on, d has no PCA code, e no distance"
    )
    assert {row["n_faces"] for row in (mobile | pca).values() if row["value"] is not None} == {2}
    assert pca["lpips"]["n_in_fit"] == 0
    assert mobile["w_distance_std"]["value"] == 1.5
    assert "w_distance_std" not in pca
    assert mobile["lpips"]["reason"] == "one source group: no interval"
    assert [row["space"] for row in found] == ["pca"] * 2 + ["wplus"] * 5
    tables.build("study", [row | {"perceptual": "m"} for row in found])


def test_a_fit_on_every_face_is_kept_and_told() -> None:
    found = study.study(
        projectors.judged(wplus({"a": 0.1, "b": 0.2}), codes({"a": 0.0, "b": 0.0}, in_fit="ab")),
        {"a": "x", "b": "y"},
        n_faces=None,
        above=None,
        **BOOT,
    )
    assert {row["n_in_fit"] for row in rows_of(found, "pca-3-abc").values()} == {2}
    assert {row["n_in_fit"] for row in rows_of(found, "mobile").values()} == {0}


def test_poor_counts_the_marked_and_those_above_on_the_grid_of_the_table() -> None:
    above = 0.4
    faces = {"a": 0.1, "b": 0.4, "c": 0.5, "d": 0.2}
    judged = projectors.judged(wplus(faces, poor="a"), codes({f: float(np.float32(v)) for f, v in faces.items()}))
    groups = {face: face for face in faces}
    found = study.study(judged, groups, n_faces=None, above=above, **BOOT)
    assert rows_of(found, "mobile")["share_poor"]["value"] == 0.5  # a is marked, c is above
    assert rows_of(found, "pca-3-abc")["share_poor"]["value"] == 0.25
    without = study.study(judged, groups, n_faces=None, above=None, **BOOT)
    assert rows_of(without, "mobile")["share_poor"]["value"] == 0.25
    assert "share_poor" not in rows_of(without, "pca-3-abc")


def test_intervals_come_from_groups_not_faces() -> None:
    # 40 faces of two groups that are alike inside: a draw over faces would give a far narrower interval.
    faces = {f"{i:02d}": float(i % 2) for i in range(40)}
    found = study.study(
        projectors.judged(wplus(faces), None), {f: f"g{int(f) % 2}" for f in faces},
        n_faces=None, above=None, **BOOT,
    )  # fmt: skip
    row = rows_of(found, "mobile")["lpips"]
    assert (row["ci_low"], row["value"], row["ci_high"]) == (0.0, 0.5, 1.0)


def test_the_choice_is_seeded_and_does_not_depend_on_order() -> None:
    ids = [f"{i:03d}" for i in range(300)]
    chosen = projectors.choose(ids, 250, seed=1)
    assert len(set(chosen)) == 250
    assert chosen == projectors.choose(ids[::-1], 250, seed=1)
    assert chosen != projectors.choose(ids, 250, seed=2)
    assert projectors.choose(ids, None, seed=1) == ids


def test_nothing_to_judge_gives_no_rows() -> None:
    empty = projectors.judged(None, codes({}))
    assert study.study(empty, {}, n_faces=10, above=None, **BOOT) == []
    assert projectors.spread(projectors.comparable(empty), 6) == []


def test_the_sheet_spreads_over_quality() -> None:
    judged = projectors.judged(wplus({f"{i}": (i * 7 % 10) / 10 for i in range(10)}), None)
    assert [float(judged.set_index("face_id")["lpips"][f]) for f in projectors.spread(judged, 4)] == pytest.approx(
        [0.0, 0.3, 0.6, 0.9]
    )


def traced() -> pd.DataFrame:
    """Two batches: in the first, b leaves after step 5; the second ends altogether at step 5."""
    nan = np.float32(np.nan)
    first = curves.curve_rows(
        ["a", "b"], "mobile", step=np.array([0, 5, 10]), seconds_per_face=np.array([0.1, 1.0, 2.0]),
        perceptual=np.array([[0.8, 0.6], [0.6, 0.2], [0.4, nan]], dtype=np.float32),
        mse_unit=np.array([[0.4, 0.4], [0.3, 0.1], [0.2, nan]], dtype=np.float32),
    )  # fmt: skip
    second = curves.curve_rows(
        ["c"], "mobile", step=np.array([0, 5]), seconds_per_face=np.array([0.1, 1.0]),
        perceptual=np.array([[1.0], [0.4]], dtype=np.float32), mse_unit=np.array([[0.4], [0.2]], dtype=np.float32),
    )  # fmt: skip
    return tables.build("curves", first + second).to_pandas()


def test_a_face_that_left_keeps_its_last_values() -> None:
    found = study.effort(traced(), {"a": "x", "b": "y", "c": "y"}, **BOOT)
    assert [row["step"] for row in found] == [0, 5, 10]
    assert [row["lpips"] for row in found] == pytest.approx([0.8, 0.4, (0.4 + 0.2 + 0.4) / 3], abs=1e-6)
    assert [row["mse_unit"] for row in found] == pytest.approx([0.4, 0.2, (0.2 + 0.1 + 0.2) / 3], abs=1e-6)
    # b's batch went on without it, so its time did too; c's batch had ended.
    assert [row["seconds_per_face"] for row in found] == pytest.approx([0.1, 1.0, (2.0 + 2.0 + 1.0) / 3])
    assert [(row["n_faces"], row["n_left"], row["n_groups"]) for row in found] == [(3, 0, 2), (3, 0, 2), (3, 2, 2)]
    # Drawing group x alone gives a's value, y alone the mean of b and c.
    assert (found[1]["ci_low"], found[1]["ci_high"]) == pytest.approx((0.3, 0.6), abs=1e-6)
    tables.build("effort", found)


def test_a_face_never_rated_counts_nowhere() -> None:
    table = traced()
    table.loc[table["face_id"] == "c", ["lpips", "mse_unit"]] = np.nan
    found = study.effort(table, {"a": "x", "b": "y", "c": "y"}, **BOOT)
    assert {row["n_faces"] for row in found} == {2}
    assert study.effort(table.iloc[:0], {}, **BOOT) == []


@pytest.mark.parametrize(("seconds", "shape"), [([0.1], (2, 1)), ([0.1, 0.2], (1, 2)), ([0.1, 0.2], (2, 2))])
def test_a_course_of_another_shape_is_refused(seconds: list[float], shape: tuple[int, int]) -> None:
    values = np.zeros(shape, dtype=np.float32)
    with pytest.raises(ValueError, match="expected"):
        curves.curve_rows(
            ["a"], "m", step=np.array([0, 1]), seconds_per_face=np.array(seconds), perceptual=values, mse_unit=values
        )
