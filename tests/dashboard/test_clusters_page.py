"""The page *Clusters*: selecting, comparing, tagging, exporting, searching; and what does not fit. By AppTest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import choosing, tags
from dashboard.map_points import MapPoints, Wanted
from pipeline.paths import Paths
from tests.dashboard.test_pages import open_page, sentences
from tests.report import material

CLUSTER = f"cluster_of_{material.CLUSTERING}"


def texts(app: AppTest) -> str:
    return "\n".join(e.value for e in (*app.markdown, *app.caption, *app.success)).replace("\\", "")


def click(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    assert not app.exception, app.exception
    return app


def show(app: AppTest, view: str) -> AppTest:
    app.segmented_control(key="selection_view").set_value(view).run()
    assert not app.exception, app.exception
    return app


@pytest.fixture
def rows(tmp_path: Path) -> dict[str, list[dict[str, Any]]]:
    return material.fill(tmp_path, n_groups=4, n_frames=2)


def test_a_cluster_is_selected_compared_tagged_and_exported(
    rows: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = click(open_page("clusters", tmp_path, monkeypatch), "select_cluster")
    cluster = app.selectbox(key=CLUSTER).value
    members = sorted(r["face_id"] for r in rows["clusters"] if r["cluster"] == cluster)
    assert f"{len(members)} faces, cluster {cluster}" in texts(app)
    grid = app.main.get("html")[0].proto.body
    assert grid.count("<img") == len(members)
    assert "<script>" not in grid  # methods are hostile here
    show(app, "Profile")
    table = next(d.value for d in app.dataframe if "differs" in d.value.columns)
    assert table["what"].tolist()[0] == "label fake"
    assert "[" in table["selection"].iloc[0]
    click(app, "keep")
    app.selectbox(key="compare_with").select("kept").run()
    table = next(d.value for d in app.dataframe if "differs" in d.value.columns)
    assert set(table["difference"].str.split(" ").str[0]) == {"0.0", "0"}  # with itself
    show(app, "Tag")
    app.text_input(key="tag_name").input("<b>seen</b>")
    app.text_input(key="tag_value").input("fake")
    next(b for b in app.button if b.label.startswith("Tag ")).click().run()
    assert not app.exception
    assert f"{len(members)} faces tagged" in texts(app)
    assert sorted(tags.read()["face_id"]) == members
    assert "tag" in app.selectbox(key="colour").options
    show(app, "Export")
    assert [d.label for d in app.get("download_button")][:4] == [
        "Parquet",
        "Ids (CSV)",
        "labels.csv",
        "Face crops (ZIP)",
    ]
    click(app, "clear")
    assert "Nothing is selected" in texts(app)
    app.selectbox(key="tagged").select("<b>seen</b>").run()
    assert f"{len(members)} faces, tagged" in texts(click(app, "tagged_go"))


def test_faces_are_found_by_name_and_filtered(
    rows: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_page("clusters", tmp_path, monkeypatch)
    app.text_input(key="find").input("v001").run()
    assert "2 faces, found by “v001”" in texts(click(app, "find_go"))
    app.text_input(key="find").input("(?(").run()
    assert "No face on this map" in sentences(click(app, "find_go"))
    app.multiselect(key="filter_columns").set_value(["label", "blur"]).run()
    app.multiselect(key="filter_label").set_value([0]).run()
    assert not app.exception
    assert "8 of 16 faces pass the filter" in texts(app)


def test_a_single_face_leads_to_faces_like_it(
    rows: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = [r["face_id"] for r in rows["map"] if r["map_id"] == material.MAP_2D]
    vectors = [{"face_id": f, "embedder_id": "net", "embedding": [float(i), 1.0, i**2]} for i, f in enumerate(faces)]
    material.write(tmp_path, "embeddings", vectors)
    app = open_page("clusters", tmp_path, monkeypatch)
    app.text_input(key="find").input(faces[0]).run()
    click(app, "find_go")
    app.selectbox(key="like_k").select(12).run()
    assert f"13 faces, 12 faces like {faces[0]}" in texts(click(app, "like_go"))


def test_a_map_of_other_embeddings_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = material.fill(tmp_path, n_groups=2, n_frames=1)
    strangers = [r | {"face_id": f"other{r['face_id']}"} for r in rows["map"]]
    material.write(tmp_path, "map", strangers)
    app = open_page("clusters", tmp_path, monkeypatch)
    assert "4 of 4 faces of this map are not in the table 'faces'" in sentences(app)
    material.write(tmp_path, "map", rows["map"])
    material.write(tmp_path, "clusters", rows["clusters"][:1])
    assert "3 of 4 faces of this map are not in the clustering" in sentences(
        open_page("clusters", tmp_path, monkeypatch)
    )


@pytest.mark.parametrize("cluster", [-1, 0])
def test_all_noise_and_one_cluster(cluster: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = material.fill(tmp_path, n_groups=2, n_frames=1)
    material.write(tmp_path, "clusters", [r | {"cluster": cluster} for r in rows["clusters"]])
    app = click(open_page("clusters", tmp_path, monkeypatch), "select_cluster")
    assert ("All faces are noise" in sentences(app)) == (cluster < 0)
    show(app, "Profile")
    assert "no faces to compare with" in sentences(app)


def test_a_table_removed_while_the_page_is_open_is_said(
    rows: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = click(open_page("clusters", tmp_path, monkeypatch), "select_cluster")
    for name in ("clusters", "map"):
        Paths(tmp_path).table(name).unlink()
        app.run()
        assert not app.exception, app.exception
        assert f"Table '{name}' is not there" in sentences(app)


def test_a_damaged_tag_file_does_not_hide_the_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    material.fill(tmp_path, n_groups=1, n_frames=1)
    (tmp_path / "tags").mkdir()
    (tmp_path / "tags" / "tags.parquet").write_bytes(b"nothing")
    app = open_page("clusters", tmp_path, monkeypatch)
    assert "Tags are not shown" in sentences(app)
    assert app.selectbox(key="colour").options


def map_of(n: int = 6) -> MapPoints:
    frame = pd.DataFrame(
        {
            "face_id": [f"f{i}" for i in range(n)], "video_id": pd.Categorical([f"v{i % 2}" for i in range(n)]),
            "rel_path": pd.Categorical(["Real/[A].mp4"] * n), "label": pd.Categorical(["real", "fake"] * (n // 2)),
        }
    )  # fmt: skip
    xyz = np.stack([np.linspace(-1, 1, n), np.zeros(n)], axis=1).astype(np.float32)
    wanted = Wanted("m", None, None, None)
    return MapPoints(wanted, frame, xyz, pd.Index(frame["face_id"]), np.arange(n), "now", "view", ())


EYE = np.eye(4).ravel().tolist()
LEFT = {"corners": [[-2, -1], [0, -1], [0, 1], [-2, 1]], "matrix": EYE, "version": "now"}


@pytest.mark.parametrize(
    ("event", "faces"),
    [
        (("lasso", LEFT), ["f0", "f1", "f2"]),
        (("pick", {"index": 4, "version": "now"}), ["f4"]),
        (("value", {"code": 0, "column": "label", "version": "now"}), ["f1", "f3"]),
        (("lasso", LEFT | {"version": "before"}), None),
        (("lasso", LEFT | {"corners": "x"}), None),
        (("pick", {"index": 99, "version": "now"}), None),
        (("pick", {"index": -1, "version": "now"}), None),
        (("pick", {"index": 5, "version": "now"}), None),  # outside the filter
        (("pick", "x"), None),
        (("value", {"code": 99, "column": "label", "version": "now"}), None),
        (("value", {"code": 0, "column": "face_id", "version": "now"}), None),
        (("value", {"code": 0, "column": ["x"], "version": "now"}), None),
    ],
)
def test_what_the_browser_sends_is_not_trusted(event: tuple[str, Any], faces: list[str] | None) -> None:
    inside = np.array([True] * 5 + [False])
    found = choosing.answer(event, map_of(), inside)
    assert (None if found is None else found[0]) == faces


def test_search_takes_text_as_it_is() -> None:
    frame = map_of().frame
    assert choosing.find(frame, "V1").sum() == 3
    assert choosing.find(frame, "[a]").all()
    assert choosing.find(frame, "F3").tolist() == [False, False, False, True, False, False]
    assert not choosing.find(frame, "al/.a").any()
