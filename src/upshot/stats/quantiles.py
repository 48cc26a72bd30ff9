"""Quantiles of units or of rows in clusters: an outer confidence interval, and a standard error from it.

The interval is made of the order statistics at level q plus and minus z standard errors of the share below the
quantile; its width gives the standard error that feeds all other inference (Deng, Knoblich, Lu 2018, KDD, sect. 4;
Yao, Li, Lu 2024). Where many units share one value the order statistics collapse and there is no interval: such
an atom is refused, never reported as certainty.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from upshot.errors import DataError
from upshot.stats.effect import Arm
from upshot.stats.fixed import critical

Z = critical(0.05)
"""The order statistics of the interval are taken this many standard errors away (95%)."""


FEW = 5
"""Independent units that must lie beyond the quantile; with fewer the interval would leave the sample."""


@dataclass(frozen=True, slots=True)
class QuantileSample:
    """A quantile of one variant.

    Attributes:
        level: in (0, 1). estimate: the quantile. low, high: its outer 95% interval.
        n: units (clusters where rows are finer). design: variance of the share below it relative to
            independent units, 1 without clusters. rows: values, where they are finer than units; else 0.
    """

    level: float
    estimate: float
    low: float
    high: float
    n: int
    design: float = 1.0
    rows: int = 0

    @classmethod
    def from_array(cls, values: ArrayLike, level: float, cluster: ArrayLike | None = None) -> Self:
        """The quantile of values in memory.

        Args:
            values: shape (n,). level: in (0, 1). cluster: shape (n,): what was randomised, if coarser.

        Raises:
            DataError: the level is not between 0 and 1, there are no values, or one is missing.
        """
        if not 0 < level < 1:
            raise DataError(f"quantile level is {level}: give a number between 0 and 1, such as 0.95")
        ordered = np.sort(np.asarray(values, dtype=np.float64))
        if not len(ordered):
            raise DataError("a quantile needs at least one value")
        if np.isnan(ordered[-1]):
            raise DataError("a value is missing: leave such units out and count them first")
        estimate = float(np.quantile(ordered, level))
        design, n, rows = 1.0, len(ordered), 0
        if cluster is not None:
            rows = n
            design, n = _design(np.asarray(values, dtype=np.float64), np.asarray(cluster), estimate, level)
        low, high = outer_ranks(len(ordered), level, design)
        return cls(level, estimate, float(ordered[low]), float(ordered[high]), n, design, rows)

    @property
    def arm(self) -> Arm:
        """The estimate with the variance that its interval implies; NaN where there is none."""
        spread = (self.high - self.low) / (2 * Z)
        return Arm(self.estimate, spread * spread if spread > 0 else math.nan, self.n, max(self.n - 1, 0))

    def why_not(self) -> str:
        """Why the quantile has no interval; empty where it has one."""
        worth = (self.rows or self.n) / self.design  # rows in clusters are worth fewer independent ones
        edge = min(self.level, 1 - self.level)
        if worth * edge < FEW:
            name, needed = f"p{100 * self.level:g}", math.ceil(FEW / edge)
            of = f"{self.rows} rows, worth {worth:.0f} independent units," if self.rows else f"{self.n} units"
            return f"{name} of {of} rests on too few beyond it: at least {needed} are needed"
        if self.high <= self.low:
            return (
                f"many units share the value {self.estimate:g}: take the share of units over a limit instead"
            )
        return ""

    def to_dict(self) -> dict[str, float]:
        """Plain numbers, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, float]) -> Self:
        """The inverse of `to_dict`."""
        level, estimate, low, high = (data[name] for name in ("level", "estimate", "low", "high"))
        return cls(level, estimate, low, high, int(data["n"]), data["design"], int(data["rows"]))


def outer_ranks(n: int, level: float, design: float = 1.0) -> tuple[int, int]:
    """Zero-based ranks of the order statistics that enclose the quantile with 95%.

    >>> outer_ranks(1000, 0.5)
    (468, 531)
    """
    reach = Z * math.sqrt(n * level * (1 - level) * design)
    low, high = math.floor(n * level - reach) - 1, math.ceil(n * level + reach)
    return max(low, 0), min(high, n - 1)


def _design(values: np.ndarray, cluster: np.ndarray, estimate: float, level: float) -> tuple[float, int]:
    """Design effect of the share at or below the quantile, by the delta method over clusters."""
    _, index = np.unique(cluster, return_inverse=True)
    below = np.bincount(index, (values <= estimate).astype(np.float64))
    sizes = np.bincount(index).astype(np.float64)
    residual = below - (below.sum() / sizes.sum()) * sizes
    groups = len(sizes)
    variance = groups / max(groups - 1, 1) * float((residual**2).sum()) / sizes.sum() ** 2
    independent = level * (1 - level) / len(values)
    return max(variance / independent, 1e-12), groups
