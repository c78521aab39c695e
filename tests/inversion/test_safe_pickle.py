"""Hostile, damaged and plain pickles: data come through unchanged, everything else is refused by name, nothing runs."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inversion.safe_files import read_tensor_file
from inversion.safe_names import PickleRefused, Vocabulary
from inversion.safe_pickle import read_pickle
from inversion.safe_tensors import InertArray, InertTensor, materialise

MARKER = "LF_A_PICKLE_WAS_RUN"


class Evil:
    """Pickles itself as a call of ``function``."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[object, ...]:
        return self.function, self.arguments


def stack_global(module: str, name: str, *, end: bytes = b"") -> bytes:
    """Give the opcodes that fetch a name the modern way."""
    parts = b"".join(b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name))
    return b"\x80\x04" + parts + b"\x93" + end


RUN = f"os.environ.update({MARKER}='1')"
HOSTILE = {
    "os.system": (pickle.dumps(Evil(os.system, "true")), r"asks for '(posix|nt)\.system'"),
    "eval": (pickle.dumps(Evil(eval, f"__import__('os').{RUN[3:]}")), r"asks for 'builtins\.eval'"),
    "exec, protocol 0": (pickle.dumps(Evil(exec, f"import os; {RUN}"), 0), r"asks for '__builtin__\.exec'"),
    "getattr": (b"cbuiltins\ngetattr\n(cos\nenviron\nVupdate\ntR.", r"asks for 'builtins\.getattr'"),
    "posix.system by STACK_GLOBAL": (stack_global("posix", "system", end=b"\x8c\x04true\x85R."), r"'posix\.system'"),
    "a dotted name": (stack_global("torch._utils", "_rebuild_tensor_v2.__globals__"), "__globals__'"),
    "a name with a trailing dot": (stack_global("torch", "FloatStorage.mro"), r"'torch\.FloatStorage\.mro'"),
    "a module as a name": (stack_global("numpy", "f2py.os"), r"'numpy\.f2py\.os'"),
    "pickle inside": (pickle.dumps(Evil(pickle.loads, b"N.")), r"asks for '_pickle\.loads'"),
    "torch.load inside": (pickle.dumps(Evil(torch.load, "x")), r"asks for 'torch\.serialization\.load'"),
    "a call of a string": (b"Vos.system\n(Vtrue\ntR.", "calls a str"),
    "a call of what a call gave": (b"ccollections\nOrderedDict\n(tR(Vtrue\ntR.", "calls a dict"),
    "a call of a mentioned class": (b"ctorch\nFloatStorage\n(I9\ntR.", r"calls 'torch\.FloatStorage'"),
    "NEWOBJ of a function": (b"ctorch._utils\n_rebuild_parameter\n)\x81.", "creates an object of 'torch"),
    "BUILD on a class": (b"ctorch\nFloatStorage\n}b.", r"sets the state of 'torch\.FloatStorage'"),
    "BUILD on a function": (b"ctorch\ndevice\n(N}Vx\nNstb.", r"sets the state of 'torch\.device'"),
    "slot state on a dict": (b"ccollections\nOrderedDict\n(tR(N}V__class__\nNstb.", "sets the state of a dict"),
    "__setstate__ on a list": (b"(lp0\n}V__setstate__\nNsb.", "sets the state of a list"),
    "an item set on a class": (b"ctorch\nFloatStorage\nV__call__\nNs.", "sets an item of 'torch"),
    "an append to a class": (b"ctorch\nFloatStorage\nNa.", "appends to 'torch"),
    "INST": (b"(Vtrue\nios\nsystem\n.", "instruction INST"),
    "OBJ": (b"(cos\nsystem\nVtrue\no.", r"'os\.system'"),
    "EXT1": (b"\x82\x01.", "instruction EXT1"),
    "PERSID": (b"Pcommand\n.", "instruction PERSID"),
    "BINPERSID": (b"Vcommand\nQ.", "outside of it"),
    "NEXT_BUFFER": (b"\x97.", "instruction NEXT_BUFFER"),
    "protocol 200": (b"\x80\xc8N.", "protocol 200"),
    "a length of 4 exabytes": (b"\x8e" + struct.pack("<Q", 1 << 62) + b"abc.", "damaged: expected 46116860184273879"),
    "a text of 4 exabytes": (b"\x8d" + struct.pack("<Q", 1 << 62) + b"abc.", "damaged"),
    "a bytearray of 4 exabytes": (b"\x96" + struct.pack("<Q", 1 << 62) + b"abc.", "damaged"),
    "a negative length": (b"\x8b" + struct.pack("<i", -5) + b"abc.", "damaged"),
    "a number of a million digits": (b"I" + b"9" * 1_000_000 + b"\n.", "damaged"),
    "an unknown instruction": (b"\xff.", "damaged"),
    "no end": (b"N", "damaged: pickle exhausted"),
    "nothing": (b"", "damaged"),
    "no object": (b".", "nothing on the stack"),
    "a mark as an object": (b"(.", "nothing on the stack"),
    "no mark": (b"Nt.", "a mark is missing"),
    "a foreign memo": (b"h\x07.", "refers to object 7"),
    "an integer of 5,000 bytes": (b"\x8b" + struct.pack("<i", 5000) + b"\x7f" * 5000 + b".", "integer of 39,999 bits"),
    "a numpy type that is none": (b"cnumpy\ndtype\n(Vf1\ntR.", r"'numpy\.dtype' is given"),
    "bytes beyond latin-1": (b"c_codecs\nencode\n(V\\u0141\nVlatin1\ntR.", r"'_codecs\.encode' is given"),
    "two objects": (b"NN.", "more than one object"),
    "a tuple as a key": (b"})Ns.", "a tuple as a key"),
    "a list as a member": (b"\x8f(]\x90.", "a list as a key"),
    "a key without a value": (b"}(Nu.", "a key has no value"),
    "TensorFlow's network": (b"cdnnlib.tflib.network\nNetwork\n)\x81.", r"'dnnlib\.tflib\.network\.Network'"),
    "a numpy object array": (b"cnumpy\ndtype\n(VO8\ntR.", "'numpy.dtype' is given"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles_are_refused_by_name(name: str, tmp_path: Path) -> None:
    data, message = HOSTILE[name]
    path = tmp_path / "hostile.pkl"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(PickleRefused, match=message) as caught:
            read_tensor_file(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(str(path))
    assert MARKER not in os.environ
    assert peak < len(data) * 8 + 1_000_000  # declared lengths are never allocated


def test_python_itself_would_have_run_one_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a list of harmless bytes: the same pickle acts when Python reads it."""
    monkeypatch.setenv(MARKER, "")
    pickle.loads(HOSTILE["eval"][0])
    assert os.environ[MARKER] == "1"


def storage_pickle(n_items: int, data: bytes, *, kind: str = "FloatStorage") -> bytes:
    """Write a storage as torch's older format does, by hand."""
    identity = b"(Vstorage\nctorch\n%b\nVkey\nVcpu\nI%d\nNtQ." % (kind.encode(), n_items)
    head = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    return b"".join(head) + identity + pickle.dumps(["key"], 2) + struct.pack("<q", n_items) + data


def tensor_pickle(storage: bytes, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    """Write a plain pickle of one tensor in a dictionary, by hand."""
    nested = b"ctorch.storage\n_load_from_bytes\n(" + b"B" + struct.pack("<I", len(storage)) + storage + b"tR"
    sizes = b"".join(b"(" + b"".join(b"I%d\n" % n for n in values) + b"t" for values in (shape, stride))
    return b"}Vx\nctorch._utils\n_rebuild_tensor_v2\n(" + nested + b"I%d\n" % offset + sizes + b"I00\nNtRs."


def read_x(data: bytes, path: Path, *, max_bytes: int | None = None) -> torch.Tensor:
    path.write_bytes(data)
    content, n_bytes = read_tensor_file(path)
    return materialise(content, max_bytes=max_bytes or n_bytes)["x"]  # type: ignore[arg-type]


def test_a_tensor_written_by_hand_comes_through(tmp_path: Path) -> None:
    storage = storage_pickle(6, struct.pack("<6f", *range(6)))
    x = read_x(tensor_pickle(storage, 1, (2, 2), (1, 3)), tmp_path / "x.pkl")
    assert x.tolist() == [[1, 4], [2, 5]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (tensor_pickle(storage_pickle(1 << 40, b"abcd"), 0, (1 << 40,), (1,)), "declares 4,398,046,511,104 bytes"),
        (tensor_pickle(storage_pickle(-1, b""), 0, (1,), (1,)), "does not fit|declares"),
        (tensor_pickle(storage_pickle(2, b"x" * 8), 0, (3,), (1,)), "does not fit its storage of 2"),
        (tensor_pickle(storage_pickle(2, b"x" * 8), -1, (1,), (1,)), "does not fit"),
        (tensor_pickle(storage_pickle(2, b"x" * 8), 1, (2,), (-1,)), "does not fit"),
        (tensor_pickle(storage_pickle(2, b"x" * 8), 0, (1 << 40,), (0,)), "declare more than the file's"),
        (tensor_pickle(storage_pickle(2, b"x" * 8), 0, (1 << 62, 4), (0, 0)), "declare more than the file's"),
        (tensor_pickle(storage_pickle(2, b"x" * 8), 0, (0,), (1,)), "does not fit"),
        (tensor_pickle(storage_pickle(2, b"x" * 8), 0, (1,) * 9, (1,) * 9), "_rebuild_tensor_v2' is given"),
        (tensor_pickle(storage_pickle(2, b"x" * 8, kind="EvilStorage"), 0, (1,), (1,)), r"'torch\.EvilStorage'"),
        (tensor_pickle(b"N.", 0, (1,), (1,)), "_load_from_bytes' is given"),
        (tensor_pickle(pickle.dumps(Evil(os.system, "true")), 0, (1,), (1,)), "asks for"),
        (tensor_pickle(b"N0" * 600 + b"N.", 0, (1,), (1,)), "more than 1,000 instructions"),
    ],
)  # fmt: skip
def test_storages_and_tensors_that_lie_are_refused(data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(PickleRefused, match=message):
        read_x(data, tmp_path / "x.pkl")


def test_one_storage_named_many_times_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "many.pt"
    block = torch.zeros(1000)
    torch.save({f"t{i}": block for i in range(100)}, path)
    content, n_bytes = read_tensor_file(path)
    with pytest.raises(PickleRefused, match="declare more than the file's"):
        materialise(content, max_bytes=n_bytes)  # type: ignore[arg-type]


def test_a_program_of_millions_of_instructions_is_refused() -> None:
    with pytest.raises(PickleRefused, match="more than 1,000 instructions"):
        read_pickle(io.BytesIO(b"N0" * 1000 + b"N."), Vocabulary(), max_instructions=1000)


DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("container", ["pickle", "zip", "legacy"])
def test_torchs_own_files_come_through(dtype: torch.dtype, container: str, tmp_path: Path) -> None:
    whole = (torch.arange(24) % 7).to(dtype).reshape(4, 6)
    tensors = {"whole": whole, "window": whole[1:3, ::2].T, "scalar": torch.ones((), dtype=dtype)}
    path = tmp_path / "tensors"
    if container == "pickle":
        path.write_bytes(pickle.dumps(OrderedDict(tensors)))
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=container == "zip")
    content, _ = read_tensor_file(path)
    copies = materialise(content, max_bytes=10_000)  # type: ignore[arg-type]
    for name, tensor in tensors.items():
        assert copies[name].dtype == dtype
        assert torch.equal(copies[name], tensor)


def test_numpy_arrays_and_numbers_come_through(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    path = tmp_path / "array.pkl"
    path.write_bytes(pickle.dumps([array, np.float64(0.25), np.int32(-3)]))
    content, _ = read_tensor_file(path)
    assert isinstance(content, list)
    assert content[1:] == [0.25, -3]
    assert isinstance(content[0], InertArray)
    assert torch.equal(content[0].tensor().copy(), torch.from_numpy(array))


def rewritten(
    source: Path, target: Path, *, compress: bool = False, drop: str = "", byteorder: bytes = b"little"
) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.infolist():
            data = byteorder if member.filename.endswith("byteorder") else old.read(member)
            if not drop or drop not in member.filename:
                new.writestr(member.filename, data, zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED)
    return target


def test_zip_archives_that_are_not_torchs_are_refused(tmp_path: Path) -> None:
    good = tmp_path / "good.pt"
    torch.save({"x": torch.zeros(1000)}, good)
    for changes, message in (
        ({"compress": True}, "is compressed"),
        ({"drop": "data.pkl"}, "holds 0 files 'data.pkl'"),
        ({"drop": "data/0"}, "no data for 'data/0'"),
        ({"byteorder": b"big"}, "little-endian"),
    ):
        bad = rewritten(good, tmp_path / "bad.pt", **changes)  # type: ignore[arg-type]
        with pytest.raises(PickleRefused, match=message):
            read_x(bad.read_bytes(), tmp_path / "x.pt", max_bytes=10_000)
    data = good.read_bytes()
    with pytest.raises(PickleRefused, match="zip archive is damaged"):
        read_x(data[:1000], tmp_path / "x.pt")


def test_missing_and_oversized_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PickleRefused, match="weight file is missing"):
        read_tensor_file(tmp_path / "none.pkl")
    huge = tmp_path / "huge.pkl"
    with huge.open("wb") as file:
        file.truncate(5 << 30)  # sparse: takes no room
    with pytest.raises(PickleRefused, match="5,368,709,120 bytes, more than"):
        read_tensor_file(huge)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(max_size=300),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner)
    | st.frozensets(st.integers()) | st.sets(st.text()),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(PLAIN, st.sampled_from([3, 4, 5]))
def test_plain_data_are_read_as_python_reads_them(value: object, protocol: int) -> None:
    vocabulary = Vocabulary(
        called={"builtins.set": lambda a: set(a[0]), "builtins.frozenset": lambda a: frozenset(a[0])}
    )  # type: ignore[call-overload]
    assert read_pickle(io.BytesIO(pickle.dumps(value, protocol)), vocabulary) == value


VALID = pickle.dumps({"x": torch.arange(5.0), "y": [OrderedDict(a=np.float64(2)), {1, 2}, ("z", b"bytes")]}, 4)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_damage_gives_the_one_error_or_data(data: st.DataObject) -> None:
    damaged = bytearray(VALID)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    damaged = damaged[: data.draw(st.integers(1, len(damaged)))]
    from inversion.safe_files import _content

    try:
        content = _content(bytes(damaged), may_nest=True)
        if isinstance(content, dict) and isinstance(content.get("x"), InertTensor):
            materialise({"x": content["x"]}, max_bytes=len(VALID))
    except PickleRefused:
        pass


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.pkl"
    for end in range(len(VALID)):
        path.write_bytes(VALID[:end])
        with pytest.raises(PickleRefused):
            read_tensor_file(path)


def test_one_large_object_named_many_times_is_not_copied(tmp_path: Path) -> None:
    """A few bytes that hand a list of 4,096 numbers to `set` again and again must not fill the memory."""
    numbers = b"]q\x00(" + b"".join(b"M" + struct.pack("<H", 300 + i) for i in range(4096)) + b"e0"
    again = b"h\x01(h\x00tR"
    data = b"\x80\x02" + numbers + b"c__builtin__\nset\nq\x010" + b"(" + again * 20_000 + b"l."
    assert [len(found) for found in pickle.loads(data[: data.index(again)] + again * 2 + b"l.")] == [4096, 4096]
    path = tmp_path / "amplified.pkl"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        read_tensor_file(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < len(data) * 8 + 1_000_000
