"""On the page Video: a clip of this project's own tables, as models judged it that never saw its source group."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import data, widgets
from dashboard import video_parts as parts
from dashboard.timeline import MAX_TRACKS, Strip, timeline
from pipeline import overrides
from pipeline.report import blocks, notes, scores, summary
from pipeline.report.palette import model_name

MAX_STRIPS = 4
N_HIGH, N_LOW = 4, 2  # telling frames, as in a case report


def show() -> None:
    """Draw the chosen clip."""
    ids = widgets.attempt(lambda: data.ids("faces", "video_id"))
    if ids is None:
        return
    videos = data.optional("videos")
    if videos is not None and videos["dataset"].eq("sample").any():
        widgets.warn([notes.SAMPLE_NOTICE])
    labels = _labels(ids, videos)
    left, right = st.columns([2, 3])
    video_id = left.selectbox(
        f"Clip, of {len(labels):,}",
        list(labels),
        format_func=lambda v: labels.get(v, v),
        key="video_id",
        bind="query-params",
    )
    own = widgets.attempt(lambda: data.table("faces", where=("video_id", video_id)))
    if own is None:
        return
    own = own.sort_values(["frame_index", "track_id"])
    corrections = data.optional("overrides")
    if corrections is not None:
        own = _corrected(own, corrections[corrections["video_id"].eq(video_id)])
    predictions = widgets.need("predictions")
    chosen: list[tuple[str, str]] = []
    if predictions is not None:
        named = {f"{space} · {model_name(model)}": (space, model) for space, model in _judges()}
        names = right.multiselect(
            "Models", list(named), default=list(named)[:1], max_selections=MAX_STRIPS, key="video_models",
            bind="query-params",
        )  # fmt: skip
        chosen = [named[name] for name in names]
    row = None if videos is None else _row(videos, video_id)
    _tiles(own, row)
    if predictions is not None:
        _judged(own, predictions, chosen, None if row is None else row["duration_s"])
    _coverage(own)


def _corrected(own: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Faces with the labels that people gave them, which is said; excluded ones stay to be seen."""
    out = overrides.apply_rows(own, rows, drop=False)
    n_changed = int((out["label"].fillna(-1) != own["label"].fillna(-1)).sum())
    n_excluded = int(rows["excluded"].sum())
    if n_changed or n_excluded:
        widgets.tell(
            f"By hand: labels of {blocks.plural(n_changed, 'face')} of this clip were corrected, and "
            f"{blocks.plural(n_excluded, 'face')} excluded from training and measuring."
        )
    return out


def _judges() -> list[tuple[str, str]]:
    """Models with frame-level predictions, the one the report calls best first."""
    metrics = data.optional("metrics")
    best = None if metrics is None else scores.best_model(metrics)
    return sorted(data.judges(), key=lambda pair: (best is None or pair != (best.space, best.model), pair))


def _row(videos: pd.DataFrame, video_id: str) -> dict[str, Any] | None:
    found = videos[videos["video_id"].eq(video_id)]
    return None if found.empty else dict(found.iloc[0])


def _labels(found: list[str], videos: pd.DataFrame | None) -> dict[str, str]:
    """video_id -> what the reader sees: the file's name, with the id where a name repeats."""
    if videos is None:
        return {v: v for v in found}
    files = dict(zip(videos["video_id"], videos["rel_path"], strict=True))
    n_of = Counter(files.values())
    named = {v: files.get(v) for v in found}
    shown = {v: v if f is None else f"{f} ({v})" if n_of[f] > 1 else str(f) for v, f in named.items()}
    return dict(sorted(shown.items(), key=lambda item: (item[1].casefold(), item[0])))


def _tiles(own: pd.DataFrame, row: dict[str, Any] | None) -> None:
    found = summary.coverage(own)
    label = summary.named_labels(own)["label"].iloc[0]
    ok = own[own["status"].eq("ok")]
    tiles = [
        ("Label", label, f"method: {own['method'].iloc[0] or 'not named'}"),
        ("Face coverage", blocks.percent(found.share), f"{found.n_ok} of {found.n_frames} sampled frames"),
        ("Tracks", f"{ok['track_id'].nunique()}", "faces that were followed"),
    ]
    if row is not None:
        length = row["duration_s"]
        detail = f"{row['width_px']:.0f} x {row['height_px']:.0f} px" if pd.notna(row["width_px"]) else "size not known"
        tiles.insert(1, ("Length", "—" if pd.isna(length) else f"{length:.1f} s", detail))
    parts.tiles(tiles)


def _judged(
    own: pd.DataFrame, predictions: pd.DataFrame, chosen: list[tuple[str, str]], duration_s: float | None
) -> None:
    if not chosen:
        widgets.tell("Choose a model above." if data.judges() else "No model judged single frames.")
        return
    judged = predictions[predictions["level"].eq("frame")].rename(columns={"id": "face_id"})
    scored = own.merge(judged[["face_id", "space", "model", "p_fake"]], on="face_id")
    band = _band()
    strips = []
    for space, model in chosen:
        rows = scored[scored["space"].eq(space) & scored["model"].eq(model)]
        strips.append(Strip(f"{space} · {model_name(model)}", rows, band))
    if all(strip.rows.empty for strip in strips):
        widgets.tell("The chosen models judged no frame of this clip.")
        return
    _verdicts(own, predictions, chosen)
    if scored["time_s"].isna().all():
        widgets.tell("The frames of this clip have no times, so there is no timeline.")
    else:
        missed = own[~own["frame_index"].isin(scored["frame_index"])].drop_duplicates("frame_index")
        _timeline(strips, missed.assign(reason=missed["reason"].fillna("not judged")), duration_s)
    _telling(strips[0])


def _band() -> tuple[float, float] | None:
    """Where the stored predictions give no verdict, as their writer noted."""
    settings = data.metadata("predictions").get("params")
    train = settings.get("train") if isinstance(settings, dict) else None
    band = train.get("uncertain_band") if isinstance(train, dict) else None
    return (float(band[0]), float(band[1])) if isinstance(band, list) and len(band) == 2 else None


def _timeline(strips: list[Strip], missed: pd.DataFrame, duration_s: float | None) -> None:
    figure = timeline(strips, missed, duration_s=None if pd.isna(duration_s) else duration_s)
    alt = "P(fake) of each sampled frame over the seconds of the clip, by " + ", ".join(s.name for s in strips)
    widgets.show(figure, "video_timeline", alt=alt)
    band = strips[0].band
    said = "" if band is None else f" Grey: no verdict from {band[0]:g} to {band[1]:g}."
    n_tracks = max(strip.rows["track_id"].nunique() for strip in strips)
    more = f" The {MAX_TRACKS} longest of {n_tracks} tracks are shown." if n_tracks > MAX_TRACKS else ""
    st.caption(f"Each point is a face of a sampled frame; dotted: 0.5.{said}{more}")


def _verdicts(own: pd.DataFrame, predictions: pd.DataFrame, chosen: list[tuple[str, str]]) -> None:
    video_id = own["video_id"].iloc[0]
    ids = {video_id: "whole clip"}
    tracks = sorted(own.loc[own["status"].eq("ok"), "track_id"].unique())
    ids |= {f"{video_id}:{t}": f"face {t}" for t in tracks}
    rows = predictions[predictions["level"].isin(["video", "track"]) & predictions["id"].isin(ids)]
    pairs = pd.Series(list(zip(rows["space"], rows["model"], strict=True)), index=rows.index, dtype=object)
    rows = rows[pairs.isin(chosen)]
    if rows.empty:
        widgets.tell("The chosen models judged this clip by frames alone.")
        return
    table = pd.DataFrame(
        {
            "model": rows["space"] + " · " + rows["model"].map(model_name),
            "judged": rows["id"].map(ids),
            "P(fake)": rows["p_fake"],
            "verdict": [verdict(p, unsure) for p, unsure in zip(rows["p_fake"], rows["uncertain"], strict=True)],
            "side of the split": rows["split"].map(lambda s: "out of fold" if s == "cv" else s),
        }
    ).sort_values(["model", "judged"], ascending=[True, False])
    widgets.table(table, "video_verdicts", config={"P(fake)": st.column_config.NumberColumn(format="%.3f")})


def verdict(p_fake: float, uncertain: bool) -> str:
    """What a stored prediction says."""
    return "uncertain" if uncertain else "fake" if p_fake > 0.5 else "real"


def _telling(strip: Strip) -> None:
    """Aligned faces of the highest and the lowest P(fake) of the first model."""
    ranked = strip.rows.sort_values(["p_fake", "face_id"], ascending=[False, True])
    low = ranked.iloc[N_HIGH:].tail(N_LOW)
    st.markdown("**Most telling frames**")
    st.caption(widgets.plain(f"Aligned faces of the highest and the lowest P(fake) by {strip.name}."))
    rows = pd.concat([ranked.head(N_HIGH), low])
    uris = widgets.attempt(lambda: data.thumbnails(rows["face_id"].tolist(), size_px=224))
    if uris is not None:
        parts.cards(
            [
                (
                    uris.get(r["face_id"]),
                    f"P(fake) {r['p_fake']:.3f}",
                    f"face {r['track_id']}, {parts.seconds(r['time_s'])}",
                )
                for r in rows.to_dict("records")
            ]
        )


def _coverage(own: pd.DataFrame) -> None:
    st.markdown("**Sampled frames without a usable face**")
    lost = own[own["status"].ne("ok")]
    if lost.empty:
        st.caption("None: every sampled frame gave a face.")
        return
    parts.lost_frames(lost, "video_lost")
