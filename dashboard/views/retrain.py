"""Tags and retrain: what tags would change, seen before anything is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import data, retrain_figure, retraining, tags, widgets
from dashboard.views import keeping
from pipeline import overrides, params, spaces, tables, tag_changes
from pipeline.errors import UserError
from pipeline.overrides import Override
from pipeline.report import blocks
from pipeline.report.palette import metric_name
from pipeline.report.scores import format_interval
from pipeline.tag_changes import Touched

TRUTHS = {
    "original": "the labels as they are",
    "corrected": "the corrected labels",
    "kept": "the corrected labels, without excluded faces",
}
COLUMNS = ["face_id", "video_id", "label", "source_group"]


def page() -> None:
    """Draw the page."""
    st.title("Tags and retrain")
    every = widgets.attempt(tags.read)
    if every is None:
        return
    if every.empty:
        widgets.tell("No face is tagged. Select faces on the page Clusters, choose Tag, and come back.")
        keeping.status()
        return
    _list(every)
    names = sorted(every.loc[every["kind"].isin(tag_changes.FOLDED_IN), "tag"].unique())
    if not names:
        widgets.tell("All tags are notes. Only labels and exclusions change what is learnt.")
        keeping.status()
        return
    st.header("What they would change")
    chosen = st.multiselect("Tags folded in", names, default=names, key="folded", bind="query-params")
    if not chosen:
        return
    files = tuple(data.signature(data.project().table(name)) for name in ("tags", "faces", "overrides"))
    asked = widgets.attempt(lambda: _asked(str(data.project().root.resolve()), files, tuple(chosen)))
    if asked is None:
        return
    counted, lines, video_of = asked
    _touched(counted)
    st.header("Try it")
    _retrain(chosen)
    keeping.panel(lines, counted, video_of)


@st.cache_data(max_entries=4, show_spinner="Reading labels ...")
def _asked(
    root: str, files: tuple[data.Signature, ...], names: tuple[str, ...]
) -> tuple[Touched, list[Override], dict[str, str]]:
    """What the tags come to, the lines that would keep it, and the video of each face that may have a line."""
    changes, faces = tag_changes.of_tags(tags.read(), names), usable_faces()
    video_of = dict(zip(faces["face_id"], faces["video_id"], strict=True))
    return tag_changes.touched(changes, faces), tag_changes.as_overrides(changes, faces), video_of


def usable_faces() -> pd.DataFrame:
    """Usable faces with their labels, and whether they are excluded, as kept corrections already have them."""
    faces = data.table("faces")
    corrected = data.optional("overrides")
    rows = faces.loc[faces["status"] == "ok", COLUMNS].reset_index(drop=True)
    return rows.assign(excluded=False) if corrected is None else overrides.marked(rows, corrected)


def _list(every: pd.DataFrame) -> None:
    grouped = every.groupby(["tag", "kind", "value"], dropna=False, sort=True)
    counts = grouped.agg(faces=("face_id", "size"), latest=("created", "max")).reset_index()
    widgets.table(counts, "tags", raw=every)
    st.caption("The buttons save every tagged face. Tags are set and taken off on the page Clusters, under Tag.")


def _touched(counted: Touched) -> None:
    columns = st.columns(5)
    for column, name, value in zip(
        columns,
        ("Become fake", "Become real", "Excluded", "Videos touched", "Source groups touched"),
        (counted.n_to_fake, counted.n_to_real, counted.n_excluded, counted.n_videos, counted.n_groups),
        strict=True,
    ):
        column.metric(name, f"{value:,}", border=True)
    if counted.n_back:
        st.caption(f"{blocks.plural(counted.n_back, 'face')} that a kept correction excludes: taken back by a label.")
    if counted.n_same:
        st.caption(f"{blocks.plural(counted.n_same, 'tagged face')} are labelled or excluded like that already.")
    widgets.warn(counted.remarks)


def _retrain(names: Sequence[str]) -> None:
    settings = widgets.attempt(lambda: params.load(data.project().params))
    if settings is None:
        return
    wanted = dict.fromkeys([*settings.spaces, *(settings.train.spaces or ())])
    offered = [s for s in wanted if _is_stored(s)]
    if not offered:
        widgets.tell(f"None of the spaces {', '.join(wanted)} has a table of vectors: run `dvc repro`.")
        return
    space = st.selectbox("Space", offered, key="retrain_space", bind="query-params")
    st.caption(
        "Logistic regression (profile quick) is trained twice, in a process of its own: with the labels as they are, "
        "and with the tags folded in. Folds, seed and settings are the same, and no source group is judged by a model "
        "that saw it, so the two differ by the tags alone. Excluded faces do not train; both models are still asked "
        "about them, and the measure says whether they count."
    )
    _Job(space, names).draw()


def _is_stored(space: str) -> bool:
    """Whether tables hold all parts of a space."""
    bases = [part.base for part in spaces.parse(space)]
    found = [spaces.SOURCES[base][0] for base in bases if base in spaces.SOURCES]
    return len(found) == len(bases) and all(tables.exists(data.project().table(name)) for name in found)


class _Job:
    """The button, the wait, and the answer."""

    def __init__(self, space: str, names: Sequence[str]) -> None:
        self.space, self.names = space, names

    def draw(self) -> None:
        job = retraining.running()
        if job is not None:
            _wait()
            return
        found = widgets.attempt(lambda: retraining.answer(self.space, self.names))
        label = "Retrain" if found is None else "Retrain again"
        if st.button(label, key="retrain_go", type="primary" if found is None else "secondary"):
            try:
                retraining.start(self.space, self.names)
            except UserError as error:
                st.error(widgets.plain(str(error)))
            else:
                st.rerun()
        if found is not None:
            _answer(found)


@st.fragment(run_every=1.0)
def _wait() -> None:
    """Look again each second; the page stays usable meanwhile."""
    job = retraining.running()
    if job is None:
        st.rerun()
        return
    left, right = st.columns([4, 1], vertical_alignment="center")
    left.info(f"Training twice: {job.seconds:.0f} s. The other pages can be used meanwhile.", icon=":material/sync:")
    if right.button("Stop", key="retrain_stop", width="stretch"):
        retraining.stop()
        st.rerun()


def _answer(found: dict[str, Any]) -> None:
    rows: list[dict[str, Any]] = found["rows"]
    st.subheader("What the tags do to the scores")
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    there = [t for t in TRUTHS if t in {r["truth"] for r in rows}]
    truth = left.segmented_control(
        "Measured against", there, format_func=TRUTHS.__getitem__, default=there[0], required=True, key="truth",
        bind="query-params",
    )  # fmt: skip
    level = right.segmented_control(
        "Per", ["frame", "video"], default="video", required=True, key="retrain_level", bind="query-params"
    )
    part = [r for r in rows if r["truth"] == truth and r["level"] == level]
    shown = pd.DataFrame(
        [
            {
                "metric": metric_name(r["metric"]),
                "without tags": _value(r["before"]),
                "with tags": _value(r["after"]),
                "difference": format_interval((r["difference"], r["ci_low"], r["ci_high"])),
                "": verdict(r),
            }
            for r in part
        ]
    )
    widgets.table(shown, "retrained", raw=pd.DataFrame(rows))
    widgets.show(retrain_figure.differences(part), "retrained_difference", alt="Differences with their intervals")
    st.caption(widgets.plain(_small_print(found, part)))


def verdict(row: dict[str, Any]) -> str:
    """What an interval of the difference says, in a word."""
    low, high = row["ci_low"], row["ci_high"]
    if low is None or high is None:
        return str(row["reason"] or "cannot be told")
    if low <= 0 <= high:
        return "no difference to be told from chance"
    better = (low > 0) != (row["metric"] == "log_loss")
    return "better with tags" if better else "worse with tags"


def _value(value: float | None) -> str:
    return "—" if value is None else f"{value:.3f}"


def _small_print(found: dict[str, Any], part: list[dict[str, Any]]) -> str:
    some = ""
    if found["n_faces"] < found["n_faces_all"]:
        some = (
            f" (a sample of {found['n_faces_all']:,} faces of {found['n_groups_all']:,} groups, so that it takes "
            "seconds: groups that tags touch first)"
        )
    unplaced = ""
    if found["n_unplaced"]:
        unplaced = (
            f" {found['n_unplaced']:,} tagged faces had no label, or were excluded, when the folds were made: they "
            "count from the next run."
        )
    remarks = " ".join(f"{r}." for r in dict.fromkeys(r["reason"] for r in part if r["reason"]))
    return (
        f"{found['n_faces']:,} faces of {found['n_videos']:,} videos in {found['n_groups']:,} groups that are kept "
        f"together{some}, {found['seconds']:.0f} s. Difference: with tags minus without, on the same held-out faces; "
        f"95 % intervals by {found['n_boot']:,} draws of whole groups for both at once. Four metrics at two levels: of "
        f"twenty that do not differ, one interval leaves out 0 by chance. Tags chosen by looking at a model's answers "
        f"make models look better, against any labels, though nothing was learnt.{unplaced} {remarks}"
    )
