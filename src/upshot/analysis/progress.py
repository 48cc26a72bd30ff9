"""How far an experiment is: days, units, information, precision; no look at an effect is needed."""

import math
from collections.abc import Mapping
from datetime import date, timedelta

from upshot.analysis.estimates import Estimates
from upshot.analysis.result import Progress
from upshot.model.plan import Plan
from upshot.stats.fixed import critical


def information_of(plan: Plan, units: Mapping[str, int], days: int | None) -> float:
    """Matured units over units at the plan's maximum, in [0, 1]; by days where the plan counts none."""
    if plan.final:
        return 1.0
    most = plan.maximum_units or plan.planned_units
    if most:
        return min(sum(units.values()) / (most * max(len(units), 1)), 1.0)
    return min(days / plan.maximum_days, 1.0) if days is not None else 1.0


def days_since(plan: Plan, day: date | None, first: date | None) -> int | None:
    """Whole days from the start (or the first exposure) to the end of ``day``."""
    start = plan.start or first
    return (day - start).days + 1 if day and start else None


def progress_of(
    plan: Plan, units: Mapping[str, int], days: int | None, start: date | None, estimates: Estimates | None
) -> Progress:
    """The conditions of the table of verdicts.

    Args:
        estimates: of the first primary, for the precision; None where there is none.
    """
    information = information_of(plan, units, days)
    maximum = plan.final or information >= 1 or (days is not None and days >= plan.maximum_days)
    minimum = plan.final or days is None or days >= plan.minimum_days
    planned = maximum or _planned_reached(plan, units, days, start)
    floor = plan.final or plan.unit_kind == "account" or min(units.values(), default=0) >= plan.floor
    return Progress(
        units=dict(units),
        information=information,
        days=days,
        precision=None if estimates is None else _precision(plan, estimates),
        floor_reached=floor,
        minimum_reached=minimum,
        planned_reached=planned,
        maximum_reached=maximum,
        decision_point=maximum or (minimum and floor and (planned or plan.monitoring != "fixed")),
        days_left=_days_left(plan, days, start),
    )


def _planned_reached(plan: Plan, units: Mapping[str, int], days: int | None, start: date | None) -> bool:
    if plan.planned_units:
        return sum(units.values()) >= plan.planned_units * len(units)
    if plan.end and start and days is not None:
        return start + timedelta(days=days - 1) >= plan.end
    return False


def _days_left(plan: Plan, days: int | None, start: date | None) -> int | None:
    if plan.final or days is None:
        return None
    whole = (plan.end - start).days + 1 if plan.end and start else plan.maximum_days
    return max(whole - days, 0)


def _precision(plan: Plan, estimates: Estimates) -> float | None:
    """(Target standard error over the current one)^2, for the first variant."""
    names = [name for name in estimates.arms if name != plan.control]
    if not names or plan.control not in estimates.arms:
        return None
    effect = estimates.effect(plan.control, names[0])
    if effect.why_not() or not effect.control.value:
        return None
    target = plan.minimum_effect * abs(effect.control.value)
    needed = critical(plan.alpha) + critical(1 - plan.power, side="greater")
    share = (target / needed / effect.std_error) ** 2
    return min(share, 1.0) if math.isfinite(share) else None
