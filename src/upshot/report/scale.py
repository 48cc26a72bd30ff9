"""A scale that all intervals of a report share, so that their lengths can be compared by eye."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from upshot.analysis.result import Bounds

WIDE = 4.0  # an interval this many times as wide as the middle one of its kind does not set the scale
CROWDED = 2.5  # what lies this many times as far off as the lead is cut off, and drawn with an arrow


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


Drawn = tuple[float | None, Bounds]


def shared(lead: Sequence[Drawn], others: Sequence[Drawn] = (), also: Sequence[float] = ()) -> Scale:
    """A scale for estimates with their intervals, with round ends.

    The lead (primary metrics) fits, but for single intervals far wider than most of it. Others fit unless
    they lie far beyond the lead, and so do the values in ``also`` (a ship threshold). Ends that do not exist
    set nothing.

    >>> shared([(0.05, (0.01, 0.09))]), shared([])
    (Scale(low=-0.05, high=0.1, step=0.05), Scale(low=-0.1, high=0.1, step=0.05))
    """
    ends = _ends(lead) or _ends(others)
    if not any(ends):
        return Scale(-0.1, 0.1, 0.05)
    reach = CROWDED * max(map(abs, ends))
    near = [end for drawn in others for end in _ends([drawn]) if all(abs(e) <= reach for e in _ends([drawn]))]
    values = [0.0, *ends, *near, *(value for value in also if abs(value) <= reach)]
    low, high = min(values), max(values)
    margin = 0.03 * (high - low)
    step = _round_step((high - low) / 4)
    return Scale(step * math.floor((low - margin) / step), step * math.ceil((high + margin) / step), step)


def _ends(drawn: Sequence[Drawn]) -> list[float]:
    """Both ends of every interval that has two and is not far wider than most; else the numbers there are."""
    widths = sorted(high - low for _, (low, high) in drawn if low is not None and high is not None)
    widest = WIDE * widths[len(widths) // 2] if widths else math.inf
    return [
        end
        for value, (low, high) in drawn
        for end in (_numbers(value, low, high) if low is None or high is None else (low, high))
        if low is None or high is None or high - low <= widest
    ]


def _numbers(*values: float | None) -> tuple[float, ...]:
    return tuple(value for value in values if value is not None)


def _round_step(size: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(size))
    return next(round(m * power, 12) for m in (1, 2, 5, 10) if m * power >= size - 1e-12)
