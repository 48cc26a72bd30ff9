"""One variant against control on one metric: effect, intervals, p-value; the same effect in each."""

import math
from dataclasses import dataclass, replace

from upshot.analysis.estimates import Estimates
from upshot.analysis.monitor import Monitor, Reach
from upshot.analysis.result import Bounds, Comparison, PastComparison
from upshot.stats import always_valid, fixed, proportions
from upshot.stats.effect import Effect, difference_interval, lift_interval
from upshot.stats.interval import Interval, undefined
from upshot.stats.proportions import Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """A comparison before its family is known.

    Attributes:
        metric, variant: what is compared with control. effect: as estimated.
        reach: how far it is. p_value: of this test alone, running under looks; None without a test.
        statistic: Welch's t, or the pooled z. reason: why there is no test.
        counts: where the intervals are those of two proportions. std_error: of the effect.
        harm_p_value: one-sided anytime p of "not worse than control".
    """

    metric: str
    variant: str
    effect: Effect
    reach: Reach
    p_value: float | None
    statistic: float
    std_error: float | None
    method: str
    reason: str
    harm_p_value: float
    counts: Counts | None = None
    variance_reduction: float | None = None


def compare(
    name: str, estimates: Estimates, control: str, variant: str, monitor: Monitor, ripe: bool, sign: int
) -> Tested:
    """Test one variant against control under the plan's monitoring.

    Args:
        ripe: whether always-valid bounds may speak. sign: +1 where higher is better, -1 where lower is.
    """
    effect = estimates.effect(control, variant)
    why = [f"{side}: {text}" for side, text in estimates.why_not.items() if side in (control, variant)]
    reason = "; ".join(why) or effect.why_not()
    reach = Reach(effect.control.n + effect.treatment.n, effect.df, ripe)
    past = monitor.past(name, variant)
    before = past.p_value if past else 1.0
    harm_before = past.harm_p_value if past else 1.0
    base = Tested(
        metric=name, variant=variant, effect=effect, reach=reach, p_value=None, statistic=math.nan,
        std_error=None, method=estimates.method, reason=reason, harm_p_value=harm_before,
        variance_reduction=estimates.variance_reduction,
    )  # fmt: skip
    counts = estimates.pair(control, variant) if monitor.plan.monitoring == "fixed" else None
    tested = _proportions(base, counts, monitor) if counts else _welch(base, monitor, before)
    return _with_harm(tested, monitor, sign)


def _welch(base: Tested, monitor: Monitor, before: float) -> Tested:
    if base.reason:
        return base
    t = fixed.statistic(base.effect)
    p = monitor.p_value(t, base.reach, before)
    return replace(base, p_value=p, statistic=t, std_error=base.effect.std_error)


def _proportions(base: Tested, counts: Counts, monitor: Monitor) -> Tested:
    test = proportions.two_proportions(counts, monitor.plan.alpha)
    if test is None:
        return replace(base, counts=counts, reason="every unit ended alike in both variants: nothing to test")
    return replace(
        base, counts=counts, p_value=test.p_value, statistic=test.statistic, std_error=test.std_error,
        method=test.method, reason="",
    )  # fmt: skip


def _with_harm(tested: Tested, monitor: Monitor, sign: int) -> Tested:
    """The one-sided anytime p of "not worse", kept at every look whatever the monitoring."""
    if tested.effect.why_not() or not tested.reach.ripe:
        return tested
    score = -sign * fixed.normal_score(fixed.statistic(tested.effect), tested.effect.df)
    p = always_valid.one_sided_p_value(score, tested.reach.n, monitor.harm_rho)
    return replace(tested, harm_p_value=min(p, tested.harm_p_value))


def past_of(tested: Tested) -> PastComparison | None:
    """What the next look needs of this one; None without a test."""
    if tested.p_value is None or tested.std_error is None:
        return None
    score = fixed.normal_score(tested.statistic, tested.reach.df if tested.counts is None else math.inf)
    return PastComparison(
        n=tested.reach.n, effect=tested.effect.difference, std_error=tested.std_error, df=tested.reach.df,
        fixed_z=score, p_value=tested.p_value, harm_p_value=tested.harm_p_value,
    )  # fmt: skip


def difference_at(tested: Tested, monitor: Monitor, level: float, critical: float | None = None) -> Interval:
    """The interval of the difference at a level (or with a family's own critical value)."""
    if tested.counts is not None:
        return proportions.mee(tested.counts, _score_limit(tested, level, critical))
    if tested.reason:
        return undefined(tested.reason)
    return difference_interval(tested.effect, critical or monitor.critical(level, tested.reach))


def lift_at(tested: Tested, monitor: Monitor, level: float, critical: float | None = None) -> Interval:
    """The interval of the lift with the same critical value."""
    if tested.counts is not None:
        return proportions.koopman(tested.counts, _score_limit(tested, level, critical))
    if tested.reason:
        return undefined(tested.reason)
    return lift_interval(tested.effect, critical or monitor.critical(level, tested.reach))


def _score_limit(tested: Tested, level: float, critical: float | None) -> float:
    assert tested.counts is not None
    if critical is not None:
        return critical
    test = proportions.two_proportions(tested.counts, level)
    return fixed.critical(level) if test is None else test.critical


def agreeing(interval: Interval, significant: bool, direction: int) -> Interval:
    """The interval cut at 0 where the test of its family has ruled 0 out and the interval alone has not.

    Happens where Holm rejects beyond Bonferroni, and where an earlier look of a sequential plan had ruled 0 out
    already. docs/decisions/test-and-interval.md says what that costs.
    """
    if not significant or not interval.defined or direction == 0 or interval.excludes(0.0):
        return interval
    tiny = math.ulp(0.0)
    low, high = (tiny, interval.high) if direction > 0 else (interval.low, -tiny)
    return replace(interval, low=low, high=high)


def ends(interval: Interval) -> Bounds:
    """The two ends, None where there is none or it is not a finite number."""
    low, high = (
        end if end is not None and math.isfinite(end) else None for end in (interval.low, interval.high)
    )
    return low, high


def unmeasured(tested: Tested, tests: int) -> Comparison:
    """A comparison without a test: what is known of it, and why not more."""
    effect = tested.effect.difference
    known = effect if math.isfinite(effect) else None
    lift = tested.effect.lift if known is not None else None
    why = tested.reason
    missing = (
        "p_value",
        "p_value_adjusted",
        "std_error",
        "interval",
        "interval_unadjusted",
        "lift_interval",
        "p_win",
    )
    reasons = dict.fromkeys(missing, why)
    if known is None:
        reasons["effect"] = why
    if lift is None or not math.isfinite(lift):
        reasons["lift"] = why
        lift = None
    return Comparison(
        variant=tested.variant, effect=known, std_error=None, interval=(None, None),
        interval_unadjusted=(None, None), lift=lift, lift_interval=(None, None), p_value=None,
        p_value_adjusted=None, tests=tests, significant=False, method=tested.method, reasons=reasons,
        harm_p_value=tested.harm_p_value, variance_reduction=tested.variance_reduction,
    )  # fmt: skip
