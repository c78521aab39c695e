"""The people of the sample set.

Each is a draw from the `mobile` generator, named by the seed of its latent vector and chosen by eye among the first
160: adults, facing the camera, nothing in front of the face, no two alike, as varied as the generator allows. Every
person has a donor of similar pose and complexion, as forgers choose them. A donor serves one person, and no clip of a
donor's own is released: so a person's clips share no footage and no face with anyone else's.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Person:
    """One member of the cast.

    Attributes
    ----------
    name, donor_name : str
    z_seed, donor_z_seed : int
        See `pipeline.ingest.sample.render.draw_code`.
    compression : {"c23", "c40"}
        H.264 quality of all clips of this person, so that quality tells nothing about the label.
    blend : {"poisson", "feather"}
        How this person's face swap is blended.
    """

    name: str
    donor_name: str
    z_seed: int
    donor_z_seed: int
    compression: str
    blend: str


# (person, donor)
_SEEDS = (
    (12, 69), (10, 70), (36, 151), (18, 58), (55, 97), (29, 108), (44, 64), (45, 63),
    (62, 26), (0, 8), (77, 49), (76, 140), (79, 115), (84, 150), (98, 137), (92, 127),
    (114, 14), (106, 119), (121, 82), (133, 37), (136, 117), (60, 139), (146, 81), (158, 19),
)  # fmt: skip

# Women and men alternate above; the period of four below crosses quality and blend evenly with that.
CAST = tuple(
    Person(
        name=f"person{i:02d}",
        donor_name=f"donor{i:02d}",
        z_seed=z_seed,
        donor_z_seed=donor_z_seed,
        compression=("c23", "c40")[i // 2 % 2],
        blend=("poisson", "feather")[i // 4 % 2],
    )
    for i, (z_seed, donor_z_seed) in enumerate(_SEEDS)
)
