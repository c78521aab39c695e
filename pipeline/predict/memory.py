"""The training faces behind a model, as far as the project still has them: vectors, labels, clusters, images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline import spaces as space_names
from pipeline.errors import UserError
from pipeline.paths import Paths
from pipeline.predict.neighbours import Training, metric_of, training
from pipeline.predict.result import Neighbour
from pipeline.report import summary
from pipeline.report.load import read_images, read_light
from pipeline.report.palette import label_name


@dataclass(frozen=True, eq=False)
class Memory:
    """Training faces to compare with; `why_not` says why there are none."""

    known: Training | None
    faces: pd.DataFrame
    why_not: str = ""
    why_no_clusters: str = ""

    @property
    def metric(self) -> str | None:
        """How distances are measured."""
        return self.known.metric if self.known else None

    def distances(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Distance of each vector [n, d] to the nearest training face, float64 [n]; NaN where there are none."""
        if self.known is None:
            return np.full(len(vectors), np.nan)
        return self.known.nearest(vectors, k=1)[1][:, 0]

    def is_far(self, distance: float) -> bool:
        """Whether training faces of different groups hardly ever lie so far apart."""
        return self.known is not None and distance > self.known.far

    def neighbours(self, vector: NDArray[np.float32], *, k: int) -> list[Neighbour]:
        """Nearest training faces of one vector [d]."""
        if self.known is None:
            return []
        rows, distances = self.known.nearest(vector[None], k=k)
        return [
            Neighbour(
                face_id=str(face.face_id),
                label=label_name(face.label),
                distance=float(distance),
                cluster=None if pd.isna(face.cluster) else int(face.cluster),
            )
            for face, distance in zip(self.faces.iloc[rows[0]].itertuples(), distances[0], strict=True)
        ]


def remember(paths: Paths, *, space: str, feature_id: str, seed: int) -> Memory:
    """Load the training faces of a space; none where tables are missing or hold vectors of another maker."""
    # Imported where it is used: what reads vectors is a stage's, and `lf --help` must not wait for it.
    from pipeline.stages import features
    from pipeline.stages.residuals import read_residuals

    nothing = pd.DataFrame()
    try:
        found = features.labelled(features.load(paths, space, worked_out={"residual": read_residuals}), paths)
    except UserError as error:
        return Memory(None, nothing, str(error))
    if not len(found.vectors):
        return Memory(None, nothing, f"the project holds no labelled training faces in the space '{space}'")
    if found.feature_id != feature_id:
        return Memory(None, nothing, f"the project's vectors were made by '{found.feature_id}', not '{feature_id}'")
    faces, why = _with_clusters(paths, found.faces, space)
    groups = found.faces["source_group"].to_numpy(dtype=object)
    known = training(found.vectors, groups, metric=metric_of(space_names.bases(space)), seed=seed, blocks=found.blocks)
    return Memory(known, faces, "", why)


def _with_clusters(paths: Paths, faces: pd.DataFrame, space: str) -> tuple[pd.DataFrame, str]:
    try:
        clusters = read_light(paths.table("clusters"), "clusters", ["face_id", "clustering_id", "cluster"])
    except UserError as error:
        return faces.assign(cluster=np.nan), str(error)
    clustering = summary.main_clustering(clusters["clustering_id"].unique(), space=space)
    if clustering is None:
        return faces.assign(cluster=np.nan), f"faces were not clustered in the space '{space}'"
    own = clusters[clusters["clustering_id"] == clustering][["face_id", "cluster"]]
    return faces.merge(own, on="face_id", how="left"), ""


def images(paths: Paths, face_ids: Sequence[str]) -> dict[str, bytes]:
    """Stored pictures of training faces; none where the table cannot be read."""
    try:
        return read_images(paths.table("faces"), "faces", list(dict.fromkeys(face_ids)))
    except UserError:
        return {}  # the report shows distances and labels without pictures
