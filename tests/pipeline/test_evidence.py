"""A planted leak stops the run, a planted shortcut is found, and protocols reach the splits table."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from pipeline import tables
from pipeline.errors import UserError
from pipeline.ingest.video import read_frames
from pipeline.paths import Paths
from tests.pipeline import project
from tests.report import material

MARK_PX = 14


def stills(
    folder: Path,
    *,
    people: range,
    marked: Callable[[int, str], bool] = lambda p, kind: False,
    groups: Callable[[int, str], str] = lambda p, kind: f"g{p:02d}",
    **changes: Any,
) -> Paths:
    """A project of face crops cut out of the sample set's clips: one real and one self-blended still per person.

    ``marked`` tells which stills get a small coloured square near a corner; ``groups`` names each one's source group.
    """
    case = folder / "case"
    case.mkdir()
    rows = []
    for person in people:
        for kind in ("real", "self_blend"):
            frame = next(read_frames(project.SAMPLE / f"person{person:02d}_{kind}.mp4", [8]))[-1]
            side = min(frame.shape[:2])
            face = cv2.resize(frame[:side, :side], (256, 256), interpolation=cv2.INTER_AREA)
            if marked(person, kind):
                face[5 : 5 + MARK_PX, -5 - MARK_PX : -5] = (250, 30, 200)
            name = f"p{person:02d}_{kind}.png"
            cv2.imwrite(str(case / name), cv2.cvtColor(face, cv2.COLOR_RGB2BGR))
            label = "real" if kind == "real" else "fake"
            method = "" if kind == "real" else ("even" if person % 2 == 0 else "odd")
            rows.append((name, label, groups(person, kind), method, f"person{person:02d}"))
    with (case / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label", "source_group", "method", "identity"), *rows])
    defaults = {"data": {"source": "crops", "root": "case"}, "faces.crop": "whole", "split.leaks": "stop"}
    project.write_params(folder, project.SMALL | {"spaces": ["efficientnet"]} | defaults | changes)
    paths = Paths(folder)
    project.run(paths, "videos", "faces")
    material.write(folder, "wplus", [])
    return paths


def splits(paths: Paths) -> pd.DataFrame:
    return tables.read_pandas(paths.table("splits"), "splits")


def test_footage_under_two_group_names_stops_the_run_before_training(tmp_path: Path) -> None:
    planted = {("self_blend", 2), ("self_blend", 5)}  # these two fakes claim to have nothing to do with their originals
    paths = stills(
        tmp_path, people=range(8), groups=lambda p, kind: f"other{p}" if (kind, p) in planted else f"g{p:02d}"
    )
    with pytest.raises(UserError, match="2 pairs of videos look like the same footage") as stopped:
        project.run(paths, "split")
    for person in (2, 5):
        assert f"p{person:02d}_real.png" in str(stopped.value)
        assert f"p{person:02d}_self_blend.png" in str(stopped.value)
    assert "labels.csv" in str(stopped.value)
    assert not tables.exists(paths.table("splits")), "nothing can be trained"
    leaks = tables.read_pandas(paths.table("leaks"), "leaks")
    footage = leaks[leaks["kind"] == "footage"]
    assert {frozenset(p) for p in footage[["first_file", "second_file"]].itertuples(index=False, name=None)} == {
        frozenset((f"p{p:02d}_real.png", f"p{p:02d}_self_blend.png")) for p in (2, 5)
    }
    assert set(leaks.loc[leaks["kind"] == "identity", "identity"]) == {"person02", "person05"}
    project.write_params(tmp_path, project.SMALL | {
        "data": {"source": "crops", "root": "case"}, "faces.crop": "whole", "split.leaks": "join",
    })  # fmt: skip
    project.run(paths, "split")
    sides = splits(paths).groupby("unit")["fold"].nunique()
    assert len(sides) == 8
    assert (sides == 1).all()


def test_what_shares_nothing_is_dealt_out_by_every_protocol(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = stills(tmp_path, people=range(8))
    project.run(paths, "split")
    assert tables.read(paths.table("leaks"), "leaks").num_rows == 0
    base = {"data": {"source": "crops", "root": "case"}, "faces.crop": "whole"}
    project.write_params(tmp_path, project.SMALL | base | {"split.by": "method"})
    with caplog.at_level(logging.WARNING):
        project.run(paths, "split")
    made = splits(paths).merge(tables.read_pandas(paths.table("videos"), "videos")[["video_id", "method", "label"]])
    assert tables.metadata(paths.table("splits"))["protocol"]["fold_tests"] == ["even", "odd"]
    fakes = made[made["label"] == 1]
    assert set(zip(fakes["method"], fakes["fold"], strict=True)) == {("even", 0), ("odd", 1)}
    assert set(made["split"]) == {"unused"}
    project.write_params(tmp_path, project.SMALL | base | {"split.by": "compression"})
    project.run(paths, "split")
    assert "Folds by compression need at least two" in tables.metadata(paths.table("splits"))["no_fold"]
    project.write_params(tmp_path, project.SMALL | base | {"split.by": "person"})
    project.run(paths, "split")
    assert "W+ codes" in tables.metadata(paths.table("splits"))["no_fold"]


def test_people_are_kept_on_one_side_by_identity(tmp_path: Path) -> None:
    paths = stills(tmp_path, people=range(6), groups=lambda p, kind: f"{p}{kind}", **{"split.leaks": "warn"})
    project.run(paths, "split")
    assert splits(paths)["unit"].nunique() == 12
    base = {"data": {"source": "crops", "root": "case"}, "faces.crop": "whole"}
    project.write_params(tmp_path, project.SMALL | base | {"split.by": "identity"})
    project.run(paths, "split")
    assert splits(paths)["unit"].nunique() == 6
    assert (splits(paths).groupby("unit")["fold"].nunique() == 1).all()


def answers(paths: Paths, *, wrong_below: float) -> None:
    """Predictions that are right but for the dark pictures, and tables the stage slices wants."""
    faces = tables.read_pandas(paths.table("faces"), "faces", columns=["face_id", "label", "source_group", "image"])
    light = [cv2.imdecode(np.frombuffer(i, np.uint8), 0)[64:192, 64:192].mean() for i in faces["image"]]
    edge = np.quantile(light, wrong_below)
    rows = [
        {"id": f, "level": "frame", "space": "efficientnet", "model": "rf", "split": "cv", "label": int(y),
         "source_group": g, "p_fake": 0.9 if (y == 1) == (level > edge) else 0.1, "uncertain": False}
        for f, y, g, level in zip(faces["face_id"], faces["label"], faces["source_group"], light, strict=True)
    ]  # fmt: skip
    material.write(paths.root, "predictions", rows)
    material.write(paths.root, "clusters", [])


def test_a_watermark_on_fakes_is_reported_and_the_failed_slice_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = {}
    for marked in (False, True):
        folder = tmp_path / str(marked)
        folder.mkdir()
        paths = stills(folder, people=range(18), marked=lambda p, kind, on=marked: on and kind != "real")
        project.run(paths, "split")
        answers(paths, wrong_below=0.33)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            project.run(paths, "slices")
        shortcuts = tables.read_pandas(paths.table("shortcuts"), "shortcuts").set_index("feature")
        found[marked] = set(shortcuts.index[shortcuts["flagged"]])
        if marked:
            assert shortcuts.loc["top right corner", "roc_auc"] > 0.95
            assert "'top right corner' without looking at the face" in caplog.text
    assert found[False] == set()
    assert "top right corner" in found[True]
    assert not {"bottom left corner", "bottom border", "left border", "frame size"} & found[True]
    slices = tables.read_pandas(paths.table("slices"), "slices")
    errors = slices[slices["measure"] == "error_rate"].sort_values("diff_low", ascending=False)
    worst = errors.iloc[0]
    assert (worst["attribute"], worst["slice"].split()[0]) == ("brightness", "below")
    assert worst["p_holm"] < 0.05
    assert len(worst["exemplars"]) > 3
    attributes = tables.read_pandas(paths.table("attributes"), "attributes")
    assert len(attributes) == 36
    assert set(attributes["reason"]) == {"no landmarks in this crop"}
