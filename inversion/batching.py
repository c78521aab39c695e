"""Work in batches that survives what one batch cannot: too little memory, or a face that cannot be worked on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")

#: How a lack of memory is named where it comes as a plain RuntimeError: by the CPU's allocator, cuBLAS, cuDNN to its
#: version 8 and from 9, and the driver.
_OUT_OF_MEMORY = (
    "DefaultCPUAllocator",
    "_STATUS_ALLOC_FAILED",
    "_ALLOCATION_FAILED",
    "CUDA error: out of memory",
)


@dataclass(frozen=True)
class Failure:
    """Why there is no result for one item; one clause, for a table."""

    reason: str


class HalvingBatches(Generic[T, R]):
    """Run ``work`` on batches; halve them where memory does not suffice.

    What fails in one piece is tried in two, down to single items, whose failure is a result. The size that fitted is
    kept for later batches. A result may depend on its batch's size by rounding, as that of `inversion.optimise.invert`.

    Parameters
    ----------
    work
        Items -> as many results, in their order; is called again with parts of a batch.
    on_smaller
        Told the new size, each time it is lowered.
    """

    def __init__(self, work: Callable[[Sequence[T]], Sequence[R]], *, on_smaller: Callable[[int], None]) -> None:
        self._work = work
        self._on_smaller = on_smaller
        self._largest: int | None = None

    def run(self, items: Sequence[T]) -> list[R | Failure]:
        """One result for each item, in their order: what ``work`` gave, or why it gave nothing.

        A lack of memory (of the GPU or of the machine) and a `ValueError`, with which the numeric packages refuse what
        they cannot work on, become a `Failure` of the item that meets them alone. Any other exception passes.
        """
        results: list[R | Failure] = []
        waiting = deque([items] if items else [])
        while waiting:
            batch = waiting.popleft()
            size = len(batch) if self._largest is None else self._largest
            if len(batch) > size:
                waiting.extendleft([batch[size:], batch[:size]])  # each is put in front of the one before
                continue
            found, problem, memory = self._try(batch)
            if problem is None:
                results += found
            elif len(batch) == 1:
                results.append(problem)
            else:
                half = -(-len(batch) // 2)
                if memory:
                    self._largest = half
                    self._on_smaller(half)
                waiting.extendleft([batch[half:], batch[:half]])
        return results

    def _try(self, batch: Sequence[T]) -> tuple[Sequence[R], Failure | None, bool]:
        """Results; else what was wrong, and whether that was memory.

        The exception ends here: its traceback holds the tensors that filled the memory.
        """
        try:
            found = self._work(batch)
        except ValueError as error:
            return [], Failure(str(error)), False
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            if len(found) != len(batch):
                raise RuntimeError(f"expected {len(batch)} results, one for each item, got {len(found)}")
            return found, None, False
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        return [], Failure("not enough memory for this face alone"), True


def is_out_of_memory(error: Exception) -> bool:
    """Whether an exception says that the GPU's or the machine's memory did not suffice."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _OUT_OF_MEMORY)
