"""Rendering on demand, where a reader turns it on: the one place that loads a generator, and torch with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from dashboard import data, privacy
from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.walk_pictures import Strip


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
    name, allow_noncommercial, seed = _settings(inverter_id)
    from pipeline.walker import read_code

    code = read_code(data.project(), face_id, inverter_id)
    try:
        return _strip(code, name, allow_noncommercial, channel, n_std, seed)
    except ValueError as error:
        raise UserError(f"this face's code cannot be rendered: {error}") from error


@st.cache_data(max_entries=16, show_spinner="Drawing the stops…")
def _walk(codes: np.ndarray, name: str, allow_noncommercial: bool) -> Strip:
    from pipeline.walk_pictures import draw

    return draw(_generator(name, allow_noncommercial), codes)


def walk(codes: np.ndarray, inverter_id: str) -> Strip | None:
    """Pictures of a walk's codes float32 [n, n_channels, w_dim], not blurred; None, and nothing drawn, where hidden.

    Raises
    ------
    UserError
        As for `strip`.
    """
    if privacy.mode() == "hidden":
        return None
    name, allow_noncommercial, _ = _settings(inverter_id)
    try:
        return _walk(codes, name, allow_noncommercial)
    except ValueError as error:
        raise UserError(f"this face's codes cannot be drawn: {error}") from error


def _settings(inverter_id: str) -> tuple[str, bool, int]:
    """Generator, whether non-commercial weights are allowed, and seed; UserError where the codes are of another one."""
    from pipeline import params

    settings = params.load(data.project().params)
    name = settings.invert.generator
    if not inverter_id.startswith(name):
        raise UserError(f"the codes are of '{inverter_id}', params.yaml names the generator '{name}'")
    return name, settings.weights.allow_noncommercial, settings.seed
