"""Settings of the networks, apart from them: whoever trains none need not wait for torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """``patience``: epochs without a better validation log-loss before training stops; None trains all epochs.

    ``val_fraction`` of the training groups is the validation part; where a class stands in fewer than two groups there
    is none, and ``n_epochs_unvalidated`` epochs are trained instead. Where one pass over the data is fewer than
    ``n_steps_min`` batches, an epoch is as many passes as make that many: few videos must not mean few steps.

    ``rotate``: with fewer training rows than features, train on the rows' coordinates in their own span. Nothing the
    rows tell is lost, random starting weights outside their span cannot speak, and the first layer shrinks from d to n
    inputs; afterwards it is widened again, so the trained network takes features as they come.

    ``blocks``: widths of the parts of a fused space (``scaling.Standardiser``).
    """

    hidden: tuple[int, ...] = (512,)
    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = 3e-4
    weight_decay: float = 1e-2
    dropout: float = 0.3
    batch_size: int = 64
    n_steps_min: int = 16
    n_epochs: int = 60
    patience: int | None = 8
    val_fraction: float = 0.2
    n_epochs_unvalidated: int = 20
    rotate: bool = True
    balanced: bool = True
    blocks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.optimiser not in ("adamw", "sgd"):
            raise ValueError(f"Expected the optimiser adamw or sgd, got '{self.optimiser}'.")
        counts = (self.batch_size, self.n_steps_min, self.n_epochs, self.n_epochs_unvalidated, self.patience or 1)
        if min(*counts, *self.hidden) < 1:
            raise ValueError("Batch size, steps, epochs, patience and layer sizes must be at least 1.")
        if not (0 <= self.dropout < 1 and self.learning_rate > 0 and self.weight_decay >= 0):
            raise ValueError("Expected dropout in [0, 1), a positive learning rate and a weight decay of at least 0.")
