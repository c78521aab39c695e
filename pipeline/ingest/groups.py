"""Connected footage: a union-find over names, and the name each connected group goes by."""

from __future__ import annotations

from collections.abc import Iterable


class Groups:
    """Disjoint sets of names, joined pair by pair.

    A name is any string: a file's path below the root, the id of a recording, a group the data set itself declares.
    Names that were never joined form groups of one. The result does not depend on the order of the calls.
    """

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def add(self, name: str) -> None:
        """Make `name` known, alone unless it is joined later."""
        self._parent.setdefault(name, name)

    def find(self, name: str) -> str:
        """Smallest name (by code point) in the group of `name`: what the group is called."""
        self.add(name)
        root = name
        while self._parent[root] != root:
            root = self._parent[root]
        while self._parent[name] != root:  # path compression
            self._parent[name], name = root, self._parent[name]
        return root

    def join(self, first: str, second: str) -> None:
        """Declare that two names share footage."""
        a, b = self.find(first), self.find(second)
        if a != b:
            low, high = sorted((a, b))
            self._parent[high] = low  # the smallest name stays the root, so the group's name needs no second pass

    def join_all(self, names: Iterable[str]) -> None:
        """Declare that all of `names` share footage."""
        previous: str | None = None
        for name in names:
            self.add(name)
            if previous is not None:
                self.join(previous, name)
            previous = name
