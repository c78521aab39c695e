"""Rendering on demand, where a reader turns it on: the one place that loads a generator, and torch with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow.compute as pc
import streamlit as st

from dashboard import data, privacy
from pipeline import tables
from pipeline.errors import UserError


@st.cache_resource(max_entries=1, show_spinner="Loading the generator…")
def _generator(name: str, allow_noncommercial: bool) -> Any:
    from pipeline.networks import load_generator

    return load_generator(name, device="cpu", allow_noncommercial=allow_noncommercial)


@st.cache_data(max_entries=32, show_spinner="Rendering three pictures…")
def _strip(code: np.ndarray, name: str, allow_noncommercial: bool, channel: int, n_std: float, seed: int) -> bytes:
    from pipeline.effects import live_strip

    return live_strip(_generator(name, allow_noncommercial), code, channel=channel, n_std=n_std, seed=seed)


def strip(face_id: str, inverter_id: str, *, channel: int, n_std: float) -> bytes | None:
    """JPEG of three pictures: the channel moved down by ``n_std`` standard deviations of W, as it is, moved up.

    None, and nothing rendered, where faces are hidden.

    Raises
    ------
    UserError
        No such code, no settings, a generator that is missing, refused or another than the code's.
    """
    if privacy.mode() == "hidden":
        return None
    from pipeline import params

    settings = params.load(data.project().params)
    name = settings.invert.generator
    if not inverter_id.startswith(name):
        raise UserError(f"the codes are of '{inverter_id}', params.yaml names the generator '{name}'")
    code = _code(face_id, inverter_id)
    try:
        return _strip(code, name, settings.weights.allow_noncommercial, channel, n_std, settings.seed)
    except ValueError as error:
        raise UserError(f"this face's code cannot be rendered: {error}") from error


def _code(face_id: str, inverter_id: str) -> np.ndarray:
    where = (pc.field("face_id") == face_id) & (pc.field("inverter_id") == inverter_id)
    columns = ["wplus", "n_channels"]
    for batch in tables.read_batches(data.project().table("wplus"), "wplus", columns=columns, where=where):
        for row in batch.to_pylist():
            return np.asarray(row["wplus"], dtype=np.float32).reshape(row["n_channels"], -1)
    raise UserError(f"there is no W+ code of face {face_id}")
