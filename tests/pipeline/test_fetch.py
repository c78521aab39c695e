"""Weights are downloaded whole, bounded and checked, from a server on this machine."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline import weights
from pipeline.cli import app
from pipeline.errors import UserError
from pipeline.fetch import fetch

DATA = bytes(range(256)) * 10_000
NAME = "stylegan2-ffhq-256"


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = self.path in ("/whole", "/short", "/endless")
        self.send_response(200 if found else 404)
        if self.path != "/endless":
            self.send_header("Content-Length", str(len(DATA) if found else 0))
        self.end_headers()
        self.wfile.write(b"" if not found else DATA[:1000] if self.path == "/short" else DATA)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("LF_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def register(monkeypatch: pytest.MonkeyPatch, url: str, *, sha256: str | None = None) -> Path:
    entry = weights.get(NAME)
    files = (replace(entry.files[0], sha256=sha256),)
    monkeypatch.setitem(weights.REGISTRY, NAME, replace(entry, url=url, files=files))
    return entry.folder / files[0].path


def test_a_file_is_fetched_once_and_its_hash_recorded(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target = register(monkeypatch, f"{address}/whole")
    assert weights.state(weights.get(NAME))[0] == "missing"
    seen: list[tuple[int, int]] = []
    assert fetch(NAME, allow_noncommercial=True, report=lambda *pair: seen.append(pair)) == target
    assert target.read_bytes() == DATA
    assert seen[-1] == (len(DATA) >> 20, len(DATA) >> 20)
    assert sorted(path.name for path in target.parent.iterdir()) == [target.name, f"{target.name}.sha256"]
    assert weights.sha256(NAME) == hashlib.sha256(DATA).hexdigest() == weights.recorded_sha256(target)
    register(monkeypatch, f"{address}/gone")  # not asked again
    assert fetch(NAME, allow_noncommercial=True) == target == weights.require(NAME, allow_noncommercial=True)
    target.write_bytes(DATA[:-1] + b"x")
    with pytest.raises(UserError, match=r"not the file that was registered .* remove"):
        fetch(NAME, allow_noncommercial=True)


@pytest.mark.parametrize(
    ("path", "arguments", "message"),
    [
        ("/gone", {}, "cannot download .*Not Found.* get it on another machine and put it at"),
        ("/short", {}, "broke off|IncompleteRead"),
        ("/whole", {"max_bytes": 1000}, "has 2,560,000 bytes, more than the 1,000"),
        ("/endless", {"max_bytes": 1000}, "has more than the 1,000 bytes"),
        ("/whole", {"allow_noncommercial": False}, "forbid commercial use"),
    ],
)
def test_a_bad_answer_leaves_nothing(
    path: str, arguments: dict[str, int], message: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = register(monkeypatch, address + path)
    with pytest.raises(UserError, match=message):
        fetch(NAME, **({"allow_noncommercial": True} | arguments))  # type: ignore[arg-type]
    assert not target.parent.exists() or not list(target.parent.iterdir())


def test_another_file_than_the_registered_one_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target = register(monkeypatch, f"{address}/whole", sha256="0" * 64)
    with pytest.raises(UserError, match=r"its SHA-256 is [0-9a-f]{64}, not 0000"):
        fetch(NAME, allow_noncommercial=True)
    assert not list(target.parent.iterdir())


def test_no_network_and_nothing_to_fetch_are_said_in_a_sentence(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "http://127.0.0.1:9/file.pkl")  # the discard port: nobody listens
    with pytest.raises(UserError, match=r"cannot download .*refused.* put it at .*stylegan2-ffhq-256\.pkl"):
        fetch(NAME, allow_noncommercial=True)
    with pytest.raises(UserError, match="need no download: they come with facenet-pytorch"):
        fetch("mtcnn", allow_noncommercial=True)


def test_the_command_line(address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    listed = CliRunner().invoke(app, ["weights", "list"]).output
    assert "stylegan2-ffhq-1024  [missing]  size not published" in listed
    assert f"pretrained/ffhq.pkl and put it at {tmp_path}/weights/stylegan2-ffhq-1024.pkl" in listed
    register(monkeypatch, f"{address}/whole")
    fetched = CliRunner().invoke(app, ["weights", "fetch", NAME]).output
    assert "NVIDIA Source Code License, non-commercial" in fetched
    assert hashlib.sha256(DATA).hexdigest() in fetched
    verified = CliRunner().invoke(app, ["weights", "verify"])
    assert verified.exit_code == 0  # the other two are missing, and nobody asked for them
