"""Inversions: each face beside the generator's image of its W+ code, the poorest first."""

from __future__ import annotations

import html
import math
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import data, figures, widgets
from dashboard.views import study
from pipeline.report import blocks, summary
from pipeline.report.images import DIFFERENCE_GAIN, data_uri, decode, difference, encode
from pipeline.report.palette import label_colour

PAGE_SIZES = (6, 12, 24)
ORDERS = ("poor first", "good first")


def page() -> None:
    """Draw the page."""
    st.title("Inversions")
    study.show()
    wplus = widgets.need("wplus")
    if wplus is None:
        return
    inverters = sorted(wplus["inverter_id"].unique())
    main = inverters.index(summary.main_inverter(wplus))
    columns = st.columns([4, 2, 2, 2, 1])
    inverter_id = columns[0].selectbox("Inverter", inverters, index=main, key="inverter_id", bind="query-params")
    measure = columns[1].selectbox(
        "Sort by",
        list(summary.QUALITY),
        format_func=lambda c: summary.QUALITY[c][0].split(",")[0],
        key="measure",
        bind="query-params",
    )
    order = columns[2].selectbox("Order", ORDERS, key="order", bind="query-params")
    size = columns[4].selectbox("Per page", PAGE_SIZES, key="page_size", bind="query-params")
    table = data.with_material(wplus[wplus["inverter_id"] == inverter_id])
    choices = ["all", *sorted({str(m) for m in table["method"].dropna()})]
    method = columns[3].selectbox("Method", choices, key="method", bind="query-params")
    if method != "all":
        table = table[table["method"] == method]
    _summary(table, measure)
    ranked = rank(table, measure, poor_first=order == ORDERS[0])
    _page_of_cards(ranked, inverter_id, size)


def rank(table: pd.DataFrame, measure: str, *, poor_first: bool) -> pd.DataFrame:
    """Rows by quality; rows marked other than ok come before all others where poor ones are first, else last."""
    low_is_good = summary.QUALITY[measure][2]
    return (
        table.assign(_marked=table["status"].ne("ok"))
        .sort_values(
            ["_marked", measure, "face_id"],
            ascending=[not poor_first, low_is_good != poor_first, True],
            na_position="first" if poor_first else "last",
            ignore_index=True,
        )
        .drop(columns="_marked")
    )


def _summary(table: pd.DataFrame, measure: str) -> None:
    name = data.metadata("wplus").get("perceptual", "not named in the table")
    n_marked = int(table["status"].ne("ok").sum())
    if n_marked:
        st.warning(
            f"{n_marked:,} of {len(table):,} are marked poor; in the order '{ORDERS[0]}' they come first.",
            icon=":material/flag:",
        )
    with st.expander("How good are they all?", expanded=False):
        alt = f"Histogram of {summary.QUALITY[measure][0]} by label"
        widgets.show(figures.quality_histogram(table, measure), "inversion_histogram", alt=alt)
        widgets.table(summary.quality_summary(table).drop(columns="inverter_id"), "inversion_quality")
        widgets.table(summary.reasons(table).rename(columns={"n": "faces"}), "inversion_outcomes")
    st.caption(
        widgets.plain(
            "Left to right: aligned face, the full generator's image of the stored code, absolute difference × "
            f"{DIFFERENCE_GAIN}. Perceptual distance is {name}; low is good. What differs is what the generator could "
            "not draw, not proof of forgery."
        )
    )


def _page_of_cards(ranked: pd.DataFrame, inverter_id: str, size: int) -> None:
    n_pages = max(1, math.ceil(len(ranked) / size))
    if ranked.empty:
        st.info("No inversion of this kind.", icon=":material/info:")
        return
    left, right = st.columns([1, 5], vertical_alignment="bottom")
    number = int(
        left.number_input(
            "Page", min_value=1, max_value=n_pages, value=1, key=f"page_of_{n_pages}", bind="query-params"
        )
    )
    first = (number - 1) * size
    rows = ranked.iloc[first : first + size]
    right.caption(f"Faces {first + 1:,} to {first + len(rows):,} of {len(ranked):,}, page {number:,} of {n_pages:,}.")
    ids = rows["face_id"].tolist()
    originals = widgets.attempt(lambda: data.images("faces", ids)) or {}
    made = widgets.attempt(lambda: data.images("reconstructions", ids, projector_id=inverter_id)) or {}
    cards = [card_html(row, originals.get(row["face_id"]), made.get(row["face_id"])) for row in rows.to_dict("records")]
    grid = "display:grid;grid-template-columns:repeat(auto-fill,minmax(440px,1fr));gap:16px"
    st.html(f"<div style='{grid}'>{''.join(cards)}</div>")


def card_html(row: dict[Any, Any], original: bytes | None, reconstruction: bytes | None) -> str:
    """One face's card: three pictures and its figures; every text is escaped."""
    before, after = decode(original), decode(reconstruction)
    gap = difference(before, after) if before is not None and after is not None else None
    pictures = [
        widgets.picture_html(None if rgb is None else data_uri(encode(rgb)), alt=alt)
        for rgb, alt in ((before, "aligned face"), (after, "reconstruction"), (gap, "difference"))
    ]
    label = str(row["label"])
    numbers = " · ".join(
        f"{name} <b>{blocks.cell(row[column])}</b>"
        for column, name in (
            ("lpips", "distance"),
            ("mse_unit", "MSE"),
            ("psnr_db", "PSNR (dB)"),
            ("steps_run", "steps"),
        )
    )
    video, frame = row.get("rel_path") or row["video_id"], blocks.cell(_int(row["frame_index"]))
    where = f"{row['method'] or '—'} · {video} · frame {frame}"
    status = ""
    if row["status"] != "ok":
        why = html.escape(f"{row['status']}: {row['reason'] or '—'}")
        status = f"<div style='color:#B26A00'>{why}</div>"
    tag = (
        f"<span style='background:{label_colour(label)};color:#fff;border-radius:9px;padding:1px 8px;font-size:12px'>"
        f"{html.escape(label)}</span>"
    )
    return (
        "<div style='border:1px solid #8C97A555;border-radius:8px;padding:12px;font-size:13px;overflow-wrap:anywhere'>"
        f"<div style='display:grid;grid-template-columns:repeat(3,1fr);gap:6px'>{''.join(pictures)}</div>"
        f"<div style='margin-top:8px'>{tag} {numbers}</div>"
        f"<div style='{widgets.QUIET}'>{html.escape(where)}</div>"
        f"<div style='{widgets.QUIET};font-size:12px'>face {html.escape(str(row['face_id']))}</div>{status}</div>"
    )


def _int(value: Any) -> int | None:
    return None if value is None or pd.isna(value) else int(value)
