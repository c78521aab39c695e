"""What the dashboard may import, where it listens, and how it treats text from files."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from benchmarks.dashboard_driver import pages
from dashboard import figures, uploads, widgets

ROOT = Path(__file__).parents[2]


def test_no_learning_library_is_imported() -> None:
    code = (
        "import sys\n"
        "import dashboard.data, dashboard.widgets, dashboard.figures, dashboard.map_points, dashboard.similar\n"
        "import dashboard.views.overview, dashboard.views.clusters, dashboard.views.inversions\n"
        "import dashboard.views.models, dashboard.views.channels, dashboard.views.video, dashboard.views.retrain\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"torch", "sklearn", "timm", "cv2", "matplotlib", "inversion", "classifiers", "embeddings"}
    assert not heavy & set(done.stdout.split())


def test_the_walk_knows_every_page() -> None:
    found = pages()
    assert ("clusters", "Clusters") in found
    assert ("retrain", "Tags and retrain") in found
    assert len(found) == (ROOT / "dashboard" / "app.py").read_text().count("url_path=")


def test_configuration_is_private_and_the_same_from_both_places() -> None:
    here, there = ROOT / ".streamlit" / "config.toml", ROOT / "dashboard" / ".streamlit" / "config.toml"
    assert here.read_bytes() == there.read_bytes()
    settings = tomllib.loads(here.read_text(encoding="utf-8"))
    assert settings["server"]["address"] == "127.0.0.1"
    assert settings["server"]["maxUploadSize"] == uploads.MAX_MB
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


def test_the_overview_has_its_own_address_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[st.Page] = []
    own = st.navigation
    monkeypatch.setattr(st, "navigation", lambda pages: seen.extend(pages) or own(pages))
    monkeypatch.setenv("LF_PROJECT", str(tmp_path))
    assert not AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=180).run().exception
    titles = {page.url_path: page.title for page in seen}
    assert titles[""] == titles["overview"] == "Overview"
    assert titles["video"] == "Video"


def test_text_for_plotly_is_escaped_and_bounded() -> None:
    assert figures.safe("<b>x</b>") == "&lt;b&gt;x&lt;/b&gt;"
    assert len(figures.safe("a" * 500)) == 60
