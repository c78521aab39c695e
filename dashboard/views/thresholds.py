"""On the page Models: a threshold, what it calls fake, and what its errors cost where a share of clips is fake."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import curves, decisions, figures, widgets
from pipeline.report import scores


def show(judged: list[curves.Judged], level: str) -> None:
    """Controls, the confusion matrix at the threshold, and the cost; ``judged`` holds at least one model."""
    names = [m.name for m in judged]
    columns = st.columns([2, 1, 1, 1], vertical_alignment="bottom")
    name = columns[0].selectbox("Model", names, key="threshold_model", bind="query-params")
    model = judged[names.index(name)]
    terms = _terms(columns[1:], model)
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    chosen = left.slider(
        "Call fake from P(fake) =", 0.0, 1.0, 0.5, step=0.01, format="%.2f", key="threshold", bind="query-params"
    )
    advised = round(terms.threshold, 2)
    right.button(f"Use decision theory's {advised:.2f}", on_click=_set, args=(advised,), key="use_theory")
    _tiles(model, terms, chosen, level)
    left, right = st.columns([2, 3], gap="large")
    counts = scores.confusion(model.label, model.p_fake, threshold=chosen)
    with left:
        title = f"Confusion at {chosen:.2f}"
        alt = (
            f"{title}: of {counts[0].sum()} reals {counts[0, 1]} called fake, of {counts[1].sum()} fakes {counts[1, 1]}"
        )
        widgets.show(figures.confusion(counts, title=title), "confusion", alt=alt)
    with right:
        alt = f"Expected cost against the threshold; decision theory's is {terms.threshold:.3f}"
        widgets.show(curves.cost(model, terms, chosen=chosen, unit=level), "cost", alt=alt)
    st.caption(
        f"P(fake) speaks for as many fakes as reals. Where {terms.prior_fake:.1%} are fake and these are the costs, "
        f"decision theory calls fake from P(fake) = {terms.threshold:.3f} on, whatever the model, if its P(fake) is "
        "calibrated. The least cost on this curve was found on the rows it is measured on: a threshold taken from it "
        "flatters. Costs come from the rates within reals and within fakes, so the mix of this material does not count."
    )


def _terms(columns: list[st.delta_generator.DeltaGenerator], model: curves.Judged) -> decisions.Terms:
    share = float(np.clip(100 * model.label.mean(), 0.1, 99.9))
    prior = columns[0].number_input(
        "Fakes where it is used (%)",
        0.1,
        99.9,
        round(share, 1),
        step=0.1,
        format="%.1f",
        key="prior",
        bind="query-params",
        help="Not of this material, but of the clips that will be judged. 1 means that one clip in a hundred is fake.",
    )
    costs = [
        column.number_input(name, 0.01, 1e6, 1.0, step=1.0, format="%.2f", key=key, bind="query-params")
        for column, name, key in (
            (columns[1], "Cost of a false alarm", "cost_false_alarm"),
            (columns[2], "Cost of a miss", "cost_miss"),
        )
    ]
    return decisions.Terms(prior / 100, *costs)


def _set(threshold: float) -> None:
    st.session_state["threshold"] = threshold


def _tiles(model: curves.Judged, terms: decisions.Terms, chosen: float, level: str) -> None:
    places = np.array([chosen, terms.threshold])
    costs = terms.cost(*decisions.rates(model.label, model.p_fake, places))
    per = f"per {decisions.PER_ITEMS:,} {level}s"
    tiles = []
    for name, threshold, cost in zip(("at your threshold", "at decision theory's"), places, costs, strict=True):
        found = decisions.cost_interval(model.label, model.p_fake, model.groups, threshold=threshold, terms=terms)
        detail = "one class or one source group: no interval"
        if found is not None:
            detail = f"[{found[0]:.1f}, {found[1]:.1f}] over source groups, {per}"
        tiles.append((f"Cost {name}, {threshold:.2f}", "—" if pd.isna(cost) else f"{cost:.1f}", detail))
    blind, what = min((terms.cost_all_real, "real"), (terms.cost_all_fake, "fake"))
    tiles.append((f"Cost of calling all {what}", f"{blind:.1f}", f"without looking, {per}"))
    for column, (name, value, detail) in zip(st.columns(3), tiles, strict=True):
        with column.container(border=True, height="stretch"):
            st.metric(name, value)
            st.caption(widgets.plain(detail))
