"""Filter a map's points by any column: the controls, and which points are left."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from dashboard.colouring import NUMBERS, colourable, column_name

MAX_OFFERED = 500  # values of a column that can be picked from; the most frequent ones

MAX_PICKED = 50  # the address holds them


def controls(points: pd.DataFrame) -> NDArray[np.bool_] | None:
    """Draw the controls; bool [n] of the points that pass all filters, None where nothing is filtered."""
    columns = st.multiselect(
        "Filter by", colourable(points), format_func=column_name, key="filter_columns", placeholder="any column",
        bind="query-params",
    )  # fmt: skip
    inside = None
    for column in columns:
        passes = _numbers(points[column], column) if column in NUMBERS else _values(points[column], column)
        if passes is not None:
            inside = passes if inside is None else inside & passes
    return inside


def _values(values: pd.Series, column: str) -> NDArray[np.bool_] | None:
    codes, distinct = pd.factorize(values, sort=True)
    counts = np.bincount(codes[codes >= 0], minlength=len(distinct))
    offered = np.sort(np.argsort(-counts, kind="stable")[:MAX_OFFERED])
    # Without counts: these names stand in the address, and should hold after another run.
    names = {int(i): _name(distinct[i], column) for i in offered}
    picked = st.multiselect(
        column_name(column), list(names), format_func=names.__getitem__, key=f"filter_{column}", bind="query-params",
        max_selections=MAX_PICKED,
    )  # fmt: skip
    return np.isin(codes, picked) if picked else None


def _numbers(values: pd.Series, column: str) -> NDArray[np.bool_] | None:
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    finite = numbers[np.isfinite(numbers)]
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        st.caption(f"{column_name(column)} is {low:.4g} for all faces.")
        return None
    chosen = st.slider(column_name(column), low, high, (low, high), key=f"filter_{column}", bind="query-params")
    if chosen == (low, high):
        return None
    return (numbers >= chosen[0]) & (numbers <= chosen[1])


def _name(value: object, column: str) -> str:
    return "noise" if column == "cluster" and int(value) < 0 else str(value)  # type: ignore[call-overload]
