"""How rows of ``predictions`` and ``metrics`` are read: on which split a model is judged, and what ranks items."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

#: The honest ones first; calibration was fitted on ``val``, so it is never pooled with ``test``.
SPLITS = ("cv", "test", "val")


def splits(table: pd.DataFrame) -> list[str]:
    """Splits on which a model may be judged, the honest ones first: cv, test, val, then the rest."""
    present = set(table["split"])
    order = [s for s in SPLITS if s in present]
    return order + sorted(present - set(order))


def own_answers(rows: pd.DataFrame) -> NDArray[np.float64]:
    """What items are ranked by, float64 [n]: the model's own answer, which no fold's calibration has moved."""
    return rows["p_fake_raw"].fillna(rows["p_fake"]).to_numpy(dtype=np.float64)
