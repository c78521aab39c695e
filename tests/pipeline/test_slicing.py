"""Slices stand in the order a reader expects."""

from __future__ import annotations

import numpy as np
import pytest

from classifiers.binning import thirds
from pipeline.slicing import _names


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
