"""The page Video: a clip of the project's tables, and clips that ``lf predict`` judged."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import cases, timeline
from pipeline.errors import UserError
from pipeline.predict.stills import stills
from pipeline.report.palette import CATEGORIES, SYMBOLS
from tests.dashboard import case_files
from tests.dashboard.test_pages import open_page, sentences
from tests.ingest.media import read_code, write_video
from tests.report import material

CASES = {"clip_from": "Judged by lf predict"}


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("video")
    rows = material.fill(root)
    tracks = [r | {"level": "track", "id": f"{r['id']}:0"} for r in rows["predictions"] if r["level"] == "video"]
    material.write(root, "predictions", rows["predictions"] + tracks, params={"train": {"uncertain_band": [0.4, 0.6]}})
    material.write(root, "faces", [r | {"time_s": r["frame_index"] / 2} for r in rows["faces"]])
    case_files.write(root / "cases" / "clip")
    return root


def html_of(app: AppTest) -> str:
    return "".join(e.proto.body for e in app.main.get("html"))


def test_a_clip_of_the_tables_has_verdicts_a_timeline_faces_and_what_was_lost(
    full: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = material.rows_of()["predictions"]
    p_fake = {r["id"]: r["p_fake"] for r in rows if (r["space"], r["model"]) == ("efficientnet", "logistic")}
    app = open_page("video", full, monkeypatch)
    assert app.multiselect(key="video_models").value == ["efficientnet · logistic"]  # the best by the metrics
    app.selectbox(key="video_id").select("v000").run()
    assert not app.exception
    verdicts = next(d.value for d in app.dataframe if "verdict" in d.value.columns)
    assert verdicts["judged"].tolist() == ["whole clip", "face 0"]
    assert verdicts["P(fake)"].iloc[0] == p_fake["v000"]
    assert {m.label: m.value for m in app.metric}["Face coverage"] == "75.0 %"  # 3 of 4 frames
    lost = next(d.value for d in app.dataframe if "reason" in d.value.columns)
    assert lost["reason"].tolist() == ["no face found"]
    assert len(app.get("plotly_chart")) == 1
    body = html_of(app)
    places = [body.find(f"P(fake) {p:.3f}") for p in sorted((p_fake[f"f000{i}"] for i in range(3)), reverse=True)]
    assert places == sorted(places)
    assert places[0] > 0
    assert body.count("<img") == 3
    app.multiselect(key="video_models").set_value([]).run()
    assert "Choose a model" in sentences(app)


def test_strips_keep_tracks_apart_and_mark_band_threshold_and_lost_frames() -> None:
    rows = pd.DataFrame(
        {"frame_index": [0, 1, 0, 1], "time_s": [0.0, 1.0, 0.0, 1.0], "track_id": [0, 0, 7, 7],
         "p_fake": [0.1, 0.2, 0.8, 0.9]}
    )  # fmt: skip
    lost = pd.DataFrame({"time_s": [2.0], "reason": ["<b>no</b>"]})
    strips = [timeline.Strip(n, rows, (0.3, 0.7), 0.55, [(0.5, 1.0)]) for n in ("<i>a</i>", "b")]
    figure = timeline.timeline(strips, lost, duration_s=3.0)
    faces = [t for t in figure.data if t.name.startswith("face")]
    assert [t.name for t in faces] == ["face 0", "face 7"] * 2
    assert [t.line.color for t in faces[:2]] == list(CATEGORIES[:2])
    assert [t.marker.symbol for t in faces[:2]] == list(SYMBOLS[:2])
    assert sum(bool(t.showlegend) for t in faces) == 2
    missed = [t for t in figure.data if t.name == "no score"]
    assert [t.customdata[0][0] for t in missed] == ["&lt;b&gt;no&lt;/b&gt;"] * 2
    drawn = {(s.type, s.y0, s.y1) for s in figure.layout.shapes if s.type == "line" or s.x0 != 0.5}
    assert ("rect", 0.3, 0.7) in drawn
    assert ("line", 0.55, 0.55) in drawn
    assert sum(s.type == "rect" and (s.x0, s.x1) == (0.5, 1.0) for s in figure.layout.shapes) == 2
    assert figure.layout.annotations[0].text == "&lt;i&gt;a&lt;/i&gt;"
    many = pd.concat([rows.assign(track_id=t) for t in range(20)])
    assert len(timeline.longest(many)) == timeline.MAX_TRACKS
    empty = timeline.timeline([timeline.Strip("b", rows, None)], lost.iloc[:0], duration_s=None)
    assert len(empty.data) == 2


def test_a_judged_clip_shows_its_verdict_marks_faces_and_clip(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("video", full, monkeypatch, query=CASES)
    tiles = {m.label: m.value for m in app.metric}
    assert tiles["Verdict"] == "uncertain"
    assert tiles["P(fake)"] == "0.433"
    assert "The model was trained on the sample set" in app.warning[0].value
    body = html_of(app)
    assert body.count("<img") == 2
    assert "<script>" not in body
    assert len(app.get("video")) == 1
    assert len(app.get("plotly_chart")) == 1
    lost = next(d.value for d in app.dataframe if "reason" in d.value.columns)
    assert lost[["frame", "face"]].values.tolist() == [[14, "none"]]
    saved = [e.proto.label for e in app.get("download_button") if "report" in e.proto.label]
    assert saved == ["Case report"]


@pytest.mark.parametrize("how", ["blurred", "hidden"])
def test_no_face_of_a_judged_clip_gets_out_where_faces_are_not_shown(
    how: str, full: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = re.findall("data:image[^'\"]+", html_of(open_page("video", full, monkeypatch, query=CASES)))
    app = open_page("video", full, monkeypatch, query=CASES, state={"faces": how})
    assert not app.get("video")
    assert not [e for e in app.get("download_button") if "report" in e.proto.label]
    seen = re.findall("data:image[^'\"]+", html_of(app))
    assert len(seen) == (2 if how == "blurred" else 0)
    assert not set(shown) & set(seen)


def test_addresses_reach_nothing_outside_the_project(
    full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = case_files.write(tmp_path / "outside" / "clip", with_clip=False, warnings=["SECRET"])
    (full / "cases" / "link").symlink_to(outside)
    inner = full / "cases" / "half"
    inner.mkdir()
    (inner / "result.json").symlink_to(outside / "result.json")
    try:
        assert cases.names(full / "cases") == ["clip"]
        for wanted in (str(outside), "link"):
            app = open_page("video", full, monkeypatch, query=CASES | {"case": wanted})
            assert app.selectbox(key="case").value == "clip"
            assert "SECRET" not in sentences(app)
        hostile = {"clip_from": "<b>", "video_id": "../../etc/passwd", "video_models": "'; drop"}
        app = open_page("video", full, monkeypatch, query=hostile)
        assert app.segmented_control(key="clip_from").value == "project"
        assert app.multiselect(key="video_models").value == ["efficientnet · logistic"]
    finally:
        (full / "cases" / "link").unlink()
        (inner / "result.json").unlink()
        inner.rmdir()


def test_files_are_the_case_s_own_whatever_its_json_names(tmp_path: Path) -> None:
    folder = case_files.write(tmp_path / "clip", with_clip=False)
    (tmp_path / "secret.mp4").write_bytes(b"x")
    (folder / "annotated.mp4").symlink_to(tmp_path / "secret.mp4")
    case = cases.read(folder)
    assert case.annotated is None
    assert case.report == folder / "report.html"


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "damaged"), ("[1]", "damaged"), ('{"format": 3', "damaged"), ("\udcff", "damaged"), (None, "cannot be read")],
)
def test_a_damaged_result_is_one_sentence(text: str | None, says: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "result.json").write_text(text, errors="surrogateescape")
    with pytest.raises(UserError, match=says):
        cases.read(tmp_path)


def test_another_format_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has format 2, this program reads 3"):
        cases.read(case_files.write(tmp_path / "clip", with_clip=False, format=2))


def test_a_clip_of_which_nothing_was_judged_and_no_case_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "lf predict" in sentences(open_page("video", tmp_path, monkeypatch, query=CASES))
    nothing = {
        "status": "no_face",
        "reason": material.HOSTILE,
        "video": None,
        "tracks": [],
        "frames": [],
        "telling": [],
    }
    case_files.write(tmp_path / "cases" / "run" / "clip", with_clip=False, **nothing)
    app = open_page("video", tmp_path, monkeypatch, query=CASES)
    assert app.selectbox(key="case").value == "run/clip"
    assert "could be judged (no_face)" in sentences(app)


def test_cases_come_newest_first(tmp_path: Path) -> None:
    for age, name in ((30, "old"), (10, "new")):
        file = case_files.write(tmp_path / name, with_clip=False) / "result.json"
        os.utime(file, (1e9 - age, 1e9 - age))
    (tmp_path / ".clip.new-x").mkdir()
    (tmp_path / ".clip.new-x" / "result.json").write_text("{}")  # of a run that goes on
    assert cases.names(tmp_path) == ["new", "old"]


def test_stills_are_the_frames_shown_at_their_times(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "a.mp4", 6, pts_ms=[0, 40, 90, 200, 210, 400])
    found = stills(clip, [0.4, 0.0, 0.09, 0.2, 9.0])
    assert [None if rgb is None else read_code(rgb) for rgb in found] == [5, 0, 2, 3, None]
    (tmp_path / "b.mp4").write_bytes(b"no clip")
    assert stills(tmp_path / "b.mp4", [0.0]) == [None]


def test_faces_are_cut_with_their_surroundings_and_within_the_picture() -> None:
    rgb = np.arange(40 * 60 * 3, dtype=np.uint32).astype(np.uint8).reshape(40, 60, 3)
    assert cases._cut(rgb, (20, 10, 30, 20)).shape == (18, 18, 3)  # 10 px and 40 % of it on each side
    assert cases._cut(rgb, (-50, -50, 200, 200)).shape == rgb.shape
    assert cases._cut(rgb, (500, 500, 510, 510)).shape == rgb.shape  # nothing of it is there


def test_a_clip_of_pictures_has_no_timeline_but_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    material.fill(tmp_path, n_groups=1)  # its faces have no times
    app = open_page("video", tmp_path, monkeypatch)
    assert "no times" in sentences(app)
    assert not app.get("plotly_chart")
    assert html_of(app).count("<img") == 3
