"""Where a monotone function crosses zero: what intervals that invert a test need."""

from collections.abc import Callable

from upshot.errors import UpshotError


def solve(function: Callable[[float], float], low: float, high: float, tolerance: float = 1e-13) -> float:
    """A zero of a continuous function between two points of opposite sign.

    Chandrupatla (1997, Advances in Engineering Software 28): inverse quadratic interpolation where it can be
    trusted, else bisection, so an infinite value at an end does no harm; ends when the bracket is within
    ``tolerance`` of its own size.

    Raises:
        UpshotError: both ends have the same sign: a fault of the caller.
    """
    here, far = high, low
    at_here, at_far = function(high), function(low)
    if at_far == 0 or at_here == 0:
        return low if at_far == 0 else high
    if (at_far > 0) == (at_here > 0):
        raise UpshotError(f"no change of sign between {low} and {high}")
    share = 0.5
    for _ in range(300):
        middle = here + share * (far - here)
        at_middle = function(middle)
        if (at_middle > 0) == (at_here > 0):
            old, at_old = here, at_here
        else:
            old, at_old, far, at_far = far, at_far, here, at_here
        here, at_here = middle, at_middle
        least = tolerance * max(1e-300, abs(here) + abs(far)) / abs(far - here) if far != here else 1.0
        if at_here == 0 or least > 0.5:
            break
        share = min(max(_share(here, at_here, far, at_far, old, at_old), least), 1 - least)
    return here if abs(at_here) < abs(at_far) else far


def _share(here: float, at_here: float, far: float, at_far: float, old: float, at_old: float) -> float:
    """How far towards ``far`` the next step goes."""
    if at_old == at_far or at_here == at_old:
        return 0.5
    xi, phi = (here - far) / (old - far), (at_here - at_far) / (at_old - at_far)
    if not (phi * phi < xi and (1 - phi) * (1 - phi) < 1 - xi):
        return 0.5
    near = at_here / (at_far - at_here) * at_old / (at_far - at_old)
    beyond = (old - here) / (far - here) * at_here / (at_old - at_here) * at_far / (at_old - at_far)
    return near + beyond
