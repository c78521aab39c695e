"""The stages together, on clips of the sample set and on material that is bad in every way."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline import tables
from pipeline.cli import STAGES
from pipeline.paths import Paths
from pipeline.schemas import TABLES
from tests.conftest import REPOSITORY
from tests.ingest.media import write_hostile_folder
from tests.pipeline import project


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """A whole run on four people."""
    paths = project.make(tmp_path_factory.mktemp("whole"), people=[0, 1, 2, 3])
    project.run(paths)
    return paths


def test_every_table_is_there_and_keeps_its_declaration(done: Paths) -> None:
    for name in (n for n, table in TABLES.items() if table.folder != "tags"):  # people write these
        data = tables.read(done.table(name), name)
        tables.check(name, data)
        # No codes for the default spaces, no effects in the quick profile, no self-blended face is asked for, no label
        # is corrected, and four people make no learning curve.
        not_here = ("codes", "decoded", "channel_effects", "learning", "overrides")
        assert data.num_rows or name in not_here or "blended" in name, name
        assert tables.metadata(done.table(name))["fingerprint"]


def test_every_face_has_a_code_an_embedding_and_a_reconstruction(done: Paths) -> None:
    faces = tables.read_pandas(done.table("faces"), "faces", columns=["face_id", "status"])
    usable = set(faces.loc[faces["status"] == "ok", "face_id"])
    assert len(usable) == 16
    for name in ("wplus", "embeddings", "reconstructions"):
        assert set(tables.read(done.table(name), name, columns=["face_id"]).column(0).to_pylist()) == usable


def test_codes_bring_the_face_closer_than_the_mean_face_does(done: Paths) -> None:
    codes = tables.read_pandas(
        done.table("wplus"), "wplus", columns=["lpips", "psnr_db", "w_distance_std", "n_channels"]
    )
    assert (codes["n_channels"] == 16).all()
    assert codes["w_distance_std"].between(0.05, 3).all()
    # The mean face gives about 9 dB on such faces; a code that tells nothing would stay there.
    assert codes["psnr_db"].median() > 11


def test_everybody_is_judged_once_by_a_model_that_never_saw_the_group(done: Paths) -> None:
    predictions = tables.read_pandas(done.table("predictions"), "predictions")
    assert set(predictions["split"]) == {"cv"}
    counts = predictions.groupby(["level", "space", "model"]).size()
    assert len(counts) == 3 * 2 * 2
    assert set(counts["frame"]) == {16}
    assert set(counts["track"]) == {8}
    assert set(counts["video"]) == {8}


def test_models_are_stored_without_pickle(done: Paths) -> None:
    files = [f for f in done.models.rglob("*") if f.is_file()]
    assert {f.suffix for f in files} <= {".json", ".md", ".skops", ".safetensors"}
    assert len(list(done.models.glob("*/model.json"))) == 4


def test_the_report_needs_nothing_else(done: Paths) -> None:
    page = done.report_html.read_text(encoding="utf-8")
    assert "<html" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert 'src="/' not in page
    assert done.figures.is_dir()


def test_coverage_is_among_the_metrics(done: Paths) -> None:
    metrics = tables.read_pandas(done.table("metrics"), "metrics").set_index("metric")
    coverage = metrics.loc["coverage"]
    assert coverage["value"] == 1.0
    assert coverage["n_items"] == 16
    assert json.loads(done.metrics_json.read_text())["coverage"] == 1.0


def test_plots_draw_each_classifier_apart(done: Paths) -> None:
    names = {f"{space}-{model}" for space in ("wplus", "efficientnet") for model in ("logistic", "rf")}
    for kind in ("roc", "confusion"):
        files = sorted((done.plots / kind).glob("*.csv"))
        assert {f.stem for f in files} == names
    for file in files:
        assert len(pd.read_csv(file)) == 8, "one row per video"


def test_a_second_run_of_the_same_stage_finds_its_work_done(done: Paths) -> None:
    before = tables.read(done.table("wplus"), "wplus")
    started_s = time.monotonic()
    project.run(done, "invert")
    assert tables.read(done.table("wplus"), "wplus").equals(before)
    pieces = list((done.root / "work" / "invert").rglob("*.parquet"))
    assert all(p.stat().st_mtime < time.time() - (time.monotonic() - started_s) for p in pieces), "nothing was redone"


def pixels(png: bytes) -> np.ndarray:
    """Pixels int16 [H, W, 3] of a stored face."""
    return np.asarray(Image.open(io.BytesIO(png)), dtype=np.int16)


def _kill_after_pieces(paths: Paths, stage: str, n_pieces: int) -> None:
    """Start a stage in a process of its own and kill it as soon as it has stored some pieces."""
    env = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen([sys.executable, "-m", "pipeline.cli", stage], cwd=paths.root, env=env)
    work = paths.root / "work" / stage
    deadline_s = time.monotonic() + 240
    while len(list(work.rglob("[!.]*.parquet"))) < n_pieces:
        assert process.poll() is None, "the stage ended before it could be killed"
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not tables.exists(paths.table("faces" if stage == "faces" else "wplus"))


@pytest.mark.parametrize(
    ("stage", "before", "n_pieces"), [("faces", ["videos"], 2), ("invert", ["videos", "faces"], 3)]
)
def test_a_killed_stage_goes_on_and_ends_with_the_same_tables(
    done: Paths, tmp_path: Path, stage: str, before: list[str], n_pieces: int
) -> None:
    people = [0, 1, 2, 3] if stage == "faces" else [0, 1]  # a face costs seconds to invert
    paths = project.make(tmp_path, people=people)
    project.run(paths, *before)
    _kill_after_pieces(paths, stage, n_pieces)
    # A batch's images are stored before its codes, so the codes tell which batches are finished.
    kept = {p: p.stat().st_mtime_ns for p in (paths.root / "work" / stage).glob("*/[!.]*.parquet")}
    project.run(paths, stage)
    assert all(p.stat().st_mtime_ns == mtime for p, mtime in kept.items()), "finished pieces are not done again"
    name = "faces" if stage == "faces" else "wplus"
    ours, undisturbed = (tables.read_pandas(p.table(name), name) for p in (paths, done))
    undisturbed = undisturbed[undisturbed["face_id"].isin(ours["face_id"])]
    assert len(ours) == 4 * len(people)
    assert list(ours["face_id"]) == list(undisturbed["face_id"])
    if stage == "faces":
        pairs = zip(ours["image"], undisturbed["image"], strict=True)
        assert max(np.abs(pixels(a) - pixels(b)).max() for a, b in pairs) <= 2, "rounding alone"
    else:
        # The killed process and this one may sum in another order; codes are of size 1, a step is of size 0.1.
        difference = np.abs(np.stack(ours["wplus"]) - np.stack(undisturbed["wplus"]))
        assert difference.mean(axis=1).max() < 5e-3
        np.testing.assert_allclose(ours["lpips"], undisturbed["lpips"], atol=5e-3)


def test_two_workers_give_what_one_gives(done: Paths, tmp_path: Path) -> None:
    paths = project.make(tmp_path, people=[0, 1], workers={"n_workers": 2, "scheduler": None})
    project.run(paths, "videos", "faces")
    one, two = (tables.read_pandas(p.table("faces"), "faces") for p in (done, paths))
    one = one[one["face_id"].isin(two["face_id"])]
    assert len(two) == 8
    assert list(one["face_id"]) == list(two["face_id"])
    pairs = zip(one["image"], two["image"], strict=True)
    assert max(np.abs(pixels(a) - pixels(b)).max() for a, b in pairs) <= 2, "rounding by another number of threads"


def test_one_class_alone_is_mapped_and_reported_but_not_classified(tmp_path: Path) -> None:
    paths = project.make(tmp_path, people=[0, 1, 2, 3], kinds=["real"], spaces=["efficientnet"])
    project.run(paths)
    assert tables.read(paths.table("predictions"), "predictions").num_rows == 0
    reasons = set(tables.read(paths.table("splits"), "splits").column("reason").to_pylist())
    assert len(reasons) == 1
    assert "fake" in reasons.pop()
    assert tables.read(paths.table("map"), "map").num_rows
    assert paths.report_html.is_file()


def test_folds_do_for_cross_validation_where_a_three_way_split_cannot_be_made(tmp_path: Path) -> None:
    paths = project.make(tmp_path, people=[0, 1], spaces=["efficientnet"], **{"split.fractions": [0.6, 0.2, 0.2]})
    project.run(paths, "videos", "faces", "blend", "split", "invert", "embed", "train")
    splits = tables.read_pandas(paths.table("splits"), "splits")
    assert set(splits["split"]) == {"unused"}
    assert set(splits["fold"]) == {0, 1}
    assert splits["reason"].str.contains("Train, val and test need 3 source groups").all()
    assert len(tables.read_pandas(paths.table("predictions"), "predictions")) == 2 * (8 + 4 + 4)


def test_a_video_changed_since_the_catalogue_is_not_taken_for_the_old_one(tmp_path: Path) -> None:
    paths = project.make(tmp_path, people=[0, 1], kinds=["real"])
    project.run(paths, "videos")
    old, new = (tmp_path / "case" / "real" / f"person0{k}_real.mp4" for k in (0, 1))
    shutil.copy(new, old)
    new.unlink()
    project.run(paths, "faces")
    faces = tables.read_pandas(paths.table("faces"), "faces", columns=["status", "reason"])
    assert set(faces["status"]) == {"failed"}
    assert faces["reason"].str.contains("changed since it was catalogued").any()
    assert faces["reason"].str.contains("cannot be read any more").any()


def test_fakes_whose_originals_nobody_named_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = project.make(tmp_path, people=[0, 1])
    project.run(paths, "videos")
    assert "2 of 2 fakes are not connected with any real footage" in caplog.text
    assert "labels.csv" in caplog.text
    caplog.clear()
    named = [f"fake/person0{k}_self_blend.mp4,fake,real/person0{k}_real.mp4" for k in (0, 1)]
    (tmp_path / "case" / "labels.csv").write_text("\n".join(["file,label,original", *named]) + "\n")
    project.run(paths, "videos")
    assert "not connected" not in caplog.text


def test_bad_files_get_a_row_with_a_reason_and_the_run_goes_on(tmp_path: Path) -> None:
    paths = project.make(tmp_path, people=[0, 1, 2], spaces=["efficientnet"])
    expected = write_hostile_folder(tmp_path / "case")
    project.run(paths)
    videos = tables.read_pandas(paths.table("videos"), "videos").set_index("rel_path")
    for rel_path, (status, reason) in expected.items():
        assert videos.loc[rel_path, "status"] == status, rel_path
        if status != "ok":
            assert reason in videos.loc[rel_path, "reason"]
    faces = tables.read_pandas(paths.table("faces"), "faces", columns=["status", "reason"])
    assert {"ok", "no_face"} <= set(faces["status"])
    assert faces.loc[faces["status"] != "ok", "reason"].str.len().gt(0).all()
    assert paths.report_html.is_file()


def test_a_folder_without_any_face_gets_its_report(tmp_path: Path) -> None:
    paths = project.make(tmp_path, people=[])
    assert write_hostile_folder(tmp_path / "case")
    project.run(paths)
    for name in ("wplus", "embeddings"):
        assert tables.read(paths.table(name), name).num_rows == 0
        assert "no usable face" in tables.metadata(paths.table(name))["reason"]
    metrics = tables.read_pandas(paths.table("metrics"), "metrics").set_index("metric")
    assert metrics.loc["coverage", "value"] == 0
    assert "no usable face" in paths.report_html.read_text(encoding="utf-8")


def test_the_stages_are_thin() -> None:
    for module, _ in STAGES.values():
        file = REPOSITORY / (module.replace(".", "/") + ".py")
        assert len(file.read_text().splitlines()) <= 130, file
