"""What to believe of an effect: a normal prior and the same estimate and standard error that all else uses."""

import math
from dataclasses import dataclass

from scipy.special import ndtr, ndtri

from upshot.errors import DataError
from upshot.stats.interval import Interval


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed before the data: a normal; an infinite ``std`` believes nothing.

    Attributes:
        mean, std: on the scale of the estimate (a lift: 0.05 = 5%). name: said beside every number from it.
    """

    std: float
    mean: float = 0.0
    name: str = ""

    def __post_init__(self) -> None:
        if not self.std > 0:
            raise DataError(f"the prior's std is {self.std}: give a positive number")


@dataclass(frozen=True, slots=True)
class Posterior:
    """What is believed after the data: a normal."""

    mean: float
    std: float

    def p_above(self, value: float = 0.0) -> float:
        """P(effect > value)."""
        return float(ndtr((self.mean - value) / self.std))

    def expected_loss(self, better: int = 1) -> float:
        """What shipping loses on average where it is wrong: E[max(-effect, 0)], on the scale of the estimate.

        Args:
            better: +1 where a larger effect is better, -1 where a smaller one is.
        """
        mean = self.mean * better
        score = mean / self.std
        density = math.exp(-0.5 * score * score) / math.sqrt(2 * math.pi)
        return max(self.std * density - mean * float(ndtr(-score)), 0.0)

    def interval(self, level: float = 0.95) -> Interval:
        """The central interval that holds the effect with probability ``level`` in (0, 1)."""
        reach = float(-ndtri((1 - level) / 2)) * self.std
        return Interval(self.mean - reach, self.mean + reach)


def posterior(estimate: float, std_error: float, prior: Prior) -> Posterior:
    """The conjugate update (Gelman et al. 2013, "Bayesian Data Analysis", eq. 2.10).

    Its mean is the estimate shrunk towards the prior, which undoes the winner's curse if the prior is right.

    Raises:
        DataError: the standard error is not positive.

    >>> posterior(0.10, 0.05, Prior(0.05)).mean
    0.05
    """
    if not std_error > 0:
        raise DataError(f"the standard error is {std_error}: give a positive number")
    if math.isinf(prior.std):
        return Posterior(estimate, std_error)
    weight = prior.std**2 / (prior.std**2 + std_error**2)
    return Posterior(prior.mean + weight * (estimate - prior.mean), math.sqrt(weight) * std_error)
