"""Every page on normal, missing, empty, foreign and truncated tables: sentences, never an exception."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.views import inversions
from pipeline.paths import Paths
from pipeline.schemas import TABLES
from tests.report import material

PAGES = ("overview", "clusters", "models", "channels", "counterfactual", "inversions", "video")
APP = Path(__file__).parents[2] / "dashboard" / "app.py"


def draw(page: str) -> None:
    """Script of one page, run by AppTest in a module of its own."""
    from importlib import import_module

    import_module(f"dashboard.views.{page}").page()


def open_page(
    page: str,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    query: Mapping[str, str] | None = None,
    state: Mapping[str, str] | None = None,
) -> AppTest:
    """Run a page over the project at ``root``, with an address's query and what the sidebar says; none may raise."""
    monkeypatch.setenv("LF_PROJECT", str(root))
    app = AppTest.from_function(draw, kwargs={"page": page}, default_timeout=180)
    for name, value in (query or {}).items():
        app.query_params[name] = value
    for name, value in (state or {}).items():
        app.session_state[name] = value
    app.run()
    assert not app.exception, app.exception
    return app


def sentences(app: AppTest) -> str:
    """All messages of a page, without the marks that keep Markdown from reading them."""
    return "\n".join(e.value for e in (*app.info, *app.warning, *app.error)).replace("\\", "")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("full")
    material.fill(root)
    return root


def test_overview_shows_numbers_and_warnings(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("overview", full, monkeypatch)
    tiles = {m.label: m.value for m in app.metric}
    assert tiles["Videos"] == "12"
    assert tiles["Source groups"] == "7"
    assert tiles["Face coverage"] == "97.3 %"
    assert tiles["Faces inverted"] == "36"
    assert tiles["Best video ROC-AUC"] == "0.800"
    assert "Only 6 independent source groups" in sentences(app)
    assert "includes chance (0.5) for random forest on wplus" in sentences(app)
    assert len(app.info) == 2  # what a real project has beside its tables: settings, and DVC's notes of earlier runs
    assert "params.yaml" in app.info[0].value.replace("\\", "")
    assert "no earlier run" in app.info[1].value
    shown = next(d.value for d in app.dataframe if "ROC-AUC" in d.value.columns)
    assert shown["space"].tolist() == ["efficientnet", "wplus", "baseline"]
    assert shown["ROC-AUC"].iloc[0] == "0.800 [0.600, 0.900]"


def test_overview_changes_with_its_controls(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("overview", full, monkeypatch)
    app.selectbox(key="forest_metric").select("log_loss")
    app.segmented_control(key="level").select("frame").run()
    assert not app.exception
    assert any("frames" in d.value.columns for d in app.dataframe)


def test_clusters_describes_the_chosen_cluster(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("clusters", full, monkeypatch)
    assert app.selectbox(key="map_id").value == material.MAP_2D  # a lasso on a flat map takes what it shows
    rows = material.rows_of()["clusters"]
    for cluster in (0, -1):
        app.selectbox(key=f"cluster_of_{material.CLUSTERING}").select(cluster).run()
        assert not app.exception
        n_faces = sum(r["cluster"] == cluster for r in rows)
        assert {m.label: m.value for m in app.metric}["Faces"] == str(n_faces)
    assert any("Most unusual" in s.value for s in app.subheader)


@pytest.mark.parametrize("map_id", [material.MAP_2D, material.MAP_3D])
def test_clusters_can_be_coloured_by_columns_of_every_kind(
    full: Path, map_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_page("clusters", full, monkeypatch)
    app.selectbox(key="map_id").select(map_id).run()
    options = app.selectbox(key="colour").options
    for index in range(len(options)):
        app.selectbox(key="colour").select_index(index).run()
        assert not app.exception
    assert {
        "label",
        "cluster",
        "method",
        "P(fake) of the chosen model",
        "perceptual distance",
        "head yaw (deg)",
    } <= set(options)


def test_inversions_start_with_the_poorest(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("inversions", full, monkeypatch)
    ranked = sorted(material.rows_of()["wplus"], key=lambda r: -r["lpips"])
    n_poor = sum(r["status"] == "poor" for r in ranked)
    assert f"{n_poor} of 36 are marked poor" in sentences(app)
    page = app.main.get("html")[-1].proto.body
    places = [page.find(f"face {r['face_id']}<") for r in ranked[:6]]
    assert places == sorted(places)
    assert places[0] > 0
    assert page.count("<img") == 18
    assert "<script>" not in page
    app.number_input(key="page_of_6").set_value(6).run()
    assert f"face {ranked[-1]['face_id']}<" in app.main.get("html")[-1].proto.body
    app.selectbox(key="measure").select("psnr_db")
    app.selectbox(key="order").select("good first").run()
    assert not app.exception


def test_marked_faces_come_first_whatever_is_sorted_by() -> None:
    table = pd.DataFrame(
        {"face_id": list("abcd"), "status": ["ok", "poor", "ok", "poor"], "psnr_db": [10.0, 30.0, 20.0, np.nan]}
    )
    assert inversions.rank(table, "psnr_db", poor_first=True)["face_id"].tolist() == ["d", "b", "a", "c"]
    assert inversions.rank(table, "psnr_db", poor_first=False)["face_id"].tolist() == ["c", "a", "b", "d"]


@pytest.mark.parametrize("page", ["inversions", "clusters"])
def test_faces_are_blurred_or_hidden_before_they_leave_the_server(
    page: str, full: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = {}
    for how in ("shown", "blurred", "hidden", "no such mode"):
        app = open_page(page, full, monkeypatch, state={"faces": how})
        bodies[how] = "".join(e.proto.body for e in app.main.get("html"))
    uris = {how: set(re.findall(r"data:image/[a-z]+;base64,[^'\"]+", body)) for how, body in bodies.items()}
    assert uris["shown"]
    assert uris["blurred"]
    assert not uris["shown"] & uris["blurred"]
    assert not uris["hidden"]
    assert not uris["no such mode"]
    assert "face hidden" in bodies["hidden"]


def test_the_study_shows_every_projector_side_by_side(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("inversions", full, monkeypatch)
    shown = next(d.value for d in app.dataframe if "projector" in d.value.columns)
    assert shown["space"].tolist() == ["wplus", "pca *"]
    assert shown["perceptual distance"].iloc[0] == "0.300 [0.280, 0.330]"
    sheet = app.main.get("html")[0].proto.body
    assert sheet.count("<img") == 5 * 6  # faces; image and residual of two projectors
    assert len(app.get("plotly_chart")) == 3


def test_inversions_show_a_place_where_an_image_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = material.fill(tmp_path, n_groups=1, n_frames=1)
    material.write(tmp_path, "reconstructions", [r | {"image": b"broken"} for r in rows["reconstructions"]])
    page = open_page("inversions", tmp_path, monkeypatch).main.get("html")[-1].proto.body
    assert page.count("no image") == 4  # reconstruction and difference of two faces


@pytest.mark.parametrize("page", PAGES)
def test_missing_tables_are_said(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "is not there" in sentences(open_page(page, tmp_path, monkeypatch))


@pytest.mark.parametrize("page", PAGES)
def test_empty_tables_are_said_with_their_reason(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TABLES:
        material.write(tmp_path, name, [], reason="only one class [*x*](http://example.invalid)")
    app = open_page(page, tmp_path, monkeypatch)
    assert "has no rows: only one class" in sentences(app)
    assert not any("[*x*](http" in e.value for e in app.info)  # Markdown of a reason stays text


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("how", ["foreign", "truncated", "older"])
def test_unreadable_tables_are_said(page: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    material.fill(tmp_path, n_groups=2, n_frames=1)
    for name in TABLES:
        path = Paths(tmp_path).table(name)
        for file in [path] if path.is_file() else path.glob("*.parquet"):
            if how == "truncated":
                file.write_bytes(file.read_bytes()[:-20])
            elif how == "foreign":
                pq.write_table(pa.table({"x": [1]}), file)
            else:
                table = pq.read_table(file)
                meta = table.schema.metadata[b"latentforensics"].replace(b'"schema_version": 1', b'"schema_version": 0')
                pq.write_table(table.replace_schema_metadata({b"latentforensics": meta}), file)
    expected = {
        "foreign": "does not hold the table",
        "truncated": "not a readable Parquet file",
        "older": "schema version 0",
    }
    assert expected[how] in sentences(open_page(page, tmp_path, monkeypatch))


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("overview", ["videos", "faces", "wplus", "predictions"]),
        ("clusters", ["videos", "faces", "splits", "wplus", "predictions", "clusters"]),
        ("models", ["predictions", "method_metrics", "slices", "learning"]),
        ("channels", ["importance", "channel_groups", "agreement", "wplus", "faces"]),
        ("inversions", ["videos", "faces", "reconstructions"]),
        ("video", ["videos", "predictions", "metrics"]),
    ],
)
def test_a_table_beside_the_page_s_own_may_be_missing(
    page: str, names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in names:
        material.fill(tmp_path / name, without=[name], n_groups=2, n_frames=1)
        open_page(page, tmp_path / name, monkeypatch)


def test_the_app_opens_on_the_overview(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LF_PROJECT", str(full))
    app = AppTest.from_file(str(APP), default_timeout=180).run()
    assert not app.exception
    assert [t.value for t in app.title] == ["Overview"]
    assert any(str(full) in c.proto.body for c in app.sidebar.get("html"))
    assert app.sidebar.segmented_control(key="faces").value == "shown"


@pytest.mark.parametrize("asked", ["<b>shown</b>", "Hidden", "bogus"])
def test_an_address_with_a_slip_in_it_shows_no_face(asked: str, full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LF_PROJECT", str(full))
    app = AppTest.from_file(str(APP), default_timeout=180)
    app.query_params["faces"] = asked
    assert not app.run().exception
    assert app.sidebar.segmented_control(key="faces").value == "hidden"
    assert "".join(app.query_params["faces"]) == "hidden"  # so a reload hides them, too


def test_new_tables_replace_cached_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    material.fill(tmp_path, n_groups=2)
    app = open_page("overview", tmp_path, monkeypatch)
    assert app.metric[0].value == "4"
    material.fill(tmp_path, n_groups=3)
    assert app.run().metric[0].value == "6"
