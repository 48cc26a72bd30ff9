"""The course of one metric in one variant: its moments until each day and on each day alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from upshot.analysis.evidence import Sample
from upshot.simulate.units import FloatArray
from upshot.stats.moments import Moments

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Course:
    """Sums up to the end of each day, of values shifted by their overall mean so that no digit is lost.

    Attributes:
        names: as in `Moments`. shift: shape (k,).
        n: units, shape (days + 1,), the first entry 0. sums: (days + 1, k). products: (days + 1, k, k).
        zeros: units whose outcome is 0, shape (days + 1,).
    """

    names: tuple[str, ...]
    shift: FloatArray
    n: IntArray
    sums: FloatArray
    products: FloatArray
    zeros: IntArray

    def until(self, day: int) -> Sample:
        """All units up to the end of a day (counted from 0)."""
        return self._between(0, day + 1)

    def on(self, day: int) -> Sample:
        """The units of one day alone."""
        return self._between(day, day + 1)

    def _between(self, start: int, end: int) -> Sample:
        moments = Moments.from_shifted_sums(
            self.names,
            int(self.n[end] - self.n[start]),
            self.shift,
            self.sums[end] - self.sums[start],
            self.products[end] - self.products[start],
        )
        return Sample(moments=moments, zeros=int(self.zeros[end] - self.zeros[start]))


def course_of_units(names: tuple[str, ...], columns: FloatArray, arrivals: IntArray) -> Course:
    """The course of units that are given one by one, in the order in which they came.

    Args:
        names: k names. columns: shape (units, k). arrivals: units by day, shape (days,).
    """
    ends = np.concatenate([[0], np.cumsum(arrivals)])
    shift = columns.mean(axis=0) if len(columns) else np.zeros(len(names))
    shifted = columns - shift
    products = np.empty((len(ends), len(names), len(names)))
    for i in range(len(names)):
        for j in range(i, len(names)):
            products[:, i, j] = products[:, j, i] = _running(shifted[:, i] * shifted[:, j], ends)
    sums = np.column_stack([_running(column, ends) for column in shifted.T])
    empty = np.concatenate([[0], np.cumsum(columns[:, 0] == 0)])[ends]
    return Course(names, shift, ends, sums, products, empty)


def course_of_counts(successes: IntArray, arrivals: IntArray) -> Course:
    """The course of a share, of which the counts by day say everything, however many units there are."""
    n = np.concatenate([[0], np.cumsum(arrivals)])
    hits = np.concatenate([[0], np.cumsum(successes)])
    shift = hits[-1] / max(n[-1], 1)
    sums = hits - n * shift
    products = hits * (1 - shift) ** 2 + (n - hits) * shift**2
    return Course(("outcome",), np.array([shift]), n, sums[:, None], products[:, None, None], n - hits)


def _running(values: FloatArray, ends: IntArray) -> FloatArray:
    return np.concatenate([[0.0], np.cumsum(values)])[ends]
