"""Too little memory halves a batch, a face that cannot be worked on stands alone, and nothing else is lost."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from inversion.batching import Failure, HalvingBatches
from inversion.optimise import InversionSettings, invert
from tests.inversion.toy import ToyGenerator, faulty_head, toy_codes, toy_distance


class Memory:
    """Doubles numbers while at most `room` of them come at once; counts the sizes it was called with."""

    def __init__(self, room: int, error: Exception) -> None:
        self.room, self.error, self.sizes = room, error, list[int]()

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.sizes.append(len(items))
        if len(items) > self.room:
            raise self.error
        return [2 * n for n in items]


LACKS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    MemoryError(),
]


@pytest.mark.parametrize("error", LACKS, ids=["torch", "driver", "cudnn", "cublas", "python"])
def test_a_batch_is_halved_until_it_fits_and_the_size_is_kept(error: Exception) -> None:
    work, told = Memory(2, error), list[int]()
    batches = HalvingBatches(work, on_smaller=told.append)
    assert batches.run(range(7)) == [0, 2, 4, 6, 8, 10, 12]
    assert told == [4, 2]
    work.sizes.clear()
    assert batches.run([5, 6, 7]) == [10, 12, 14]
    assert work.sizes == [2, 1], "the next batch does not run out of memory again"
    assert told == [4, 2], "and nothing is said twice"


def test_a_face_too_large_by_itself_is_a_failure_with_a_reason() -> None:
    batches = HalvingBatches(Memory(0, LACKS[0]), on_smaller=lambda size: None)
    assert batches.run([1, 2]) == [Failure("not enough memory for this face alone")] * 2


def test_the_processor_running_out_of_memory_is_recognised() -> None:
    def take(items: Sequence[int]) -> list[int]:
        torch.empty(2**50 if len(items) > 1 else 1)  # a petabyte of floats
        return list(items)

    told: list[int] = []
    assert HalvingBatches(take, on_smaller=told.append).run([1, 2]) == [1, 2]
    assert told == [1]


def test_an_item_that_is_refused_costs_nothing_but_itself() -> None:
    def work(items: Sequence[int]) -> list[int]:
        if 3 in items:
            raise ValueError("expected no 3")
        return [2 * n for n in items]

    told: list[int] = []
    batches = HalvingBatches(work, on_smaller=told.append)
    assert batches.run([1, 2, 3, 4, 5]) == [2, 4, Failure("expected no 3"), 8, 10]
    assert not told, "the batch was not too large"


@pytest.mark.parametrize("error", [RuntimeError("a bug"), TypeError("another")])
def test_bugs_pass(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)):
        HalvingBatches(Memory(1, error), on_smaller=lambda size: None).run([1, 2])


def test_no_items_are_no_work() -> None:
    assert HalvingBatches(Memory(0, LACKS[0]), on_smaller=lambda size: None).run([]) == []


def test_codes_of_a_halved_batch_are_those_of_a_whole_one() -> None:
    generator = ToyGenerator()
    faces = list(generator.synthesise_256(toy_codes(6, seed=3)))

    def work(items: Sequence[torch.Tensor], *, room: int) -> list[torch.Tensor]:
        if len(items) > room:
            raise LACKS[0]
        found = invert(
            torch.stack(list(items)),
            generator=generator,
            head=faulty_head,
            perceptual=toy_distance(),
            settings=InversionSettings(steps=5, learning_rate=0.05, correct_every=2),
        )
        return list(found.wplus)

    whole, halved = (
        HalvingBatches(lambda items, room=room: work(items, room=room), on_smaller=lambda size: None).run(faces)
        for room in (6, 2)
    )
    # As far as a face alone and in a batch may differ: sums in another order (docs/method-inversion.md).
    for a, b in zip(whole, halved, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-4)
