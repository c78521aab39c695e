"""What goes into training besides the rows themselves: the model to start from, and self-blended faces."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from classifiers.payload import ModelFileError
from classifiers.persist import load_model, read_card
from classifiers.protocol import Classifier
from classifiers.warm_start import warm_started
from pipeline.errors import UserError
from pipeline.paths import Paths
from pipeline.stages import features
from pipeline.stages.blended_items import with_blended
from pipeline.stages.common import Run

Factory = Callable[[int], Classifier]
#: Digits of a video's id that a model's card keeps: enough to find footage again, and short.
ID_CHARS = 12
log = logging.getLogger("latentforensics")


def video_marks(video_ids: NDArray[Any]) -> list[str]:
    """What a model's card says of the videos it was trained on: the start of each content hash, sorted."""
    return sorted({str(video)[:ID_CHARS] for video in video_ids})


def warm_start(current: Run, paths: Paths, pairs: list[tuple[str, str]]) -> WarmStart | None:
    """The model to start from, where the settings name one and something is trained."""
    folder = current.params.train.warm_start
    return WarmStart(folder, paths, pairs, device=current.device) if folder is not None and pairs else None


def prepare(
    factory: Factory, paths: Paths, inside: features.Features, model: str, start: WarmStart | None
) -> tuple[Factory, list[str]]:
    """Models as ``factory`` makes them, begun at the given one and taught the self-blended faces; videos brought in."""
    brought: list[str] = []
    if start is not None:
        factory, brought = start.apply(factory, inside, model), start.marks(inside, model)
    return with_blended(factory, paths, inside), brought


class WarmStart:
    """The model that ``train.warm_start`` names.

    Raises
    ------
    UserError
        The folder holds no sound model, is replaced by this run, or its model is not among those to train.
    """

    def __init__(self, folder: str, paths: Paths, pairs: list[tuple[str, str]], *, device: str) -> None:
        self._folder, self._device = paths.root / folder, device
        if paths.models.resolve() in self._folder.resolve().parents:
            raise UserError(f"train.warm_start: {folder} is replaced by this run: copy it to another place first")
        try:
            self.card = read_card(self._folder)
        except ModelFileError as error:
            raise UserError(f"train.warm_start: {error}") from error
        self.space, self.model = str(self.card["metadata"].get("space")), str(self.card["name"])
        if (self.space, self.model) not in pairs:
            raise UserError(
                f"train.warm_start: the model in {folder} is '{self.model}' on '{self.space}', which is not trained "
                "here: add them to train.models and spaces"
            )

    def apply(self, factory: Factory, inside: features.Features, model: str) -> Factory:
        """Models that begin at the given one, where space and model are its own.

        Raises
        ------
        UserError
            Made for other features, of another shape, without a record of its videos, or trained on some of these
            videos: they would be judged by a model that knows them.
        """
        if (inside.space, model) != (self.space, self.model):
            return factory
        known = self.card["metadata"].get("videos")
        if known is None:
            raise UserError("train.warm_start: the model does not tell which videos it was trained on; train it anew")
        shared = sorted(set(known) & set(video_marks(inside.faces["video_id"].to_numpy())))
        if shared:
            raise UserError(
                f"train.warm_start: the model was trained on {len(shared)} of these videos (the first begins with "
                f"{shared[0]}), so it cannot be judged on them: take one from other material"
            )
        makers = [part["feature_id"] for part in self.card["metadata"]["parts"]]
        if makers != [part.feature_id for part in inside.parts]:
            raise UserError(
                f"train.warm_start: the model reads vectors made by {' + '.join(makers)}, here they are made by "
                f"{inside.feature_id}"
            )
        try:
            given = load_model(self._folder, expect={"space": inside.space}, device=self._device)
            warm_started(factory(0), given)  # refuses here, not inside the first fold
        except ValueError as error:  # ModelFileError too
            raise UserError(f"train.warm_start: {error}") from error
        return lambda number: warm_started(factory(number), given)

    def card_for(self, inside: features.Features, model: str) -> dict[str, Any] | None:
        """The given model's card, where it is what this one begins at."""
        return self.card if (inside.space, model) == (self.space, self.model) else None

    def marks(self, inside: features.Features, model: str) -> list[str]:
        """Videos that the given model brings into this one."""
        return list(self.card["metadata"]["videos"]) if (inside.space, model) == (self.space, self.model) else []
