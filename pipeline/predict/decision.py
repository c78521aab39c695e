"""From P(fake) to real or fake under a prior and costs, by the threshold that evaluation takes."""

from __future__ import annotations

from dataclasses import dataclass

from classifiers.prior import NEUTRAL_PRIOR, fake_threshold, shift_prior
from pipeline.params import Params
from pipeline.predict import result

# So far from 0 and 1 the most lopsided prior and costs leave both verdicts within reach.
_EDGE = 1e-12


@dataclass(frozen=True)
class Decision:
    """What P(fake), which speaks for as many fakes as reals, has to be for a verdict.

    Attributes
    ----------
    prior_fake : share of fakes where clips come from; None: as many as reals, for one clip has no share of its own.
    settings_band : ``train.uncertain_band``, around the threshold 0.5.
    """

    prior_fake: float | None
    cost_false_alarm: float
    cost_miss: float
    settings_band: tuple[float, float]

    @classmethod
    def of(cls, params: Params) -> Decision:
        """As the settings have it."""
        wanted = params.evaluate
        return cls(wanted.prior_fake, wanted.cost_false_alarm, wanted.cost_miss, params.train.uncertain_band)

    @property
    def threshold(self) -> float:
        """P(fake) at and above which calling a clip fake costs least."""
        prior = NEUTRAL_PRIOR if self.prior_fake is None else self.prior_fake
        found = fake_threshold(prior_fake=prior, cost_false_alarm=self.cost_false_alarm, cost_miss=self.cost_miss)
        return min(max(found, _EDGE), 1 - _EDGE)

    @property
    def is_shifted(self) -> bool:
        """Whether prior or costs move the threshold away from 0.5."""
        return self.threshold != NEUTRAL_PRIOR

    @property
    def is_set(self) -> bool:
        """Whether the user named a prior, or costs that count."""
        return self.prior_fake is not None or self.is_shifted

    @property
    def band(self) -> tuple[float, float]:
        """No verdict for P(fake) inside: the settings' band, its odds multiplied by those of the threshold."""
        if not self.is_shifted:
            return self.settings_band  # to the last digit
        low, high = shift_prior(list(self.settings_band), to=self.threshold)
        return float(low), float(high)

    def at_prior(self, p_fake: float | None) -> float | None:
        """P(fake) where a share ``prior_fake`` is fake; None without a prior or a P(fake)."""
        if p_fake is None or self.prior_fake is None:
            return None
        return float(shift_prior([p_fake], to=self.prior_fake)[0])

    @property
    def text(self) -> str:
        """One sentence or two for a reader."""
        shares = "as many fakes as reals" if self.prior_fake is None else f"a share of fakes of {self.prior_fake:g}"
        costs = f" and costs of {self.cost_false_alarm:g} for a false alarm, {self.cost_miss:g} for a miss"
        low, high = self.band
        said = (
            f"Verdicts suppose {shares}{'' if self.cost_false_alarm == self.cost_miss else costs}: the threshold on "
            f"P(fake) is {self.threshold:.6g}, with no verdict from {low:.6g} to {high:.6g}."
        )
        return f"{said} P(fake) itself is for as many fakes as reals." if self.is_set else said

    def told(self) -> result.Decision:
        """For the JSON."""
        return result.Decision(
            prior_fake=self.prior_fake,
            cost_false_alarm=self.cost_false_alarm,
            cost_miss=self.cost_miss,
            threshold=self.threshold,
            text=self.text,
        )
