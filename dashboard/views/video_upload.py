"""On the page Video: upload a clip, see how its analysis goes on, keep the result or let it go."""

from __future__ import annotations

import time

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from dashboard import cases, data, uploads, widgets
from dashboard.loopback import is_loopback
from dashboard.views import video_case
from pipeline.errors import UserError

BEST = "the best by the metrics"
PARTS = {
    "start": "Starting: the libraries and the model are loaded",
    "faces": "Looking for faces",
    "scores": "Scoring the faces",
    "frames shown": "Choosing the telling frames",
    "map": "Placing the faces on the map",
    "video": "Drawing the clip with boxes",
    "report": "Writing the case report",
}
_PROBLEM = "upload_problem"
_ROUND = "upload_round"  # a new uploader each time, so that the last clip is not offered again


@st.cache_resource(scope="session", on_release=lambda desk: desk.close(), show_spinner=False)
def desk(root: str) -> uploads.Desk:
    """This session's place for one clip; Streamlit lets it go when the browser's tab closes."""
    return uploads.Desk(data.project())


def show() -> None:
    """Draw the uploader, the progress or the result."""
    address = st.get_option("server.address")
    if not is_loopback(address):
        widgets.tell(
            "Clips can be uploaded only where the dashboard listens on this machine alone: start it with "
            "--server.address 127.0.0.1, or run `lf predict CLIP --out cases`."
        )
        return
    mine = desk(str(data.project().root.resolve()))
    phase = mine.state.phase
    if phase == "running":
        _progress(mine)
    elif phase == "done":
        _result(mine)
    else:
        if phase == "failed":
            widgets.tell(f"{mine.state.name} was not judged: {mine.state.reason}. The clip is deleted.")
        elif phase == "stopped":
            widgets.tell(f"Stopped. {mine.state.name} is deleted.")
        _ask(mine)


def _ask(mine: uploads.Desk) -> None:
    models = sorted(card.parent.name for card in data.project().models.glob("*/model.json"))
    if not models:
        widgets.tell(f"There is no trained model in {data.project().models}: run `dvc repro`.")
        return
    left, right = st.columns([3, 2], gap="large")
    uploaded = left.file_uploader(
        f"A clip of at most {uploads.MAX_MB} MB",
        type=list(uploads.KINDS),
        max_upload_size=uploads.MAX_MB,
        key=f"upload_{st.session_state.get(_ROUND, 0)}",
    )
    model = right.selectbox("Model", [BEST, *models], key="upload_model")
    st.caption(
        "The clip stays on this machine, in a folder that only you can open, and is deleted as soon as it is judged, "
        "stopped or failed, or this tab is closed or loaded anew. The result is kept only if you say so. One clip at a "
        "time; a clip of some seconds takes about a minute on two cores."
    )
    busy = uploads.is_busy()
    if busy:
        widgets.tell("Another clip is being judged in this dashboard: wait until it is done.")
    asked = st.button("Judge this clip", type="primary", disabled=uploaded is None or busy, key="upload_go")
    if asked and uploaded is not None:
        content = uploaded.getbuffer()
        begun = widgets.attempt(lambda: _begin(mine, uploaded.name, content, None if model == BEST else model))
        content.release()
        if begun:
            _forget()
            st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1
            st.rerun()


def _begin(mine: uploads.Desk, name: str, content: memoryview, model: str | None) -> bool:
    mine.start(name, content, model)
    return True


def _forget() -> None:
    """Drop Streamlit's own copy, which it would hold in memory until the session ends."""
    context = get_script_run_ctx()
    if runtime.exists() and context is not None:
        runtime.get_instance().uploaded_file_mgr.remove_session_files(context.session_id)


@st.fragment(run_every=1.0)
def _progress(mine: uploads.Desk) -> None:
    state = mine.state
    if state.phase != "running":
        st.rerun()
    parts = list(PARTS)
    done = parts.index(state.part) if state.part in PARTS else 0
    text = f"{PARTS.get(state.part, state.part)} … {time.monotonic() - state.started_s:.0f} s"
    st.markdown(f"**{widgets.plain(state.name)}**")
    st.progress((done + 0.5) / len(parts), text=widgets.plain(text))
    if st.button("Stop and delete", icon=":material/stop_circle:", key="upload_stop"):
        mine.stop()
        st.rerun()


def _keep(mine: uploads.Desk) -> None:
    """Keep the result and go to it; runs before the page is drawn, so a problem is told by the page."""
    try:
        st.session_state["case"] = mine.keep()
        st.session_state["clip_from"] = "cases"
    except UserError as error:
        st.session_state[_PROBLEM] = str(error)


def _result(mine: uploads.Desk) -> None:
    folder = mine.state.result
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.markdown(
            f"**{widgets.plain(mine.state.name)}** is judged and deleted. The result goes when this tab closes."
        )
        st.button(
            "Keep the result", type="primary", icon=":material/bookmark_add:", key="upload_keep", on_click=_keep,
            args=(mine,),
        )  # fmt: skip
        st.button("Let it go", icon=":material/delete:", key="upload_discard", on_click=mine.discard)
    if problem := st.session_state.pop(_PROBLEM, None):
        widgets.tell(problem)
    case = widgets.attempt(lambda: cases.read(folder)) if folder is not None else None
    if case is not None:
        video_case.draw(case, "upload")
