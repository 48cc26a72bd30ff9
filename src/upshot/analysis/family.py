"""Families of comparisons: p-values and intervals that answer for all their members together."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from upshot.analysis.comparison import Tested, agreeing, difference_at, ends, lift_at, unmeasured
from upshot.analysis.monitor import Monitor
from upshot.analysis.result import Comparison
from upshot.model.plan import Family
from upshot.stats import families
from upshot.stats.families import Correction
from upshot.stats.proportions import FEW


@dataclass(frozen=True, slots=True)
class Corrected:
    """How a family is corrected: p-values in the tests' order, and the level or critical value of intervals."""

    p_values: tuple[float | None, ...]
    tests: int
    level: float
    critical: float | None = None


def correct(tested: Sequence[Tested], family: Family | None, monitor: Monitor) -> Corrected:
    """Correct a family; ``None``: each test stands alone.

    Dunnett and Benjamini-Hochberg hold for one look only, so under looks Holm takes their place. It does too
    where Dunnett has more than one metric before it, or counts so few that the tests are exact.
    """
    p_values = [one.p_value for one in tested]
    tests = sum(p is not None for p in p_values)
    alpha = monitor.plan.alpha
    if family is None or tests <= 1:
        return Corrected(tuple(p_values), 1, alpha)
    if family == "dunnett" and replaced(tested, family, monitor) is None:
        return _dunnett(tested, alpha, tests)
    method = method_of(family, monitor)
    adjusted = families.adjust(p_values, method)
    rejected = sum(p is not None and p < alpha for p in adjusted)
    return Corrected(adjusted, tests, families.simultaneous_alpha(alpha, method, tests, rejected))


def method_of(family: Family, monitor: Monitor) -> Correction:
    """The correction that is applied where a family's own one does not hold."""
    if family == "bonferroni":
        return "bonferroni"
    if family == "benjamini_hochberg" and monitor.plan.monitoring == "fixed":
        return "benjamini_hochberg"
    return "holm"


def replaced(tested: Sequence[Tested], family: Family | None, monitor: Monitor) -> str | None:
    """Why Holm corrects these tests and not the method that the family names; None where that method does."""
    tests = sum(one.p_value is not None for one in tested)
    if tests <= 1 or family not in ("dunnett", "benjamini_hochberg"):
        return None
    if monitor.plan.monitoring != "fixed":
        name = "Dunnett" if family == "dunnett" else "Benjamini-Hochberg"
        return f"{name} holds for one look only"
    if family == "dunnett" and len({one.metric for one in tested}) > 1:
        return "Dunnett compares variants on one metric"
    if family == "dunnett" and any(map(_is_exact, tested)):
        return "so few counts are tested exactly, and Dunnett has no exact test"
    return None


def _is_exact(one: Tested) -> bool:
    """Whether the p-value is that of an exact test, which has no statistic to compare."""
    return one.counts is not None and one.counts.least_expected < FEW


def _dunnett(tested: Sequence[Tested], alpha: float, tests: int) -> Corrected:
    known = [one for one in tested if one.p_value is not None]
    loads = {one.variant: _loading(one) for one in known}
    df = min(math.inf if one.counts else one.reach.df for one in known)
    loadings = list(loads.values())
    p_values = tuple(
        None
        if one.p_value is None
        else max(families.dunnett_p_value(one.statistic, loadings, df), one.p_value)
        for one in tested
    )
    return Corrected(p_values, tests, alpha / tests, families.dunnett_critical(alpha, loadings, df))


def _loading(one: Tested) -> float:
    """Of counts by their trials: under "no difference" all variants share one variance."""
    if one.counts is not None:
        return families.loading(1 / one.counts.n_c, 1 / one.counts.n_t)
    return families.loading(one.effect.control.variance, one.effect.treatment.variance)


def comparisons_of(
    tested: Sequence[Tested], family: Family | None, monitor: Monitor
) -> tuple[Comparison, ...]:
    """The comparisons of a family, in the tests' order."""
    corrected = correct(tested, family, monitor)
    return tuple(
        _finish(one, p, corrected, monitor) for one, p in zip(tested, corrected.p_values, strict=True)
    )


def _finish(one: Tested, adjusted: float | None, family: Corrected, monitor: Monitor) -> Comparison:
    if one.p_value is None or adjusted is None:
        return _with_score_intervals(one, family, monitor)
    alpha = monitor.plan.alpha
    significant = adjusted < alpha
    direction = _direction(one, monitor)
    wide = difference_at(one, monitor, family.level, family.critical)
    lift = lift_at(one, monitor, family.level, family.critical)
    alone = wide if family.tests == 1 else difference_at(one, monitor, alpha)
    lift_alone = lift if family.tests == 1 else lift_at(one, monitor, alpha)
    found = {
        "interval": agreeing(wide, significant, direction),
        "lift_interval": agreeing(lift, significant, direction),
        "interval_unadjusted": agreeing(alone, one.p_value < alpha, direction),
        "lift_interval_unadjusted": agreeing(lift_alone, one.p_value < alpha, direction),
    }
    estimate = one.effect.lift
    reasons = {name: interval.reason for name, interval in found.items() if interval.reason}
    if estimate is None:
        reasons["lift"] = "control is 0, so a change relative to it has no meaning: read the effect"
    return Comparison(
        variant=one.variant,
        effect=one.effect.difference,
        std_error=one.std_error,
        interval=ends(found["interval"]),
        interval_unadjusted=ends(found["interval_unadjusted"]),
        lift=estimate,
        lift_interval=ends(found["lift_interval"]),
        lift_interval_unadjusted=ends(found["lift_interval_unadjusted"]),
        p_value=one.p_value,
        p_value_adjusted=adjusted,
        tests=family.tests,
        significant=significant,
        method=one.method,
        harm_p_value=one.harm_p_value,
        variance_reduction=one.variance_reduction,
        reasons=reasons,
    )


def _with_score_intervals(one: Tested, family: Corrected, monitor: Monitor) -> Comparison:
    """Without a test, two shares that are both 0 or both 1 still have score intervals."""
    comparison = unmeasured(one, family.tests)
    if one.counts is None:
        return comparison
    wide, lift = difference_at(one, monitor, family.level), lift_at(one, monitor, family.level)
    reasons = {
        name: text
        for name, text in comparison.reasons.items()
        if name not in ("interval", "interval_unadjusted", "lift_interval")
    }
    if lift.reason:
        reasons |= dict.fromkeys(("lift_interval", "lift"), lift.reason)
    return replace(
        comparison, interval=ends(wide), interval_unadjusted=ends(wide), lift_interval=ends(lift),
        lift_interval_unadjusted=ends(lift), reasons=reasons,
    )  # fmt: skip


def _direction(one: Tested, monitor: Monitor) -> int:
    """The direction in which 0 was ruled out: of the look that gave the running p."""
    past = monitor.past(one.metric, one.variant)
    if past is not None and one.p_value is not None and one.p_value >= past.p_value:
        return monitor.direction(one.metric, one.variant)
    return 1 if one.effect.difference > 0 else -1 if one.effect.difference < 0 else 0
