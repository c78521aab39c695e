"""The dashboard's server, and a window on its pages: open, wait, choose, look."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks import page_scripts as js
from benchmarks.browser import Browser, BrowserError, free_port, wait_for

ROOT = Path(__file__).parents[1]
APP = ROOT / "dashboard" / "app.py"
ENTER, TAB, ESCAPE = "\ue007", "\ue004", "\ue00c"
LEFT, UP, RIGHT, DOWN = "\ue012", "\ue013", "\ue014", "\ue015"
MAX_SHOT_PX = 6_000


@contextmanager
def server(project: Path, script: Path = APP) -> Iterator[tuple[str, psutil.Process]]:
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


def pages() -> list[tuple[str, str]]:
    """``(path, title)`` of every page that ``dashboard/app.py`` registers, in its order."""
    calls = [n for n in ast.walk(ast.parse(APP.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)]
    found = []
    for call in calls:
        given = {k.arg: k.value.value for k in call.keywords if k.arg and isinstance(k.value, ast.Constant)}
        # A page without a path of its own is the default one, which is listed with one as well.
        if isinstance(call.func, ast.Attribute) and call.func.attr == "Page" and "url_path" in given:
            found.append((call.lineno, str(given["url_path"]), str(given["title"])))
    return [(path, title) for _, path, title in sorted(found)]


@dataclass
class Pages:
    """A window on a dashboard."""

    window: Browser
    address: str
    shots: Path | None
    patience: float

    def open(self, path: str) -> None:
        """Load a page and wait until Streamlit has stopped running it."""
        self.window.open(f"{self.address}/{path}")
        self.settled()

    def settled(self) -> None:
        """Wait until the page has been run and stays so for a moment."""
        quiet = 0
        until = time.monotonic() + self.patience
        while quiet < 3:
            if time.monotonic() > until:
                raise TimeoutError(f"after {self.patience:.0f} s Streamlit still runs the page")
            quiet = quiet + 1 if self.window.run(js.READY) else 0
            time.sleep(0.15)

    def wait(self, script: str, *values: object) -> None:
        """Wait until a script of the page gives a true value."""
        self.window.until(script, *values, seconds=self.patience)

    def text(self) -> str:
        """All text that is seen."""
        return str(self.window.run(js.ALL_TEXT))

    def choose(self, key: str, text: str) -> None:
        """Type what is wanted into a select box, once the page rests; Enter then takes it."""
        self.settled()
        self.window.run(js.FOCUS, key)
        self.window.keys(text)
        time.sleep(0.5)  # the list filters as one types

    def type(self, key: str, text: str) -> None:
        """Type into a field."""
        self.window.run(js.FOCUS, key)
        self.window.keys(text)

    def theme(self, name: str) -> None:
        """The system's preference, ``light`` or ``dark``, which Streamlit follows."""
        self.window.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def shot(self, name: str, *, whole: bool = False, wide: int = 1440) -> None:
        """Save a picture; ``whole``: of the page to its end."""
        if self.shots is None:
            return
        if whole:
            self.window.size(wide, int(min(MAX_SHOT_PX, max(1000, self.window.run(js.EXTENT)[1]))))
            self.settled()
        time.sleep(1)
        self.window.screenshot(self.shots / f"{name}.png")
        if whole:
            self.window.size(wide, 1000)


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


def downloaded(folder: Path, name: str, *, seconds: float) -> Path:
    """The file of that name once it lies whole in the folder, which is emptied of it before; TimeoutError."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = [f for f in folder.glob(name) if f.suffix not in (".crdownload", ".tmp") and f.stat().st_size]
        if found and not list(folder.glob("*.crdownload")):
            return found[0]
        time.sleep(0.1)
    raise TimeoutError(f"no file {name} was downloaded within {seconds:.0f} s")
