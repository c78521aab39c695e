"""Read the tensors out of files made with ``pickle.dump`` or ``torch.save``, without running anything in them.

Three containers are known: a plain pickle with torch storages in it (NVIDIA's networks), and the two formats of
``torch.save`` (a zip archive, and the older row of pickles followed by raw data). All three are read by the machine in
``inversion.safe_pickle``; storages inside a plain pickle are themselves files of the older format.
"""

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from inversion.safe_names import GlobalName, PickleRefused, Vocabulary
from inversion.safe_pickle import MAX_INSTRUCTIONS, read_pickle
from inversion.safe_tensors import InertStorage
from inversion.safe_vocabulary import CALLED, CREATED, MENTIONED, STORAGES, malformed

MAX_FILE_BYTES = 4 << 30
MAX_STORAGES = 20_000
#: A storage inside a pickle takes some fifty.
MAX_NESTED_INSTRUCTIONS = 1_000
#: First number of torch's older format (``torch.serialization.MAGIC_NUMBER``), then its version.
LEGACY_MAGIC, LEGACY_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_ZIP_START = b"PK\x03\x04"
#: What the standard library raises for damaged archives, found by damaging some thousand.
_ZIP_ERRORS = (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError, struct.error)


def read_tensor_file(path: Path) -> tuple[object, int]:
    """Read a file into plain containers with :class:`InertTensor`, :class:`InertObject` and the like in them.

    Returns
    -------
    content
        What the file holds.
    n_bytes
        The file's size: the most that its tensors can rightly take.

    Raises
    ------
    PickleRefused
        If the file is missing, too large, damaged, or asks for anything but data.
    """
    if not path.is_file():
        raise PickleRefused(f"{path}: weight file is missing")
    n_bytes = path.stat().st_size
    if n_bytes > MAX_FILE_BYTES:
        raise PickleRefused(f"{path}: {n_bytes:,} bytes, more than the {MAX_FILE_BYTES:,} that are read")
    try:
        return _content(path.read_bytes(), may_nest=True), n_bytes
    except PickleRefused as error:
        raise PickleRefused(f"{path}: {error}") from error


def _content(data: bytes, *, may_nest: bool) -> object:
    if data.startswith(_ZIP_START) and may_nest:
        return _zip(data)
    stream = io.BytesIO(data)
    if may_nest:
        first = read_pickle(stream, _plain_vocabulary())
    else:
        first = read_pickle(stream, Vocabulary(), max_instructions=MAX_NESTED_INSTRUCTIONS)
    if isinstance(first, int) and first == LEGACY_MAGIC:
        return _legacy(data, stream, max_instructions=MAX_INSTRUCTIONS if may_nest else MAX_NESTED_INSTRUCTIONS)
    return first


def _plain_vocabulary() -> Vocabulary:
    n_storages = 0

    def nested(arguments: tuple[object, ...]) -> object:
        nonlocal n_storages
        n_storages += 1
        if n_storages > MAX_STORAGES:
            raise PickleRefused(f"the pickle holds more than {MAX_STORAGES:,} storages")
        match arguments:
            case (bytes() as data,):
                content = _content(data, may_nest=False)
                if isinstance(content, InertStorage):
                    return content
        return malformed("torch.storage._load_from_bytes", arguments)

    return Vocabulary(called=CALLED | {"torch.storage._load_from_bytes": nested}, created=CREATED, mentioned=MENTIONED)


class _Storages:
    """The storages a ``torch.save`` file refers to by key, and where their bytes come from."""

    def __init__(self, read: Callable[[str], bytes | memoryview]) -> None:
        self.found: dict[str, InertStorage] = {}
        self._read = read

    def persistent(self, identity: object) -> InertStorage:
        """Give the storage behind ``('storage', class, key, location, size[, view])``."""
        match identity:
            case ("storage", GlobalName("torch", kind), str() as key, str(), int() as n_items, *view) if (
                kind in STORAGES and view in ([], [None])
            ):
                new = InertStorage(STORAGES[kind], n_items, lambda: self._read(key))
                storage = self.found.setdefault(key, new)
                if (storage.dtype, storage.n_items) != (new.dtype, new.n_items):
                    raise PickleRefused(f"storage '{key[:40]}' is declared twice, differently")
                return storage
        raise PickleRefused(f"the pickle refers to something other than a storage: a {type(identity).__name__}")

    def vocabulary(self) -> Vocabulary:
        """Names that may occur in the file."""
        return Vocabulary(called=CALLED, created=CREATED, mentioned=MENTIONED, persistent=self.persistent)


def _legacy(data: bytes, stream: io.BytesIO, *, max_instructions: int) -> object:
    if read_pickle(stream, Vocabulary()) != LEGACY_PROTOCOL:
        raise PickleRefused(f"the torch file is not of version {LEGACY_PROTOCOL}")
    system = read_pickle(stream, Vocabulary())
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise PickleRefused("the torch file was not made on a little-endian machine")
    places: dict[str, memoryview] = {}
    storages = _Storages(lambda key: places[key] if key in places else _no_data(key))
    content = read_pickle(stream, storages.vocabulary(), max_instructions=max_instructions)
    keys = read_pickle(stream, Vocabulary(), max_instructions=max_instructions)
    if not isinstance(keys, list) or len(keys) > MAX_STORAGES:
        raise PickleRefused("the torch file has no list of storages")
    whole, position = memoryview(data), stream.tell()
    for key in keys:
        storage = storages.found.get(key) if isinstance(key, str) else None
        if storage is None:
            raise PickleRefused(f"the torch file lists a storage that no tensor uses: {str(key)[:40]}")
        end = position + 8 + storage.n_items * storage.dtype.itemsize
        n_items = int.from_bytes(whole[position : position + 8], "little")
        if n_items != storage.n_items or end > len(data):
            declared, left = storage.n_items * storage.dtype.itemsize, max(len(data) - position - 8, 0)
            raise PickleRefused(f"storage '{key[:40]}' declares {declared:,} bytes and {left:,} are left")
        places[key], position = whole[position + 8 : end], end
    return content


def _zip(data: bytes) -> object:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except _ZIP_ERRORS as error:
        raise PickleRefused(f"the zip archive is damaged: {error}") from error
    members = {member.filename: member for member in archive.infolist()}
    if any(m.compress_type != zipfile.ZIP_STORED or m.file_size != m.compress_size for m in members.values()):
        raise PickleRefused("the zip archive is compressed, which torch never does")
    if sum(member.file_size for member in members.values()) > len(data):
        raise PickleRefused("the zip archive declares more data than it has")
    roots = [name.removesuffix("/data.pkl") for name in members if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(roots) != 1:
        raise PickleRefused(f"the zip archive holds {len(roots)} files 'data.pkl', not one")

    def read(name: str) -> bytes:
        path = f"{roots[0]}/{name}"
        if path not in members:
            _no_data(name)
        try:
            return archive.read(members[path])
        except _ZIP_ERRORS as error:
            raise PickleRefused(f"the zip archive is damaged: {error}") from error

    if f"{roots[0]}/byteorder" in members and read("byteorder") != b"little":
        raise PickleRefused("the torch file was not made on a little-endian machine")
    storages = _Storages(lambda key: read(f"data/{key}"))
    return read_pickle(io.BytesIO(read("data.pkl")), storages.vocabulary())


def _no_data(key: str) -> NoReturn:
    raise PickleRefused(f"the file has no data for '{key[:40]}'")
