"""Connected groups against SciPy, and the words for a label."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.ingest.groups import Groups
from pipeline.ingest.records import parse_label


class TestGroups:
    """Union-find against SciPy's connected components."""

    @given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=60), st.randoms())
    def test_against_connected_components(self, pairs: list[tuple[int, int]], shuffle: object) -> None:
        names = [(f"n{a:02}", f"n{b:02}") for a, b in pairs]
        groups = Groups()
        for a, b in names:
            groups.join(a, b)
        rows, columns = np.array(pairs, dtype=int).reshape(-1, 2).T
        graph = coo_array((np.ones(rows.size), (rows, columns)), shape=(31, 31))
        _, component = connected_components(graph, directed=False)
        for number in range(31):
            smallest = np.argmax(component == component[number])
            assert groups.find(f"n{number:02}") == f"n{smallest:02}"
        backwards = Groups()
        for a, b in reversed(names):
            backwards.join(b, a)
        assert all(backwards.find(a) == groups.find(a) for a, _ in names)

    def test_long_chains(self) -> None:
        groups = Groups()
        for i in range(50_000, 0, -1):
            groups.join(f"{i:06}", f"{i - 1:06}")
        assert groups.find("050000") == "000000"  # no recursion limit, no quadratic walk

    def test_unknown_names_stand_alone(self) -> None:
        groups = Groups()
        groups.join_all([])
        groups.join_all(["b", "a", "c"])
        assert [groups.find(name) for name in ("a", "b", "c", "d")] == ["a", "a", "a", "d"]


NO_LABELS: list[object] = [True, False, "maybe", "", None, 2, -1, 0.5, float("nan"), "2", [], {}]
LABELS: list[tuple[object, int]] = [
    ("real", 0),
    (" FAKE ", 1),
    ("0", 0),
    ("1", 1),
    (0, 0),
    (1, 1),
    (1.0, 1),
    ("Fake", 1),
]


@pytest.mark.parametrize(
    ("value", "label"),
    [*LABELS, *((value, None) for value in NO_LABELS)],
)
def test_labels(value: object, label: int | None) -> None:
    assert parse_label(value) == label
