"""Moments: n, means and centred second and cross moments of a set of units; all inference is computed from them.

Sums of squares are never carried raw: at a mean of 1e9 and a variance of 2.5 float64 has no digit left for the
variance. Everything here is centred, or shifted by a constant near the mean before it was summed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from upshot.errors import DataError

FloatArray = NDArray[np.float64]

OUTCOME = "outcome"
DENOMINATOR = "denominator"
_LOST = 1e-10  # a variance below this share of the squared shift has lost its digits


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Count, means and centred cross moments over named quantities of the same units.

    Attributes:
        names: ``outcome``, then ``denominator`` where there is one, then covariates.
        n: number of units, 0 or more.
        means: shape (k,).
        cross: shape (k, k): sums of (v - mean v)(w - mean w); symmetric, diagonal not negative.
        precision_lost: the second moments were too small beside their shift to be trusted.
    """

    names: tuple[str, ...]
    n: int
    means: FloatArray
    cross: FloatArray
    precision_lost: bool = False

    @classmethod
    def from_arrays(
        cls,
        outcome: ArrayLike,
        denominator: ArrayLike | None = None,
        covariates: Mapping[str, ArrayLike] | None = None,
    ) -> Self:
        """Moments of values in memory, one entry a unit.

        Raises:
            DataError: arrays differ in length, or a value is not finite.

        >>> m = Moments.from_arrays([1.0, 2.0, 3.0, 6.0])
        >>> m.n, m.mean(), round(m.var(), 3)
        (4, 3.0, 4.667)
        """
        columns: dict[str, ArrayLike] = {OUTCOME: outcome}
        if denominator is not None:
            columns[DENOMINATOR] = denominator
        columns |= covariates or {}
        return cls.from_columns(columns)

    @classmethod
    def from_columns(cls, columns: Mapping[str, ArrayLike]) -> Self:
        """Moments of named arrays of equal length, the outcome first."""
        arrays = [np.asarray(values, dtype=np.float64).ravel() for values in columns.values()]
        if len({len(array) for array in arrays}) > 1:
            lengths = ", ".join(f"{name} {len(a)}" for name, a in zip(columns, arrays, strict=True))
            raise DataError(f"columns differ in length ({lengths}): give one entry a unit in each")
        values = np.vstack(arrays)
        if not np.isfinite(values).all():
            raise DataError("a value is missing or infinite: leave such units out and count them first")
        n = values.shape[1]
        if n == 0:
            return cls.empty(tuple(columns))
        means = values.mean(axis=1)
        centred = values - means[:, None]
        means = means + centred.mean(axis=1)  # the second pass mends what the first mean rounded
        centred = values - means[:, None]
        return cls(tuple(columns), n, means, centred @ centred.T)

    @classmethod
    def from_shifted_sums(
        cls, names: Sequence[str], n: int, shift: ArrayLike, sums: ArrayLike, products: ArrayLike
    ) -> Self:
        """Moments from what SQL gives: sums of (v - c) and of (v - c)(w - c') for a shift c near the means.

        Args:
            names: k names. n: units. shift: shape (k,). sums: shape (k,). products: shape (k, k).

        Raises:
            DataError: a sum of squares is negative beyond rounding, so the sums cannot be of one table.
        """
        centre = np.asarray(shift, dtype=np.float64)
        if n == 0:
            return cls.empty(tuple(names))
        shifted = np.asarray(sums, dtype=np.float64)
        raw = np.asarray(products, dtype=np.float64)
        offset = shifted / n
        cross = raw - np.outer(shifted, offset)
        cross = (cross + cross.T) / 2
        return cls._guarded(tuple(names), n, centre + offset, cross, np.diag(raw))

    @classmethod
    def _guarded(
        cls, names: tuple[str, ...], n: int, means: FloatArray, cross: FloatArray, raw: FloatArray
    ) -> Self:
        diagonal = np.diag(cross).copy()
        tolerance = 1e-9 * np.abs(raw)
        if (diagonal < -tolerance).any():
            worst = names[int(np.argmin(diagonal))]
            raise DataError(
                f"the squares of {worst} sum to less than its mean allows: sum them over one table"
            )
        lost = bool(((diagonal < _LOST * raw) & (raw > 0)).any())
        np.fill_diagonal(cross, np.where(diagonal < _LOST * raw, 0.0, diagonal))
        return cls(names, n, means, cross, lost)

    @classmethod
    def from_counts(cls, successes: int, trials: int) -> Self:
        """Moments of a 0/1 outcome.

        Raises:
            DataError: a count is negative, or there are more successes than trials.

        >>> Moments.from_counts(3, 4).mean()
        0.75
        """
        if successes < 0 or trials < 0:
            raise DataError(f"{successes}/{trials}: counts cannot be negative: give successes/trials")
        if successes > trials:
            raise DataError(f"{successes}/{trials}: more successes than trials: give successes/trials")
        if trials == 0:
            return cls.empty((OUTCOME,))
        share = successes / trials
        square = successes * (trials - successes) / trials
        return cls((OUTCOME,), trials, np.array([share]), np.array([[square]]))

    @classmethod
    def empty(cls, names: tuple[str, ...] = (OUTCOME,)) -> Self:
        """Moments of no units."""
        k = len(names)
        return cls(names, 0, np.zeros(k), np.zeros((k, k)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Moments):
            return NotImplemented
        return (
            self.names == other.names
            and self.n == other.n
            and np.array_equal(self.means, other.means)
            and np.array_equal(self.cross, other.cross)
        )

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Self) -> Self:
        return self.merge(other)

    def merge(self, other: Self) -> Self:
        """Moments of the union of two disjoint sets of units.

        Source: Chan, Golub, LeVeque (1983), "Algorithms for computing the sample variance", eq. 2.1.
        """
        if self.names != other.names:
            raise DataError(
                f"moments over {self.names} and {other.names} cannot be merged: use the same columns"
            )
        if self.n == 0 or other.n == 0:
            return other if self.n == 0 else self
        n = self.n + other.n
        step = other.means - self.means
        means = self.means + step * (other.n / n)
        cross = self.cross + other.cross + np.outer(step, step) * (self.n * other.n / n)
        return type(self)(self.names, n, means, cross, self.precision_lost or other.precision_lost)

    def select(self, names: Sequence[str]) -> Self:
        """The same units, fewer quantities, in this order."""
        where = [self.names.index(name) for name in names]
        return type(self)(
            tuple(names), self.n, self.means[where], self.cross[np.ix_(where, where)], self.precision_lost
        )

    def mean(self, name: str = OUTCOME) -> float:
        """The mean of one quantity."""
        return float(self.means[self.names.index(name)])

    def cov(self, first: str, second: str) -> float:
        """Sample covariance (n - 1). NaN for fewer than 2 units."""
        if self.n < 2:
            return float("nan")
        return float(self.cross[self.names.index(first), self.names.index(second)]) / (self.n - 1)

    def var(self, name: str = OUTCOME) -> float:
        """Sample variance (n - 1). NaN for fewer than 2 units."""
        return self.cov(name, name)

    @property
    def covariates(self) -> tuple[str, ...]:
        """The names that are neither the outcome nor its denominator."""
        return tuple(name for name in self.names if name not in (OUTCOME, DENOMINATOR))

    @property
    def is_ratio(self) -> bool:
        """Whether there is a denominator."""
        return DENOMINATOR in self.names

    def to_dict(self) -> dict[str, object]:
        """Plain numbers, for JSON; floats survive to the bit."""
        return {
            "names": list(self.names),
            "n": self.n,
            "means": self.means.tolist(),
            "cross": self.cross.tolist(),
            "precision_lost": self.precision_lost,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Self:
        """The inverse of `to_dict`."""
        names = tuple(str(name) for name in _sequence(data["names"]))
        means = np.array(data["means"], dtype=np.float64)
        cross = np.array(data["cross"], dtype=np.float64).reshape(len(names), len(names))
        n = int(str(data["n"]))
        return cls(names, n, means, cross, bool(data.get("precision_lost", False)))


def merge_all(parts: Iterable[Moments]) -> Moments:
    """Moments of the union of many disjoint sets of units; at least one."""
    return reduce(Moments.merge, parts)


def _sequence(value: object) -> Sequence[object]:
    if not isinstance(value, Sequence):
        raise DataError(f"names is {value!r}: give a list")
    return value
