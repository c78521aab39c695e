"""Self-blended faces as further training items."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from classifiers.augment import ExtraItems, with_extra
from classifiers.protocol import Classifier
from pipeline.errors import UserError
from pipeline.paths import Paths
from pipeline.stages import features

Factory = Callable[[int], Classifier]
log = logging.getLogger("latentforensics")


def with_blended(factory: Factory, paths: Paths, inside: features.Features) -> Factory:
    """Models that train with the self-blended faces of their training groups; the same ones where there are none."""
    blended = features.by_unit(features.load(paths, inside.space, blended=True), paths)
    if blended.faces.empty:
        return factory
    if blended.feature_id != inside.feature_id:
        raise UserError(
            f"self-blended faces have vectors of '{blended.feature_id}', the others of '{inside.feature_id}': "
            "run `dvc repro`"
        )
    log.info("%s: %d self-blended faces train besides the %d", inside.space, len(blended.faces), len(inside.faces))
    labels = np.ones(len(blended.faces), dtype=np.int64)
    return with_extra(factory, ExtraItems.of(blended.vectors, labels, blended.faces["source_group"].to_numpy()))
