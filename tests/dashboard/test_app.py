"""What the dashboard may import, where it listens, and how it treats text from files."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dashboard import figures, map_figure, widgets
from pipeline.report.palette import FAKE, NOISE, REAL

ROOT = Path(__file__).parents[2]


def test_no_learning_library_is_imported() -> None:
    code = (
        "import sys\n"
        "import dashboard.data, dashboard.widgets, dashboard.figures, dashboard.map_figure\n"
        "import dashboard.views.overview, dashboard.views.clusters, dashboard.views.inversions\n"
        "import dashboard.views.models, dashboard.views.channels\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"torch", "sklearn", "timm", "cv2", "matplotlib", "inversion", "classifiers", "embeddings"}
    assert not heavy & set(done.stdout.split())


def test_configuration_is_private_and_the_same_from_both_places() -> None:
    here, there = ROOT / ".streamlit" / "config.toml", ROOT / "dashboard" / ".streamlit" / "config.toml"
    assert here.read_bytes() == there.read_bytes()
    settings = tomllib.loads(here.read_text(encoding="utf-8"))
    assert settings["server"]["address"] == "127.0.0.1"
    assert settings["browser"]["gatherUsageStats"] is False


@pytest.mark.parametrize("folder", [ROOT, ROOT.parent])
def test_streamlit_reads_the_configuration_from_any_folder(folder: Path) -> None:
    code = (
        "import sys, streamlit.config as c\n"
        "c._main_script_path = sys.argv[1]\n"
        "print(*map(c.get_option, ('server.address', 'browser.gatherUsageStats', 'server.fileWatcherType')))"
    )
    app = str(ROOT / "dashboard" / "app.py")
    done = subprocess.run([sys.executable, "-c", code, app], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["127.0.0.1", "False", "none"]


def test_markdown_of_a_file_name_stays_text() -> None:
    assert widgets.plain("a *b* [c](http://d)\n:red[e] $f$") == (r"a \*b\* \[c\]\(http\:\/\/d\) \:red\[e\] \$f\$")


def points(n: int = 6, **columns: Any) -> pd.DataFrame:
    table = pd.DataFrame(
        {"face_id": [f"f{i}" for i in range(n)], "map_id": "m", "x": range(n), "y": range(n), "z": None}
    )
    return table.assign(label="real", **columns)


def test_labels_and_noise_keep_their_colours() -> None:
    labels = points(2).assign(label=["fake", "real"])
    assert {n: c for n, rows, c, _ in map_figure.categories(labels, "label") if rows.any()} == {
        "real": REAL,
        "fake": FAKE,
    }
    clusters = points(4, cluster=[2.0, -1.0, None, 2.0])
    drawn = {name: (colour, int(rows.sum())) for name, rows, colour, _ in map_figure.categories(clusters, "cluster")}
    assert drawn["noise"] == (NOISE, 1)
    assert drawn["2"][1] == 2
    assert drawn["unknown"] == (NOISE, 1)
    alone = {n: c for n, _, c, _ in map_figure.categories(points(1, cluster=[2.0]), "cluster")}
    assert alone["2"] == drawn["2"][0]  # the same cluster, the same colour, whatever else is on the map


def test_rare_categories_share_one_entry() -> None:
    many = points(60, source_group=[f"g{i % 40:02d}" for i in range(60)])
    made = map_figure.categories(many, "source_group")
    assert len(made) == map_figure.MAX_LEGEND + 1
    assert made[-1][0] == "16 others"
    assert sum(int(rows.sum()) for _, rows, _, _ in made) == 60


def test_every_point_is_drawn_once_and_known_by_its_id() -> None:
    table = points(6, cluster=[0.0, 0.0, 1.0, 1.0, -1.0, None])
    faded = table["cluster"].ne(0)
    figure = map_figure.map_figure(table, colour="cluster", faded=faded)
    ids = [row[0] for trace in figure.data for row in trace.customdata]
    assert sorted(ids) == sorted(table["face_id"])
    assert figure.data[0].name == "others"
    assert figure.layout.uirevision == "m"


def test_thinning_is_repeatable_and_keeps_order() -> None:
    table = points(100)
    thinned = map_figure.thin(table, 10)
    assert thinned.equals(map_figure.thin(table, 10))
    assert thinned.index.is_monotonic_increasing
    assert len(thinned) == 10
    assert map_figure.thin(table, 100) is table


def test_text_for_plotly_is_escaped_and_bounded() -> None:
    assert figures.safe("<b>x</b>") == "&lt;b&gt;x&lt;/b&gt;"
    assert len(figures.safe("a" * 500)) == 60


def test_hover_text_escapes_names_and_marks_what_is_empty() -> None:
    table = points(2, method=["<b>x</b>", None], frame_index=[3.0, None], cluster=[-1.0, 4.0])
    text = map_figure.hover_text(table)
    assert text[0] == "face f0<br>real, &lt;b&gt;x&lt;/b&gt;<br>group —<br>frame 3 of —<br>cluster -1"
    assert text[1] == "face f1<br>real, —<br>group —<br>frame — of —<br>cluster 4"
