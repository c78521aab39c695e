"""Which codes a threshold marks, and what is said of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipeline import quality_gate, tables

DIVERGED = "the search diverged"


def codes(distances: list[float | None], *, status: str = "ok", reason: str | None = None) -> pa.Table:
    """Rows of ``wplus`` with these distances."""
    shared = {"inverter_id": "i", "n_channels": 1, "steps_run": 1, "seed": 0, "status": status, "reason": reason}
    return tables.build("wplus", [shared | {"face_id": f"{i}", "lpips": d} for i, d in enumerate(distances)])


def test_only_what_is_above_is_poor_and_the_reason_names_value_and_threshold() -> None:
    marked = quality_gate.mark_poor(codes([0.1, 0.4, 0.40001, 0.9, None]), metric="stlpips-alex", above=0.4)
    assert marked.column("status").to_pylist() == ["ok", "ok", "poor", "poor", "ok"]
    assert marked.column("reason").to_pylist()[3] == "stlpips-alex distance 0.9 is above invert.poor_above 0.4"
    assert marked.column("reason").to_pylist()[:2] == [None, None]
    assert marked.drop_columns(["status", "reason"]).equals(
        codes([0.1, 0.4, 0.40001, 0.9, None]).drop_columns(["status", "reason"])
    )
    tables.check("wplus", marked)


def test_a_search_that_diverged_keeps_its_own_reason() -> None:
    marked = quality_gate.mark_poor(codes([0.9], status="poor", reason=DIVERGED), metric="m", above=0.4)
    assert marked.column("reason").to_pylist() == [DIVERGED]


def test_without_a_threshold_nothing_is_marked() -> None:
    table = codes([5.0])
    assert quality_gate.mark_poor(table, metric="m", above=None) is table


@pytest.mark.parametrize("distance", [0.41, 12.5, 1e-7])
def test_reasons_of_one_kind_are_counted_together(distance: float) -> None:
    above = float(np.float32(distance)) / 2
    marked = quality_gate.mark_poor(codes([distance]), metric="lpips-vgg", above=above)
    (reason,) = marked.column("reason").to_pylist()
    assert quality_gate.kind(reason) == f"lpips-vgg distance above invert.poor_above {above:g}"
    assert quality_gate.kind(DIVERGED) == DIVERGED
    assert quality_gate.kind(None) is None
