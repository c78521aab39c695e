"""Sentences that keep a reader from believing too much: warnings the numbers call for, and standing limits."""

from __future__ import annotations

import pandas as pd

from pipeline.judged import splits
from pipeline.report import scores, summary
from pipeline.report.palette import chance_level, metric_name, model_name
from pipeline.report.slices_section import shortcut_sentence

MIN_GROUPS = 30  # below this a bootstrap over groups is itself unsteady
MIN_COVERAGE = 0.9
MAX_POOR_SHARE = 0.1
MAX_NAMED_MODELS = 3
MIN_METHOD_GROUPS = 5
MAX_NAMED_METHODS = 5

SAMPLE_NOTICE = (
    "Sample set: its real and its fake clips both show faces drawn by one generator, not people. It shows that the "
    "chain works; its scores say nothing about detecting forgeries of real people."
)

LIMITS = (
    "P(fake) is a statistical statement about material like the training material. It is no proof about a single clip.",
    "Manipulation methods, compression and cameras that are not in the table above are not covered by these figures.",
    "Intervals are 95 % bootstrap intervals over source groups. They cover the choice of footage, not of the data set.",
    "The best model was picked on the rows it is reported on: its figure is optimistic. Only new footage is fair.",
    "An inversion is the generator's nearest image, not the person: detail the generator cannot draw is lost, "
    "and a face unlike its training faces is drawn poorly, whether real or fake.",
    "Distances on a t-SNE or UMAP map between far-apart groups, and the size of a group, carry no meaning.",
    "Clusters collect faces that look alike to the network (pose, light, person, compression); a cluster of fakes need "
    "not mean that forgery is what it found.",
)


def _one_class(table: pd.DataFrame) -> str | None:
    labels = {int(v) for v in table["label"].dropna()}
    if not labels:
        return "No usable video has a label: nothing can be learned or measured, only mapped."
    if len(labels) == 1:
        only = "real" if labels == {0} else "fake"
        return f"All usable labelled videos are {only}: no classifier can be trained or judged on one class."
    return None


def material_warnings(videos: pd.DataFrame | None, faces: pd.DataFrame | None) -> list[str]:
    """Warnings about material and face coverage; a table that is missing (None) gives none."""
    out = []
    if videos is not None and not videos.empty:
        if videos["dataset"].eq("sample").any():
            out.append(SAMPLE_NOTICE)
        if sentence := _one_class(videos[videos["status"].eq("ok")]):
            out.append(sentence)
        n_bad = int(videos["status"].ne("ok").sum())
        if n_bad:
            out.append(f"{n_bad} of {len(videos)} catalogued files gave nothing; the reasons are listed.")
    if faces is not None and not faces.empty:
        found = summary.coverage(faces)
        if found.share is not None and found.share < MIN_COVERAGE:
            out.append(
                f"Face coverage is {found.share:.1%} ({found.n_ok} of {found.n_frames} sampled frames), below "
                f"{MIN_COVERAGE:.0%}: what follows speaks only for frames in which a face was found."
            )
    return out


def group_warnings(videos: pd.DataFrame | None) -> list[str]:
    """A warning where a manipulation method comes from a handful of source groups."""
    if videos is None or videos.empty:
        return []
    usable = videos[videos["status"].eq("ok") & videos["label"].eq(1) & videos["method"].notna()]
    n_groups = usable.groupby("method")["source_group"].nunique().sort_index()
    tiny = n_groups[n_groups < MIN_METHOD_GROUPS]
    if tiny.empty:
        return []
    named = ", ".join(f"{method} ({n})" for method, n in tiny.head(MAX_NAMED_METHODS).items())
    more = f" and {len(tiny) - MAX_NAMED_METHODS} more" if len(tiny) > MAX_NAMED_METHODS else ""
    return [
        f"Manipulation methods with fewer than {MIN_METHOD_GROUPS} source groups: {named}{more}. What is said of them "
        "rests on a handful of clips."
    ]


def leak_warnings(leaks: pd.DataFrame | None, splits_table: pd.DataFrame | None) -> list[str]:
    """Warnings about footage and people that stand in groups which the split did not keep together."""
    if leaks is None or splits_table is None or leaks.empty:
        return []
    dealt = splits_table.dropna(subset=["source_group", "unit"])
    unit = dict(zip(dealt["source_group"], dealt["unit"], strict=True))
    pairs = zip(leaks["first_group"], leaks["second_group"], strict=True)
    apart = leaks[[a in unit and b in unit and unit[a] != unit[b] for a, b in pairs]]
    footage, people = (apart[apart["kind"].eq(kind)] for kind in ("footage", "identity"))
    out = []
    if not footage.empty:
        worst = footage.nlargest(1, "similarity").iloc[0]
        out.append(
            f"Leak: {len(footage)} pairs of videos look like the same footage and were not kept on one side of the "
            f"split, such as {worst['first_file']} and {worst['second_file']}: scores may be too good."
        )
    if not people.empty:
        out.append(
            f"{people['identity'].nunique()} named people stand in groups that were not kept on one side of the split: "
            "scores say little about new people."
        )
    return out


def quality_warnings(wplus: pd.DataFrame | None) -> list[str]:
    """Warnings about inversions that failed or are poor."""
    if wplus is None or wplus.empty:
        return []
    n_bad = int(wplus["status"].ne("ok").sum())
    if n_bad <= MAX_POOR_SHARE * len(wplus):
        return []
    return [
        f"{n_bad} of {len(wplus)} inversions are poor or failed ({n_bad / len(wplus):.0%}): read W+ results with care."
    ]


def score_warnings(metrics: pd.DataFrame | None) -> list[str]:
    """Warnings about few groups and about intervals that include chance."""
    if metrics is None or metrics.empty:
        return []
    rows = scores.model_rows(metrics)
    rows = rows[rows["split"].isin(splits(rows)[:1])]
    if rows.empty:
        return []
    out = []
    n_groups = int(rows["n_groups"].max())
    if n_groups < MIN_GROUPS:
        out.append(
            f"Only {n_groups} independent source groups were judged: intervals are wide and themselves uncertain "
            f"below {MIN_GROUPS} groups."
        )
    out += [sentence for level in ("video", "frame") if (sentence := _chance_sentence(rows, level))][:1]
    out += [sentence for level in ("video", "frame") if (sentence := _reversed_sentence(rows, level))][:1]
    return out


def _reversed_sentence(rows: pd.DataFrame, level: str) -> str | None:
    """Models whose ROC-AUC lies below chance with its whole interval."""
    part = rows[rows["level"].eq(level) & rows["metric"].eq(scores.AUC)].dropna(subset=["ci_low", "ci_high"])
    below = part[part["ci_high"] < 0.5]
    if below.empty:
        return None
    named = ", ".join(f"{model_name(m)} on {s}" for s, m in zip(below["space"], below["model"], strict=True))
    return (
        f"Below chance at {level} level: {named}. Its low scores mark fakes; look for labels that are swapped, or for "
        "something that differs between the training and the judged groups, before trusting any of its answers."
    )


def _chance_sentence(rows: pd.DataFrame, level: str) -> str | None:
    chance = chance_level(scores.AUC)
    part = rows[rows["level"].eq(level) & rows["metric"].eq(scores.AUC)].dropna(subset=["ci_low", "ci_high"])
    if part.empty or chance is None:
        return None
    vague = part[(part["ci_low"] <= chance) & (part["ci_high"] >= chance)]
    if vague.empty:
        return None
    start = f"The {level}-level {metric_name(scores.AUC)} interval includes chance ({chance:g}) for "
    if len(vague) == len(part):
        return f"{start}every model: none is shown to tell real from fake."
    if len(vague) > MAX_NAMED_MODELS:
        return f"{start}{len(vague)} of {len(part)} models."
    return (
        start + ", ".join(f"{model_name(m)} on {s}" for s, m in zip(vague["space"], vague["model"], strict=True)) + "."
    )


def shortcut_warnings(shortcuts: pd.DataFrame | None) -> list[str]:
    """A warning where the label can be told without looking at the face."""
    if shortcuts is None or not shortcuts["flagged"].any():
        return []
    return [shortcut_sentence(shortcuts[shortcuts["flagged"]])]


def all_warnings(tables: dict[str, pd.DataFrame | None]) -> list[str]:
    """Every warning the tables call for, in the order of the pipeline."""
    return (
        material_warnings(tables.get("videos"), tables.get("faces"))
        + group_warnings(tables.get("videos"))
        + leak_warnings(tables.get("leaks"), tables.get("splits"))
        + quality_warnings(tables.get("wplus"))
        + score_warnings(tables.get("metrics"))
        + shortcut_warnings(tables.get("shortcuts"))
    )
