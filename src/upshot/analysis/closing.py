"""The end of a group sequential test: answers that know how it ended, and advice to end it."""

from collections.abc import Sequence
from dataclasses import replace

from upshot.analysis.comparison import Tested, past_of
from upshot.analysis.monitor import Monitor
from upshot.analysis.result import Comparison, PastComparison
from upshot.stats import group_sequential


def closed(comparison: Comparison, tested: Tested, monitor: Monitor) -> Comparison:
    """The stage-wise p and the median-unbiased effect, from the look at which the test first crossed its bound.

    A test that went on after it had crossed ended, for these answers, where it crossed.
    """
    plan = monitor.plan
    history = _history(tested, monitor)
    if plan.monitoring != "group_sequential" or comparison.effect is None or history is None:
        return comparison
    bounds = group_sequential.bounds(monitor.fractions, plan.alpha, plan.spending)
    crossed = (i for i, past in enumerate(history) if past is not None and abs(past.fixed_z) >= bounds[i])
    end = next(crossed, len(history) - 1)
    last, fractions = history[end], monitor.fractions[: end + 1]
    if last is None:
        return comparison
    error = last.effect / last.fixed_z if last.fixed_z else last.std_error
    return replace(
        comparison,
        stagewise_p_value=group_sequential.stagewise_p_value(
            fractions, last.fixed_z, plan.alpha, plan.spending
        ),
        median_unbiased=group_sequential.median_unbiased(
            fractions, last.effect, error, plan.alpha, plan.spending
        ),
    )


def _history(tested: Tested, monitor: Monitor) -> Sequence[PastComparison | None] | None:
    """This comparison at every look, this one last; None without a test now."""
    now = past_of(tested)
    key = (tested.metric, tested.variant)
    return None if now is None else [*(look.comparisons.get(key) for look in monitor.looks), now]


def futility_notes(tested: Sequence[tuple[Tested, int]], monitor: Monitor) -> tuple[str, ...]:
    """Which primaries are below the plan's non-binding futility bound; advice only, it costs no alpha.

    Args:
        tested: each primary's comparison with the sign of its metric.
    """
    plan = monitor.plan
    if not plan.futility or plan.monitoring != "group_sequential" or monitor.fractions[-1] >= 1:
        return ()
    bound = _futility_bound(monitor)
    below = [
        f"{one.metric} of {one.variant}"
        for one, sign in tested
        if (past := past_of(one)) is not None and sign * past.fixed_z < bound
    ]
    if not below:
        return ()
    return (
        f"futility: {', '.join(below)} is below the bound of this look: going on will hardly show a gain",
    )


def _futility_bound(monitor: Monitor) -> float:
    """The futility bound at this look, if the looks still planned come evenly up to the maximum."""
    plan, so_far = monitor.plan, monitor.fractions
    left = max(plan.looks - len(so_far), 1)
    coming = tuple(so_far[-1] + (1 - so_far[-1]) * (i + 1) / left for i in range(left))
    found = group_sequential.futility_bounds((*so_far, *coming), plan.alpha, plan.power, plan.spending)
    return found.bounds[len(so_far) - 1]
