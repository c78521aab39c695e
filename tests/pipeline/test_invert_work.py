"""Inversion on several workers gives what one gives; a dead worker and bad faces cost what they touch, no more."""

from __future__ import annotations

import importlib
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pipeline import networks, params, tables, weights
from pipeline.cli import STAGES
from pipeline.errors import UserError
from pipeline.ingest.faces import encode_png
from pipeline.paths import Paths
from pipeline.shards import Shards
from pipeline.stages import invert_work
from pipeline.stages.face_batches import FaceBatches
from tests.pipeline import project

N_GOOD = 5
BAD = {
    "b0-text": (b"this is no picture", "cannot be read"),
    "b1-small": (encode_png(np.full((128, 128, 3), 90, np.uint8)), "128 x 128 px, expected 256 x 256"),
}


def png(pixels: NDArray[np.uint8]) -> bytes:
    """PNG of grey [H, W] or BGRA [H, W, 4] pixels, which `encode_png` refuses."""
    return bytes(cv2.imencode(".png", pixels)[1])


def face(person: int) -> NDArray[np.uint8]:
    """Middle of a clip's first frame, uint8 RGB [256, 256, 3]."""
    film = cv2.VideoCapture(str(project.SAMPLE / f"person{person:02d}_real.mp4"))
    frame = film.read()[1]
    film.release()
    side = min(frame.shape[:2])
    top, left = ((length - side) // 2 for length in frame.shape[:2])
    middle = cv2.resize(frame[top : top + side, left : left + side], (256, 256), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(middle, cv2.COLOR_BGR2RGB)


def make(folder: Path, **changes: Any) -> Paths:
    """A project with a faces table of good and bad faces, in batches of two."""
    # Without steps: what is tested is who does which batch, and a step costs seconds.
    without = {"invert.precision": "fp32", "invert.quick": {"effort": "encoder", "steps": None}}
    project.write_params(folder, project.SMALL | without | changes)
    paths = Paths(folder)
    images = {f"a{k}": encode_png(face(k)) for k in range(N_GOOD - 3)} | {
        "a-red": encode_png(np.full((256, 256, 3), (200, 0, 0), np.uint8)),
        "a-grey": png(cv2.cvtColor(face(5), cv2.COLOR_RGB2GRAY)),
        "a-transparent": png(cv2.cvtColor(face(6), cv2.COLOR_RGB2BGRA)),
    }
    rows = [
        {"face_id": name, "video_id": name, "frame_index": 0, "track_id": 0, "label": 0, "method": "", "status": "ok"}
        | {"source_group": name, "image": image}
        for name, image in (images | {name: image for name, (image, _) in BAD.items()}).items()
    ]
    tables.write_rows(rows, paths.table("faces"), name="faces", meta={"fingerprint": "made by hand"})
    return paths


def first_task(paths: Paths, *, fingerprint: str) -> invert_work.Task:
    """The first batch of a project, to be done under some fingerprint."""
    folder = paths.work("invert", fingerprint)
    meta = {"fingerprint": fingerprint}
    return invert_work.Task(
        params=params.load(paths.params),
        paths=paths,
        pieces=invert_work.Pieces(
            codes=Shards(folder, name="wplus", meta=meta),
            images=Shards(folder / "images", name="reconstructions", meta=meta),
            curves=Shards(folder / "curves", name="curves", meta=meta),
        ),
        inverter_id="mobile",
        n_channels=16,
        batch=next(iter(FaceBatches(paths.table("faces"), batch_size=2))),
    )


def codes_of(paths: Paths) -> pd.DataFrame:
    return tables.read_pandas(paths.table("wplus"), "wplus").set_index("face_id")


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """The inversion by this process alone."""
    paths = make(tmp_path_factory.mktemp("one"))
    project.run(paths, "invert")
    return paths


def test_bad_faces_are_failed_with_a_reason_and_all_others_inverted(one: Paths) -> None:
    codes = codes_of(one)
    assert len(codes) == N_GOOD + len(BAD)
    good = codes.drop(index=list(BAD))
    assert good["status"].isin(["ok", "poor"]).all(), "grey and transparent faces are faces"
    assert good.loc["a-red", "status"] == "poor"
    assert good.loc["a-red", "reason"] == "the image is blank: there is no face to find"
    assert good["wplus"].notna().all()
    for name, (_, reason) in BAD.items():
        assert codes.loc[name, "status"] == "failed"
        assert reason in codes.loc[name, "reason"]
        assert codes.loc[name, "wplus"] is None
    drawn = tables.read(one.table("reconstructions"), "reconstructions", columns=["face_id"]).column(0).to_pylist()
    assert set(drawn) == set(good.index)


def test_failed_faces_are_tried_again_by_the_next_run_and_finished_batches_are_not(one: Paths) -> None:
    (work,) = (one.root / "work" / "invert").iterdir()
    before = {p: p.stat().st_mtime_ns for p in work.glob("*.parquet")}
    project.run(one, "invert")
    again = {p for p, mtime in before.items() if p.stat().st_mtime_ns != mtime}
    with_bad = {p for p in before if "failed" in tables.read(p, "wplus", columns=["status"]).column(0).to_pylist()}
    assert again == with_bad
    assert len(before) > len(again) > 0


def kill_a_worker_after(work: Path, n_pieces: int, killed: list[int]) -> None:
    """Wait for the first pieces, then kill -9 a Dask worker, which by then is at the next."""
    deadline_s = time.monotonic() + 600
    while len(list(work.glob("*/[!.]*.parquet"))) < n_pieces:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    children = psutil.Process().children(recursive=True)
    victim = next(c for c in children if any("spawn_main" in part for part in c.cmdline()))
    os.kill(victim.pid, signal.SIGKILL)
    killed.append(victim.pid)


def test_a_worker_killed_in_the_middle_costs_nothing_and_codes_equal_those_of_one_process(
    one: Paths, tmp_path: Path
) -> None:
    paths = make(tmp_path, workers={"n_workers": 2, "scheduler": None}, **{"invert.batch_size": 2})
    killed: list[int] = []
    killer = threading.Thread(target=kill_a_worker_after, args=(paths.root / "work" / "invert", 1, killed))
    killer.start()
    project.run(paths, "invert")
    killer.join()
    assert killed
    assert not psutil.pid_exists(killed[0])
    alone, spread = codes_of(one), codes_of(paths)
    assert list(spread.index) == list(alone.index)
    assert list(spread["status"]) == list(alone["status"])
    good = alone.index[alone["status"] == "ok"]
    # Batches are the same, so only another number of threads could sum in another order; here there is one each.
    difference = np.abs(np.stack(spread.loc[good, "wplus"]) - np.stack(alone.loc[good, "wplus"]))
    assert difference.mean(axis=1).max() < 5e-3
    np.testing.assert_allclose(spread.loc[good, "lpips"], alone.loc[good, "lpips"], atol=5e-3)
    assert list(spread["reason"]) == list(alone["reason"])


def test_a_batch_that_was_given_up_has_failed_rows_and_is_tried_again(tmp_path: Path) -> None:
    task = first_task(make(tmp_path), fingerprint="any")
    ids, key = task.batch.face_ids, task.batch.key
    assert invert_work.give_up(task, "died") == key
    rows = tables.read(task.pieces.codes.path(key), "wplus").to_pylist()
    assert [(r["face_id"], r["status"], r["reason"]) for r in rows] == [(i, "failed", "died") for i in ids]
    assert task.pieces.images.done(key)
    assert not task.pieces.finished(key)


def test_a_worker_that_would_make_other_codes_refuses(tmp_path: Path) -> None:
    task = first_task(make(tmp_path), fingerprint="of another program")
    with pytest.raises(UserError, match="would make other codes: its program, weights, device"):
        invert_work.work(task)


@pytest.mark.parametrize(
    ("network", "message"), [("mobile-head", "fitted to generator"), ("mobile-encoder", "fitted to")]
)
def test_a_head_or_encoder_of_another_generator_is_one_clear_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: str, message: str
) -> None:
    true = weights.require
    with safe_open(true(network, allow_noncommercial=True), framework="pt") as file:
        metadata = file.metadata()
    foreign = tmp_path / "foreign.safetensors"
    facts = metadata["facts"]
    sha256 = facts.split('"generator_sha256": "')[1][:64]
    tensors = load_file(true(network, allow_noncommercial=True))
    save_file(tensors, foreign, metadata=metadata | {"facts": facts.replace(sha256, "0" * 64)})

    def require(name: str, *, allow_noncommercial: bool) -> Path:
        return foreign if name == network else true(name, allow_noncommercial=allow_noncommercial)

    monkeypatch.setattr(networks.weights, "require", require)
    paths = make(tmp_path)
    with pytest.raises(UserError, match=f"invert: .*{message}"):
        project.run(paths, "invert")


def with_device(paths: Paths, device: str) -> params.Params:
    return params.load(paths.params).model_copy(update={"device": device})


USES_DEVICE = [
    name for name, (module, _) in STAGES.items() if "device" in importlib.import_module(module).STAGE.sections
]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("stage", USES_DEVICE)
def test_a_gpu_that_is_demanded_and_not_there_stops_the_stage(one: Paths, stage: str) -> None:
    # Every stage asks for its fingerprint before it works.
    run = importlib.import_module(STAGES[stage][0]).STAGE.run(with_device(one, "cuda"), one)
    with pytest.raises(UserError, match=r"device: cuda is set in params\.yaml, but torch sees no CUDA device"):
        run.fingerprint({})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_auto_falls_to_the_cpu_and_says_so_once(one: Paths, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="latentforensics")
    run = invert_work.STAGE.run(with_device(one, "auto"), one)
    assert (run.device, run.device) == ("cpu", "cpu")
    assert caplog.text.count("device auto is the CPU here") == 1
