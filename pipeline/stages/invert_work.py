"""What the stage ``invert`` does with one batch of faces, in whichever process: decode, search, measure, store."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inversion.batching import Failure, HalvingBatches
from inversion.memory import keep_freed_memory
from inversion.optimise import invert
from inversion.pixels import to_uint8, to_unit
from inversion.quality import measure
from pipeline import tables
from pipeline.curves import curve_rows
from pipeline.errors import UserError
from pipeline.ingest.faces import decode_image, encode_png
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.shards import Shards
from pipeline.stages.common import Run, Stage
from pipeline.stages.face_batches import FaceBatch
from pipeline.stages.inverter import Inverter, load_inverter

STAGE = Stage(
    "invert",
    sections=("seed", "device", "profile", "spaces", "workers", "faces", "invert", "weights"),
    inputs=("faces",),
)
IMAGE_PX = 256
#: An image whose values in [-1, 1] deviate by less is of one colour: half a grey level of 255 each way.
BLANK_STD = 1 / 255
#: Faces at once by device. On a CPU more cost memory and gain little; a GPU wants work, and halves what does not fit.
BATCH_SIZES = {"cpu": 3, "cuda": 32}
log = logging.getLogger("latentforensics")
#: A Dask worker may have several threads; two searches at once would only share cores and memory.
_ONE_AT_A_TIME = Lock()

Row = dict[str, Any]


@dataclass(frozen=True)
class Pieces:
    """Where the results of each batch go, in three tables."""

    codes: Shards
    images: Shards
    curves: Shards

    def finished(self, key: str) -> bool:
        """Whether all pieces of a batch are whole and no face of it failed: those are tried again by the next run."""
        if not all(pieces.done(key) for pieces in (self.codes, self.images, self.curves)):
            return False
        status = tables.read(self.codes.path(key), self.codes.name, columns=["status"]).column(0).to_pylist()
        return "failed" not in status


@dataclass(frozen=True)
class Outcome:
    """What one face gave: a row of codes, one of images, and one for each rating."""

    code: Row
    image: Row
    curve: list[Row]


@dataclass(frozen=True)
class Task:
    """Everything a worker needs for one batch.

    `inverter_id` and `n_channels` are what the process that gave the task out has found; the fingerprint of `pieces`
    tells whether a worker would make the same codes.
    """

    params: Params
    paths: Paths
    pieces: Pieces
    inverter_id: str
    n_channels: int
    batch: FaceBatch


class Solver:
    """The loaded networks, and a batch size that fits the memory."""

    def __init__(self, inverter: Inverter, *, seed: int, device: str) -> None:
        self.inverter, self._seed, self._device = inverter, seed, device
        self.batches = HalvingBatches(self._solve, on_smaller=_say_smaller)

    def _solve(self, faces: Sequence[tuple[str, NDArray[np.uint8]]]) -> list[Outcome | Failure]:
        """Invert some faces; measure the codes as they are stored, on the exact generator's images."""
        inverter = self.inverter
        target = to_unit(np.stack([image for _, image in faces])).to(self._device)
        found = invert(
            target,
            generator=inverter.generator,
            head=inverter.head,
            coarse=inverter.coarse,
            encoder=inverter.encoder,
            perceptual=inverter.perceptual,
            settings=inverter.settings,
        )
        # A search in fp32 has rated the very image that is to be judged.
        drawn = None if inverter.settings.autocast_bf16 else found.image
        quality = measure(target, found.wplus, generator=inverter.exact, perceptual=inverter.perceptual, drawn=drawn)
        codes = found.wplus.cpu()
        blank = target.flatten(2).std(dim=2).amax(dim=1) < BLANK_STD  # [N], by the colour that varies most
        rows: list[Outcome | Failure] = []
        for i, (face, _) in enumerate(faces):
            if not found.loss_start[i].isfinite():
                rows.append(Failure("no code of this face could be rated: the networks give NaN or infinity"))
                continue
            status, reason = "ok", None
            if found.diverged[i]:
                status, reason = "poor", "the search diverged; this is its best code until then"
            elif blank[i]:
                status, reason = "poor", "the image is blank: there is no face to find"
            shared = {"face_id": face, "inverter_id": inverter.inverter_id}
            code_row = shared | {
                "wplus": codes[i].flatten().numpy(),
                "n_channels": codes.shape[1],
                "steps_run": int(found.best_step[i]),
                "seed": self._seed,
                "lpips": float(quality.perceptual[i]),
                "mse_unit": float(quality.mse_unit[i]),
                "psnr_db": float(quality.psnr_db[i]),
                "w_distance_std": float(quality.w_distance_std[i]),
                "status": status,
                "reason": reason,
            }
            curve = curve_rows(
                [face],
                inverter.inverter_id,
                step=found.trace.step.numpy(),
                seconds_per_face=found.trace.seconds_per_face.numpy(),
                perceptual=found.trace.perceptual[:, i : i + 1].numpy(),
                mse_unit=found.trace.mse_unit[:, i : i + 1].numpy(),
            )
            rows.append(Outcome(code_row, shared | {"image": encode_png(to_uint8(quality.image[i]))}, curve))
        return rows


def _say_smaller(size: int) -> None:
    log.warning("invert: memory did not suffice for a batch; going on with %d faces at once", size)


#: The networks of the last run, by its fingerprint.
_LOADED: dict[str, Solver] = {}


def load(current: Run) -> Solver:
    """Load the networks of a run and keep them for this process's tasks.

    Raises
    ------
    UserError
        Weights are missing, altered, or do not fit one another.
    """
    _LOADED.clear()
    try:
        inverter = load_inverter(current)
    except ValueError as error:
        raise UserError(f"invert: {error}") from error
    keep_freed_memory()
    solver = Solver(inverter, seed=current.params.seed, device=current.device)
    _LOADED[current.fingerprint(inverter.weight_hashes)] = solver
    return solver


def _solver(task: Task) -> Solver:
    """The networks, once per process; UserError where they would make other codes than the task asks for."""
    wanted = task.pieces.codes.meta["fingerprint"]
    if wanted not in _LOADED:
        load(STAGE.run(task.params, task.paths))
    if wanted not in _LOADED:
        raise UserError(
            f"invert: the worker on {socket.gethostname()} would make other codes: its program, weights, device, "
            "number format or faces table differ; start workers anew from this installation, in the project's folder"
        )
    return _LOADED[wanted]


def work(task: Task) -> str:
    """Invert one batch and store its pieces; return the batch's key."""
    with _ONE_AT_A_TIME:
        if task.pieces.finished(task.batch.key):
            return task.batch.key  # done by a worker that was lost before it could say so
        able = _solver(task)
        readable, failures = _decode(task.batch)
        rows: list[Outcome] = []
        for (face, _), outcome in zip(readable, able.batches.run(readable), strict=True):
            if isinstance(outcome, Failure):
                failures[face] = outcome.reason
            else:
                rows.append(outcome)
        return _store(task, rows, failures)


def give_up(task: Task, reason: str) -> str:
    """Store a batch of which nothing came; return its key."""
    return _store(task, [], dict.fromkeys(task.batch.face_ids, reason))


def _store(task: Task, rows: list[Outcome], failures: dict[str, str]) -> str:
    """Write the codes last, so that they tell whether a batch is finished."""
    key = task.batch.key
    failed = [
        {
            "face_id": face,
            "inverter_id": task.inverter_id,
            "n_channels": task.n_channels,
            "steps_run": 0,
            "seed": task.params.seed,
            "status": "failed",
            "reason": reason,
        }
        for face, reason in failures.items()
    ]
    task.pieces.curves.write(key, [rated for row in rows for rated in row.curve])
    task.pieces.images.write(key, [row.image for row in rows])
    task.pieces.codes.write(key, [row.code for row in rows] + failed)
    return key


def _decode(batch: FaceBatch) -> tuple[list[tuple[str, NDArray[np.uint8]]], dict[str, str]]:
    """Faces with their pixels uint8 [256, 256, 3], and why others cannot be worked on."""
    readable: list[tuple[str, NDArray[np.uint8]]] = []
    failures: dict[str, str] = {}
    for face, encoded in zip(batch.face_ids, batch.encoded, strict=True):
        try:
            image = decode_image(encoded)
        except ValueError as error:
            failures[face] = f"the stored face cannot be read: {error}"
            continue
        if image.shape == (IMAGE_PX, IMAGE_PX, 3):
            readable.append((face, image))
        else:
            height, width = image.shape[:2]
            failures[face] = f"the stored face is {width} x {height} px, expected {IMAGE_PX} x {IMAGE_PX}"
    return readable, failures
