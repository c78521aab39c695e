"""A walk over every page of the dashboard, as a person would: look, select, tag, take away, retrain, keep, undo."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import page_scripts as js
from benchmarks.browser import BrowserError
from benchmarks.dashboard_driver import DOWN, ENTER, LEFT, RIGHT, TAB, UP, Pages, downloaded
from benchmarks.dashboard_driver import pages as registered
from benchmarks.dashboard_timing import ring
from pipeline import overrides

THEMES, WIDTHS = ("light", "dark"), (1440, 800)
MAX_TABS = 80
_SHARED = ("data", "reports", "models")


def stage(project: Path, copy: Path) -> Path:
    """A project that shares the tables of another and has tags and corrections of its own; nothing of it is written."""
    copy.mkdir(parents=True)
    for name in _SHARED:
        if (project / name).is_dir():
            (copy / name).symlink_to((project / name).resolve(), target_is_directory=True)
    shutil.copy(project / "params.yaml", copy / "params.yaml")
    return copy


class Steps:
    """Runs steps, prints what became of each, and goes on after a fault."""

    def __init__(self, pages: Pages) -> None:
        self.pages, self.faults = pages, list[str]()

    def __call__(self, name: str, act: Callable[[], str | None]) -> bool:
        """Whether the step went well; ``act`` raises where it did not, and may tell what it saw."""
        started = time.perf_counter()
        try:
            told = act() or ""
            shown = self.pages.window.run(js.FAULTS)
            if shown:
                raise AssertionError(shown[0])
        except (AssertionError, TimeoutError, BrowserError) as error:
            sentence = " ".join(str(error).split())
            self.faults.append(f"{name}: {sentence}")
            print(f"FAULT {name}: {sentence}", flush=True)
            self.pages.shot(f"fault-{len(self.faults)}")
            return False
        print(f"ok    {name:44s} {time.perf_counter() - started:6.1f} s {told}", flush=True)
        return True


def walk(pages: Pages, project: Path, downloads: Path) -> list[str]:
    """Drive everything; the faults that were found."""
    downloads.mkdir(parents=True, exist_ok=True)
    pages.window.devtools("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
    step = Steps(pages)
    everywhere(pages, step)
    clusters(pages, step, downloads)
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


def clusters(pages: Pages, step: Steps, downloads: Path) -> None:
    """The page *Clusters*: what a mouse, a keyboard and a download do."""
    window = pages.window
    if not step("Clusters is drawn", lambda: _open_map(pages)):
        return
    step("keyboard: Tab, arrows, zoom, Enter", lambda: _keyboard(pages))
    step("a name in the legend selects", lambda: _legend(pages))
    for kind, start in (("PNG", b"\x89PNG"), ("SVG", b"<svg")):
        step(f"the map is saved as {kind}", lambda k=kind, s=start: _picture(pages, downloads, k, s))  # type: ignore[misc]
    if step("lasso", lambda: _lasso(pages)):
        step("the view comes back from its address", lambda: _again(pages))
        step("the selection is tagged", lambda: _tag(pages))
        step("the selection is taken away", lambda: _export(pages, downloads))
    step("3-D", lambda: _space(pages))

    def hidden() -> None:
        window.open(f"{pages.address}/clusters?faces=hidden")
        pages.settled()
        n = window.run(js.N_DATA_PICTURES)
        assert n == 0, f"{n} pictures are on the page although faces are hidden"

    step("faces can be hidden", hidden)


def _open_map(pages: Pages) -> None:
    pages.open("clusters")
    pages.wait(js.DRAWN, "")


def _keyboard(pages: Pages) -> str:
    window = pages.window
    for n_tabs in range(1, MAX_TABS + 1):
        window.keys(TAB)
        if window.run(js.ON_MAP):
            break
    else:
        raise AssertionError(f"{MAX_TABS} times Tab do not reach the map")
    for keys, axis in ((RIGHT + RIGHT, 0), (UP, 1), ("+", 2)):
        before = window.run(js.VIEW)
        window.keys(keys)
        time.sleep(0.3)
        assert window.run(js.VIEW)[axis] != before[axis], f"key {keys!r} does not move the map"
    before = window.run(js.VIEW)
    window.keys("-")
    assert window.run(js.VIEW)[2] < before[2], "the key '-' does not zoom out"
    window.keys("0")
    assert abs(window.run(js.VIEW)[2] - 0.94) < 1e-9, "the key 0 does not show the whole map"
    # To a face: from the middle of the map a few steps lead to one.
    for keys in ("", LEFT, DOWN, RIGHT, RIGHT, UP, UP, LEFT, LEFT, DOWN):
        window.keys(keys)
        time.sleep(0.5)
        if window.run(js.OVER) >= 0:
            break
    assert window.run(js.OVER) >= 0, "the cross finds no face near the middle of the map"
    window.keys(ENTER)
    pages.wait(js.TEXT, "1 face, one face")
    pages.settled()
    return f"{n_tabs} times Tab to the map"


def _legend(pages: Pages) -> str:
    _open_map(pages)
    names = pages.window.run(js.LEGEND)
    assert names, "the legend is empty"
    pages.window.run(js.PRESS_LEGEND, 0)
    pages.wait(js.TEXT, f": {names[0]}")
    return names[0]


def _picture(pages: Pages, downloads: Path, kind: str, start: bytes) -> str:
    for old in downloads.glob(f"*.{kind.lower()}"):
        old.unlink()
    pages.window.run(js.PRESS, kind)
    file = downloaded(downloads, f"*.{kind.lower()}", seconds=pages.patience)
    content = file.read_bytes()
    assert content.startswith(start), f"{file.name} begins with {content[:12]!r}"
    return f"{file.name}, {len(content) / 1e6:.1f} MB"


def _lasso(pages: Pages) -> str:
    window = pages.window
    left, top, width, height = window.run(js.PLACE)
    window.run(js.PRESS, "Lasso")
    window.drag(ring(left + width / 2, top + height / 2, height / 3))
    window.release()
    pages.wait(js.PICTURES, "inside the lasso", 1)
    pages.settled()
    pages.shot("clusters-walk-lasso")
    return f"{_n_selected(pages):,} faces"


def _n_selected(pages: Pages) -> int:
    found = re.search(r"([\d,]+) faces?, (inside the lasso|as the address says)", pages.text())
    assert found, "the page does not say how many faces are selected"
    return int(found[1].replace(",", ""))


def _again(pages: Pages) -> str:
    before, address = _n_selected(pages), str(pages.window.run("return location.href"))
    pages.window.open("about:blank")
    pages.window.open(address)
    pages.settled()
    pages.wait(js.DRAWN, "")
    after = _n_selected(pages)
    # Corners are thinned out, so a few faces at the line may differ.
    assert abs(after - before) <= 0.02 * before + 1, f"{before} faces were selected, the address gives {after}"
    return f"{after:,} of {before:,} faces, {len(address):,} characters"


def _tag(pages: Pages) -> str:
    window = pages.window
    window.run(js.CHOOSE_VIEW, "Tag")
    pages.wait(js.TEXT, "Tags are kept in")
    pages.settled()
    pages.type("tag_name", "walked")
    pages.type("tag_value", "fake")
    window.run(js.SUBMIT)
    pages.wait(js.TEXT, "tags in all")
    return "as fake"


def _export(pages: Pages, downloads: Path) -> str:
    window = pages.window
    window.run(js.CHOOSE_VIEW, "Export")
    pages.wait(js.TEXT, "labels and exclusions of tags")
    pages.settled()
    for old in downloads.glob("selection*"):
        old.unlink()
    window.run(js.CLICK, "to_csv")
    file = downloaded(downloads, "selection.csv", seconds=pages.patience)
    rows, expected = len(file.read_text().splitlines()) - 1, _n_selected(pages)
    assert rows == expected, f"{file.name} has {rows} rows, {expected} faces are selected"
    return f"{file.name}, {rows:,} rows"


def _space(pages: Pages) -> str:
    pages.open("clusters")
    pages.choose("map_id", "3-")
    pages.window.keys(ENTER)
    turns = "return map && map.querySelector('canvas.top').getAttribute('aria-label').includes('turn it');"
    pages.wait(js.FIND + turns)
    pages.settled()
    pages.wait(js.DRAWN, "")
    left, top, width, height = pages.window.run(js.PLACE)
    before = pages.window.run(js.VIEW)
    pages.window.drag([(left + width / 2 + 8 * i, top + height / 2) for i in range(10)])
    pages.window.release()
    assert pages.window.run(js.VIEW)[3] != before[3], "dragging does not turn the map"
    pages.shot("clusters-walk-space")
    return ""


def retrain(pages: Pages, step: Steps, project: Path) -> None:
    """The page *Tags and retrain*: try, keep, undo."""
    file = project / "overrides.csv"

    def try_it() -> str:
        pages.open("retrain")
        pages.window.run(js.CLICK, "retrain_go")
        pages.wait(js.TEXT, "What the tags do to the scores")
        pages.settled()
        pages.shot("retrain-answer", whole=True)
        found = re.search(r"[\d,]+ faces of [\d,]+ videos in [\d,]+ groups.*?, (\d+) s\.", pages.text())
        assert found, "the answer does not say what it was made of"
        return found[0]

    def keep() -> str:
        before = overrides.read(file)
        pages.window.run(js.CLICK, "keep_go")
        pages.wait(js.TEXT, "Kept. Run")
        pages.settled()
        lines = overrides.read(file)
        assert len(lines) > len(before), f"{file.name} has {len(lines)} lines, before it had {len(before)}"
        pages.shot("retrain-kept", whole=True)
        return f"{len(lines):,} lines in {file.name}"

    def undo() -> None:
        pages.window.run(js.CLICK, "undo_keep")
        pages.wait(js.TEXT, "as it was before the last keep")
        assert not overrides.read(file), f"{file.name} still has lines"

    if step("retraining answers", try_it) and step("what it says is kept", keep):
        step("and undone", undo)
