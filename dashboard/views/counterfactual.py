"""Counterfactual: a face's W+ code walked along what a model reacts to, until the verdict flips."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import walk_figures, walks, widgets
from dashboard.views import walk_strip

if TYPE_CHECKING:
    from pipeline.counterfactual import Walked
    from pipeline.walker import Walker

N_FACES = 200  # offered in the menu; the search finds the others
N_STOPS = (3, 5, 7, 9)
FACE, KEPT_FACE, KEPT_SEARCH = "walk_face", "kept_walk_face", "kept_walk_search"
WHAT = (
    "A face's W+ code is moved, in a straight line, along the direction in which the chosen model's answer changes "
    "fastest, until its verdict flips. This shows what the model reacts to. It does not show what makes the face fake: "
    "a model that learnt nothing flips as well, and a step far smaller than the differences between faces says that "
    "the verdict hangs on little. Every picture is the generator's drawing of a code, never footage, and the first "
    "score is that of the face's code."
)
HOW_TO = (
    "There is no trained model on whole W+ codes in models/: name 'wplus' among spaces in params.yaml and run `dvc "
    "repro train`. Other spaces cannot be walked: only a whole W+ code can be drawn again."
)


def page() -> None:
    """Draw the page."""
    st.title("Counterfactual")
    st.caption(WHAT)
    if widgets.need("wplus") is None:
        return
    models = walks.names()
    if not models:
        widgets.tell(HOW_TO)
        return
    columns = st.columns([2, 2, 2, 1])
    model = columns[0].selectbox("Model", models, key="walk_model", bind="query-params")
    walker = widgets.attempt(lambda: walks.walker(model))
    if walker is None:
        return
    face = _face(walker, columns[1:3])
    n_stops = columns[3].selectbox("Pictures", N_STOPS, index=1, key="walk_stops", bind="query-params")
    if face is None:
        return
    group = face.get("source_group")
    found = widgets.attempt(
        lambda: walks.walk(model, str(face["face_id"]), None if pd.isna(group) else str(group), int(n_stops))
    )
    if found is not None:
        _walked(walker, face, found)


def _face(walker: Walker, places: list[Any]) -> dict[Any, Any] | None:
    faces = widgets.attempt(lambda: walks.candidates(walker.inverter_id, walker.model.name))
    if faces is None:
        return None
    order = places[0].selectbox("Faces", walks.ORDERS, key="walk_order", bind="query-params")
    text = places[1].text_input("Find (face id or file)", key="walk_find", max_chars=100, bind="query-params")
    ranked = walks.rank(faces, order, threshold=walker.rule.threshold)
    found = walks.find(ranked, text)
    if found.empty:
        widgets.tell(f"No face with a W+ code whose id begins with '{text}', and no file of that name.")
        return None
    # A face that was sent on, or chosen before, is offered wherever it stands in the order.
    asked = st.session_state.get(FACE) or st.query_params.get(FACE) or st.session_state.get(KEPT_FACE)
    if st.session_state.get(KEPT_SEARCH, (order, text)) != (order, text):
        asked = None  # another order or search is made to see its first face
    st.session_state[KEPT_SEARCH] = (order, text)
    offered = set(found["face_id"].head(N_FACES)) | {str(asked)}
    rows = ranked[ranked["face_id"].isin(offered)]
    names = {str(r["face_id"]): _name(r) for r in rows.to_dict("records")}
    # Kept by hand: what Streamlit binds to the address is the text of the menu, which changes with the scores in it.
    st.session_state[FACE] = asked if asked in names else next(iter(names))
    head = f"Face ({min(len(found), N_FACES):,} of {len(found):,})"
    chosen = st.selectbox(head, list(names), format_func=names.__getitem__, key=FACE)
    st.session_state[KEPT_FACE] = st.query_params[FACE] = chosen
    return next(r for r in rows.to_dict("records") if r["face_id"] == chosen)


def _name(row: dict[Any, Any]) -> str:
    judged = "not judged" if pd.isna(row["p_fake"]) else f"P(fake) {row['p_fake']:.2f}"
    if row["wrong"]:
        judged += ", wrong"
    poor = ", poor code" if row["status"] == "poor" else ""
    video = row.get("rel_path") or row.get("video_id") or "unknown video"
    return f"{row['label']} · {judged} out of sample{poor} · {video} · {row['face_id'][:10]}"


def _walked(walker: Walker, face: dict[Any, Any], found: Walked) -> None:
    cautions = walker.choice.warnings()
    if walker.is_flat:
        cautions.append("As calibration makes every answer 0.5, this page walks by the model's own answer.")
    if cautions:
        widgets.warn([" ".join(cautions)])
    _tiles(walker, face, found)
    walk_strip.show(walker.inverter_id, face, found)
    left, right = st.columns(2, gap="large")
    with left:
        figure = walk_figures.scores(found, threshold=walker.rule.threshold, band=walker.decision.band)
        widgets.show(figure, "walk_scores", alt=f"P(fake) along the walk. {_outcome(walker, found)}")
        st.caption(widgets.plain(f"{_outcome(walker, found)} {_null(found)}"))
    with right:
        alt = "How far each W+ channel moved, coarse to fine"
        widgets.show(walk_figures.channels(found), "walk_channels", alt=alt)
        st.caption(
            "Coarse channels act on pose and shape, middle ones on features, fine ones on colour and texture. How "
            "far a channel moves is not how much of the picture it changes (page Channels). Shares are of the squared "
            "length."
        )
    with st.expander("The numbers"):
        widgets.table(found.stops, "walk_stops_table")
        widgets.table(found.channels, "walk_channels_table")
        widgets.table(pd.DataFrame([{"kind": k} | asdict(n) for k, n in found.nulls.items()]), "walk_nulls_table")
        st.caption(
            f"One standard deviation is that of each of a code's numbers over {len(walker.sample):,} faces; distances "
            f"are root mean squares over all numbers. The model was walked along {found.way}, from the code towards "
            f"'{found.goal}'."
        )


def _outcome(walker: Walker, found: Walked) -> str:
    rule, walk = walker.rule, found.walk
    if walk.crossing is None:
        return f"P(fake) does not cross {rule.threshold:.2f} within {walk.farthest:g} standard deviations."
    if walk.flip is None:
        return (
            f"P(fake) crosses {rule.threshold:.2f} after {walk.crossing:.2g} standard deviations, but stays uncertain "
            f"as far as {walk.farthest:g}."
        )
    return (
        f"P(fake) crosses {rule.threshold:.2f} after {walk.crossing:.2g} standard deviations; the verdict becomes "
        f"'{found.goal}' after {walk.flip:.2g}."
    )


def _null(found: Walked) -> str:
    said = []
    for kind, what in (("faces", "towards {n} other faces"), ("random", "in {n} random directions")):
        null = found.nulls[kind]
        if null.n:
            said.append(
                f"{what.format(n=null.n)} it moves P(fake) by {null.median_change:.2g} in the median and "
                f"{null.largest_change:.2g} at most ({null.n_reached or 'none'} get as far)"
            )
    null = found.nulls["random"]
    change = abs(float(found.stops["p_fake"].iloc[-2] - found.stops["p_fake"].iloc[0]))
    weak = null.n > 0 and null.median_change > change / 2
    more = " Random moves do much of what the walk does: its direction means little." if weak else ""
    return f"A step of that length: {'; '.join(said)}.{more}" if said else ""


def _tiles(walker: Walker, face: dict[Any, Any], found: Walked) -> None:
    walk, first = found.walk, found.stops.iloc[0]
    beyond = f"not within {walk.distances[-1]:.3g}" if walk.crossing is None else "not reached"
    apart = "" if np.isnan(walker.apart) else f"two faces here are {walker.apart:.2g} apart"
    null = found.nulls["faces"]
    seen = "trained on this video" if walker.knows(str(face.get("video_id") or "")) else "not trained on this video"
    out = "—" if pd.isna(face["p_fake"]) else f"{face['p_fake']:.3f}"
    own = " (own answer)" if walker.is_flat else ""
    tiles = [
        (f"P(fake) of the code{own}", f"{first['p_fake']:.3f}", f"{first['verdict']}; {seen}; out of sample {out}"),
        (f"Crosses {walker.rule.threshold:.2f} after", _std(walk.crossing, beyond), apart),
        (f"Verdict ‘{found.goal}’ after", _std(walk.flip, beyond), f"beyond the uncertain band, {_band(walker)}"),
        (
            "Same step towards other faces",
            f"± {null.median_change:.2g}" if null.n else "—",
            f"median change of P(fake); {null.n_reached or 'none'} of {null.n} get as far",
        ),
    ]
    for column, (name, value, detail) in zip(st.columns(4), tiles, strict=True):
        with column.container(border=True, height="stretch"):
            st.metric(name, value)
            st.caption(widgets.plain(detail))


def _std(distance: float | None, otherwise: str) -> str:
    return otherwise if distance is None else f"{distance:.2g} std"


def _band(walker: Walker) -> str:
    low, high = walker.decision.band
    return f"{low:.2f} to {high:.2f}"
