"""Rows of table ``cluster_faces``: which mean faces and walks are wanted, and drawing them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from embeddings.cluster_codes import Near, walk
from pipeline.errors import UserError
from pipeline.params import Generator

NO_CODE = "none of its faces has a W+ code"


@dataclass(frozen=True)
class Wanted:
    """One image: where it stands, and its code float32 [n_channels, w_dim], None where there is none."""

    clustering_id: str
    cluster: int
    kind: str
    to_cluster: int
    step: int
    code: NDArray[np.float32] | None

    @property
    def row(self) -> dict[str, Any]:
        """The columns that say where it stands."""
        return {name: value for name, value in vars(self).items() if name != "code"}


def wanted_faces(
    clustering_id: str,
    sizes: Mapping[int, int],
    means: Mapping[int, NDArray[np.float32]],
    near: Mapping[int, Near],
    *,
    n_mean_faces: int,
    n_walks: int,
    n_steps: int,
) -> list[Wanted]:
    """Mean faces of the largest clusters, and walks from them to their nearest cluster that has a code.

    Parameters
    ----------
    sizes : cluster -> faces; noise is left out.
    means : cluster -> mean code, of those that have one.
    """
    largest = sorted((c for c in sizes if c >= 0), key=lambda c: (-sizes[c], c))
    out = [Wanted(clustering_id, c, "mean", c, 0, means.get(c)) for c in largest[:n_mean_faces]]
    pairs: list[tuple[int, int]] = []
    for c in (c for c in largest if c in means):
        goal = next((other for other in near[c].others if other in means), None) if c in near else None
        if goal is not None and (goal, c) not in pairs:
            pairs.append((c, goal))
    for c, goal in pairs[:n_walks]:
        codes = walk(means[c], means[goal], n_steps=n_steps)
        out += [Wanted(clustering_id, c, "walk", goal, step, code) for step, code in enumerate(codes)]
    return out


def generator_of(inverter_id: str) -> Generator:
    """The generator that an ``inverter_id`` begins with.

    Raises
    ------
    UserError
        It names none that is known.
    """
    names = sorted(get_args(Generator), key=len, reverse=True)
    found = next((name for name in names if inverter_id.startswith(f"{name}-")), None)
    if found is None:
        raise UserError(
            f"codes of '{inverter_id}' cannot be drawn: their generator is none of {', '.join(sorted(names))}; run "
            "`dvc repro`, or set about.quick and about.paper to draw no faces"
        )
    return cast(Generator, found)


def drawn_rows(
    wanted: Sequence[Wanted], inverter_id: str, *, device: str, allow_noncommercial: bool
) -> Iterator[dict[str, Any]]:
    """A row for each image; equal codes are drawn once. The generator is loaded where there is a code to draw."""
    network = None
    drawn: dict[bytes, bytes] = {}
    for one in wanted:
        row = one.row | {"inverter_id": inverter_id}
        if one.code is None:
            yield row | {"image": None, "reason": NO_CODE}
            continue
        if network is None:
            name = generator_of(inverter_id)
            from pipeline.networks import load_generator  # torch and the network: seconds, so only where needed

            network = load_generator(name, device=device, allow_noncommercial=allow_noncommercial)
        key = one.code.tobytes()
        if key not in drawn:
            drawn[key] = _draw(network, one.code, device)
        yield row | {"image": drawn[key], "reason": None}


def _draw(network: Any, code: NDArray[np.float32], device: str) -> bytes:
    """PNG of 256 px."""
    import torch

    from inversion.pixels import to_uint8
    from pipeline.ingest.encoding import encode_png

    with torch.inference_mode():
        image = network.synthesise_256(torch.from_numpy(code.copy())[None].to(device))
    return encode_png(to_uint8(image[0]))
