"""What clusters of labelled face crops are about: forgery, people, or how the picture was made.

    uv run lf bench about --crops FOLDER --cache FOLDER --spaces pooled stages texture wplus

FOLDER and cache are those of `lf bench spaces`. Crops are clustered in the principal components of each space, by
HDBSCAN as the stage `cluster` does and by k-means, which leaves no noise. Of each clustering: the mutual information
with what is known of the crops (their labels and source groups, `original_width_px` where ``labels.csv`` has it, and
what can be measured on the picture) against the same shuffled by source group, the sentence that the report draws from
it, and its clusters. Tone is the skin-tone angle of the picture's middle, for crops come without landmarks.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from benchmarks import machine
from benchmarks.channels import N_CHANNELS
from benchmarks.spaces import MAKERS, Crops, read_labels, vectors
from embeddings.cluster_codes import nearest_clusters
from embeddings.clusters import hdbscan_clusters
from embeddings.reduce import fit_pca
from pipeline import about_rows, attributes
from pipeline.about_inputs import Attribute
from pipeline.about_verdict import attribute_name, verdict
from pipeline.ingest import quality, skin

MEASURED = {"face_width_px": "px", "blur": "", "brightness": "L*", "ita_deg": "°"}
METHODS = ("hdbscan", "kmeans")


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, cluster, print what the clusters are about."""
    parser = argparse.ArgumentParser(
        prog="lf bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--crops", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--spaces", nargs="+", default=["pooled", "stages", "texture", "wplus"], choices=list(MAKERS))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--pca-dims", type=int, default=50)
    parser.add_argument("--min-cluster-size", type=int, default=5)
    parser.add_argument("--k", type=int, default=20, help="clusters of k-means")
    parser.add_argument("--n-shuffles", type=int, default=999)
    parser.add_argument("--n-shown", type=int, default=8, help="clusters printed of each clustering, largest first")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    crops = read_labels(asked.crops)
    asked.cache.mkdir(parents=True, exist_ok=True)
    print(machine.facts())
    print(f"{len(crops.y)} crops, {len(set(crops.groups.tolist()))} source groups, {crops.y.mean():.1%} fake")
    facts = _facts(crops, asked.crops, asked.cache)
    for space in asked.spaces:
        X = vectors(space, crops, asked.cache)
        points = fit_pca(X, asked.pca_dims, seed=asked.seed).transform(X)
        for method in asked.methods:
            started_s = time.perf_counter()
            clustering_id, cluster, membership = _clustered(points, space, method, asked)
            _print(facts.assign(cluster=cluster, membership=membership), points, clustering_id, crops, asked)
            print(f"{time.perf_counter() - started_s:.0f} s", flush=True)


def _facts(crops: Crops, folder: Path, cache: Path) -> pd.DataFrame:
    """One row per crop, as `about_inputs.of_clustering` has them; measured once."""
    file = cache / "about.npy"
    if not file.is_file():
        rows = []
        for batch in crops.batches(None, "pictures"):
            for image in batch:
                side = image.shape[0]
                inner = skin.to_lab(image[side // 4 : -(side // 4), side // 4 : -(side // 4)]).reshape(-1, 3)
                light, _, yellow = np.median(inner, axis=0)
                tone = np.degrees(np.arctan2(light - 50, yellow)) if yellow > 0 else np.nan
                rows.append((quality.blur(image), skin.brightness(image), tone))
        np.save(file, np.array(rows, dtype=np.float64))
    blur, brightness, tone = np.load(file).T
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as stream:
        widths = [float(row.get("original_width_px") or "nan") for row in csv.DictReader(stream)]
    names = [f.name for f in crops.files]
    known: dict[str, Any] = {"face_id": names, "video_id": names, "source_group": crops.groups, "label": crops.y}
    known |= {"face_width_px": widths, "blur": blur, "brightness": brightness, "ita_deg": tone}
    return pd.DataFrame(known | dict.fromkeys(("method", "compression", "dataset", "identity")))


def _attributes(faces: pd.DataFrame) -> dict[str, Attribute]:
    found = {
        "label": Attribute(attributes.words(faces["label"].map({0: "real", 1: "fake"})), "source group"),
        "source_group": Attribute(attributes.words(faces["source_group"]), "video"),
    }
    cut = {name: attributes.in_thirds(faces[name], unit) for name, unit in MEASURED.items()}
    cut["tone of the middle"] = cut.pop("ita_deg")
    return found | {name: Attribute(values, "source group") for name, values in cut.items()}


def _clustered(
    points: NDArray[np.float32], space: str, method: str, asked: argparse.Namespace
) -> tuple[str, NDArray[np.int32], NDArray[np.float32]]:
    name = f"pca{points.shape[1]}"
    if method == "hdbscan":
        made = hdbscan_clusters(points, space=name, min_cluster_size=asked.min_cluster_size)
        return f"{space}-{made.clustering_id}", made.cluster, made.membership
    labels = KMeans(asked.k, n_init=3, random_state=asked.seed).fit_predict(points)
    return f"{space}-kmeans-{name}-k{asked.k}", labels.astype(np.int32), np.ones(len(labels), np.float32)


def _print(
    faces: pd.DataFrame, points: NDArray[np.float32], clustering_id: str, crops: Crops, asked: argparse.Namespace
) -> None:
    noise = float((faces["cluster"] < 0).mean())
    n_clusters = faces.loc[faces["cluster"] >= 0, "cluster"].nunique()
    print(f"\n{clustering_id}: {n_clusters} clusters, {noise:.1%} noise")
    rows = pd.DataFrame(
        about_rows.informed(clustering_id, faces, _attributes(faces), n_shuffles=asked.n_shuffles, seed=asked.seed)
    )
    print(verdict(rows))
    print(f"| {'attribute':22} | NMI | shuffled | told | p (Holm) | faces |\n|---|---|---|---|---|---|")
    for _, r in rows.sort_values("adjusted", ascending=False).iterrows():
        null = f"{r['null_mean']:.3f} [{r['null_low']:.3f}, {r['null_high']:.3f}]"
        print(
            f"| {attribute_name(r['attribute']):22} | {r['nmi']:.3f} | {null} | {r['told']:.3f} | {r['p_holm']:.3f} "
            f"| {r['n_faces']} |{' ' + r['reason'] if r['reason'] else ''}"
        )
    near = nearest_clusters(points, faces["cluster"])
    profiles = pd.DataFrame(about_rows.profile_rows(clustering_id, faces, near)).sort_values("n_faces", ascending=False)
    channels = _channels(faces, crops, clustering_id, asked)
    for _, p in profiles[profiles["cluster"] >= 0].head(asked.n_shown).iterrows():
        beside = ", ".join(f"{c} ({d:.1f})" for c, d in zip(p["nearest"], p["nearest_distance"], strict=True))
        print(
            f"  cluster {p['cluster']}: {p['n_faces']} crops of {p['n_groups']} groups, {p['share_fake']:.0%} fake "
            f"[{p['ci_low']:.0%}, {p['ci_high']:.0%}]; width {p['face_width_px']:.0f} px, sharpness {p['blur']:.0f}, "
            f"brightness {p['brightness']:.0f}, tone {p['ita_deg']:.0f}°; nearest {beside}; "
            f"channels {channels.get(p['cluster'], 'not known')}"
        )


def _channels(faces: pd.DataFrame, crops: Crops, clustering_id: str, asked: argparse.Namespace) -> dict[int, str]:
    """The three channels each cluster differs most in, where the codes are in the cache."""
    if not (asked.cache / "wplus.npy").is_file():
        return {}
    X = vectors("wplus", crops, asked.cache)
    codes = X.reshape(len(X), N_CHANNELS, -1)
    rows = about_rows.channel_rows(clustering_id, faces, codes, "encoder", n_shuffles=20, seed=asked.seed)
    out = {}
    for number, part in pd.DataFrame(rows).groupby("cluster"):
        top = part.sort_values("distance", ascending=False).head(3)
        cells = zip(top["channel"], top["distance"], top["null_mean"], strict=True)
        out[int(str(number))] = ", ".join(f"{c} ({d:.2f}, shuffled {n:.2f})" for c, d, n in cells)
    return out


if __name__ == "__main__":
    main()
