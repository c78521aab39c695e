"""Slices stand in the order a reader expects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from classifiers.binning import thirds
from pipeline.slicing import _names, judged, one_split


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["very light", "dark", "tan", None], ["dark", "tan", "very light"]),
        (["c40", "raw", "c23"], ["c23", "c40", "raw"]),
        (["10", "9", "-1"], ["-1", "9", "10"]),
        (["swap", "blend"], ["blend", "swap"]),
    ],
)
def test_classes_and_numbers_ascend(names: list[str | None], expected: list[str]) -> None:
    assert list(_names(np.array(names, dtype=object))) == expected


def test_thirds_ascend() -> None:
    values = np.linspace(80.0, 120.0, 30)
    named = thirds(values, unit="px")
    in_order = list(dict.fromkeys(named.tolist()))
    assert len(in_order) == 3
    assert list(_names(named)) == in_order


def test_val_and_test_are_not_pooled_and_own_answers_rank() -> None:
    """Calibrated answers of 'rf' say nothing, its own rank all; 'logistic' is the other way round."""
    rows = [
        {"level": "frame", "space": "wplus", "model": model, "split": split, "label": y,
         "p_fake": p[y] if calibrated else 0.5, "p_fake_raw": 0.5 if calibrated else p[y]}
        for model, calibrated in (("rf", False), ("logistic", True))
        for split, p in (("test", (0.2, 0.8)), ("val", (0.8, 0.2)))
        for y in (0, 1, 0, 1)
    ]  # fmt: skip
    kept = one_split(pd.DataFrame(rows))
    assert set(kept["split"]) == {"test"}
    assert judged(kept, which="best") == [("wplus", "rf")]
