"""Progress bars (quiet where nobody looks) and the counts a stage ends with."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
log = logging.getLogger("latentforensics")


def bar(items: Iterable[T], *, total: int, what: str, unit: str, initial: int = 0) -> Iterator[T]:
    """Iterate with a bar that shows rate and remaining time; silent where standard error is not a terminal."""
    return iter(
        tqdm(
            items,
            total=total,
            desc=what,
            unit=f" {unit}",
            initial=initial,
            disable=not sys.stderr.isatty(),
            smoothing=0.1,
        )
    )


@contextmanager
def progress_bar(*, what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for work that tells ``(n_done, n_total)`` itself; silent where standard error is not a terminal."""
    with tqdm(desc=what, unit=f" {unit}", disable=not sys.stderr.isatty(), smoothing=0.1) as shown:

        def show(n_done: int, n_total: int) -> None:
            shown.total = n_total
            shown.update(n_done - shown.n)

        yield show


@dataclass
class Counts:
    """Done, skipped and failed items of a stage, with the reasons."""

    unit: str
    done: int = 0
    resumed: int = 0
    troubles: Counter[str] = field(default_factory=Counter)

    def trouble(self, status: str, reason: str | None) -> None:
        """Count an item that is not ok."""
        self.troubles[f"{status}: {reason}" if reason else status] += 1

    def log(self, stage: str) -> None:
        """Say how it went, most frequent trouble first."""
        n_trouble = sum(self.troubles.values())
        resumed = f", {self.resumed} of them from an interrupted run" if self.resumed else ""
        log.info("%s: %d %s done%s, %d not ok", stage, self.done, self.unit, resumed, n_trouble)
        for reason, count in self.troubles.most_common(10):
            log.info("%s:   %d x %s", stage, count, reason)
        if len(self.troubles) > 10:
            log.info("%s:   and %d further reasons, see the table", stage, len(self.troubles) - 10)
