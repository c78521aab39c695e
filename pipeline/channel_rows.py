"""Rows of the tables ``importance``, ``channel_groups`` and ``agreement``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np

from classifiers.agreement import AgreementRow, agreement, stability
from classifiers.importance import ImportanceRow

Rows = list[dict[str, Any]]
_NUMBERS = ("value", "ci_low", "ci_high", "null_value")


def channel_rows(measured: Mapping[str, Sequence[ImportanceRow]]) -> Rows:
    """Method -> a row per channel, as rows of ``importance``."""
    return [
        {"space": "wplus", "method": method, "channel": row.channel, "n_repeats": row.n_repeats} | _numbers(row)
        for method, rows in measured.items()
        for row in rows
    ]


def part_rows(measured: Mapping[str, Sequence[ImportanceRow]], parts: Mapping[str, list[int]]) -> Rows:
    """Method -> a row per part, as rows of ``channel_groups``."""
    return [
        {"space": "wplus", "method": method, "part": name, "channels": channels, "n_repeats": row.n_repeats}
        | _numbers(row)
        for method, rows in measured.items()
        for row, (name, channels) in zip(rows, parts.items(), strict=True)
    ]


def agreement_rows(measured: Mapping[str, Sequence[ImportanceRow]], *, n_groups: int) -> Rows:
    """Each method against itself over seeds and folds, and against every other."""
    found: list[AgreementRow] = []
    for method, rows in measured.items():
        found += stability(method, rows, n_groups=n_groups)
    for first, second in combinations(sorted(measured), 2):
        found.append(agreement((first, measured[first]), (second, measured[second]), n_groups=n_groups))
    return [{name: _empty(value) for name, value in asdict(row).items()} for row in found]


def _numbers(row: ImportanceRow) -> dict[str, float | None]:
    return {name: _empty(getattr(row, name)) for name in _NUMBERS}


def _empty(value: Any) -> Any:
    return None if isinstance(value, float) and np.isnan(value) else value
