"""An interval that may have no end, or not exist, and then says why."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """What the data leave possible.

    Attributes:
        low, high: the ends; None: no end on that side (unbounded), or none at all (undefined).
        reason: why an end is None; empty for a bounded interval.
        defined: False: the interval does not exist at all.
    """

    low: float | None
    high: float | None
    reason: str = ""
    defined: bool = True

    def excludes(self, value: float) -> bool:
        """Whether the value is outside; an undefined interval excludes nothing."""
        if not self.defined:
            return False
        below = self.low is not None and value < self.low
        above = self.high is not None and value > self.high
        return below or above

    def scaled(self, factor: float, shift: float = 0.0) -> "Interval":
        """The interval of ``factor * x + shift``; a negative factor swaps the ends."""
        ends = [None if end is None else factor * end + shift for end in (self.low, self.high)]
        low, high = ends if factor >= 0 else ends[::-1]
        return Interval(low, high, self.reason, self.defined)


def undefined(reason: str) -> Interval:
    """There is no such interval, and why."""
    return Interval(None, None, reason, defined=False)
