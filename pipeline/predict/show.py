"""What the report shows: the telling frames with their reconstructions and the training faces near them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import UserError
from pipeline.paths import Paths
from pipeline.predict import memory, scoring
from pipeline.predict.assemble import Judged
from pipeline.predict.page import Pictures
from pipeline.predict.result import Telling
from pipeline.predict.scorer import Scorer
from pipeline.predict.spaces import Projector

N_NEIGHBOURS = 6


@dataclass(frozen=True, eq=False)
class Shown:
    """Telling frames and their pictures."""

    telling: list[Telling]
    pictures: Pictures


def show(paths: Paths, scorer: Scorer, judged: Sequence[Judged], *, invert: Callable[[], Projector]) -> Shown:
    """Pick the telling frames.

    Parameters
    ----------
    invert
        Gives what reconstructs them where the model's own space does not; UserError where there is none.
    """
    chosen = [judged[i] for i in scoring.telling(np.array([one.p_fake for one in judged]))]
    keys = [(one.row.frame_index, one.row.track_id) for one in chosen]
    made = [one.reconstruction for one in chosen]
    why = ""
    if all(image is None for image in made):
        try:
            found = invert().project([one.row.image for one in chosen])  # type: ignore[misc]
            made = [one.reconstruction for one in found]
        except UserError as error:
            why = str(error)
    telling = [
        Telling(
            frame_index=one.row.frame_index,
            track_id=one.row.track_id,
            p_fake=one.p_fake,
            neighbours=[] if one.vector is None else scorer.memory.neighbours(one.vector, k=N_NEIGHBOURS),
        )
        for one in chosen
    ]
    pictures = Pictures(
        faces={key: one.row.image for key, one in zip(keys, chosen, strict=True) if one.row.image is not None},
        reconstructions={key: image for key, image in zip(keys, made, strict=True) if image is not None},
        scenes={},
        training=memory.images(paths, [n.face_id for t in telling for n in t.neighbours]),
        why_no_reconstruction=why,
        why_no_neighbours=scorer.memory.why_not,
        why_no_clusters=scorer.memory.why_no_clusters,
    )
    return Shown(telling, pictures)
