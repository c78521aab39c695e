"""Tables that were made with other settings than ``params.yaml`` has now, and those made from them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pipeline.history import LOADER, flat, hashes
from pipeline.params import Params, StageParams
from pipeline.paths import Paths
from pipeline.schemas import TABLES


@dataclass(frozen=True)
class Stale:
    """A table that a new run would change.

    Attributes
    ----------
    changes : (setting, value at the time, value now).
    made_from : tables that went into it and are stale, or were made anew since.
    """

    table: str
    changes: tuple[tuple[str, Any, Any], ...] = ()
    made_from: tuple[str, ...] = ()


def stale(
    params: Params,
    recorded: Mapping[str, Mapping[str, Any]],
    order: Order,
    judges: Collection[tuple[str, str]],
) -> list[Stale]:
    """Stale tables, in the order of `schemas.TABLES`.

    Parameters
    ----------
    recorded : what the writer of each table noted, as `pipeline.report.load.recorded` gives it.
    judges : (space, model) in ``predictions``; which ones are asked for is no part of what that table notes.
    """
    own = {name: tuple(_changes(params, meta)) for name, meta in recorded.items()}
    if "predictions" in own:
        own["predictions"] += tuple(_pieces(params, recorded["predictions"], judges))
    found = {name for name, changes in own.items() if changes or order.behind.get(name)}
    while more := {n for n in recorded if n not in found and found & set(order.made_from.get(n, ()))}:
        found |= more
    return [Stale(n, own[n], tuple(sorted(_older(n, order, found)))) for n in TABLES if n in found]


def _older(name: str, order: Order, found: set[str]) -> set[str]:
    """Tables whose next, or present, version the table was not made from."""
    return (found & set(order.made_from.get(name, ()))) | set(order.behind.get(name, ()))


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


@dataclass(frozen=True)
class Order:
    """What is made from what.

    Attributes
    ----------
    made_from : table -> tables its stage reads.
    behind : table -> those of them that were made anew since.
    """

    made_from: Mapping[str, Collection[str]] = field(default_factory=dict)
    behind: Mapping[str, Collection[str]] = field(default_factory=dict)


def order(root: Path) -> Order:
    """As the project's ``dvc.lock`` has it, which names what each stage read and made; empty where it is unreadable."""
    name_of = {Paths().table(name).as_posix(): name for name in TABLES}
    try:
        told = yaml.load((root / "dvc.lock").read_text(encoding="utf-8"), Loader=LOADER)
        notes = [(hashes(stage.get("deps")), hashes(stage.get("outs"))) for stage in told["stages"].values()]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return Order()
    newest = {path: md5 for _, outs in notes for path, md5 in outs.items()}
    made_from: dict[str, set[str]] = {}
    behind: dict[str, set[str]] = {}
    for deps, outs in notes:
        for table in (name_of[path] for path in outs if path in name_of):
            made_from[table] = {name_of[path] for path in deps if path in name_of}
            behind[table] = {name_of[p] for p, md5 in deps.items() if p in name_of and newest.get(p, md5) != md5}
    return Order(made_from, behind)
