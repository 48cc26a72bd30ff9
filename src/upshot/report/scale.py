"""A scale that all intervals of a report share, so that their lengths can be compared by eye."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from upshot.analysis.result import Bounds

CROWDED = 4.0  # an interval this many times as wide as the median one is cut off and drawn with an arrow


@dataclass(frozen=True, slots=True)
class Scale:
    """From ``low`` to ``high`` in relative lift; 0 is always on it."""

    low: float
    high: float
    step: float

    def position(self, value: float) -> float:
        """Where a value lies, 0 at the left end and 1 at the right; cut off beyond.

        >>> Scale(-0.1, 0.1, 0.05).position(0.0), Scale(-0.1, 0.1, 0.05).position(9)
        (0.5, 1.0)
        """
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    def holds(self, value: float) -> bool:
        """Whether a value lies on the scale."""
        return self.low <= value <= self.high

    def ticks(self) -> tuple[float, ...]:
        """The multiples of the step from end to end.

        >>> Scale(-0.1, 0.1, 0.05).ticks()
        (-0.1, -0.05, 0.0, 0.05, 0.1)
        """
        first, last = round(self.low / self.step), round(self.high / self.step)
        return tuple(round(i * self.step, 12) for i in range(first, last + 1))


def shared(intervals: Sequence[tuple[float | None, Bounds]], *also: float) -> Scale:
    """A scale for estimates with their intervals, with round ends.

    Intervals far wider than the median one do not set it, nor do ends that do not exist, nor values in
    ``also`` (a ship threshold) that lie far off.

    >>> shared([(0.05, (0.01, 0.09))]), shared([])
    (Scale(low=-0.05, high=0.1, step=0.05), Scale(low=-0.1, high=0.1, step=0.05))
    """
    ends = _ends(intervals)
    if not ends:
        return Scale(-0.1, 0.1, 0.05)
    values = [0.0, *ends, *(v for v in also if abs(v) <= CROWDED * max(map(abs, ends)))]
    low, high = min(values), max(values)
    if low == high:
        low, high = -0.1, 0.1
    margin = 0.03 * (high - low)
    low, high = low - margin, high + margin
    step = _round_step((high - low) / 4)
    return Scale(step * (math.floor(low / step + 1e-9)), step * (math.ceil(high / step - 1e-9)), step)


def _ends(intervals: Sequence[tuple[float | None, Bounds]]) -> list[float]:
    """The ends that should be on the scale."""
    bounded = [(low, high) for _, (low, high) in intervals if low is not None and high is not None]
    widths = sorted(high - low for low, high in bounded)
    limit = CROWDED * widths[(len(widths) - 1) // 2] if widths else math.inf
    ends = [end for low, high in bounded if high - low <= limit for end in (low, high)]
    return ends or [end for value, bounds in intervals for end in (value, *bounds) if end is not None]


def _round_step(size: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(size))
    return next(round(m * power, 12) for m in (1, 2, 5, 10) if m * power >= size - 1e-12)
