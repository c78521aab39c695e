"""Maps on disk, so that new faces can be placed on them: one safetensors file each, atomically written."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from embeddings.map_settings import MapMethod
from embeddings.placing import KeptMap
from pipeline.errors import UserError

_KIND = "latentforensics-map"
_FORMAT = "1"


@dataclass(frozen=True, eq=False)
class Stored:
    """A kept map and where it came from.

    Attributes
    ----------
    space, feature_id
        Feature space, and what made its vectors: others do not belong on this map.
    """

    map_id: str
    space: str
    feature_id: str
    kept: KeptMap


def file_name(map_id: str) -> str:
    """A map's file: its id where that is a plain name, else a hash of it."""
    plain = map_id.replace("-", "").replace(".", "").replace("+", "").replace("_", "").isalnum()
    return f"{map_id if plain else hashlib.sha256(map_id.encode()).hexdigest()[:16]}.safetensors"


def write(folder: Path, stored: Stored) -> None:
    """Write one map."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file_name(stored.map_id)
    about = {"map_id": stored.map_id, "space": stored.space, "feature_id": stored.feature_id}
    meta = {
        "kind": _KIND,
        "format": _FORMAT,
        "map": json.dumps({**about, "method": stored.kept.method}, sort_keys=True),
    }
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        save_file({n: np.ascontiguousarray(a) for n, a in stored.kept.arrays().items()}, temporary, metadata=meta)
        os.replace(temporary, path)  # noqa: PTH105 - os.replace is the documented atomic rename
    finally:
        temporary.unlink(missing_ok=True)


def read(path: Path) -> Stored:
    """Read one map.

    Raises
    ------
    UserError
        No such file, not a map, of another format, or damaged.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            meta: Mapping[str, str] = file.metadata() or {}
            if meta.get("kind") != _KIND or meta.get("format") != _FORMAT:
                raise UserError(f"{path} is not a map of this program's format {_FORMAT}: run `dvc repro`")
            about = json.loads(meta["map"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        kept = KeptMap.from_arrays(cast(MapMethod, about["method"]), arrays)
        return Stored(str(about["map_id"]), str(about["space"]), str(about["feature_id"]), kept)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path} cannot be read as a map: {error}; run `dvc repro`") from error
