"""A headless Chromium, driven by the W3C WebDriver protocol over plain HTTP: no package, only `chromedriver`.

Debian and Ubuntu: ``apt-get install chromium chromium-driver``. Elsewhere Chrome and the chromedriver of its version.
"""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from pipeline.errors import UserError

_START_S = 60.0
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu-sandbox", "--use-gl=angle", "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader", "--hide-scrollbars", "--disable-background-networking", "--disable-dev-shm-usage",
)  # fmt: skip


class BrowserError(RuntimeError):
    """The browser refused a command, or a script in it failed."""


def free_port() -> int:
    """A port of the loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, *, seconds: float) -> None:
    """Return when something listens on a port of the loopback; TimeoutError where nothing does."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise TimeoutError(f"nothing listens on port {port} after {seconds:.0f} s")


class Browser:
    """One window."""

    def __init__(self, session: str, process: psutil.Process | None = None) -> None:
        self._session = session
        self._process = process

    def cpu_s(self) -> float:
        """Processor time that the browser has used, seconds: what counts on a machine that does other work as well."""
        if self._process is None:
            return 0.0
        total = 0.0
        for process in self._process.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def command(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send a command of the protocol and give back its value; BrowserError where it fails."""
        sent = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._session + path, data=sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=300) as reply:
                return json.load(reply)["value"]
        except urllib.error.HTTPError as error:
            raise BrowserError(json.load(error)["value"]["message"].splitlines()[0]) from error

    def open(self, address: str) -> None:
        """Load a page."""
        self.command("POST", "/url", {"url": address})

    def size(self, width: int, height: int) -> None:
        """Set the size of the page, in pixels."""
        self.devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    def devtools(self, method: str, **parameters: Any) -> Any:
        """Send a command of Chromium's own protocol."""
        return self.command("POST", "/goog/cdp/execute", {"cmd": method, "params": parameters})

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a script, the body of a function."""
        return self.command("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def until(self, script: str, *arguments: Any, seconds: float = 60.0) -> float:
        """Run a script in every frame until it gives a true value; the seconds it took.

        Raises
        ------
        TimeoutError
            It never did.
        """
        started = time.perf_counter()
        while time.perf_counter() - started < seconds:
            if self.run(script, *arguments):
                return time.perf_counter() - started
            time.sleep(0.02)
        raise TimeoutError(f"after {seconds:.0f} s the page still does not fulfil: {script[:200]}")

    def drag(self, points: Sequence[tuple[float, float]]) -> None:
        """Press at the first place (pixels of the page) and move over the others; `release` lets go."""
        steps: list[dict[str, Any]] = []
        for index, (x, y) in enumerate(points):
            steps.append({"type": "pointerMove", "duration": 0, "x": round(x), "y": round(y), "origin": "viewport"})
            if index == 0:
                steps.append({"type": "pointerDown", "button": 0})
        self._act(steps)

    def release(self) -> None:
        """Let go."""
        self._act([{"type": "pointerUp", "button": 0}])

    def point(self, x: float, y: float) -> None:
        """Move the pointer there, by two steps."""
        move = {"type": "pointerMove", "duration": 0, "origin": "viewport"}
        self._act([move | {"x": round(x) - 2, "y": round(y)}, move | {"x": round(x), "y": round(y)}])

    def _act(self, steps: list[dict[str, Any]]) -> None:
        source = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": steps}
        self.command("POST", "/actions", {"actions": [source]})

    def keys(self, text: str) -> None:
        """Type into what has the focus."""
        steps = [{"type": kind, "value": c} for c in text for kind in ("keyDown", "keyUp")]
        self.command("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": steps}]})

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Save what is seen, or with ``whole`` the page to its end where it scrolls in one piece, as PNG."""
        taken = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(taken))


@contextmanager
def browser(*, width: int = 1440, height: int = 1000) -> Iterator[Browser]:
    """A headless Chromium that is closed at the end; UserError where there is no chromedriver."""
    driver = shutil.which("chromedriver")
    if driver is None:
        raise UserError("there is no chromedriver: `apt-get install chromium chromium-driver`")
    port = free_port()
    process = subprocess.Popen([driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port, seconds=_START_S)
        options = {"args": [*_FLAGS, f"--window-size={width},{height}"]}
        started = Browser(f"http://127.0.0.1:{port}/session")
        # A script may wait for a machine that does other work as well.
        capabilities = {"browserName": "chrome", "goog:chromeOptions": options, "timeouts": {"script": 300_000}}
        wanted = {"capabilities": {"alwaysMatch": capabilities}}
        session = f"http://127.0.0.1:{port}/session/{started.command('POST', '', wanted)['sessionId']}"
        window = Browser(session, psutil.Process(process.pid))
        try:
            window.size(width, height)
            yield window
        finally:
            window.command("DELETE", "")
    finally:
        process.terminate()
        process.wait(timeout=20)
