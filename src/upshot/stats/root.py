"""Where a monotone function crosses zero: what intervals that invert a test need."""

import math
from collections.abc import Callable

from upshot.errors import UpshotError


def solve(function: Callable[[float], float], low: float, high: float, tolerance: float = 1e-13) -> float:
    """A zero of a continuous function between two points of opposite sign.

    Illinois regula falsi (Dowell, Jarratt 1971, BIT 11), bisecting when it stalls; ends when the bracket is
    within ``tolerance`` of its own size.

    Raises:
        UpshotError: both ends have the same sign: a fault of the caller.
    """
    at_low, at_high = function(low), function(high)
    if at_low == 0 or at_high == 0:
        return low if at_low == 0 else high
    if (at_low > 0) == (at_high > 0):
        raise UpshotError(f"no change of sign between {low} and {high}")
    for step in range(200):
        if abs(high - low) <= tolerance * max(1e-300, abs(low) + abs(high)):
            break
        bisect = step % 4 == 3 or not (math.isfinite(at_low) and math.isfinite(at_high))
        middle = (low + high) / 2 if bisect else low - at_low * (high - low) / (at_high - at_low)
        at_middle = function(middle)
        if at_middle == 0:
            return middle
        if (at_middle > 0) == (at_high > 0):
            high, at_high, at_low = middle, at_middle, at_low / 2
        else:
            low, at_low, at_high = middle, at_middle, at_high / 2
    return (low + high) / 2
