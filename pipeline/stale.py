"""Tables that were made with other settings than ``params.yaml`` has now, and those made from them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.history import flat
from pipeline.params import Params, StageParams
from pipeline.paths import Paths
from pipeline.schemas import TABLES


@dataclass(frozen=True)
class Stale:
    """A table that a new run would change.

    Attributes
    ----------
    changes : (setting, value at the time, value now).
    made_from : tables that are stale and went into it.
    """

    table: str
    changes: tuple[tuple[str, Any, Any], ...] = ()
    made_from: tuple[str, ...] = ()


def stale(
    params: Params,
    recorded: Mapping[str, Mapping[str, Any]],
    made_from: Mapping[str, Collection[str]],
    judges: Collection[tuple[str, str]],
) -> list[Stale]:
    """Stale tables, in the order of `schemas.TABLES`.

    Parameters
    ----------
    recorded : what the writer of each table noted, as `pipeline.report.load.recorded` gives it.
    made_from : table -> tables its stage reads, as `inputs` gives it.
    judges : (space, model) in ``predictions``; which ones are asked for is no part of what that table notes.
    """
    own = {name: tuple(_changes(params, meta)) for name, meta in recorded.items()}
    if "predictions" in own:
        own["predictions"] += tuple(_pieces(params, recorded["predictions"], judges))
    found = {name for name, changes in own.items() if changes}
    while more := {n for n in recorded if n not in found and found & set(made_from.get(n, ()))}:
        found |= more
    return [
        Stale(name, own[name], tuple(sorted(found & set(made_from.get(name, ()))))) for name in TABLES if name in found
    ]


def _changes(params: Params, meta: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    then = meta.get("params")
    if not isinstance(then, dict):
        return
    try:
        here = StageParams(params, tuple(then)).as_dict()
    except KeyError:  # a section that this version does not have
        return
    before, now = dict(flat(then)), dict(flat(here))
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            yield name, before.get(name), now.get(name)


def _pieces(
    params: Params, meta: Mapping[str, Any], judges: Collection[tuple[str, str]]
) -> Iterator[tuple[str, Any, Any]]:
    left_out = {tuple(row[:2]) for row in meta.get("not_trained") or ()}
    asked = {(str(s), str(m)) for s in params.train.spaces or params.spaces for m in params.train.models} - left_out
    there = {*judges} - left_out
    if there and asked != there:
        yield "trained models", _named(there - asked), _named(asked - there)


def _named(pairs: set[tuple[str, str]]) -> str | None:
    return ", ".join(f"{space}-{model}" for space, model in sorted(pairs)) or None


def inputs(root: Path) -> dict[str, set[str]]:
    """Table -> tables its stage reads, from the project's ``dvc.yaml``; empty where that cannot be read."""
    try:
        told = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))
        stages = list(told["stages"].values())
        name_of = {Paths().table(name).as_posix(): name for name in TABLES}
        out: dict[str, set[str]] = {}
        for stage in stages:
            reads = {name_of[d] for d in stage.get("deps", []) if d in name_of}
            out |= {name_of[o]: reads for o in stage.get("outs", []) if isinstance(o, str) and o in name_of}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return {}
    return out
