"""Inference at one look that was fixed beforehand: Welch's t, and the normal where there is no t."""

import math
import sys
from typing import Literal

from scipy.special import ndtr, ndtri, stdtr, stdtrit

from upshot.stats.effect import Effect, margin_effect

Side = Literal["two", "greater", "less"]

SMALLEST = sys.float_info.min
"""The least p-value that is reported (2.2e-308): a p of exactly 0 would claim certainty."""

_NORMAL_DF = 1e6
"""Above this many degrees of freedom t and normal agree to 7 digits, and `stdtrit` loses some."""


def statistic(effect: Effect) -> float:
    """Welch's t: the difference in standard errors. NaN where `Effect.why_not` gives a reason."""
    if effect.why_not():
        return math.nan
    return effect.difference / effect.std_error


def tail(t: float, df: float = math.inf) -> float:
    """P(T > t), never exactly 0."""
    probability = ndtr(-t) if df > _NORMAL_DF else stdtr(df, -t)
    return max(float(probability), SMALLEST)


def p_from_statistic(t: float, df: float = math.inf, side: Side = "two") -> float:
    """The p-value of a statistic; in (0, 1]."""
    if side == "two":
        return min(2 * tail(abs(t), df), 1.0)
    return tail(t if side == "greater" else -t, df)


def p_value(effect: Effect, side: Side = "two") -> float | None:
    """The p-value of "no difference" by Welch (1947), or None where there is no test (`Effect.why_not`).

    >>> from upshot.stats.effect import effect_of
    >>> from upshot.stats.moments import Moments
    >>> effect = effect_of(Moments.from_arrays([1, 2, 3, 4]), Moments.from_arrays([3, 4, 5, 7]))
    >>> round(p_value(effect), 4)
    0.0837
    """
    t = statistic(effect)
    return None if math.isnan(t) else p_from_statistic(t, effect.df, side)


def critical(alpha: float, df: float = math.inf, side: Side = "two") -> float:
    """How many standard errors a test at level ``alpha`` in (0, 1) asks for.

    >>> round(critical(0.05), 6)
    1.959964
    """
    beyond = alpha / 2 if side == "two" else alpha
    return float(-ndtri(beyond) if df > _NORMAL_DF else -stdtrit(df, beyond))


def normal_score(t: float, df: float) -> float:
    """The normal deviate with the same tail as t: what methods for normal statistics are given."""
    if df > _NORMAL_DF or math.isnan(t):
        return t
    below = stdtr(df, -abs(t))
    if below < SMALLEST:  # beyond what a double holds, the two tails are told apart by nothing
        return math.copysign(37.5, t)
    return math.copysign(float(-ndtri(below)), t)


def critical_from_score(score: float, df: float) -> float:
    """The t that has the same tail as a normal deviate: the inverse of `normal_score`."""
    if df > _NORMAL_DF or math.isinf(score):
        return score
    below = float(ndtr(-abs(score)))
    return math.copysign(float(-stdtrit(df, below)), score) if below > 0 else math.inf


def non_inferiority(
    effect: Effect, margin: float, better: Literal["higher", "lower"], relative: bool = True
) -> float | None:
    """One-sided p of "worse than control by the margin or more": small means *held*.

    Args:
        margin: 0 or more; relative to control (0.02 = 2%) or in the metric's own unit.
        better: the wanted direction of the metric.

    Source: Sasabuchi (1988) for ratios; Schuirmann (1987) for differences.
    """
    sign = 1 if better == "higher" else -1
    shifted = margin_effect(effect, -sign * margin, relative)
    return p_value(shifted, "greater" if better == "higher" else "less")
