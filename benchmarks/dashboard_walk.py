"""A walk over every page of the dashboard, as a person would: look, select, tag, take away, retrain, keep, undo."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from benchmarks import clusters_walk
from benchmarks import page_scripts as js
from benchmarks.dashboard_driver import Pages, Steps
from benchmarks.dashboard_driver import pages as registered
from pipeline import overrides

THEMES, WIDTHS = ("light", "dark"), (1440, 800)
_SHARED = ("data", "reports", "models")


def stage(project: Path, copy: Path) -> Path:
    """A project that shares the tables of another and has tags and corrections of its own; nothing of it is written."""
    copy.mkdir(parents=True)
    for name in _SHARED:
        if (project / name).is_dir():
            (copy / name).symlink_to((project / name).resolve(), target_is_directory=True)
    shutil.copy(project / "params.yaml", copy / "params.yaml")
    return copy


def walk(pages: Pages, project: Path, downloads: Path) -> list[str]:
    """Drive everything; the faults that were found."""
    downloads.mkdir(parents=True, exist_ok=True)
    pages.window.devtools("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
    step = Steps(pages)
    everywhere(pages, step)
    clusters_walk.clusters(pages, step, project, downloads)
    if (project / "tags" / "tags.parquet").is_file():
        retrain(pages, step, project)
    else:
        step.faults.append("nothing was tagged, so retraining was not tried")
    return step.faults


def everywhere(pages: Pages, step: Steps) -> None:
    """Every registered page, in both themes, wide and narrow."""

    def look(path: str, theme: str, wide: int) -> str:
        pages.open(path)
        beyond, height = pages.window.run(js.EXTENT)
        assert beyond <= 1, f"the page sticks out {beyond} px to the right"
        pages.shot(f"{path}-{theme}-{wide}", whole=True, wide=wide)
        return f"{height} px long"

    for theme in THEMES:
        pages.theme(theme)
        for wide in WIDTHS:
            pages.window.size(wide, 1000)
            for path, title in registered():
                step(f"{title}, {theme}, {wide} px", lambda p=path, t=theme, w=wide: look(p, t, w))  # type: ignore[misc]
    pages.theme("light")
    pages.window.size(1440, 1000)


def retrain(pages: Pages, step: Steps, project: Path) -> None:
    """The page *Tags and retrain*: try, keep, undo."""
    file = project / "overrides.csv"

    def try_it() -> str:
        pages.open("retrain")
        pages.wait(js.HAS_BUTTON, "retrain_go")
        pages.window.run(js.CLICK, "retrain_go")
        pages.wait(js.TEXT, "What the tags do to the scores")
        pages.settled()
        found = re.search(r"[\d,]+ faces of [\d,]+ videos in [\d,]+ groups.*?, (\d+) s\.", pages.text())
        assert found, "the answer does not say what it was made of"
        return found[0]

    def keep() -> str:
        before = overrides.read(file)
        pages.wait(js.HAS_BUTTON, "keep_go")
        pages.window.run(js.CLICK, "keep_go")
        pages.wait(js.TEXT, "Kept. Run")
        pages.settled()
        lines = overrides.read(file)
        assert len(lines) > len(before), f"{file.name} has {len(lines)} lines, before it had {len(before)}"
        for theme in THEMES:
            pages.theme(theme)
            for wide in WIDTHS:
                pages.window.size(wide, 1000)
                pages.open("retrain")
                pages.shot(f"retrain-kept-{theme}-{wide}", whole=True, wide=wide)
        return f"{len(lines):,} lines in {file.name}"

    def undo() -> None:
        pages.wait(js.HAS_BUTTON, "undo_keep")
        pages.window.run(js.CLICK, "undo_keep")
        pages.wait(js.TEXT, "as it was before the last keep")
        assert not overrides.read(file), f"{file.name} still has lines"

    if step("retraining answers", try_it) and step("what it says is kept", keep):
        step("and undone", undo)
