"""Reading an IR: a small graph written here, then the same graph damaged in every way that matters."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from inversion.openvino_ir import MAX_XML_BYTES, IrError, IrGraph, read_ir

WEIGHT = np.arange(6, dtype="<f4").reshape(2, 3)
BIAS = np.array([[0.5, -0.5]], dtype="<f4")
XML = """<?xml version="1.0"?>
<net name="n" version="11">
  <layers>
    <layer id="0" name="x" type="Parameter"><data shape="1, 3" element_type="f32"/></layer>
    <layer id="1" name="weight" type="Const"><data element_type="f32" shape="2, 3" offset="0" size="24"/></layer>
    <layer id="2" name="product" type="MatMul"/>
    <layer id="3" name="bias" type="Const"><data element_type="f32" shape="1, 2" offset="24" size="8"/></layer>
    <layer id="4" name="sum" type="Add"/>
    <layer id="5" name="out" type="Result"/>
  </layers>
  <edges>
    <edge from-layer="1" from-port="0" to-layer="2" to-port="1"/>
    <edge from-layer="0" from-port="0" to-layer="2" to-port="0"/>
    <edge from-layer="2" from-port="2" to-layer="4" to-port="0"/>
    <edge from-layer="3" from-port="0" to-layer="4" to-port="1"/>
    <edge from-layer="4" from-port="2" to-layer="5" to-port="0"/>
  </edges>
</net>
"""
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def files(xml: str | bytes = XML, blob: bytes = WEIGHT.tobytes() + BIAS.tobytes()) -> Path:
        path = tmp_path / "net.xml"
        path.write_bytes(xml.encode() if isinstance(xml, str) else xml)
        path.with_suffix(".bin").write_bytes(blob)
        return path

    return files


def graph_of(path: Path) -> IrGraph:
    return read_ir(path, expected_sha256=None)[0]


def test_constants_and_neighbours_are_found(write: Write) -> None:
    graph = graph_of(write())
    product = graph.find("MatMul")[0]
    assert product.inputs == (0, 1)  # by port, not by the order of the edges
    assert np.array_equal(graph.constant_input(product, (2, 3)), WEIGHT)
    assert graph.consumer(product, "Add").name == "sum"
    assert np.array_equal(graph.named_constant("bias", (1, 2)), BIAS)


def test_constants_are_copies(write: Write) -> None:
    graph = graph_of(write())
    graph.named_constant("bias", (1, 2))[:] = 9
    assert np.array_equal(graph.named_constant("bias", (1, 2)), BIAS)


def test_digests_are_of_the_bytes_and_are_checked(write: Write) -> None:
    path = write()
    names = (path.name, "net.bin")
    digests = {name: hashlib.sha256((path.parent / name).read_bytes()).hexdigest() for name in names}
    assert read_ir(path, expected_sha256=digests)[1] == digests
    path.with_suffix(".bin").write_bytes(b"\0" * 32)
    with pytest.raises(IrError, match=r"net\.bin: expected SHA-256 [0-9a-f]{64}, the file has [0-9a-f]{64}"):
        read_ir(path, expected_sha256=digests)
    with pytest.raises(IrError, match="expected SHA-256 no known digest"):
        read_ir(path, expected_sha256={})


@pytest.mark.parametrize("suffix", [".xml", ".bin"])
def test_a_missing_file_is_named(write: Write, suffix: str) -> None:
    path = write()
    path.with_suffix(suffix).unlink()
    with pytest.raises(IrError, match=rf"net\{suffix}: weight file is missing"):
        graph_of(path)


def test_an_oversized_file_is_not_read(write: Write) -> None:
    path = write()
    with path.open("r+b") as file:
        file.truncate(MAX_XML_BYTES + 1)
    with pytest.raises(IrError, match="is more than the"):
        graph_of(path)


def test_a_truncated_bin_is_told(write: Write) -> None:
    graph = graph_of(write(blob=WEIGHT.tobytes()))
    with pytest.raises(IrError, match=r"constant 3 \('bias'\) ends at byte 32, but the .bin file has only 24 bytes"):
        graph.named_constant("bias", (1, 2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('shape="1, 2"', 'shape="2, 1"'), r"should have shape \[1, 2\], has \[2, 1\]"),
        (('shape="1, 2"', 'shape="1, -2"'), r"should have shape \[1, 2\], has None"),
        (('size="8"', 'size="4"'), "should take 8 bytes, is said to take 4"),
        (('offset="24"', 'offset="-4"'), "should take 8 bytes"),
        (('offset="24"', 'offset="99999999999999999999999"'), "should take 8 bytes"),
        (('name="bias"', 'name="other"'), "expected one Const named 'bias', found 0"),
        (('name="weight"', 'name="bias"'), "expected one Const named 'bias', found 2"),
        (('element_type="f32" shape="1, 2"', 'element_type="f16" shape="1, 2"'), "should hold f32, holds f16"),
    ],
)
def test_a_constant_that_does_not_fit_is_refused(write: Write, change: tuple[str, str], message: str) -> None:
    graph = graph_of(write(XML.replace(*change)))
    with pytest.raises(IrError, match=message):
        graph.named_constant("bias", (1, 2))


def test_non_finite_weights_are_refused(write: Write) -> None:
    graph = graph_of(write(blob=WEIGHT.tobytes() + np.array([np.nan, 0], "<f4").tobytes()))
    with pytest.raises(IrError, match="holds NaN or infinity"):
        graph.named_constant("bias", (1, 2))


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        (XML[: len(XML) // 2], "not well-formed XML"),
        (b"", "not well-formed XML"),
        (b"\x80\x81\x82", "not well-formed XML"),
        ("<net/>", "not an OpenVINO IR"),
        ("<html><layers/><edges/></html>", "not an OpenVINO IR"),
        (XML.replace('id="4"', 'id="3"'), "layer id 3 is not a number, repeated"),
        (XML.replace('id="4"', 'id="four"'), "layer id four is not a number"),
        (XML.replace('from-layer="1"', 'from-layer="77"'), "does not join two layers"),
        (XML.replace('to-port="1"', ""), "does not join two layers"),
    ],
)
def test_a_broken_graph_is_refused(write: Write, xml: str | bytes, message: str) -> None:
    with pytest.raises(IrError, match=message):
        graph_of(write(xml))


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE net [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE net [<!ENTITY file SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE net SYSTEM "http://localhost/net.dtd">',
    ],
)
def test_entities_are_refused_before_they_are_read(write: Write, doctype: str) -> None:
    head, body = XML.split("\n", 1)
    with pytest.raises(IrError, match="document type declaration is not allowed"):
        graph_of(write(f"{head}\n{doctype}\n{body}"))


def test_a_graph_of_another_structure_is_told(write: Write) -> None:
    graph = graph_of(write())
    with pytest.raises(IrError, match="expected one Multiply after layer 2"):
        graph.consumer(graph.find("MatMul")[0], "Multiply")
    with pytest.raises(IrError, match="expected one Const into layer 5"):
        graph.constant_input(graph.find("Result")[0], (1,))
