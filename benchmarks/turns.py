"""Several ways to do one thing, timed in turn, so that a machine that slows down slows all of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

T = TypeVar("T")


def in_turns(ways: Mapping[str, Callable[[], T]], n_turns: int) -> tuple[dict[str, float], dict[str, T]]:
    """The shortest seconds of each way in ``n_turns`` turns of all, and each one's last answer."""
    best_s = dict.fromkeys(ways, math.inf)
    answers: dict[str, T] = {}
    for _ in range(n_turns):
        for name, way in ways.items():
            began = time.perf_counter()
            answers[name] = way()
            best_s[name] = min(best_s[name], time.perf_counter() - began)
    return best_s, answers
