"""The words of ``inversion.safe_pickle``: names as data, records that take a state, and the one error."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Builder = Callable[[tuple[object, ...]], object]


class PickleRefused(ValueError):  # noqa: N818 - it says what happened: nothing was run
    """A file asks for something other than plain data, or is damaged; its message names what was refused."""


@dataclass(frozen=True)
class GlobalName:
    """A name a pickle mentions, as the two strings it is."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Buildable:
    """A record that takes the state a ``BUILD`` instruction brings."""

    def take_state(self, state: object) -> None:
        """Check and keep ``state``; :class:`PickleRefused` unless it is what this record expects."""
        raise NotImplementedError


@dataclass(frozen=True)
class Vocabulary:
    """The names a pickle may mention and what becomes of them.

    Attributes
    ----------
    called
        Name to builder, for ``REDUCE``: gets the tuple of arguments and returns inert data.
    created
        Name to builder, for ``NEWOBJ``.
    mentioned
        Names that may stand in the file as data (dtypes, storage classes), and that nothing can be done with.
    persistent
        Gives the data behind a persistent id; ``None`` refuses all.
    """

    called: Mapping[str, Builder] = field(default_factory=dict)
    created: Mapping[str, Builder] = field(default_factory=dict)
    mentioned: frozenset[str] = frozenset()
    persistent: Callable[[object], object] | None = None

    def knows(self, name: str) -> bool:
        """Whether the name may stand in a file at all."""
        return name in self.called or name in self.created or name in self.mentioned
