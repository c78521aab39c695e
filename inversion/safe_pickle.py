"""Read pickles as data: a stack machine of our own that can build nothing but plain containers and named records.

A pickle is a program, and Python's own ``pickle`` runs it: it imports what the file names and calls it. This machine
has no instruction that does either. A name in the file stays a ``GlobalName``, two strings, and is refused unless the
caller's ``Vocabulary`` knows it; "calling" it hands the arguments to the caller's builder of that name. ``BUILD``
reaches only records that say themselves what they take (``Buildable``), so no attribute of any class or function can be
set, and persistent names go to the caller.

The instructions are decoded by the standard library's ``pickletools.genops``, which reads and never runs; the machine
itself follows "PEP 3154" and the opcode table in ``pickletools``.
"""

import io
import pickletools
from collections.abc import Callable, Mapping
from typing import NoReturn

from inversion.safe_names import Buildable, Builder, GlobalName, PickleRefused, Vocabulary

#: Networks need some ten thousand instructions; each makes at most one small object, so this bounds the memory.
MAX_INSTRUCTIONS = 2_000_000
MAX_PROTOCOL = 5
#: The largest number in a known file is torch's magic one, of 77; Python refuses to print those of thousands of digits.
MAX_INTEGER_BITS = 256


class _Mark:
    """Where a variable number of items begins on the stack."""


_MARK = _Mark()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: Mapping[str, Callable[[], object]] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": set,
}
_LITERALS = frozenset(
    """
    INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE
    SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8
    """.split()  # noqa: SIM905 - a list of nineteen lines reads worse
)
_IGNORED = frozenset({"FRAME", "STOP"})


def read_pickle(stream: io.BytesIO, vocabulary: Vocabulary, *, max_instructions: int = MAX_INSTRUCTIONS) -> object:
    """Read one pickle from where the stream stands, leaving it after the pickle's end.

    Parameters
    ----------
    stream
        The bytes, in memory: lengths that the file declares are bounded by what is really there before anything is
        allocated.
    vocabulary
        The names that may occur.
    max_instructions
        Bound on the pickle's length.

    Returns
    -------
    object
        Numbers, strings, bytes, lists, tuples, dictionaries, sets, and what the vocabulary's builders return.

    Raises
    ------
    PickleRefused
        If the pickle mentions another name, uses an instruction that data do not need, or is damaged or too long.
    """
    return _Machine(vocabulary).run(stream, max_instructions)


class _Machine:
    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._stack: list[object] = []
        self._memo: dict[int, object] = {}

    def run(self, stream: io.BytesIO, max_instructions: int) -> object:
        n_done = 0
        try:
            for opcode, argument, _ in pickletools.genops(stream):
                n_done += 1
                if n_done > max_instructions:
                    raise PickleRefused(f"the pickle has more than {max_instructions:,} instructions")
                self._step(opcode.name, argument)
        except PickleRefused:
            raise
        except ValueError as error:  # what pickletools raises for everything cut short or malformed
            raise PickleRefused(f"the pickle is damaged: {str(error)[:200]}") from error
        result = self._pop()
        if self._stack:
            raise PickleRefused("the pickle is damaged: it ends with more than one object")
        return result

    def _step(self, name: str, argument: object) -> None:
        if name in _LITERALS:
            if isinstance(argument, int) and argument.bit_length() > MAX_INTEGER_BITS:
                raise PickleRefused(f"the pickle holds an integer of {argument.bit_length():,} bits")
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self._stack.append(_EMPTY[name]())
        elif name not in _IGNORED:
            action = _ACTIONS.get(name)
            if action is None:
                raise PickleRefused(f"the pickle uses the instruction {name}, which plain data do not need")
            action(self, argument)

    def _pop(self) -> object:
        if not self._stack or self._stack[-1] is _MARK:
            _damaged("an instruction finds nothing on the stack")
        return self._stack.pop()

    def _top(self) -> object:
        if not self._stack or self._stack[-1] is _MARK:
            _damaged("an instruction finds nothing on the stack")
        return self._stack[-1]

    def _pop_to_mark(self) -> list[object]:
        for index in range(len(self._stack) - 1, -1, -1):
            if self._stack[index] is _MARK:
                items = self._stack[index + 1 :]
                del self._stack[index:]
                return items
        return _damaged("a mark is missing")

    def _proto(self, version: object) -> None:
        if not isinstance(version, int) or version > MAX_PROTOCOL:
            raise PickleRefused(f"pickle protocol {version} is not known; {MAX_PROTOCOL} is the highest")

    def _mark(self, _: object) -> None:
        self._stack.append(_MARK)

    def _bytearray(self, value: object) -> None:
        self._stack.append(bytes(value) if isinstance(value, bytearray) else value)

    def _drop(self, _: object) -> None:
        if not self._stack:
            _damaged("POP finds nothing on the stack")
        self._stack.pop()

    def _drop_to_mark(self, _: object) -> None:
        self._pop_to_mark()

    def _duplicate(self, _: object) -> None:
        self._stack.append(self._top())

    def _put(self, index: object) -> None:
        self._memo[_integer(index)] = self._top()

    def _memoize(self, _: object) -> None:
        self._memo[len(self._memo)] = self._top()

    def _get(self, index: object) -> None:
        if index not in self._memo:
            _damaged(f"it refers to object {index}, which it did not make")
        self._stack.append(self._memo[_integer(index)])

    def _tuple_of(self, n_items: int) -> None:
        items = [self._pop() for _ in range(n_items)]
        self._stack.append(tuple(reversed(items)))

    def _tuple(self, _: object) -> None:
        self._stack.append(tuple(self._pop_to_mark()))

    def _list(self, _: object) -> None:
        self._stack.append(self._pop_to_mark())

    def _dict(self, _: object) -> None:
        items = self._pop_to_mark()
        self._stack.append({})
        self._fill(items)

    def _append(self, _: object) -> None:
        self._extend([self._pop()])

    def _appends(self, _: object) -> None:
        self._extend(self._pop_to_mark())

    def _extend(self, items: list[object]) -> None:
        target = self._top()
        if not isinstance(target, list):
            raise PickleRefused(f"the pickle appends to {_kind(target)}; only lists take items")
        target.extend(items)

    def _set_item(self, _: object) -> None:
        value, key = self._pop(), self._pop()
        self._fill([key, value])

    def _set_items(self, _: object) -> None:
        self._fill(self._pop_to_mark())

    def _fill(self, items: list[object]) -> None:
        target = self._top()
        if not isinstance(target, dict):
            raise PickleRefused(f"the pickle sets an item of {_kind(target)}; only dictionaries take items")
        if len(items) % 2:
            _damaged("a key has no value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_key(key)] = value

    def _add_items(self, _: object) -> None:
        items = self._pop_to_mark()
        target = self._top()
        if not isinstance(target, set):
            raise PickleRefused(f"the pickle adds members to {_kind(target)}; only sets take members")
        target.update(_key(item) for item in items)

    def _frozen_set(self, _: object) -> None:
        self._stack.append(frozenset(_key(item) for item in self._pop_to_mark()))

    def _global(self, argument: object) -> None:
        module, _, name = str(argument).partition(" ")
        self._push_name(module, name)

    def _stack_global(self, _: object) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(module, str) or not isinstance(name, str):
            _damaged("STACK_GLOBAL finds something other than two strings")
        self._push_name(module, name)

    def _push_name(self, module: str, name: str) -> None:
        found = GlobalName(module, name)
        if not self._vocabulary.knows(str(found)):
            raise PickleRefused(f"the pickle asks for '{str(found)[:120]}', which no weights need; nothing was run")
        self._stack.append(found)

    def _reduce(self, _: object) -> None:
        arguments, called = self._pop(), self._pop()
        self._stack.append(_made(self._vocabulary.called, called, arguments, "calls"))

    def _new_object(self, _: object) -> None:
        arguments, called = self._pop(), self._pop()
        self._stack.append(_made(self._vocabulary.created, called, arguments, "creates an object of"))

    def _build(self, _: object) -> None:
        state, target = self._pop(), self._top()
        if isinstance(target, Buildable):
            target.take_state(state)
        elif not (isinstance(target, dict) and isinstance(state, dict)):
            # A dictionary's own attributes (torch keeps version numbers there) are dropped; nothing else has any.
            raise PickleRefused(f"the pickle sets the state of {_kind(target)}, which has none")

    def _persistent(self, _: object) -> None:
        if self._vocabulary.persistent is None:
            raise PickleRefused("the pickle refers to an object outside of it (BINPERSID)")
        self._stack.append(self._vocabulary.persistent(self._pop()))


_ACTIONS: Mapping[str, Callable[[_Machine, object], None]] = {
    "PROTO": _Machine._proto,
    "MARK": _Machine._mark,
    "BYTEARRAY8": _Machine._bytearray,
    "POP": _Machine._drop,
    "POP_MARK": _Machine._drop_to_mark,
    "DUP": _Machine._duplicate,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine._put),
    "MEMOIZE": _Machine._memoize,
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine._get),
    "TUPLE": _Machine._tuple,
    "TUPLE1": lambda machine, _: machine._tuple_of(1),
    "TUPLE2": lambda machine, _: machine._tuple_of(2),
    "TUPLE3": lambda machine, _: machine._tuple_of(3),
    "LIST": _Machine._list,
    "DICT": _Machine._dict,
    "APPEND": _Machine._append,
    "APPENDS": _Machine._appends,
    "SETITEM": _Machine._set_item,
    "SETITEMS": _Machine._set_items,
    "ADDITEMS": _Machine._add_items,
    "FROZENSET": _Machine._frozen_set,
    "GLOBAL": _Machine._global,
    "STACK_GLOBAL": _Machine._stack_global,
    "REDUCE": _Machine._reduce,
    "NEWOBJ": _Machine._new_object,
    "BUILD": _Machine._build,
    "BINPERSID": _Machine._persistent,
}


def _made(builders: Mapping[str, Builder], called: object, arguments: object, verb: str) -> object:
    if not isinstance(called, GlobalName) or str(called) not in builders:
        what = f"'{called}'" if isinstance(called, GlobalName) else _kind(called)
        raise PickleRefused(f"the pickle {verb} {what}, which no weights need; nothing was run")
    if not isinstance(arguments, tuple):
        _damaged(f"the arguments of '{called}' are no tuple")
    return builders[str(called)](arguments)


def _key(value: object) -> object:
    # Tuples are left out: a tuple of shared tuples takes exponential time to hash.
    if value is None or isinstance(value, str | int | float | bytes):
        return value
    raise PickleRefused(f"the pickle uses {_kind(value)} as a key; only strings, numbers and bytes are taken")


def _integer(value: object) -> int:
    return value if isinstance(value, int) else _damaged("a memo index is no number")


def _kind(value: object) -> str:
    return f"'{value}'" if isinstance(value, GlobalName) else f"a {type(value).__name__}"


def _damaged(what: str) -> NoReturn:
    raise PickleRefused(f"the pickle is damaged: {what}")
