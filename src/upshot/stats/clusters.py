"""Rows that are finer than what was randomised: inference from sums per cluster.

A mean over rows is a ratio of cluster sums (total outcome over total rows). With many clusters the sandwich
estimator of a ratio is enough (CR0, CR1); below 40 it is too small, and CR2 with Satterthwaite's degrees of
freedom mends it (Bell, McCaffrey 2002, Survey Methodology 28; Pustejovsky, Tipton 2018, JBES 36).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from upshot.errors import DataError
from upshot.stats.effect import Arm, Effect

FloatArray = NDArray[np.float64]
Correction = Literal["CR0", "CR1", "CR2"]

FEW = 40
"""Below this many clusters in all, CR2 is used by default."""


@dataclass(frozen=True, slots=True, eq=False)
class ClusterTotals:
    """Sums per cluster of one variant.

    Attributes:
        outcomes: shape (G,): sum of the outcome in each cluster.
        weights: shape (G,): rows (or the denominator's sum) in each; more than 0.
    """

    outcomes: FloatArray
    weights: FloatArray

    @classmethod
    def from_rows(cls, outcome: ArrayLike, cluster: ArrayLike, weight: ArrayLike | None = None) -> Self:
        """Sums of rows by cluster."""
        values = np.asarray(outcome, dtype=np.float64)
        _, index = np.unique(np.asarray(cluster), return_inverse=True)
        counts = None if weight is None else np.asarray(weight, dtype=np.float64)
        sums = np.bincount(index, values).astype(np.float64)
        return cls(sums, np.bincount(index, counts).astype(np.float64))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ClusterTotals):
            return NotImplemented
        return np.array_equal(self.outcomes, other.outcomes) and np.array_equal(self.weights, other.weights)

    __hash__ = None  # type: ignore[assignment]

    @property
    def n(self) -> int:
        """Number of clusters."""
        return len(self.weights)

    @property
    def mean(self) -> float:
        """Total outcome over total weight; NaN without any."""
        total = float(self.weights.sum())
        return float(self.outcomes.sum()) / total if total else math.nan

    def __add__(self, other: Self) -> Self:
        return type(self)(
            np.concatenate([self.outcomes, other.outcomes]), np.concatenate([self.weights, other.weights])
        )

    def to_dict(self) -> dict[str, object]:
        """Plain numbers, for JSON."""
        return {"outcomes": self.outcomes.tolist(), "weights": self.weights.tolist()}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Self:
        """The inverse of `to_dict`."""
        outcomes, weights = (np.array(data[key], dtype=np.float64) for key in ("outcomes", "weights"))
        return cls(outcomes, weights)


def cluster_arm(totals: ClusterTotals, correction: Correction = "CR1") -> Arm:
    """The mean over rows of one variant with its cluster-robust variance.

    The residual of a cluster is e_g = y_g - mean w_g. CR0: sum e_g^2 / W^2 (Liang, Zeger 1986). CR1: times
    G/(G-1), within the variant. CR2: each e_g^2 over 1 - w_g/W, the leverage of the cluster (Bell, McCaffrey
    2002, eq. 9, for a saturated design of group means).

    Raises:
        DataError: a weight is not positive.
    """
    if totals.n and not (totals.weights > 0).all():
        raise DataError("a cluster has no rows (weight 0 or less): leave it out")
    if totals.n < 2:
        return Arm(totals.mean if totals.n else math.nan, math.nan, totals.n, max(totals.n - 1, 0))
    whole = float(totals.weights.sum())
    residuals = totals.outcomes - totals.mean * totals.weights
    squares = residuals**2
    if correction == "CR2":
        squares = squares / (1 - totals.weights / whole)
    variance = float(squares.sum()) / whole**2
    if correction == "CR1":
        variance *= totals.n / (totals.n - 1)
    df = _bell_mccaffrey(totals.weights) if correction == "CR2" else float(totals.n - 1)
    return Arm(totals.mean, variance, totals.n, df)


def cluster_effect(
    control: ClusterTotals, treatment: ClusterTotals, correction: Correction | None = None
) -> Effect:
    """A variant against control by cluster; CR2 below 40 clusters in all, else CR1, unless asked otherwise."""
    chosen: Correction = correction or ("CR2" if control.n + treatment.n < FEW else "CR1")
    return Effect(cluster_arm(control, chosen), cluster_arm(treatment, chosen))


def _bell_mccaffrey(weights: FloatArray) -> float:
    """Satterthwaite's df of the CR2 variance of a group mean under an independence working model.

    With rows of equal variance the CR2 estimate is a quadratic form e'Me; its df is (sum lambda)^2 / sum
    lambda^2 over the eigenvalues of M (Pustejovsky, Tipton 2018, eq. 11). For one mean the columns of the form
    are (I - H) restricted to a cluster, times its adjustment (1 - w_g/W)^(-1/2): G columns instead of W rows.
    """
    share = weights / weights.sum()
    adjust = share / np.sqrt(1 - share)
    root = np.sqrt(share)
    centring = np.eye(len(share)) - np.outer(root, root)
    form = centring * (adjust / root)[None, :]
    gram = form.T @ form
    eigen_sum = float(np.trace(gram))
    eigen_square = float((gram**2).sum())
    return eigen_sum**2 / eigen_square
