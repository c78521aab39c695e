"""Marks faces whose reconstruction is too far from them as ``poor``: they are kept, with the reason."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

# The reason that `mark_poor` writes, up to the threshold.
_VALUE = re.compile(r"^(\S+) distance \S+ is above ")


def mark_poor(codes: pa.Table, *, metric: str, above: float | None) -> pa.Table:
    """``wplus`` rows with status and reason as a threshold on the perceptual distance says.

    A row that is not ``ok`` already (a search that diverged) keeps its own reason. Without a threshold, or where a
    distance is empty, nothing changes.

    Parameters
    ----------
    metric
        Name of the distance in column ``lpips``, such as ``stlpips-alex``.
    above
        Threshold on that metric's scale; the distance itself is still ``ok`` at it.
    """
    if above is None:
        return codes
    ok, distances = pc.equal(codes["status"], "ok").to_pylist(), codes["lpips"].to_pylist()
    status, reason = codes["status"].to_pylist(), codes["reason"].to_pylist()
    for i, distance in enumerate(distances):
        why = too_far(distance, metric=metric, above=above)
        if ok[i] and why is not None:
            status[i], reason[i] = "poor", why
    for name, values in (("status", status), ("reason", reason)):
        at = codes.schema.get_field_index(name)
        codes = codes.set_column(at, codes.schema.field(name), pa.array(values, type=pa.string()))
    return codes


def too_far(distance: float | None, *, metric: str, above: float | None) -> str | None:
    """Why a face at this perceptual distance from its reconstruction is poor, None where it is not."""
    # The table holds float32: the threshold is compared on that grid, else 0.4 would lie below a stored 0.4.
    if above is None or distance is None or not distance > _float32(above):
        return None
    return f"{metric} distance {distance:.4g} is above invert.poor_above {above:g}"


def kind(reason: str | None) -> str | None:
    """A reason without its face's own value, so that equal ones can be counted."""
    return None if reason is None else _VALUE.sub(r"\1 distance above ", reason)


def _float32(value: float) -> float:
    return float(pa.scalar(value, pa.float32()).as_py())
