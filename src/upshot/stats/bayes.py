"""A normal prior on an effect, and what one believes after the data.

It takes the same estimate and standard error as every test, so with a flat prior its interval is the test's
interval. It does not need correction for looks only as far as the prior is true: p(win) is shown after the
decision point.
"""

import math
from dataclasses import dataclass

from scipy.special import log_ndtr, ndtr, ndtri

from upshot.errors import InputError
from upshot.stats.fixed import SMALLEST
from upshot.stats.interval import Interval


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed of an effect before the data; in the effect's own unit (a lift: relative).

    Attributes:
        mean, std: of a normal; std infinite: flat, no belief.
        name: how it is called beside every number that rests on it.
    """

    mean: float = 0.0
    std: float = math.inf
    name: str = "flat"

    def __post_init__(self) -> None:
        """Refuse a prior that is none.

        Raises:
            InputError: std is not positive or mean not finite.
        """
        if not self.std > 0 or not math.isfinite(self.mean):
            raise InputError(f"prior is N({self.mean}, {self.std}): give a finite mean and a positive std")


@dataclass(frozen=True, slots=True)
class Posterior:
    """What is believed of an effect after the data: a normal."""

    mean: float
    std: float

    def p_above(self, threshold: float = 0.0) -> float:
        """The belief that the effect exceeds a threshold; strictly between 0 and 1.

        >>> round(Posterior(0.02, 0.01).p_above(0.0), 4)
        0.9772
        """
        p = float(ndtr((self.mean - threshold) / self.std))
        return min(max(p, SMALLEST), 1 - 2**-53)

    def expected_loss(self, threshold: float = 0.0) -> float:
        """What shipping is expected to lose: E max(threshold - effect, 0), in the effect's unit.

        s phi(m / s) - m Phi(-m / s) with m = mean - threshold, s = std; for not shipping take the mirrored
        posterior. 0 or more.
        """
        z = (self.mean - threshold) / self.std
        density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        if z > 20:  # the difference of two nearly equal numbers: use its expansion
            return self.std * density / (z * z)
        return max(self.std * (density - z * math.exp(float(log_ndtr(-z)))), 0.0)

    def interval(self, level: float = 0.95) -> Interval:
        """The central interval that holds the effect with belief ``level``, in (0, 1)."""
        if not 0 < level < 1:
            raise InputError(f"level is {level}: give a number between 0 and 1")
        reach = float(-ndtri((1 - level) / 2)) * self.std
        return Interval(self.mean - reach, self.mean + reach)

    def mirrored(self) -> "Posterior":
        """The belief of the effect with its sign turned: for metrics where lower is better."""
        return Posterior(-self.mean, self.std)


def posterior(estimate: float, std_error: float, prior: Prior | None = None) -> Posterior:
    """The estimate and the prior weighted by their precisions (Gelman et al., BDA3, sect. 2.5).

    Args:
        estimate, std_error: in the prior's unit; std_error above 0.
        prior: None: flat.

    >>> posterior(0.04, 0.03, Prior(0.0, 0.04, "history"))
    Posterior(mean=0.0256, std=0.024)
    """
    if not 0 < std_error < math.inf or not math.isfinite(estimate):
        raise InputError(
            f"estimate {estimate} with std_error {std_error}: both must be finite, the error positive"
        )
    if prior is None or math.isinf(prior.std):
        return Posterior(estimate, std_error)
    weight = 1 / (1 + (std_error / prior.std) ** 2)
    return Posterior(prior.mean + weight * (estimate - prior.mean), std_error * math.sqrt(weight))
