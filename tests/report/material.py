"""A small project folder with every table filled: random textures for faces, scores drawn with a seed."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline import tables
from pipeline.paths import Paths

INVERTER = "mobile-ridge-20"
CODEC = "pca-11-0a0b0c0d"
SPACE_MODELS = (("efficientnet", "logistic"), ("wplus", "rf"))
CLUSTERING = "efficientnet-hdbscan-pca50-mcs5-ms5"
MAP_2D, MAP_3D = "efficientnet-tsne2-perp30", "efficientnet-tsne3-perp30"
HOSTILE = "<script>alert('x')</script> $\\frac{1$ ![i](http://example.invalid/i.png) \u202e"
Rows = list[dict[str, Any]]


def texture(rng: np.random.Generator, *, size_px: int = 32) -> bytes:
    """PNG of random pixels."""
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (size_px, size_px, 3), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def write(root: Path, name: str, rows: Sequence[Mapping[str, Any]], **meta: Any) -> None:
    """Write one table of a project."""
    tables.write_rows(rows, Paths(root).table(name), name=name, meta={"fingerprint": f"print-of-{name}", **meta})


def rows_of(*, n_groups: int = 6, n_frames: int = 3, seed: int = 0) -> dict[str, Rows]:
    """Rows of every table the report and the dashboard read: per group one real and one fake video."""
    rng = np.random.default_rng(seed)
    names = ("videos", "faces", "wplus", "reconstructions", "codes", "decoded", "map", "clusters")
    out: dict[str, Rows] = {name: [] for name in names}
    for group in range(n_groups):
        for label, method in ((0, "real"), (1, HOSTILE)):
            video = f"v{group:02d}{label}"
            place = {"label": label, "method": method, "source_group": f"g{group:02d}"}
            out["videos"].append(
                {"video_id": video, "rel_path": f"{method} {group}.mp4", "dataset": "folder", "compression": "c23",
                 "duration_s": 2.0, "status": "ok", **place}
            )  # fmt: skip
            for frame in range(n_frames):
                _add_face(out, rng, f"f{group:02d}{label}{frame}", video, frame, place)
    out["videos"].append(
        {"video_id": "broken", "rel_path": HOSTILE, "dataset": "folder", "source_group": "none", "status": "unreadable",
         "reason": HOSTILE}
    )  # fmt: skip
    out["faces"].append(
        {"face_id": "none", "video_id": "v000", "frame_index": 99, "track_id": -1, "source_group": "g00",
         "status": "no_face", "reason": "no face found"}
    )  # fmt: skip
    out["overrides"] = []
    measured = {"importance": _importance(rng), "learning": learning(), "study": _study(), "effort": _effort()}
    of_clusters = cluster_trust(out["clusters"]) | _about(rng)
    return out | _scores(out, rng) | measured | _evidence(out) | of_clusters | map_quality()


def _add_face(
    out: dict[str, Rows], rng: np.random.Generator, face: str, video: str, frame: int, place: dict[str, Any]
) -> None:
    out["faces"].append(
        {"face_id": face, "video_id": video, "frame_index": frame, "track_id": 0, "image": texture(rng), "status": "ok",
         "blur": 100.0 * frame, "yaw_deg": float(rng.normal()), **place}
    )  # fmt: skip
    distance = float(rng.uniform(0.1, 0.6))
    out["wplus"].append(
        {"face_id": face, "inverter_id": INVERTER, "wplus": [0.0] * 4, "n_channels": 1, "steps_run": 20, "seed": 0,
         "lpips": distance, "mse_unit": distance / 2, "psnr_db": 30 - 20 * distance,
         "status": "poor" if distance > 0.5 else "ok", "reason": HOSTILE if distance > 0.5 else None}
    )  # fmt: skip
    out["reconstructions"].append({"face_id": face, "inverter_id": INVERTER, "image": texture(rng)})
    out["codes"].append(
        {"face_id": face, "codec_id": CODEC, "code": [0.0], "lpips": distance / 2, "mse_unit": 0.1, "psnr_db": None,
         "in_fit": True}
    )  # fmt: skip
    out["decoded"].append({"face_id": face, "codec_id": CODEC, "image": texture(rng)})
    x, y, z = (float(v) for v in rng.normal(size=3))
    out["map"].append({"face_id": face, "map_id": MAP_2D, "x": x, "y": y, "z": None})
    out["map"].append({"face_id": face, "map_id": MAP_3D, "x": x, "y": y, "z": z})
    cluster = int(rng.integers(-1, 3))
    out["clusters"].append(
        {"face_id": face, "clustering_id": CLUSTERING, "cluster": cluster, "membership": 0.5, "outlier_score": 0.1,
         "exemplar_rank": -1}
    )  # fmt: skip


def cluster_trust(clusters: Rows) -> dict[str, Rows]:
    """A tree with one node for each cluster below the root, and a grid of two settings of which one is in use."""
    n_nodes = 1 + max(row["cluster"] for row in clusters) + 1
    tree: Rows = [
        {"clustering_id": CLUSTERING, "parent": 0, "child": 1 + c, "density": 0.2 + 0.1 * c,
         "size": sum(row["cluster"] == c for row in clusters), "is_cluster": True, "selected": True, "cluster": c}
        for c in sorted({row["cluster"] for row in clusters} - {-1})
    ]  # fmt: skip
    tree += [
        {"clustering_id": CLUSTERING, "parent": 1 + row["cluster"], "child": n_nodes + i, "face_id": row["face_id"],
         "density": None if i == 0 else 0.1 + 0.01 * i, "size": 1, "is_cluster": False, "selected": False}
        for i, row in enumerate(clusters)
    ]  # fmt: skip
    spread = {f"{name}_{end}": value for name, low, high in (
        ("n_clusters", 2.0, 5.0), ("noise_share", 0.2, 0.4), ("stability", 0.1, 0.5), ("validity", -0.1, 0.3)
    ) for end, value in (("low", low), ("high", high))}  # fmt: skip
    grid = [
        {"clustering_id": f"efficientnet-hdbscan-pca50-mcs{size}-ms{size}", "space": "efficientnet",
         "min_cluster_size": size, "min_samples": size, "in_use": size == 5, "n_clusters": 3, "noise_share": 0.3,
         "stability": 0.3, "validity": 0.1, "n_faces": len(clusters), "n_groups": 6, "n_draws": 10, **spread}
        for size in (3, 5)
    ]  # fmt: skip
    return {"cluster_tree": tree, "cluster_grid": grid}


def map_quality() -> dict[str, Rows]:
    """What the 2-D map keeps, and a 3-D map of too few points to tell."""
    kept = {"trustworthiness": 0.912, "continuity": 0.934, "knn_recall": 0.456, "distance_spearman": 0.51}
    sizes = {"n_neighbors": 15, "n_queries": 12, "n_points": 12}
    few = {"n_neighbors": 0, "n_queries": 0, "n_points": 2, "reason": "only 2 points"}
    return {"map_quality": [{"map_id": MAP_2D, **kept, **sizes}, {"map_id": MAP_3D, **few}]}


def _scores(out: dict[str, Rows], rng: np.random.Generator) -> dict[str, Rows]:
    predictions: Rows = []
    metrics: Rows = [
        {"level": "frame", "space": "faces", "model": "detector", "split": "all", "metric": "coverage", "value": 0.97,
         "n_groups": 6, "n_items": 37}
    ]  # fmt: skip
    items = [("frame", r["face_id"], r) for r in out["faces"] if r["status"] == "ok"]
    items += [("video", r["video_id"], r) for r in out["videos"] if r["status"] == "ok"]
    for space, model in SPACE_MODELS:
        for level, key, row in items:
            p_fake = float(np.clip(0.5 + 0.3 * (row["label"] - 0.5) + rng.normal(0, 0.2), 0, 1))
            predictions.append(
                {"id": key, "level": level, "space": space, "model": model, "split": "cv", "label": row["label"],
                 "source_group": row["source_group"], "p_fake": p_fake, "uncertain": abs(p_fake - 0.5) < 0.1}
            )  # fmt: skip
    for level in ("frame", "video"):
        for space, model, auc in (
            ("efficientnet", "logistic", 0.8),
            ("wplus", "rf", 0.6),
            ("baseline", "majority", 0.5),
        ):
            for metric, value in (
                ("roc_auc", auc), ("accuracy", auc - 0.05), ("accuracy_over_majority", auc - 0.55), ("ece", 0.1),
                ("log_loss", 0.6), ("tp", 5.0),
            ):  # fmt: skip
                metrics.append(
                    {"level": level, "space": space, "model": model, "split": "cv", "metric": metric, "value": value,
                     "ci_low": value - 0.2, "ci_high": value + 0.1, "n_groups": 6, "n_items": 12}
                )  # fmt: skip
    return {"predictions": predictions, "metrics": metrics, "method_metrics": _by_method(), "comparisons": _compared()}


def _by_method() -> Rows:
    return [
        {"level": level, "space": space, "model": model, "split": "cv", "method": HOSTILE, "metric": metric,
         "value": 0.7, "ci_low": 0.5, "ci_high": 0.8, "n_groups": 6, "n_fakes": 6, "n_reals": 6}
        for level in ("frame", "video") for space, model in SPACE_MODELS for metric in ("roc_auc", "recall")
    ]  # fmt: skip


def _compared() -> Rows:
    (space_a, model_a), (space_b, model_b) = SPACE_MODELS
    return [
        {"level": level, "split": "cv", "space_a": space_a, "model_a": model_a, "space_b": space_b, "model_b": model_b,
         "metric": "roc_auc", "difference": -0.2, "ci_low": -0.4, "ci_high": 0.1, "p_value": 0.2, "method": method,
         "n_groups": 6, "n_items": 12}
        for level in ("frame", "video") for method in ("group bootstrap", "DeLong")
    ]  # fmt: skip


def _importance(rng: np.random.Generator) -> Rows:
    return [
        {"space": "wplus", "method": "rf-alone-balanced_accuracy", "channel": c, "value": 0.6, "ci_low": 0.55,
         "ci_high": 0.65, "null_value": float(rng.uniform(0.45, 0.7)), "n_repeats": 3}
        for c in range(4)
    ]  # fmt: skip


def learning(values: Sequence[float] = (0.55, 0.65, 0.78), gains: tuple[float, float] = (0.05, 0.21)) -> Rows:
    """Curves of one space over 5, 20 and 80 groups; ``gains``: ends of the last change's interval."""
    return [
        {"space": "efficientnet", "model": "logistic", "level": level, "metric": metric, "n_groups": n,
         "value": value, "ci_low": value - 0.1, "ci_high": value + 0.1, "sd_draws": 0.02,
         "gain": None if n == 5 else 0.13, "gain_low": None if n == 5 else gains[0],
         "gain_high": None if n == 5 else gains[1], "n_draws": 3, "n_train_items": 3.0 * n, "n_groups_measured": 40,
         "n_items_measured": 120}
        for level in ("frame", "video")
        for metric in ("roc_auc", "log_loss")
        for n, value in zip((5, 20, 80), values if metric == "roc_auc" else (0.72, 0.66, 0.58), strict=True)
    ]  # fmt: skip


def _study() -> Rows:
    return [
        {"projector_id": projector, "space": space, "perceptual": "stlpips-alex", "measure": measure, "value": value,
         "ci_low": value - 0.02, "ci_high": value + 0.03, "n_groups": 6, "n_faces": 36, "n_in_fit": n_in_fit}
        for projector, space, n_in_fit in ((INVERTER, "wplus", 0), (CODEC, "pca", 36))
        for measure, value in (("lpips", 0.3), ("mse_unit", 0.1))
    ]  # fmt: skip


def _effort() -> Rows:
    return [
        {"inverter_id": INVERTER, "step": step, "seconds_per_face": 0.1 + 0.2 * step, "lpips": 0.5 / (1 + step / 5),
         "ci_low": 0.4 / (1 + step / 5), "ci_high": 0.6 / (1 + step / 5), "mse_unit": 0.2, "n_groups": 6, "n_faces": 36,
         "n_left": step // 5}
        for step in (0, 5, 10, 20)
    ]  # fmt: skip


def _evidence(out: dict[str, Rows]) -> dict[str, Rows]:
    """Slices of which one is failed, a shortcut, and what is known of channels beyond their accuracy."""
    faces = [row["face_id"] for row in out["faces"] if row["status"] == "ok"]
    slices = [
        {"space": space, "model": model, "attribute": attribute, "slice": name, "measure": measure, "value": value,
         "ci_low": value - 0.1, "ci_high": value + 0.1, "rest": 0.2, "difference": value - 0.2,
         "diff_low": value - 0.3, "diff_high": value - 0.1, "p_value": p, "p_holm": p, "n_faces": 18, "n_groups": 6,
         "exemplars": faces[:3] if measure == "error_rate" else None}
        for space, model in SPACE_MODELS
        for attribute, name, value, p in (("skin_tone", "dark", 0.5, 0.01), ("blur", HOSTILE, 0.2, 0.9))
        for measure in ("error_rate", "balanced_accuracy")
    ]  # fmt: skip
    coverage = {"space": "faces", "model": "detector", "attribute": "method", "slice": HOSTILE, "measure": "coverage"}
    slices.append(coverage | {"value": 0.9, "n_faces": 36, "n_groups": 6})
    shortcuts = [
        {"feature": name, "roc_auc": auc, "ci_low": auc - 0.1, "ci_high": 1.0, "p_value": p, "p_holm": p,
         "flagged": p < 0.05, "n_videos": 12, "n_groups": 6}
        for name, auc, p in (("top left corner", 0.97, 0.001), ("length", 0.5, 1.0))
    ]  # fmt: skip
    method = "rf-permuted-roc_auc"
    parts = [
        {"space": "wplus", "method": method, "part": part, "channels": channels, "value": 0.1, "null_value": 0.0,
         "n_repeats": 3}
        for part, channels in (("coarse", [0, 1, 2]), ("middle", [3]))
    ]  # fmt: skip
    agreement = [{"kind": "seeds", "first": method, "second": method, "spearman": 0.4, "n_pairs": 3}]
    effects = [
        {"face_id": faces[0], "inverter_id": INVERTER, "channel": c, "mean_change": 0.1, "inner_share": 0.3,
         "change_map": np.linspace(0, 0.2, 64).tolist()}
        for c in range(4)
    ]  # fmt: skip
    return {"slices": slices, "shortcuts": shortcuts, "channel_groups": parts, "agreement": agreement,
            "channel_effects": effects}  # fmt: skip


def _about(rng: np.random.Generator) -> dict[str, Rows]:
    """Clusters about compression and not about forgery; of the second no face has a code."""
    place = {"clustering_id": CLUSTERING}
    shares = {"methods": [HOSTILE, "real"], "method_shares": [0.75, 0.25], "compressions": ["c23"],
              "compression_shares": [1.0], "datasets": [], "dataset_shares": []}  # fmt: skip
    profiles = [
        place | shares
        | {"cluster": c, "n_faces": 12, "n_videos": 6, "n_groups": 4, "n_labelled": 12, "share_fake": 0.5,
           "ci_low": 0.2, "ci_high": 0.8, "top_group_share": 0.5, "membership": 0.7,
           "nearest": [1 - c] if c >= 0 else [], "nearest_distance": [2.5] if c >= 0 else []}
        for c in (-1, 0, 1)
    ]  # fmt: skip
    information = [
        place
        | {"attribute": name, "nmi": value, "null_mean": 0.1, "null_low": 0.05, "null_high": 0.2, "told": value,
           "adjusted": (value - 0.1) / 0.9, "p_value": p, "p_holm": p, "is_about": p < 0.05, "unit": "source group",
           "n_units": 6, "n_values": 2, "n_faces": 24}
        for name, value, p in (("label", 0.1, 0.8), ("compression", 0.9, 0.01))
    ]  # fmt: skip
    unknown = {"is_about": False, "unit": "source group", "n_units": 6, "n_values": 0, "n_faces": 0}
    information.append(place | {"attribute": "skin_tone", "reason": "not known of any face in a cluster"} | unknown)
    channels = [
        place | {"cluster": 0, "channel": c, "inverter_id": INVERTER, "distance": 1.5 - 0.1 * c, "null_mean": 0.9,
                 "null_high": 1.1, "mean_code": [0.0] * 4, "n_coded": 12}
        for c in range(4)
    ]  # fmt: skip
    drawn = [("mean", 0, 0, 0, texture(rng)), ("mean", 1, 1, 0, None)]
    drawn += [("walk", 0, 1, step, texture(rng)) for step in range(3)]
    faces = [
        place | {"kind": kind, "cluster": c, "to_cluster": to, "step": step, "inverter_id": INVERTER, "image": image,
                 "reason": None if image else "none of its faces has a W+ code"}
        for kind, c, to, step, image in drawn
    ]  # fmt: skip
    return {"cluster_profiles": profiles, "cluster_information": information, "cluster_channels": channels,
            "cluster_faces": faces}  # fmt: skip


def fill(root: Path, *, without: Sequence[str] = (), empty: Sequence[str] = (), **options: Any) -> dict[str, Rows]:
    """Fill a project folder; tables in ``without`` are left out, those in ``empty`` get no rows."""
    rows = rows_of(**options)
    for name, table in rows.items():
        if name not in without:
            meta = {"perceptual": "stlpips-alex"} if name == "wplus" else {}
            write(root, name, [] if name in empty else table, **meta)
    return rows
