"""An uploaded clip: judged in a process of its own, gone afterwards whatever happens."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dashboard import uploads
from dashboard.loopback import is_loopback
from dashboard.uploads import Desk
from pipeline.errors import UserError
from pipeline.paths import Paths
from tests.conftest import REPOSITORY
from tests.dashboard import case_files
from tests.dashboard.test_pages import open_page, sentences

UPLOAD = {"clip_from": "Upload a clip"}
# Stands for pipeline.predict.child, which takes seconds to start: what it does is told by the clip's content.
CHILD = """
import json, os, shutil, sys, time
clip, out, *model = sys.argv[1:]
asked = open(clip).read()
print("a library's own line", flush=True)
print(json.dumps({"part": "faces"}), flush=True)
if asked == "wait":
    time.sleep(60)
elif asked == "sentence":
    print(json.dumps({"error": "there is no trained model"}), flush=True)
    sys.exit(1)
elif asked == "crash":
    os.abort()
else:
    shutil.copytree(asked, os.path.join(out, "clip"))
    open(os.path.join(out, "clip", "asked.txt"), "w").write(repr(model))
"""


@pytest.fixture
def project(tmp_path: Path) -> Paths:
    root = tmp_path / "project"
    root.mkdir()
    return Paths(root)


@pytest.fixture
def command(tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "child.py").write_text(CHILD)
    return (sys.executable, "-I", "-S", str(tmp_path / "child.py"))


@pytest.fixture
def desk(project: Paths, command: tuple[str, ...]) -> Iterator[Desk]:
    found = Desk(project, command)
    yield found
    found.close()


def until(true: Callable[[], bool]) -> None:
    started = time.monotonic()
    while not true():
        assert time.monotonic() - started < 60
        time.sleep(0.01)


def left(project: Paths) -> list[str]:
    return sorted(p.name for p in project.uploads.rglob("*") if p.is_file())


def test_a_clip_is_judged_in_a_private_folder_deleted_and_its_result_kept_when_asked(
    desk: Desk, project: Paths, tmp_path: Path
) -> None:
    case = case_files.write(tmp_path / "made", with_clip=False)
    project.cases.mkdir()
    (project.cases / "clip").mkdir()  # of an earlier run: nothing is written over
    desk.start("../../<b>x</b>.MP4", str(case).encode(), "wplus-rf")
    folder = next(project.uploads.iterdir())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    until(lambda: desk.state.phase != "running")
    assert desk.state.phase == "done"
    assert desk.state.name == "b_.mp4"
    assert left(project) == ["asked.txt", "report.html", "result.json"]  # the clip is gone
    assert desk.state.result is not None
    assert (desk.state.result / "asked.txt").read_text() == "['wplus-rf']"
    assert desk.keep() == "clip-2"
    assert (project.cases / "clip-2" / "result.json").is_file()
    assert not any(project.uploads.iterdir())
    assert desk.state.phase == "idle"


@pytest.mark.parametrize(
    ("content", "says"), [("sentence", "there is no trained model"), ("crash", "ended by signal"), ("/none", "with 1")]
)
def test_a_failure_is_one_sentence_and_the_clip_is_deleted(content: str, says: str, desk: Desk, project: Paths) -> None:
    desk.start("a.mp4", content.encode(), None)
    until(lambda: desk.state.phase != "running")
    assert desk.state.phase == "failed"
    assert says in desk.state.reason
    until(lambda: not any(project.uploads.iterdir()))


def test_stop_and_a_closed_session_end_the_process_and_delete_everything(
    desk: Desk, project: Paths, command: tuple[str, ...]
) -> None:
    for end in (desk.stop, desk.close):
        desk.start("a.mp4", b"wait", None)
        until(lambda: desk.state.part == "faces")
        assert left(project) == ["a.mp4"]
        process = desk._process
        assert process is not None
        with pytest.raises(UserError, match="another clip is being judged"):
            Desk(project, command).start("b.mp4", b"x", None)
        end()
        assert process.poll() is not None
        assert not any(project.uploads.iterdir())
        assert not uploads.is_busy()


def test_what_cannot_be_judged_is_refused_before_it_is_written(
    desk: Desk, project: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_MB", 0)
    with pytest.raises(UserError, match="at most 0 MB"):
        desk.start("a.mp4", b"x", None)
    for name in ("a.exe", "mp4", "a.mp4.py", ""):
        with pytest.raises(UserError, match="has to end in one of mp4"):
            desk.start(name, b"", None)
    assert not project.uploads.exists()
    project.uploads.parent.write_text("a file where a folder has to be")
    with pytest.raises(UserError, match="cannot be kept"):
        desk.start("a.mp4", b"", None)
    assert not uploads.is_busy()


def test_folders_of_servers_that_are_gone_are_swept_and_others_left(desk: Desk, project: Paths, tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-S", "-c", ""])
    gone.wait()
    for name in (f"{gone.pid}-1-abc", f"{os.getpid()}-1-reused", "notes-of-mine"):
        (project.uploads / name).mkdir(parents=True)
    (tmp_path / "precious").mkdir()
    (project.uploads / "1-1-link").symlink_to(tmp_path / "precious")
    desk.start("a.mp4", b"wait", None)
    own = next(p.name for p in project.uploads.iterdir() if (p / "a.mp4").exists())
    assert uploads.sweep(project) == 2
    assert sorted(p.name for p in project.uploads.iterdir()) == sorted([own, "notes-of-mine", "1-1-link"])
    assert (tmp_path / "precious").is_dir()


def test_the_real_child_tells_its_errors_and_ends_with_who_asked(project: Paths) -> None:
    (project.root / "pipeline").mkdir()  # as in a copy of the repository: not the program that is run
    (project.root / "pipeline" / "__init__.py").write_text("raise SystemExit('the wrong program')")
    asked = [*uploads.COMMAND, "clip.mp4", "out"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(
        asked, cwd=project.root, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    told = [uploads._read(line) for line in process.stdout]
    assert told[0] == {"part": "start"}
    assert "params.yaml" in told[1]["error"]
    assert process.wait() == 1
    stuck = "import sys, threading, time; from pipeline.predict import child\n"
    stuck += "threading.Thread(target=child._end_with_parent, daemon=True).start(); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", stuck], cwd=REPOSITORY, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=60) == 1


def test_the_page_uploads_shows_keeps_and_goes_to_the_result(
    project: Paths, command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "COMMAND", command)
    assert "no trained model" in sentences(open_page("video", project.root, monkeypatch, query=UPLOAD))
    (project.models / "wplus-rf").mkdir(parents=True)
    (project.models / "wplus-rf" / "model.json").write_text("{}")
    app = open_page("video", project.root, monkeypatch, query=UPLOAD)
    assert app.button(key="upload_go").disabled
    case = case_files.write(tmp_path / "made")
    app.file_uploader[0].set_value(("<script>.mp4", str(case).encode(), "video/mp4")).run()
    app.button(key="upload_go").click().run()
    assert not app.exception
    until(lambda: not uploads.is_busy())
    app.run()
    assert {m.label: m.value for m in app.metric}["Verdict"] == "uncertain"
    assert "The model was trained on the sample set" in app.warning[0].value
    app.button(key="upload_keep").click().run()
    assert not app.exception
    assert app.segmented_control(key="clip_from").value == "cases"
    assert app.selectbox(key="case").value == "clip"
    assert not any(project.uploads.iterdir())


def test_uploads_are_refused_where_others_can_reach_the_server(project: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    import streamlit as st

    own = st.get_option
    monkeypatch.setattr(st, "get_option", lambda key: "0.0.0.0" if key == "server.address" else own(key))
    app = open_page("video", project.root, monkeypatch, query=UPLOAD)
    assert "only where the dashboard listens on this machine alone" in sentences(app)
    assert not app.file_uploader


@pytest.mark.parametrize(
    ("address", "own"), [("127.0.0.1", True), ("::1", True), ("localhost", True), (None, False), ("0.0.0.0", False),
                         ("192.168.0.2", False), ("example.org", False)]
)  # fmt: skip
def test_which_addresses_are_this_machine_alone(address: str | None, own: bool) -> None:
    assert is_loopback(address) is own
