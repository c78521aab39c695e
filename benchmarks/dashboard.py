"""The dashboard's page *Clusters* at 130,000 faces in headless Chromium, beside other maps of the same points.

    uv run lf bench dashboard --folder FOLDER --shots FOLDER

FOLDER gets a project of invented tables (600 MB; kept, and used again). Needs Chromium and its chromedriver
(`apt-get install chromium chromium-driver`), no Python package and no network. Chromium draws by software here
(SwiftShader), so a machine with a GPU is faster. On a machine that does other work as well, read the processor times
beside the seconds. Every time runs from the user's action to the picture, read back
from the canvas; the server is started anew for the first one.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks import big_project, machine
from benchmarks.browser import Browser, browser, free_port, wait_for

ROOT = Path(__file__).parents[1]
# Finds the map inside the component's shadow root; `drawn` is what it says it has drawn.
FIND = """
const walk = (r) => { for (const e of r.querySelectorAll('*')) {
  if (e.classList && e.classList.contains('lf') && e.dataset.drawn) return e;
  if (e.shadowRoot) { const x = walk(e.shadowRoot); if (x) return x; } } return null; };
const map = walk(document);
"""
# Reading a pixel back waits until everything is drawn.
DRAWN = (
    FIND
    + """
if (!map || !map.dataset.drawn.endsWith(arguments[0])) return false;
const gl = map.querySelector('canvas.points').getContext('webgl2');
gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
return true;
"""
)
PLACE = (
    FIND
    + "const b = map.querySelector('canvas.top').getBoundingClientRect(); return [b.left, b.top, b.width, b.height];"
)
TEXT = "return document.body.innerText.includes(arguments[0]);"
PICTURES = """
return document.body.innerText.includes(arguments[0]) &&
  [...document.querySelectorAll('[data-testid=stHtml] img')].filter((i) => i.complete).length >= arguments[1];
"""
WATCH = (
    FIND
    + """
let asked = 0;
window.addEventListener('lf-face-wanted', () => { asked = asked || performance.now(); });
window.addEventListener('lf-face-known', () => { window.lfCard = window.lfCard || performance.now() - asked; });
"""
)
CARD = FIND + "const c = map && map.querySelector('.card img'); return Boolean(c && c.complete);"
PRESS = FIND + "[...map.querySelectorAll('button')].find((b) => b.textContent === arguments[0]).click();"
CLICK = "document.querySelector('.st-key-' + arguments[0] + ' button').click();"
FOCUS = """
const i = document.querySelector('.st-key-' + arguments[0] + ' input');
i.focus(); i.scrollIntoView({block: 'center'});
"""
ENTER = "\ue007"


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, write the project, drive the page, print a line per measure."""
    parser = argparse.ArgumentParser(
        prog="lf bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--shots", type=Path, help="where pictures of the page go")
    parser.add_argument("--n-faces", type=int, default=130_000)
    parser.add_argument("--no-vectors", action="store_true", help="leave out the search for like faces")
    parser.add_argument("--no-others", action="store_true", help="leave out plotly and deck.gl")
    parser.add_argument("--patience", type=float, default=120.0, help="seconds a step may take")
    asked = parser.parse_args(arguments)
    project = asked.folder / f"faces-{asked.n_faces}"
    if not (project / "reports" / "predictions.parquet").is_file():
        big_project.write(project, asked.n_faces, vectors=not asked.no_vectors)
    if asked.shots:
        asked.shots.mkdir(parents=True, exist_ok=True)
    print(machine.facts())
    with server(project, ROOT / "dashboard" / "app.py") as (address, process), browser() as window:
        _page(window, f"{address}/clusters", process, asked.shots, patience=asked.patience, like=not asked.no_vectors)
        print(f"server memory {_memory_mb(process):,.0f} MB resident, mapped vectors included")
    if not asked.no_others:
        from benchmarks import map_contenders

        map_contenders.compare(project, patience=asked.patience, serve=server)


@contextmanager
def server(project: Path, script: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A Streamlit server on the loopback for one script: its address and its process; stopped at the end."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
    environment = os.environ | {"LF_PROJECT": str(project.resolve()), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [*command, "--server.headless", "true"], env=environment, cwd=ROOT,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(port, seconds=120)
        yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=20)


def _page(
    window: Browser, address: str, process: psutil.Process, shots: Path | None, *, patience: float, like: bool
) -> None:
    def timed(name: str, act: Callable[[], None], script: str, *values: object) -> None:
        started, before = time.perf_counter(), (_cpu_s(process), window.cpu_s())
        act()
        window.until(script, *values, seconds=patience)
        seconds = time.perf_counter() - started
        server_s, browser_s = _cpu_s(process) - before[0], window.cpu_s() - before[1]
        print(f"{name:44s} {seconds:6.2f} s; server {server_s:5.2f} s, browser {browser_s:5.2f} s", flush=True)

    def shot(name: str) -> None:
        if shots:
            time.sleep(1)
            window.screenshot(shots / f"clusters-{name}.png")

    def choose(key: str, text: str) -> None:
        window.run(FOCUS, key)
        window.keys(text)
        time.sleep(0.5)  # the list filters as one types; what is timed begins with Enter

    timed("first paint, server just started", lambda: window.open(address), DRAWN, ":cluster")
    window.until(TEXT, "All clusters", seconds=patience)
    timed("first paint, again", lambda: window.open(address), DRAWN, ":cluster")
    window.until(TEXT, "All clusters", seconds=patience)
    shot("flat")
    for column, text in (("label", "label"), ("p_fake", "P(fake)"), ("video_id", "video")):
        choose("colour", text)
        timed(f"colour by {column}", lambda: window.keys(ENTER), DRAWN, f":{column}")
    shot("video")
    left, top, width, height = window.run(PLACE)
    x, y = left + width / 2, top + height / 2
    window.run(WATCH)  # the page itself notes when the card is there: looking for it from here would slow it
    _seek(window, x, y)
    window.until(CARD, seconds=patience)
    print(f"{'pointer on a face to its picture':44s} {window.run('return window.lfCard / 1000'):6.2f} s", flush=True)
    shot("hover")
    window.run(PRESS, "Lasso")
    ring = [(x + height / 4 * math.cos(a / 8), y + height / 4 * math.sin(a / 8)) for a in range(51)]
    window.drag(ring)
    timed("lasso to face grid", window.release, PICTURES, "inside the lasso", 48)
    shot("lasso")
    _views(window, timed, shot, like=like)
    choose("map_id", "tsne3")
    timed(
        "the map in 3-D",
        lambda: window.keys(ENTER),
        FIND + "return map && map.querySelector('canvas.top').getAttribute('aria-label').includes('turn it');",
    )
    window.until(DRAWN, ":video_id", seconds=patience)
    shot("space")
    window.run(PRESS, "Move")
    turned = time.perf_counter()
    window.drag([(x + 8 * i, y) for i in range(20)])
    window.release()
    window.until(DRAWN, "", seconds=patience)
    print(f"{'a turn in 3-D, 20 steps of the pointer':44s} {time.perf_counter() - turned:6.2f} s")
    for name, dark in (("dark", "dark"), ("light", "light")):
        window.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": dark}])
        for wide in (1440, 800):
            window.size(wide, 1000)
            window.open(address)
            window.until(DRAWN, ":cluster", seconds=patience)
            window.until(TEXT, "All clusters", seconds=patience)
            shot(f"{name}-{wide}")


def _views(window: Browser, timed: Callable[..., None], shot: Callable[[str], None], *, like: bool) -> None:
    """What is done with a selection: profile, tag, export, a like face."""

    def view(name: str) -> None:
        window.run(
            "[...document.querySelectorAll('.st-key-selection_view button')]"
            ".find((b) => b.innerText.trim() === arguments[0]).click();",
            name,
        )

    timed("profile of the selection", lambda: view("Profile"), TEXT, "Intervals are 95 %")
    shot("profile")
    timed("the form for tags", lambda: view("Tag"), TEXT, "Tags are kept in")
    window.run("document.querySelector('.st-key-tag_name input').focus()")
    window.keys("seen")
    window.run("document.querySelector('.st-key-tag_value input').focus()")
    window.keys("fake")
    press = "document.querySelector('[data-testid=stFormSubmitButton] button').click();"
    timed("tagging the selection", lambda: window.run(press), TEXT, "tags in all")
    shot("tag")
    timed("the export", lambda: view("Export"), TEXT, "labels and exclusions of tags")
    shot("export")
    window.run("document.querySelector('.st-key-find input').focus()")
    window.keys("0000000000001234" + ENTER)
    window.until("return !document.querySelector('.st-key-find_go button').disabled", seconds=60)
    timed("search by id", lambda: window.run(CLICK, "find_go"), TEXT, "found by")
    if like:
        window.until("return Boolean(document.querySelector('.st-key-like_go button'))", seconds=60)
        timed("48 faces like one, vectors laid out first", lambda: window.run(CLICK, "like_go"), TEXT, "48 faces like")
        window.run("document.querySelector('.st-key-find input').focus()")


def _seek(window: Browser, x: float, y: float) -> None:
    """Move the pointer until the map asks who is under it."""
    for step in range(40):
        window.point(x + 7 * step, y + 3 * step)
        time.sleep(0.2)
        if window.run(CARD):
            return


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _memory_mb(process: psutil.Process) -> float:
    return sum(p.memory_info().rss for p in (process, *process.children(recursive=True))) / 1e6


if __name__ == "__main__":
    main()
