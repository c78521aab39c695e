"""A walk over the page *Clusters*: mouse, keyboard, downloads, address."""

from __future__ import annotations

import re
import time
from pathlib import Path

from benchmarks import page_scripts as js
from benchmarks.dashboard_driver import DOWN, ENTER, LEFT, RIGHT, TAB, UP, Pages, Steps, downloaded
from benchmarks.dashboard_timing import ring
from pipeline import tables
from pipeline.paths import Paths

MAX_TABS = 80
SPATIAL = re.compile(r"-(tsne|umap|pca)3")  # how a map_id names a 3-D map


def clusters(pages: Pages, step: Steps, project: Path, downloads: Path) -> None:
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
    step("3-D", lambda: _space(pages, project))

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
    n_tabs = 0
    while not window.run(js.ON_MAP):
        assert n_tabs < MAX_TABS, f"{MAX_TABS} times Tab do not reach the map"
        window.keys(TAB)
        n_tabs += 1
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


def _space(pages: Pages, project: Path) -> str:
    table = tables.read(Paths(project).table("map"), "map", columns=["map_id"])
    deep = sorted(m for m in table.column(0).unique().to_pylist() if SPATIAL.search(m))
    if not deep:
        return "there is no 3-D map"
    pages.open("clusters")
    pages.choose("map_id", deep[0])
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
    return deep[0]
