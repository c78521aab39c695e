"""The map in the browser: packs points into one block of bytes and mounts the component that draws them by WebGL2.

The block is ``[length of the header, uint32][header, JSON, padded to 4 bytes][coordinates, float32 n x dims]
[colour, uint8 n][flags, uint8 n]``: about 10 bytes a point in 2-D, so 130,000 points are 1.3 MB. No point carries text
or a picture; what the pointer rests on is asked for one face at a time (`face_card`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from dashboard.colouring import Colouring

PALE, MARKED, HIDDEN = 1, 2, 4  # flags of a point; the same numbers stand in point_map.js
HEIGHT_PX = 620
MAP_KEY = "point_map"
_ASSETS = Path(__file__).parent / "assets"
_NAME, _CARD = "lf_point_map", "lf_face_card"


def flags(
    n: int,
    *,
    outside: NDArray[np.bool_] | None = None,
    marked: NDArray[np.int64] | None = None,
    hide_outside: bool = False,
) -> NDArray[np.uint8]:
    """Flags of ``n`` points: those ``outside`` the filter are pale or hidden, and cannot be picked; rows ``marked``
    are ringed."""
    out = np.zeros(n, dtype=np.uint8)
    if outside is not None:
        out[outside] = HIDDEN if hide_outside else PALE
    if marked is not None:
        out[marked] |= MARKED
    return out


def pack(xyz: NDArray[np.float32], look: Colouring, flag: NDArray[np.uint8], header: Mapping[str, Any]) -> bytes:
    """One block for the browser.

    Parameters
    ----------
    xyz : float32 [n, 2] or [n, 3], finite.
    look, flag : colours and flags of the same points.
    header : JSON values; ``version`` names the set of points, ``title`` the colouring.
    """
    n, dims = xyz.shape
    if look.codes.shape != (n,) or flag.shape != (n,):
        raise ValueError(f"expected colours and flags of {n} points, got {len(look.codes)} and {len(flag)}")
    everything = {
        "n": n,
        "dims": dims,
        "low": xyz.min(axis=0).tolist(),
        "high": xyz.max(axis=0).tolist(),
        "palette": look.palette,
        "legend": [asdict(entry) for entry in look.legend],
        "scale": look.scale,
        "height": HEIGHT_PX,
        **header,
    }
    text = json.dumps(everything).encode()
    text += b" " * (-len(text) % 4)
    blocks = (np.ascontiguousarray(xyz, dtype="<f4"), look.codes, flag)
    return np.uint32(len(text)).astype("<u4").tobytes() + text + b"".join(b.tobytes() for b in blocks)


def coordinates(points: pd.DataFrame, *, flat: bool) -> NDArray[np.float32]:
    """Coordinates of a map's points, float32 [n, 2] or [n, 3]."""
    return points[["x", "y"] if flat else ["x", "y", "z"]].to_numpy(dtype=np.float32)


def point_map(block: bytes, *, on_event: Callable[[], None]) -> None:
    """Mount the map. ``on_event`` runs before the page when a user draws a lasso, clicks a point or a legend entry;
    `asked` then tells what."""
    _component(_NAME, "point_map.js")(
        key=MAP_KEY,
        data=block,
        height="content",
        on_lasso_change=on_event,
        on_pick_change=on_event,
        on_value_change=on_event,
    )


def asked() -> tuple[str, Any] | None:
    """What the browser asked for just now: ``("lasso", ...)``, ``("pick", ...)`` or ``("value", ...)``; else None."""
    state = st.session_state.get(MAP_KEY) or {}
    return next(((name, state[name]) for name in ("lasso", "pick", "value") if state.get(name) is not None), None)


def face_card(describe: Callable[[str, int], Mapping[str, Any] | None]) -> None:
    """Answer the map's questions about the point under the pointer; only this part of the page runs anew.

    ``describe`` is given the ``version`` of the points and a row, and returns what is written and the picture; None for
    a row that is not there.
    """
    mount = _component(_CARD, "face_card.js")
    held = (st.session_state.get("face_card") or {}).get("hover")
    answer = None
    if isinstance(held, dict) and isinstance(held.get("index"), int):
        answer = describe(str(held.get("version")), held["index"])
    mount(key="face_card", data={"answer": answer}, height=1, on_hover_change=lambda: None)


def _component(name: str, file: str) -> Any:
    """A component of our own script; registered at each call, for a server started anew has another registry."""
    return st.components.v2.component(name, js=(_ASSETS / file).read_text(encoding="utf-8"))
