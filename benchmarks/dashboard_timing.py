"""What the page *Clusters* takes, from the user's action to the picture, read back from the canvas."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import psutil

from benchmarks import page_scripts as js
from benchmarks.dashboard_driver import ENTER, Pages


class Timer:
    """Runs an action, waits for what it should bring, prints seconds and processor time of server and browser."""

    def __init__(self, pages: Pages, process: psutil.Process) -> None:
        self._pages, self._process = pages, process

    def __call__(self, name: str, act: Callable[[], None], script: str, *values: object) -> None:
        window = self._pages.window
        started, before = time.perf_counter(), (cpu_s(self._process), window.cpu_s())
        act()
        self._pages.wait(script, *values)
        seconds = time.perf_counter() - started
        server_s, browser_s = cpu_s(self._process) - before[0], window.cpu_s() - before[1]
        print(f"{name:44s} {seconds:6.2f} s; server {server_s:5.2f} s, browser {browser_s:5.2f} s", flush=True)


def clusters(pages: Pages, process: psutil.Process, *, like: bool) -> None:
    """Drive the page and print a line per measure; the server has just been started."""
    window, timed, address = pages.window, Timer(pages, process), f"{pages.address}/clusters"
    timed("first paint, server just started", lambda: window.open(address), js.DRAWN, ":cluster")
    pages.wait(js.TEXT, "All clusters")
    timed("first paint, again", lambda: window.open(address), js.DRAWN, ":cluster")
    pages.wait(js.TEXT, "All clusters")
    pages.shot("clusters-flat")
    for column, text in (("label", "label"), ("p_fake", "P(fake)"), ("video_id", "video")):
        pages.choose("colour", text)
        timed(f"colour by {column}", lambda: window.keys(ENTER), js.DRAWN, f":{column}")
    pages.shot("clusters-video")
    left, top, width, height = window.run(js.PLACE)
    x, y = left + width / 2, top + height / 2
    window.run(js.WATCH)  # the page itself notes when the card is there: looking for it from here would slow it
    _seek(pages, x, y)
    pages.wait(js.CARD)
    print(f"{'pointer on a face to its picture':44s} {window.run('return window.lfCard / 1000'):6.2f} s", flush=True)
    pages.shot("clusters-hover")
    window.run(js.PRESS, "Lasso")
    window.drag(ring(x, y, height / 4))
    timed("lasso to face grid", window.release, js.PICTURES, "inside the lasso", 48)
    pages.shot("clusters-lasso")
    _views(pages, timed, like=like)
    pages.choose("map_id", "tsne3")
    turns = "return map && map.querySelector('canvas.top').getAttribute('aria-label').includes('turn it');"
    timed("the map in 3-D", lambda: window.keys(ENTER), js.FIND + turns)
    pages.wait(js.DRAWN, ":video_id")
    pages.shot("clusters-space")
    window.run(js.PRESS, "Move")
    turned = time.perf_counter()
    window.drag([(x + 8 * i, y) for i in range(20)])
    window.release()
    pages.wait(js.DRAWN, "")
    print(f"{'a turn in 3-D, 20 steps of the pointer':44s} {time.perf_counter() - turned:6.2f} s", flush=True)


def ring(x: float, y: float, radius: float) -> list[tuple[float, float]]:
    """A circle as a hand draws it, 51 places."""
    return [(x + radius * math.cos(a / 8), y + radius * math.sin(a / 8)) for a in range(51)]


def _views(pages: Pages, timed: Timer, *, like: bool) -> None:
    """What is done with a selection: profile, tag, export, a like face."""
    window = pages.window
    timed("profile of the selection", lambda: window.run(js.CHOOSE_VIEW, "Profile"), js.TEXT, "Intervals are 95 %")
    pages.shot("clusters-profile")
    timed("the form for tags", lambda: window.run(js.CHOOSE_VIEW, "Tag"), js.TEXT, "Tags are kept in")
    pages.type("tag_name", "seen")
    pages.type("tag_value", "fake")
    timed("tagging the selection", lambda: window.run(js.SUBMIT), js.TEXT, "tags in all")
    pages.shot("clusters-tag")
    timed("the export", lambda: window.run(js.CHOOSE_VIEW, "Export"), js.TEXT, "labels and exclusions of tags")
    pages.shot("clusters-export")
    pages.type("find", "0000000000001234" + ENTER)
    pages.wait("return !document.querySelector('.st-key-find_go button').disabled")
    timed("search by id", lambda: window.run(js.CLICK, "find_go"), js.TEXT, "found by")
    if like:
        pages.wait("return Boolean(document.querySelector('.st-key-like_go button'))")
        timed(
            "48 faces like one, vectors laid out first", lambda: window.run(js.CLICK, "like_go"), js.TEXT,
            "48 faces like",
        )  # fmt: skip
        window.run("document.querySelector('.st-key-find input').focus()")


def _seek(pages: Pages, x: float, y: float) -> None:
    """Move the pointer until the map asks who is under it."""
    for step in range(40):
        pages.window.point(x + 7 * step, y + 3 * step)
        time.sleep(0.2)
        if pages.window.run(js.CARD):
            return


def cpu_s(process: psutil.Process) -> float:
    """Processor time of a process."""
    times = process.cpu_times()
    return float(times.user + times.system)


def memory_mb(process: psutil.Process) -> float:
    """Resident memory of a process and its children."""
    return sum(p.memory_info().rss for p in (process, *process.children(recursive=True))) / 1e6
