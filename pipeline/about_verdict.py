"""What a clustering is about, in one sentence, from its rows of ``cluster_information``."""

from __future__ import annotations

import pandas as pd

#: Readable names of attributes.
NAMES = {
    "label": "forgery (real or fake)",
    "method": "manipulation method",
    "compression": "compression",
    "dataset": "data set",
    "source_group": "source group",
    "identity": "person",
    "video": "video",
    "skin_tone": "skin tone (ITA)",
    "yaw_deg": "head turn",
    "face_width_px": "face size",
    "blur": "sharpness",
    "brightness": "brightness",
    "lpips": "reconstruction distance",
    "frame_height": "frame size",
}
#: Below this adjusted value an attribute is shared beyond chance, but hardly.
SLIGHT = 0.1
MAX_NAMED = 3


def attribute_name(attribute: str) -> str:
    """Readable name of an attribute; an unknown one is shown as it is written."""
    return NAMES.get(attribute, attribute)


def verdict(rows: pd.DataFrame) -> str:
    """Say what one clustering is about, and whether forgery has a part in it.

    Parameters
    ----------
    rows : rows of table ``cluster_information`` of one clustering.
    """
    measured = rows[rows["p_value"].notna()].sort_values("adjusted", ascending=False, kind="stable")
    if measured.empty:
        reasons = list(dict.fromkeys(rows["reason"].dropna()))
        return f"Nothing can be said of what these clusters are about: {'; '.join(reasons) or 'nothing was measured'}."
    shown = measured[measured["is_about"]]
    if shown.empty:
        top = measured.iloc[0]
        return (
            f"These clusters are not shown to be about any of {len(measured)} attributes, nor about forgery: nearest "
            f"comes {attribute_name(top['attribute'])} ({_figures(top)})."
        )
    strong, slight = shown[shown["adjusted"] >= SLIGHT], shown[shown["adjusted"] < SLIGHT]
    start, first, then = "These clusters are about", strong, ""
    if strong.empty:
        start, first, slight = "These clusters are only slightly about", slight, slight.iloc[:0]
    others = [_named(r) for _, r in first.iloc[1:MAX_NAMED].iterrows()]
    more = len(first) - 1 - len(others)
    others += [f"{more} more"] if more else []
    if len(slight):
        then = f", slightly about {_joined([_named(r) for _, r in slight.iloc[:MAX_NAMED].iterrows()])}"
    also = f", and about {_joined(others)}" if others else ""
    sentence = f"{start} {attribute_name(first['attribute'].iloc[0])} ({_figures(first.iloc[0])}){also}{then}"
    return f"{sentence}{_forgery(rows, {*first['attribute'][:MAX_NAMED], *slight['attribute'][:MAX_NAMED]})}"


def _forgery(rows: pd.DataFrame, named: set[str]) -> str:
    """What is to be said of the label where it was not named."""
    label = rows[rows["attribute"] == "label"]
    if label.empty or "label" in named:
        return "."
    row = label.iloc[0]
    if pd.isna(row["p_value"]):
        return f"; of forgery nothing can be said: {row['reason']}."
    if not row["is_about"]:
        return f", not shown to be about forgery ({_figures(row)})."
    return f"; forgery has a part in it{', a slight one' if row['adjusted'] < SLIGHT else ''} ({_figures(row)})."


def _figures(row: pd.Series) -> str:
    value, mean, low, high = (_number(row[name]) for name in ("nmi", "null_mean", "null_low", "null_high"))
    return f"NMI {value} against {mean} [{low}, {high}] shuffled"


def _named(row: pd.Series) -> str:
    return f"{attribute_name(row['attribute'])} ({_number(row['nmi'])} against {_number(row['null_mean'])})"


def _number(value: float) -> str:
    """Two decimals, three where two would leave next to nothing."""
    return f"{value:.2f}" if value >= 0.1 or value == 0 else f"{value:.3f}"


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
