"""Keeping corrections: into the overrides file that the next ``dvc repro`` reads, and out of it again."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard import data, widgets
from pipeline import locks, override_edits, overrides, params, tables
from pipeline.errors import UserError
from pipeline.override_edits import Edit
from pipeline.overrides import Override
from pipeline.report import blocks
from pipeline.tag_changes import Touched

_SAID = "kept_now"


def panel(lines: list[Override], counted: Touched, video_of: dict[str, str]) -> None:
    """What keeping would write, the button, and what the file holds; ``video_of`` is face_id -> video_id."""
    st.header("Keep it")
    file = widgets.attempt(_file)
    if file is None:
        return
    edit = widgets.attempt(lambda: override_edits.plan(file, lines, video_of))
    if edit is None:
        return
    if edit.added or edit.replaced:
        _offer(file, edit, lines, counted, video_of)
    else:
        widgets.tell(f"All that these tags say is in {file.name} already." if lines else "These tags change nothing.")
    status()


def status() -> None:
    """What the file holds, whether the tables know it, and the way back."""
    said = st.session_state.pop(_SAID, None)
    if said:
        st.success(widgets.plain(said))
    file = widgets.attempt(_file)
    lines = None if file is None else widgets.attempt(lambda: overrides.read(file))
    if file is None or lines is None:
        return
    counts = pd.Series([o.change for o in lines], dtype=object).value_counts()
    what = ", ".join(f"{n:,} {change}" for change, n in counts.items()) or "none"
    st.caption(widgets.plain(f"{file.name} holds {blocks.plural(len(lines), 'correction')}: {what}."))
    if _run_is_older(lines):
        widgets.tell(
            "The tables were made with other corrections. Run `dvc repro`: splits, classifiers and report are made "
            "anew, no face is inverted again."
        )
    left, right, _ = st.columns([1, 1, 2])
    left.download_button(
        file.name, overrides.text_of(lines), file.name, "text/csv", key="save_overrides", disabled=not lines,
        icon=":material/download:", width="stretch",
    )  # fmt: skip
    possible = override_edits.can_undo(file, _history())
    if right.button("Undo the last keep", key="undo_keep", disabled=not possible, width="stretch"):
        try:
            with locks.alone(data.project(), "overrides"):
                override_edits.undo(file, _history())
        except UserError as error:
            st.error(widgets.plain(str(error)))
        else:
            st.session_state[_SAID] = f"{file.name} is as it was before the last keep."
            st.rerun()


def _offer(file: Path, edit: Edit, lines: list[Override], counted: Touched, video_of: dict[str, str]) -> None:
    st.markdown(
        widgets.plain(
            f"Keeping writes {blocks.plural(len(edit.added), 'new line')} into {file.name} of the project folder, for "
            f"{blocks.plural(counted.n_faces, 'face')} that it changes. The next `dvc repro` trains and measures "
            "with them, and the report says so. Excluded faces are then neither trained on nor measured. The "
            "material, its own labels and the tags stay as they are."
        )
    )
    if edit.replaced:
        widgets.warn([f"{blocks.plural(len(edit.replaced), 'line')} of the file say something else and are replaced."])
    rows = [{"face or video": line.key, "kind": line.kind, "now": "", "then": line.change} for line in edit.added]
    rows += [
        {"face or video": new.key, "kind": new.kind, "now": old.change, "then": new.change}
        for old, new in edit.replaced
    ]
    with st.expander(f"The {blocks.plural(len(rows), 'line')}"):
        widgets.table(pd.DataFrame(rows), "to_keep")
    if st.button(f"Keep in {file.name}", key="keep_go", type="primary"):
        try:
            with locks.alone(data.project(), "overrides"):
                override_edits.keep(file, _history(), edit, lines, video_of)
        except UserError as error:
            st.error(widgets.plain(str(error)))
        else:
            st.session_state[_SAID] = f"Kept. Run `dvc repro` for the tables to follow, and commit {file.name}."
            st.rerun()


def _run_is_older(lines: list[Override]) -> bool:
    path = data.project().table("overrides")
    if not tables.exists(path):
        return bool(lines)
    try:
        made_with = data.metadata("overrides").get("digest")
    except (OSError, ValueError):
        return True
    return made_with != (overrides.digest(lines) if lines else None)


def _file() -> Path:
    """Where the settings have the file; always below the project's folder."""
    project = data.project()
    return project.root / params.load(project.params).overrides


def _history() -> Path:
    return data.project().root / "tags"
