"""On the page Video: what became of one judged clip, from its ``result.json``."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard import cases, downloads, privacy, widgets
from dashboard import video_parts as parts
from dashboard.cases import Case
from dashboard.timeline import MAX_TRACKS, Strip, timeline
from pipeline.predict.result import Result, Video

MAX_SHOWN_BYTES = 200_000_000  # the server holds a clip that it shows in memory


def draw(case: Case, key: str) -> None:
    """Draw a judged clip; ``key`` keeps the controls of two of them apart."""
    result = case.result
    widgets.warn(result.warnings)
    if result.video is None:
        widgets.tell(f"Nothing of {result.clip.name} could be judged ({result.status}): {result.reason}.")
    else:
        _tiles(result, result.video)
        _files(case, key)
        _timeline(result, key)
        left, right = st.columns([3, 2], gap="large")
        with left:
            _clip(case, key)
        with right:
            _telling(case)
        _tracks(result, key)
    _flags(result)
    _coverage(result, key)
    with st.expander("Model, settings and limits"):
        _facts(result)


def _tiles(result: Result, video: Video) -> None:
    n_faces, n_sampled = video.n_frames_with_face, result.run.n_frames_sampled
    low, high = video.p_fake_low, video.p_fake_high
    prior = video.p_fake_at_prior
    tiles = [
        ("Verdict", video.verdict, result.run.decision.text),
        ("P(fake)", f"{video.p_fake:.3f}", f"a tenth of the frames each lie below {low:.3f} and above {high:.3f}"),
        ("Faces judged", f"{video.n_faces_judged}", f"in {n_faces} of {n_sampled} frames looked at"),
        ("Model", result.model.space, f"{result.model.name}; trained on: {result.model.trained_on}"),
    ]
    if prior is not None:
        tiles.insert(2, ("P(fake) at the prior", f"{prior:.3f}", "where clips come from, see the verdict"))
    parts.tiles(tiles)


def _timeline(result: Result, key: str) -> None:
    rows = cases.frames(result)
    judged = rows.dropna(subset=["p_fake", "time_s"])
    missed = rows[~rows["frame_index"].isin(judged["frame_index"])].drop_duplicates("frame_index")
    missed = missed.assign(reason=missed["reason"].fillna("not judged"))
    decision = result.run.decision
    spans = [] if result.video is None else [(s.start_s, s.end_s) for s in result.video.suspicious_s]
    strip = Strip(result.model.name, judged, result.run.uncertain_band, decision.threshold, spans)
    if judged.empty:
        return
    figure = timeline([strip], missed, duration_s=result.clip.duration_s)
    widgets.show(figure, f"{key}_timeline", alt=f"P(fake) over the seconds of {result.clip.name}, by track")
    more = f" The {MAX_TRACKS} longest of {len(result.tracks)} tracks are shown." * (len(result.tracks) > MAX_TRACKS)
    st.caption(
        "Each point is a face of a sampled frame; dotted: the threshold; grey: no verdict; "
        f"shaded orange: suspicious seconds.{more}"
    )


def _clip(case: Case, key: str) -> None:
    st.markdown("**The clip with boxes**")
    file = case.annotated
    if file is None:
        widgets.tell("The clip with boxes is not there.")
        return
    if privacy.mode() != "shown":
        widgets.tell("The clip shows faces as they are, so it is left out while faces are blurred or hidden.")
        return
    if file.stat().st_size > MAX_SHOWN_BYTES:
        widgets.tell(f"The clip is larger than {MAX_SHOWN_BYTES // 1_000_000} MB: open {file} in a player.")
        return
    times = sorted({f.time_s for f in cases.telling(case.result) if f.time_s is not None})
    start = st.segmented_control(
        "Start at a telling frame", times, format_func=parts.seconds, key=f"{key}_start", default=None
    )
    st.video(str(file), start_time=start or 0.0, alt=f"{case.result.clip.name} with boxes around faces")
    st.caption("Green: real, red: fake, amber: uncertain, grey: not judged; between sampled frames interpolated.")


def _telling(case: Case) -> None:
    st.markdown("**Most telling frames**")
    wanted = cases.telling(case.result)
    with st.spinner("Looking up frames"):
        uris = cases.pictures(case, wanted, size_px=260)
    parts.cards(
        [
            (
                uri,
                "not judged" if f.p_fake is None else f"P(fake) {f.p_fake:.3f}",
                f"face {f.track_id}, {parts.seconds(f.time_s)}",
            )
            for uri, f in zip(uris, wanted, strict=True)
        ],
        size_px=130,
    )
    st.caption("The highest P(fake) first, then the lowest, cut from the clip with boxes.")


def _tracks(result: Result, key: str) -> None:
    st.markdown("**Tracks**")
    decided = set(result.video.decided_by) if result.video else set()
    table = pd.DataFrame(
        [
            {
                "face": t.track_id, "decides": t.track_id in decided, "P(fake)": t.p_fake, "verdict": t.verdict or "—",
                "from (s)": t.first_s, "to (s)": t.last_s, "judged": t.n_judged, "of": t.n_frames,
                "suspicious seconds": ", ".join(f"{s.start_s:.1f} to {s.end_s:.1f}" for s in t.suspicious_s) or "none",
                "flags": ", ".join(t.flags) or "none",
            }
            for t in result.tracks
        ]
    )  # fmt: skip
    numbers = {
        "P(fake)": st.column_config.NumberColumn(format="%.3f"),
        "from (s)": st.column_config.NumberColumn(format="%.1f"),
        "to (s)": st.column_config.NumberColumn(format="%.1f"),
    }
    widgets.table(table, f"{key}_tracks", config=numbers)


def _flags(result: Result) -> None:
    flags = result.video.flags if result.video else []
    if flags:
        st.markdown("**What speaks against relying on the verdict**")
    for flag in flags:
        st.markdown(f"- {widgets.plain(flag.replace('_', ' '))}: {widgets.plain(result.flag_meanings.get(flag, ''))}")


def _coverage(result: Result, key: str) -> None:
    rows = cases.frames(result)
    lost = rows[rows["status"].ne("ok")]
    st.markdown("**Frames or faces that were not judged**")
    if lost.empty:
        st.caption("None." if len(rows) else "No frame was looked at.")
        return
    parts.lost_frames(lost, f"{key}_lost")


def _files(case: Case, key: str) -> None:
    if privacy.mode() != "shown":
        widgets.tell("The case report and the clip show faces as they are: show faces to save them.")
        return
    stem = downloads.slug(Path(case.result.clip.name).stem)
    with st.container(horizontal=True, gap="small"):
        for name, file, mime in (
            ("Case report", case.report, "text/html"),
            ("Clip with boxes", case.annotated, "video/mp4"),
            ("result.json", case.folder / "result.json", "application/json"),
        ):
            if file is not None:
                st.download_button(
                    name, file.read_bytes, file_name=f"{stem}-{file.name}", mime=mime, key=f"{key}_{file.name}",
                    on_click="ignore", icon=":material/download:",
                )  # fmt: skip


def _facts(result: Result) -> None:
    run = result.run
    clip = result.clip
    size = "" if clip.width_px is None else f", {clip.width_px} x {clip.height_px} px, {clip.duration_s:.2f} s"
    lines = [
        f"Clip: {clip.name}{size}, SHA-256 {clip.sha256 or 'not known'}",
        f"Model: {result.model.name}, {result.model.why}",
        f"Frames looked at: {run.n_frames_sampled}, one per {run.step_s:.2f} s; faces to clip by {run.aggregate}",
        *result.notes,
        *result.limits,
    ]
    st.markdown("\n".join(f"- {widgets.plain(line)}" for line in lines))
