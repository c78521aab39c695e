"""Colours, lasso and the block of bytes behind the map: arrays in, arrays out."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.path import Path as Outline

from dashboard import colouring, point_map
from dashboard.lasso import Lasso, enclosed
from pipeline.report.palette import FAKE, NOISE, REAL, SYMBOLS, category_style

EYE = np.eye(4).T.ravel().tolist()


def named(look: colouring.Colouring) -> dict[str, tuple[str, int]]:
    return {e.name: (e.colour, e.count) for e in look.legend}


def test_labels_and_noise_keep_their_colours() -> None:
    labels = pd.DataFrame({"label": pd.Categorical(["fake", "real", "fake"])})
    assert named(colouring.colouring(labels, "label")) == {"fake": (FAKE, 2), "real": (REAL, 1)}
    clusters = pd.DataFrame({"cluster": pd.array([2, -1, None, 2], dtype="Int32")})
    look = colouring.colouring(clusters, "cluster")
    assert named(look) == {"noise": (NOISE, 1), "2": (category_style(2)[0], 2), "unknown": (NOISE, 1)}
    assert [look.legend[c].name for c in look.codes] == ["2", "noise", "unknown", "2"]
    assert [look.palette[e.code] for e in look.legend] == [(e.colour, e.symbol) for e in look.legend]


def test_rare_categories_share_one_entry_and_late_ones_another_symbol() -> None:
    groups = pd.DataFrame({"source_group": [f"g{i % 61:02d}" for i in range(90)]})  # g00 to g28 twice
    look = colouring.colouring(groups, "source_group")
    assert len(look.legend) == colouring.MAX_LEGEND + 1
    assert (look.legend[-1].name, look.legend[-1].count) == ("16 others", 16)
    assert sum(e.count for e in look.legend) == 90
    assert SYMBOLS[look.legend[9].symbol] == "diamond"  # hues are used up
    assert look.legend[9].colour == look.legend[0].colour


def test_a_scale_spans_its_percentiles_and_marks_what_is_empty() -> None:
    values = pd.DataFrame({"blur": [*np.linspace(0, 100, 101), np.nan, np.inf], "p_fake": 0.5, "yaw_deg": 3.0})
    look = colouring.colouring(values, "blur")
    assert look.scale == (1.0, 99.0)
    assert look.codes[[0, 100]].tolist() == [0, colouring.N_STEPS - 1]
    assert np.diff(look.codes[:101].astype(int)).min() >= 0
    assert [(e.name, e.count) for e in look.legend] == [("unknown", 2)]
    assert look.codes[-1] == look.legend[0].code
    assert colouring.colouring(values, "p_fake").scale == (0.0, 1.0)
    assert np.ptp(colouring.colouring(values, "yaw_deg").codes) == 0  # a constant column divides by nothing


def test_a_lasso_takes_what_another_implementation_takes() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(-2, 2, (4000, 2)).astype(np.float32)
    angle = np.sort(rng.uniform(0, 2 * np.pi, 40))
    corners = np.stack([np.cos(angle), np.sin(angle)], axis=1) * rng.uniform(0.2, 0.9, (40, 1))
    shrunk = np.diag([0.5, 0.5, 1, 1]).ravel().tolist()
    lasso = Lasso.read({"corners": corners.tolist(), "matrix": shrunk})
    assert lasso is not None
    inside = enclosed(points, lasso)
    assert np.array_equal(inside, Outline(corners).contains_points(points / 2))
    assert 200 < inside.sum() < 2000


def test_a_lasso_in_space_follows_the_perspective_and_leaves_out_what_is_behind_the_eye() -> None:
    # w = z: the eye stands at the origin and looks along z, so (x, y, z) is seen at (x / z, y / z).
    look_along_z = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0]], dtype=float).T.ravel().tolist()
    square = [[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]
    lasso = Lasso.read({"corners": square, "matrix": look_along_z})
    assert lasso is not None
    points = np.array([[1, 0, 1], [1, 0, 4], [0, 0, -1], [0, 0, 0]], dtype=np.float32)
    assert enclosed(points, lasso).tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    "sent",
    [
        None, "x", [], {}, {"corners": [[0, 0]], "matrix": EYE}, {"corners": [[0, 0, 0]] * 4, "matrix": EYE},
        {"corners": [[0, 0], [1, 0], [0, float("nan")]], "matrix": EYE}, {"corners": "abc", "matrix": EYE},
        {"corners": [[0, 0], [1, 0], [0, 1]], "matrix": EYE[:9]}, {"corners": [[0, 0], [1], [0, 1]], "matrix": EYE},
        {"corners": [[0, 0]] * 2000, "matrix": EYE},
    ],
)  # fmt: skip
def test_what_is_no_lasso_is_none(sent: Any) -> None:
    assert Lasso.read(sent) is None


@pytest.mark.parametrize("dims", [2, 3])
def test_the_block_holds_what_was_put_in_where_the_script_looks_for_it(dims: int) -> None:
    rng = np.random.default_rng(0)
    xyz = rng.normal(size=(7, dims)).astype(np.float32)
    points = pd.DataFrame({"method": [f"ü{i}" for i in range(7)]})
    look = colouring.colouring(points, "method")
    outside = np.arange(7) > 4
    flags = point_map.flags(7, outside=outside, marked=np.array([0, 6]))
    block = point_map.pack(xyz, look, flags, {"version": "v", "title": "method"})
    length = int(np.frombuffer(block, "<u4", 1)[0])
    head = json.loads(block[4 : 4 + length])
    assert (head["n"], head["dims"], head["version"], length % 4) == (7, dims, "v", 0)
    at = 4 + length
    assert np.array_equal(np.frombuffer(block, "<f4", 7 * dims, at).reshape(7, dims), xyz)
    at += 28 * dims
    assert np.array_equal(np.frombuffer(block, np.uint8, 7, at), look.codes)
    assert np.frombuffer(block, np.uint8, 7, at + 7).tolist() == [2, 0, 0, 0, 0, 1, 3]
    assert len(block) == at + 14
    assert np.allclose(head["low"], xyz.min(axis=0))
    with pytest.raises(ValueError, match="flags of 7 points, got 7 and 3"):
        point_map.pack(xyz, look, flags[:3], {})


def test_the_script_knows_the_same_flags_and_steps() -> None:
    script = (point_map._ASSETS / "point_map.js").read_text(encoding="utf-8")
    assert f"PALE = {point_map.PALE}, MARKED = {point_map.MARKED}, HIDDEN = {point_map.HIDDEN};" in script
    assert f"STEPS_OF_SCALE = {colouring.N_STEPS};" in script
    for word in ("http://", "https://", "fetch(", "eval("):  # nothing is loaded, save for the names of XML
        assert word not in script.replace("http://www.w3.org/2000/svg", "")
