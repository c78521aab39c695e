"""Read the constants of an OpenVINO IR (version 10 or 11) without OpenVINO.

An IR is a graph in XML beside one flat file of constants. Both are data: nothing in them is run. Either may be hostile
or cut short, so every offset, size, shape and reference is checked before use, and a document type declaration (the
door to entity expansion and to reading other files) is refused.

Format: https://docs.openvino.ai/2024/documentation/openvino-ir-format.html
"""

import hashlib
import math
import xml.parsers.expat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder

import numpy as np
import numpy.typing as npt

#: More than ten times what the networks read here need; keeps a hostile file from filling the memory.
MAX_XML_BYTES = 16 * 1024**2
MAX_BIN_BYTES = 1024**3

_FLOAT32 = np.dtype("<f4")


class IrError(ValueError):
    """An IR that is missing, changed, damaged or not of the expected structure."""


@dataclass(frozen=True)
class IrLayer:
    """One node: ``inputs`` are the ids of the layers it reads, ordered by input port."""

    layer_id: int
    kind: str
    name: str
    inputs: tuple[int, ...]
    attributes: Mapping[str, str] = field(repr=False)


class IrGraph:
    """The layers of one IR and its constants.

    Parameters
    ----------
    layers
        All layers in the file's order (topological, as OpenVINO writes it).
    blob
        The constants' bytes.
    source
        Named in error messages.
    """

    def __init__(self, layers: list[IrLayer], blob: bytes, source: str) -> None:
        self._layers = {layer.layer_id: layer for layer in layers}
        self._blob = blob
        self._source = source
        self._consumers: dict[int, list[IrLayer]] = {}
        for layer in layers:
            for producer in layer.inputs:
                self._consumers.setdefault(producer, []).append(layer)

    def fail(self, problem: str) -> NoReturn:
        """Raise :class:`IrError` with the file's name in front."""
        raise IrError(f"{self._source}: {problem}")

    def find(self, kind: str, name: str | None = None) -> list[IrLayer]:
        """Give all layers of one kind (and name, if one is told), in the file's order."""
        return [layer for layer in self._layers.values() if layer.kind == kind and name in (None, layer.name)]

    def named(self, kind: str, name: str) -> IrLayer:
        """Give the single layer of ``kind`` called ``name``."""
        found = self.find(kind, name)
        if len(found) != 1:
            self.fail(f"expected one {kind} named '{name}', found {len(found)}")
        return found[0]

    def named_constant(self, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """Give the ``float32`` constant called ``name``; it must exist once and have ``shape``."""
        return self.constant(self.named("Const", name), shape)

    def consumer(self, layer: IrLayer, kind: str) -> IrLayer:
        """Give the single layer of ``kind`` that reads ``layer``."""
        found = [reader for reader in self._consumers.get(layer.layer_id, []) if reader.kind == kind]
        if len(found) != 1:
            self.fail(f"expected one {kind} after layer {layer.layer_id} ('{layer.name}'), found {len(found)}")
        return found[0]

    def input_of(self, layer: IrLayer, kind: str) -> IrLayer:
        """Give the single layer of ``kind`` that ``layer`` reads."""
        found = [self._layers[i] for i in layer.inputs if self._layers[i].kind == kind]
        if len(found) != 1:
            self.fail(f"expected one {kind} into layer {layer.layer_id} ('{layer.name}'), found {len(found)}")
        return found[0]

    def constant_input(self, layer: IrLayer, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """Give the one ``float32`` constant that ``layer`` reads; it must have ``shape``."""
        return self.constant(self.input_of(layer, "Const"), shape)

    def constant(self, layer: IrLayer, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """Copy a ``float32`` constant out of the blob after checking its type, shape, offset and size."""
        told = layer.attributes
        label = f"constant {layer.layer_id} ('{layer.name}')"
        if told.get("element_type") != "f32":
            self.fail(f"{label} should hold f32, holds {told.get('element_type')}")
        actual = _shape_of(told.get("shape", ""))
        if actual != shape:
            self.fail(f"{label} should have shape {list(shape)}, has {None if actual is None else list(actual)}")
        offset, size = _whole(told.get("offset")), _whole(told.get("size"))
        n_items = math.prod(shape)
        n_bytes = n_items * _FLOAT32.itemsize
        if offset is None or size != n_bytes:
            self.fail(f"{label} should take {n_bytes} bytes, is said to take {told.get('size')}")
        if offset + size > len(self._blob):
            self.fail(f"{label} ends at byte {offset + size}, but the .bin file has only {len(self._blob)} bytes")
        values = np.frombuffer(self._blob, _FLOAT32, n_items, offset).reshape(shape).astype(np.float32)
        if not np.isfinite(values).all():
            self.fail(f"{label} holds NaN or infinity")
        return values


def read_ir(xml_path: Path, *, expected_sha256: Mapping[str, str] | None) -> tuple[IrGraph, dict[str, str]]:
    """Read ``<name>.xml`` and the ``<name>.bin`` beside it.

    Parameters
    ----------
    xml_path
        The graph's file.
    expected_sha256
        File name to hex digest for both files. ``None`` skips the check (for another trained copy of the same network).

    Returns
    -------
    graph
        Layers and constants.
    sha256
        File name to hex digest of the bytes that were read.

    Raises
    ------
    IrError
        If a file is missing, too large, differs from its digest, or is not a well-formed IR.
    """
    contents: dict[str, bytes] = {}
    digests: dict[str, str] = {}
    for path, limit in ((xml_path, MAX_XML_BYTES), (xml_path.with_suffix(".bin"), MAX_BIN_BYTES)):
        contents[path.suffix] = _read_bytes(path, limit)
        digests[path.name] = hashlib.sha256(contents[path.suffix]).hexdigest()
        if expected_sha256 is not None and digests[path.name] != expected_sha256.get(path.name):
            wanted = expected_sha256.get(path.name, "no known digest")
            raise IrError(f"{path}: expected SHA-256 {wanted}, the file has {digests[path.name]}")
    root = _parse_xml(contents[xml_path.suffix], str(xml_path))
    return IrGraph(_layers_of(root, str(xml_path)), contents[".bin"], str(xml_path)), digests


def _read_bytes(path: Path, limit: int) -> bytes:
    if not path.is_file():
        raise IrError(f"{path}: weight file is missing")
    size = path.stat().st_size
    if size > limit:
        raise IrError(f"{path}: {size} bytes is more than the {limit} that a weight file of this kind may have")
    return path.read_bytes()


def _parse_xml(content: bytes, source: str) -> Element:
    def refuse_doctype(*_: object) -> None:
        raise IrError(f"{source}: a document type declaration is not allowed in an IR")

    builder = TreeBuilder()
    parser = xml.parsers.expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse_doctype
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    try:
        parser.Parse(content, True)
    except xml.parsers.expat.ExpatError as error:
        raise IrError(f"{source}: not well-formed XML ({error})") from error
    return builder.close()


def _layers_of(root: Element, source: str) -> list[IrLayer]:
    layer_list, edge_list = root.find("layers"), root.find("edges")
    if root.tag != "net" or layer_list is None or edge_list is None:
        raise IrError(f"{source}: not an OpenVINO IR (expected <net> with <layers> and <edges>)")
    known: set[int] = set()
    for element in layer_list:
        layer_id = _whole(element.get("id"))
        if layer_id is None or layer_id in known or not element.get("type"):
            raise IrError(f"{source}: layer id {element.get('id')} is not a number, repeated or without a type")
        known.add(layer_id)
    sources: dict[int, list[tuple[int, int]]] = {}
    for edge in edge_list:
        start, end, port = (_whole(edge.get(key)) for key in ("from-layer", "to-layer", "to-port"))
        if start is None or end is None or port is None or start not in known or end not in known:
            raise IrError(f"{source}: edge {dict(edge.attrib)} does not join two layers of the file")
        sources.setdefault(end, []).append((port, start))
    layers = []
    for element in layer_list:
        layer_id, data = int(element.get("id", "")), element.find("data")
        inputs = tuple(start for _, start in sorted(sources.get(layer_id, [])))
        attributes = {} if data is None else dict(data.attrib)
        layers.append(IrLayer(layer_id, element.get("type", ""), element.get("name", ""), inputs, attributes))
    return layers


def _whole(text: str | None) -> int | None:
    """Read a non-negative decimal number; ``None`` for anything else."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 19 else None


def _shape_of(text: str) -> tuple[int, ...] | None:
    sizes = [_whole(part.strip()) for part in text.split(",")] if text.strip() else []
    return None if any(size is None for size in sizes) else tuple(size for size in sizes if size is not None)
