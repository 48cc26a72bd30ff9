"""Whether a plan keeps to the standards of its organisation: what it does not keep, each with its mend."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil

from upshot.model.plan import Plan
from upshot.model.standards import Standards

WEEK = 7
_NEAR = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A standard that a plan does not keep.

    Attributes:
        standard: its name, by which it is excepted. sentence: what the plan has, and what the standard asks.
        mend: what to change.
    """

    standard: str
    sentence: str
    mend: str


def breaches(plan: Plan, standards: Standards, today: date) -> tuple[Breach, ...]:
    """Every standard that a plan does not keep; ``today`` is when it would start, where it does not say."""
    asked = _Asked(plan=plan, standards=standards, start=plan.start or today)
    found = []
    for name, rule in _RULES.items():
        told = next(rule(asked), None)
        if told is not None:
            found.append(Breach(standard=name, sentence=told[0], mend=told[1]))
    return tuple(found)


def decision_date(plan: Plan, standards: Standards, start: date) -> date:
    """The day on which a plan is decided: its end, else whole weeks after its start, and then a working day."""
    if plan.end is not None:
        return plan.end
    weeks = min(ceil(plan.maximum_days / WEEK), standards.maximum_weeks)
    return standards.working_day(start + timedelta(days=WEEK * max(weeks, standards.minimum_weeks)))


Told = Iterator[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    plan: Plan
    standards: Standards
    start: date


def _units(asked: _Asked) -> Told:
    least = min(asked.plan.floor, asked.plan.maximum_units or asked.plan.planned_units or asked.plan.floor)
    if least < asked.standards.units_per_variant and asked.plan.unit_kind != "account":
        yield (
            f"a benefit is claimed from {least:,} units per variant on, not {asked.standards.units_per_variant:,}",
            f"set floor (and planned_units) to {asked.standards.units_per_variant} or more",
        )


def _confidence(asked: _Asked) -> Told:
    if asked.plan.alpha > 1 - asked.standards.confidence + _NEAR:
        alpha = 1 - asked.standards.confidence
        yield (
            f"its confidence is {1 - asked.plan.alpha:.4g}, and the standard is {asked.standards.confidence:.4g}",
            f"set alpha to {alpha:.4g} or less",
        )


def _power(asked: _Asked) -> Told:
    if asked.plan.power < asked.standards.power - _NEAR:
        yield (
            f"its power is {asked.plan.power:.4g}, and the standard is {asked.standards.power:.4g}",
            f"set power to {asked.standards.power:.4g} or more",
        )


def _minimum_effect(asked: _Asked) -> Told:
    bar = asked.standards.minimum_effect
    if asked.plan.minimum_effect < bar - _NEAR:
        yield (
            f"it looks for an effect of {asked.plan.minimum_effect:.2%}, and the standard is {bar:.2%}",
            f"set minimum_effect to {bar:.2%} or more",
        )


def _minimum_runtime(asked: _Asked) -> Told:
    least = WEEK * asked.standards.minimum_weeks
    if asked.plan.minimum_days < least:
        yield (
            f"it may end after {asked.plan.minimum_days} days, and the standard is {least} at least",
            f"set minimum_days to {least}",
        )


def _maximum_runtime(asked: _Asked) -> Told:
    most = WEEK * asked.standards.maximum_weeks
    end = asked.standards.working_day(asked.start + timedelta(days=most))
    if asked.plan.maximum_days > most:
        yield (
            f"it may run for {asked.plan.maximum_days} days, and the standard is {most} at most",
            f"set maximum_days to {most}",
        )
    elif asked.plan.end is not None and asked.plan.end > end:
        yield f"it is decided on {asked.plan.end}, and the standard ends it by {end}", f"set end to {end}"


def _whole_weeks(asked: _Asked) -> Told:
    for name, days in (("minimum_days", asked.plan.minimum_days), ("maximum_days", asked.plan.maximum_days)):
        if days > WEEK and days % WEEK:
            whole = WEEK * ceil(days / WEEK)
            yield f"{name} is {days}, and days of the week differ", f"set {name} to {whole}"
    if asked.plan.end is not None:
        weeks = max(round((asked.plan.end - asked.start).days / WEEK), 1)
        end = asked.standards.working_day(asked.start + timedelta(days=WEEK * weeks))
        if asked.plan.end != end:
            yield (
                f"from {asked.start} to {asked.plan.end} are no whole weeks, and days of the week differ",
                f"set end to {end}",
            )


def _working_day(asked: _Asked) -> Told:
    if asked.plan.end is not None and not asked.standards.is_working(asked.plan.end):
        yield (
            f"it is decided on {asked.plan.end}, a {asked.plan.end:%A} on which nobody works",
            f"set end to {asked.standards.working_day(asked.plan.end)}",
        )


def _monitoring(asked: _Asked) -> Told:
    if asked.plan.monitoring not in asked.standards.monitoring:
        allowed = " or ".join(asked.standards.monitoring)
        yield (
            f"its monitoring is {asked.plan.monitoring}, and the standard is {allowed}",
            f"set monitoring to {allowed}",
        )


_RULES: Mapping[str, Callable[[_Asked], Told]] = {
    "units_per_variant": _units,
    "confidence": _confidence,
    "power": _power,
    "minimum_effect": _minimum_effect,
    "minimum_runtime": _minimum_runtime,
    "maximum_runtime": _maximum_runtime,
    "whole_weeks": _whole_weeks,
    "working_day": _working_day,
    "monitoring": _monitoring,
}
