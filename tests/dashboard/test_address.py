"""A view of the page Clusters in its address: filters, clustering and selection come back; nonsense does nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dashboard import address, tags
from tests.dashboard.test_clusters_page import EYE, LEFT, click, map_of, texts
from tests.dashboard.test_pages import open_page
from tests.report import material


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("address")
    material.fill(root, n_groups=4, n_frames=2)
    return root


def test_filters_and_selection_are_opened_from_an_address(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("clusters", full, monkeypatch, query={"chosen": "ids~f0000~nobody"})
    assert "1 face, as the address says" in texts(app)
    query: dict[str, Any] = {"filter_columns": "label", "filter_label": "real", "chosen": "is~label~real"}
    app = open_page("clusters", full, monkeypatch, query=query)
    assert "8 of 16 faces pass the filter" in texts(app)
    assert "8 faces, label: real" in texts(app)
    click(app, "clear")
    assert "chosen" not in app.query_params
    click(app, "select_cluster")
    assert "".join(app.query_params["chosen"]).startswith("ids~")


def test_a_comparison_is_opened_from_an_address(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    query: dict[str, Any] = {
        "chosen": "is~label~real", "set_aside": "is~label~fake", "selection_view": "Profile",
        "compare_with": "the selection set aside",
        "filter_columns": "label", "filter_label": ["real", "fake"],
    }  # fmt: skip
    app = open_page("clusters", full, monkeypatch, query=query)
    assert app.selectbox(key="compare_with").value == "kept"
    assert "compared with 8" in texts(app)
    assert "".join(app.query_params["set_aside"]).startswith("ids~")
    assert "".join(app.query_params["chosen"]).startswith("ids~")


def test_a_recipe_is_written_only_where_it_means_the_same_faces(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "MAX_IDS", 2)  # so that ids are too long to be written
    query: dict[str, Any] = {"chosen": "is~label~real", "set_aside": "is~label~fake"}
    app = open_page("clusters", full, monkeypatch, query=query)
    assert [app.query_params[name] for name in query] == list(query.values())
    app.multiselect(key="filter_columns").set_value(["label"]).run()
    app.multiselect(key="filter_label").set_value(["fake"]).run()
    assert "8 faces, label: real" in texts(app)
    assert not set(query) & set(app.query_params)  # under this filter they would be other faces


def test_a_file_of_which_half_is_relabelled_stays_out_of_labels_csv(
    full: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LF_PROJECT", str(full))
    try:
        tags.put(["f0000"], "looked", kind="label", value="fake")  # its video's other face is genuine, and not chosen
        app = open_page("clusters", full, monkeypatch, query={"chosen": "ids~f0000", "selection_view": "Export"})
        assert "0 source files" in texts(app)
        assert "1 with faces labelled both real and fake" in texts(app)
    finally:
        (full / "tags" / "tags.parquet").unlink()


@pytest.mark.parametrize(
    "query",
    [
        {"chosen": "ids~" + "~".join(["<script>"] * 60)},
        {"chosen": "ids~" + "x" * 5000},
        {"chosen": "lasso~nan nan~1 1~0 0~1 0"},
        {"chosen": "is~face_id~f0000"},
        {"chosen": "../../etc/passwd", "set_aside": "is~face_id~f0000", "selection_view": "<b>"},
        {"filter_columns": "face_id", "filter_blur": "1e400", "filter_label": "<b>"},
        {"filter_columns": "blur", "filter_blur": "a", "map_id": "../x", "colour": "image"},
    ],
)
def test_a_hostile_address_does_nothing(query: dict[str, str], full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("clusters", full, monkeypatch, query=query)
    assert "Nothing is selected" in texts(app)
    assert "pass the filter" not in texts(app)


def test_a_lasso_comes_back_as_it_was_drawn() -> None:
    points = map_of()
    text = address.recipe_of_event(("lasso", LEFT))
    assert address.answer(text, points, None) == (["f0", "f1", "f2"], "inside the lasso")
    inside = np.array([False] + [True] * 5)
    assert address.answer(text, points, inside) == (["f1", "f2"], "inside the lasso")
    turn = np.linspace(0, 2 * np.pi, 900)
    ring = {"corners": np.stack([np.cos(turn), np.sin(turn)], axis=1).tolist(), "matrix": EYE, "version": "now"}
    assert len(address.recipe_of_event(("lasso", ring))) < address.MAX_CHARS
    assert address.recipe_of_event(("pick", {"index": 1})) == ""
    assert address.answer(address.recipe_of_value("label", "fake"), points, None) is not None
    assert address.answer("is~label", points, None) is None
