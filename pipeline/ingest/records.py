"""What the catalogue hands on about one file, and how a data set's words for a label are read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.errors import UserError

Status = Literal["ok", "rejected", "unreadable"]

REAL, FAKE = 0, 1
LABEL_WORDS = {"real": REAL, "fake": FAKE, "0": REAL, "1": FAKE}
LABEL_NAMES = {REAL: "real", FAKE: "fake"}


class CatalogueError(UserError, ValueError):
    """Nothing can be catalogued; the message says in one sentence what was expected where."""


@dataclass(frozen=True)
class VideoRecord:
    """One file of a data set as its layout describes it; nothing in the file itself has been looked at.

    Attributes
    ----------
    path : file on this machine.
    rel_path : path below the root with forward slashes; no two records of a scan share it.
    dataset : layout the file was catalogued under.
    label : 0 real, 1 fake, None where unknown (such a record is never 'ok').
    method : manipulation, 'real' for originals, None where the layout does not tell.
    compression : level as the data set names it ('c23'), None where it does not.
    source_group : connected footage: records that share it stand on one side of every split.
    identity : people whose face or footage went in, comma-separated, the person filmed first; None where unknown.
    status, reason : 'ok' and '', or what is wrong, in one sentence.
    video_id : hash of the file's bytes, with its path where the bytes do not identify it; '' until it is computed.
    official_split : side the data set's authors put the file on ('train', 'test'), for information.
    """

    path: Path
    rel_path: str
    dataset: str
    label: int | None
    method: str | None
    compression: str | None
    source_group: str
    identity: str | None
    status: Status = "ok"
    reason: str = ""
    video_id: str = ""
    official_split: str | None = None


def parse_label(value: object) -> int | None:
    """Read a label: real, fake, 0 or 1, in any case, as text or number; None for anything else."""
    if isinstance(value, bool):
        return None  # true could mean 'is fake' or 'is genuine'
    if isinstance(value, int | float):
        return int(value) if value in (REAL, FAKE) else None
    if isinstance(value, str):
        return LABEL_WORDS.get(value.strip().lower())
    return None
