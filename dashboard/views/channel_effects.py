"""On the page Channels: a face with one channel moved, and where in the image the channel acts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data, figures, live, privacy, widgets
from pipeline.report import summary
from pipeline.report.channel_section import EFFECTS_CAPTION
from pipeline.report.images import data_uri, decode, encode
from pipeline.schemas import TABLES

HOW_TO = (
    "No strips were rendered with the pipeline. Set `importance.quick.n_effect_faces` (or `importance.paper...`, "
    "whichever column `profile` names) in params.yaml to some faces, 8 say, and run `dvc repro importance`: half a "
    "minute per face on two cores. Or render single ones here."
)
N_LIVE_FACES = 200  # faces offered for live rendering; a longer list is no help in a menu
PICTURE_PX = 230


def show() -> None:
    """Controls, the strip of pictures, and the maps; says what to run where nothing was rendered."""
    stored = data.optional("channel_effects")
    effects = None
    if stored is not None:
        effects = widgets.attempt(
            lambda: data.table("channel_effects", columns=tuple(TABLES["channel_effects"].column_names))
        )
    else:
        widgets.attempt(lambda: data.table("channel_effects"))
        widgets.tell(HOW_TO)
    wplus = data.optional("wplus")
    can_render = wplus is not None
    # Not in the address: a link that is opened must not load a network.
    is_live = can_render and st.toggle(
        "Render live",
        key="render_live",
        help="Loads the generator into this dashboard (about 1 GB of memory) and draws three pictures per choice, "
        "about three seconds on two cores.",
    )
    if effects is None and not is_live:
        return
    inverter_id = effects["inverter_id"].iloc[0] if effects is not None else summary.main_inverter(_known(wplus))
    faces = _faces(_known(wplus) if is_live else effects, inverter_id)
    channel, face_id = _controls(faces, _channels(effects))
    if is_live:
        _live(face_id, inverter_id, channel)
    elif effects is not None:
        _stored(effects, face_id, channel)
    if effects is not None:
        _maps(effects, face_id, channel)


def _known(table: pd.DataFrame | None) -> pd.DataFrame:
    return pd.DataFrame() if table is None else table


def _channels(effects: pd.DataFrame | None) -> list[int]:
    if effects is not None:
        return [int(c) for c in sorted(effects["channel"].unique())]
    codes = data.table("wplus", columns=("n_channels",))
    return list(range(int(codes["n_channels"].max())))


def _faces(table: pd.DataFrame | None, inverter_id: str) -> pd.DataFrame:
    rows = _known(table)
    rows = rows[rows["inverter_id"].eq(inverter_id)][["face_id"]].drop_duplicates().sort_values("face_id")
    return data.with_material(rows.head(N_LIVE_FACES))


def _controls(faces: pd.DataFrame, channels: list[int]) -> tuple[int, str]:
    left, right = st.columns([1, 2])
    channel = left.select_slider("Channel, coarse to fine", channels, key="channel", bind="query-params")
    names = {
        r["face_id"]: f"{r['label']}, {r.get('rel_path') or r.get('video_id') or 'unknown video'} · {r['face_id'][:10]}"
        for r in faces.to_dict("records")
    }
    face_id = right.selectbox("Face", list(names), format_func=names.__getitem__, key="face", bind="query-params")
    return int(channel), str(face_id)


def _live(face_id: str, inverter_id: str, channel: int) -> None:
    n_std = st.slider("Moved by (standard deviations of W)", 0.5, 3.0, 1.0, 0.5, key="n_std", bind="query-params")
    strip = widgets.attempt(lambda: live.strip(face_id, inverter_id, channel=channel, n_std=n_std))
    _pictures(strip, n_std)


def _stored(effects: pd.DataFrame, face_id: str, channel: int) -> None:
    row = effects[effects["face_id"].eq(face_id) & effects["channel"].eq(channel)]
    if row.empty or row["strip"].isna().all():
        widgets.tell("No strip of this face and channel is stored; `dvc repro importance` makes them, or render live.")
        return
    _pictures(bytes(row["strip"].iloc[0]), 1.0)


def _pictures(strip: bytes | None, n_std: float) -> None:
    rgb = decode(strip)
    tiles = [None] * 3 if rgb is None else np.split(rgb[:, : rgb.shape[1] // 3 * 3], 3, axis=1)
    names = (f"moved down by {n_std:g} std", "as it is", f"moved up by {n_std:g} std")
    cells = []
    for tile, name in zip(tiles, names, strict=True):
        seen = None if tile is None else privacy.protect(encode(tile), privacy.mode())
        picture = widgets.picture_html(None if seen is None else data_uri(seen), alt=name)
        cells.append(f"<div style='width:{PICTURE_PX}px;max-width:32%'>{picture}<div>{name}</div></div>")
    st.html(f"<div style='display:flex;gap:8px;font-size:13px;{widgets.QUIET}'>{''.join(cells)}</div>")
    st.caption(
        "The generator's image of the face's W+ code with this channel alone moved, all its numbers at once, each up "
        "or down by a fixed draw of signs. It shows how strongly and where the channel acts, not what it means."
    )


def _maps(effects: pd.DataFrame, face_id: str, channel: int) -> None:
    of_channel = effects[effects["channel"].eq(channel)]
    places = st.columns(3)
    for place, rows, title, key in (
        (places[0], of_channel[of_channel["face_id"].eq(face_id)], "This face", "change_of_face"),
        (places[1], of_channel, f"Mean of {of_channel['face_id'].nunique()} faces", "change_mean"),
    ):
        with place:
            if rows.empty:
                widgets.tell("This face is not among those whose changes were measured.")
            else:
                alt = f"Where in the image channel {channel} acts: {title.lower()}"
                widgets.show(figures.change_map(_cells(rows), title=title), key, alt=alt)
    with places[2]:
        widgets.show(figures.change_per_channel(effects, chosen=channel), "change_channels", alt="Change per channel")
    st.caption(EFFECTS_CAPTION)


def _cells(rows: pd.DataFrame) -> np.ndarray:
    cells = np.stack([np.asarray(m, dtype=np.float64) for m in rows["change_map"]]).mean(axis=0)
    side = round(len(cells) ** 0.5)
    return cells.reshape(side, side)
