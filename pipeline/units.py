"""What the split keeps on one side is the unit of everything after it: folds, calibration, intervals.

The stage ``split`` may join source groups further, where footage looks alike or shows the same people. A unit is always
a union of whole source groups, so a group's name tells its unit.
"""

from __future__ import annotations

import pandas as pd

from pipeline import tables
from pipeline.paths import Paths


def by_unit(rows: pd.DataFrame, paths: Paths) -> pd.DataFrame:
    """``rows`` with their split unit for ``source_group``; a group that is not dealt out is its own unit.

    Raises
    ------
    UserError
        The table ``splits`` is missing.
    """
    splits = tables.read_pandas(paths.table("splits"), "splits", columns=["source_group", "unit"])
    dealt = splits.dropna(subset=["source_group", "unit"])
    unit_of = dict(zip(dealt["source_group"], dealt["unit"], strict=True))
    return rows.assign(source_group=[unit_of.get(group, group) for group in rows["source_group"]])
