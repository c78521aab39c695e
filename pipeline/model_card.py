"""What is said about a trained classifier: facts for ``model.json``, and ``CARD.md`` for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from classifiers.bootstrap import evaluate
from pipeline import tables
from pipeline.judged import own_answers
from pipeline.paths import Paths
from pipeline.weights_registry import REGISTRY

# Stored space -> the table whose metadata names the networks that made it.
_TABLE_OF = {
    "wplus": "wplus",
    "residual": "wplus",
    "efficientnet": "embeddings",
    "frequency": "embeddings",
    "pca": "codes",
    "vqvae": "codes",
}
# A model speaks for faces that are cut as those it was trained on.
CUT = ("detector", "crop", "margin", "size_px")
_METRICS = ("roc_auc", "balanced_accuracy", "log_loss")
_N_BOOT = 500
_PROTOCOLS = {
    "cv": "cross-validation by source group: each group was judged by models that never saw it; the model kept here "
    "was then trained on all groups",
    "holdout": "trained on the source groups of the train side, judged on those of val and test",
}


def facts(
    paths: Paths,
    rows: Sequence[Mapping[str, Any]],
    *,
    space: str,
    parts: Sequence[Mapping[str, Any]],
    protocol: str,
    balance: str,
    fingerprint: str,
    seed: int,
    start: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What is recorded with a model beside what it knows itself.

    Parameters
    ----------
    rows : the model's out-of-sample rows of ``predictions``.
    parts : per part of the space ``part, space, feature_id, n_dims``; a space of one part has its ``feature_id`` also
        at the top.
    start : card of the model that training began at; what it was trained on is in this one too.
    """
    single = {"feature_id": parts[0]["feature_id"]} if len(parts) == 1 else {}
    return single | {
        "space": space,
        "parts": [dict(part) for part in parts],
        "protocol": protocol,
        "balance": balance,
        "fingerprint": fingerprint,
        "networks": networks(paths, [part["space"] for part in parts]),
        "scores": scores(rows, seed=seed),
        **_origin(material(paths), start),
    }


def _origin(own: Mapping[str, Any], start: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the model comes from; the mark of the sample set is inherited, however often training began anew."""
    if start is None:
        return dict(own)
    before = start["metadata"]
    named = {name: before.get(name) for name in ("source", "fingerprint")} | {
        "trained_on_sample": bool(before.get("trained_on_sample")),
        "card_sha256": start.get("card_sha256"),
    }
    return {**own, "trained_on_sample": own["trained_on_sample"] or named["trained_on_sample"], "start": named}


def material(paths: Paths) -> dict[str, Any]:
    """What the faces come from: layout, whether it is the sample set (both classes are synthetic), how they are cut."""
    settings = tables.metadata(paths.table("faces")).get("params", {})
    source = settings.get("data", {}).get("source")
    return {"source": source, "trained_on_sample": source == "sample", "cut": cut_of(settings.get("faces", {}))}


def cut_of(faces: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that decide what a face shows, out of section ``faces``; the margin only where it is used."""
    return {name: faces[name] for name in CUT if name in faces and (name != "margin" or faces["crop"] == "margin")}


def networks(paths: Paths, spaces: Sequence[str]) -> list[dict[str, Any]]:
    """Networks behind the vectors, each with its licence; a file that the user brought has none on record."""
    used: dict[str, str] = {}
    for table in dict.fromkeys(_TABLE_OF[space] for space in spaces):
        used |= tables.metadata(paths.table(table)).get("weights", {})
    found = []
    for name, sha256 in sorted(used.items()):
        known = REGISTRY.get(name)
        licence = known.licence if known else "not on record: a file brought by the user"
        commercial = known.commercial_use if known else None
        found.append({"name": name, "sha256": sha256, "licence": licence, "commercial_use": commercial})
    return found


def scores(rows: Sequence[Mapping[str, Any]], *, seed: int) -> list[dict[str, Any]]:
    """Out-of-sample metrics per level and split, with group-bootstrap intervals, of rows of ``predictions``."""
    found = []
    for (level, split), part in pd.DataFrame(rows).groupby(["level", "split"], sort=True):
        y, groups = part["label"].to_numpy(dtype="int64"), part["source_group"].tolist()
        # Ranked by the model's own answer, as `metrics` is: calibration differs by fold and would mix the ranks.
        raw = own_answers(part)
        for metric in evaluate(y, part["p_fake"].to_numpy(), groups, score=raw, n_boot=_N_BOOT, seed=seed):
            if metric.metric in _METRICS:
                numbers = {n: _number(getattr(metric, n)) for n in ("value", "ci_low", "ci_high")}
                place = {"level": level, "split": split, "metric": metric.metric}
                found.append(place | numbers | {"n_items": metric.n_items, "n_groups": metric.n_groups})
    return found


def text(card: Mapping[str, Any]) -> str:
    """``CARD.md`` of a model from its ``model.json``: what it was trained on, how well it did, its limits."""
    facts, info = card["metadata"], card["info"]
    share = info.get("share_fake_train")
    lines = [
        f"# {card['name']} on {facts['space']}",
        "",
        "Gives P(fake) in [0, 1], 1 = fake, of one face. Written by latentforensics; `model.json` says the same to "
        "programs.",
        "",
    ]
    start = facts.get("start")
    if facts["trained_on_sample"]:
        own = facts["source"] == "sample"
        lines += [
            f"> **{'Trained on' if own else 'Begun at a model that was trained on'} the sample set, both of whose "
            "classes are synthetic. It says nothing about real forgeries"
            + (", and neither do the figures below.**" if own else " beyond what its own material taught it.**"),
            "",
        ]
    lines += [
        "## Trained on",
        "",
        f"- data: layout `{facts['source']}`, {info['n_train']} faces of {info['n_groups_train']} source groups"
        + (f", {100 * share:.0f} % of them fake" if share is not None else ""),
        *([f"- begun at a model of layout `{start['source']}`, fingerprint `{start['fingerprint']}`"] if start else []),
        f"- classes: {_balance(facts['balance'], info)}",
        f"- split: {_PROTOCOLS[facts['protocol']]}",
        *(
            f"- vectors of `{part['part']}`: {part['n_dims']} numbers made by `{part['feature_id']}`"
            for part in facts["parts"]
        ),
        f"- profile {card['profile']}, seed {card['seed']}, fingerprint of settings, code and inputs "
        f"`{facts['fingerprint']}`",
        f"- weights file SHA-256 `{card['weights_sha256']}`",
        "",
        "## Out of sample",
        "",
        *_score_lines(facts["scores"]),
        "",
        "All metrics stand in `reports/metrics.parquet` and the report of the run.",
        "",
        "## Licences of the networks behind the vectors",
        "",
        *[f"- {n['name']}: {n['licence']}" for n in facts["networks"]],
        *([] if facts["networks"] else ["- none: no network was used"]),
        "",
        "## Limits",
        "",
        "- It speaks about material like its training material: other methods, compressions and cameras are not "
        "covered.",
        "- It takes vectors of the makers named above alone and refuses others.",
        "- Intervals cover which source groups were measured, not a new training set.",
        "- P(fake) is evidence to be weighed by a person, not a verdict.",
    ]
    return "\n".join(lines) + "\n"


def _balance(balance: str, info: Mapping[str, Any]) -> str:
    if balance == "frames":
        return "as many real as fake frames were drawn for training"
    weighed = bool(info.get("balanced"))
    return "both weigh the same in training" if weighed else "in the shares they occur in; none was weighed up"


def _score_lines(found: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["| level | split | metric | value | 95 % interval | items | groups |", "|---|---|---|---|---|---|---|"]
    for s in found:
        value = "-" if s["value"] is None else f"{s['value']:.3f}"
        span = "-" if s["ci_low"] is None else f"{s['ci_low']:.3f} to {s['ci_high']:.3f}"
        lines.append(
            f"| {s['level']} | {s['split']} | {s['metric']} | {value} | {span} | {s['n_items']} | {s['n_groups']} |"
        )
    return lines


def _number(value: float) -> float | None:
    return None if value != value else float(value)
