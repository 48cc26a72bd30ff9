"""Plan an experiment: how many units, how long, what can be seen in time, and how it will probably end."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from math import ceil
from typing import TYPE_CHECKING

from upshot.errors import InputError
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.stats.chances import Chances, chances
from upshot.stats.design import Design
from upshot.stats.power import minimum_effect, power_curve, runtime_days, sample_size

if TYPE_CHECKING:
    from upshot.analysis.past import Arrivals

FLOOR = 1000
MOST_DAYS = 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is asked of planning.

    Attributes:
        design: the metric and its test; ``effect`` is the minimum effect.
        ship_threshold: relative; the estimate that is worth shipping.
        weekly: new units a week over all variants, or None. arrivals: how they came in the past, instead.
        window: days until a unit's outcome is whole; units that came later than that are not counted.
        by: the day by which it must be decided, or None. today: where counting starts.
        names: of the variants, control first.
    """

    design: Design
    ship_threshold: float
    names: tuple[str, ...]
    today: date
    weekly: float | None = None
    by: date | None = None
    arrivals: "Arrivals | None" = None
    window: int = 0

    @property
    def has_traffic(self) -> bool:
        """Whether anything is known of how units come."""
        return self.weekly is not None or self.arrivals is not None

    def units_by(self, days: int) -> float:
        """Units whose outcome is whole after so many days."""
        if self.arrivals is not None:
            return self.arrivals.units(days - self.window)
        return (self.weekly or 0.0) * max(days - self.window, 0) / 7

    def days_for(self, total: float) -> int | None:
        """Whole weeks, as days, until so many units have come; None: more than ten years."""
        if self.arrivals is None and self.weekly is not None:
            return runtime_days(total, self.weekly)
        found = None if self.arrivals is None else self.arrivals.days_for(total)
        return None if found is None else 7 * ceil((found + self.window) / 7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """How the plan ends if an effect is true."""

    effect: float
    chances: Chances


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What planning says.

    Attributes:
        units: needed, by variant. total: of all variants.
        days: whole weeks until they have come, None without traffic. end: the working day it ends on.
        in_time: (days, units that come by then, the smallest effect seen then) for a date or for each of four
            weeks; empty without traffic.
        prospects: how it ends for truths around the minimum effect, at ``total`` units.
        curve: (effect, power) at ``total`` units.
        remarks: what a person should know. ways_out: what to do where traffic is too small; empty else.
    """

    units: dict[str, int]
    total: int
    days: int | None
    end: date | None
    in_time: tuple[tuple[int, int, float | None], ...]
    prospects: tuple[Prospect, ...]
    curve: tuple[tuple[float, float], ...]
    remarks: tuple[str, ...]
    ways_out: tuple[str, ...]


def plan_experiment(ask: Ask) -> Answer:
    """Answer a planning question.

    Raises:
        InputError: traffic or date make no sense, or the effect cannot be reached.
    """
    if ask.by is not None and ask.by <= ask.today:
        raise InputError(f"by is {ask.by}, which is not after {ask.today}: give a day in the future")
    if ask.by is not None and not ask.has_traffic:
        raise InputError("by needs the traffic: give --weekly, new units a week")
    size = sample_size(ask.design)
    units = dict(zip(ask.names, size.units, strict=True))
    total = sum(size.units)
    days = ask.days_for(total)
    return Answer(
        units=units,
        total=total,
        days=days,
        end=None if days is None else working_day(ask.today + timedelta(days=days)),
        in_time=_in_time(ask),
        prospects=_prospects(ask, total),
        curve=power_curve(ask.design, total, [ask.design.effect * step / 4 for step in range(1, 9)]),
        remarks=tuple(_remarks(size.units)),
        ways_out=_ways_out(ask, days),
    )


def working_day(day: date) -> date:
    """The day itself, or the Monday after it: nobody decides on a weekend."""
    return day + timedelta(days=(7 - day.weekday()) % 7 if day.weekday() >= 5 else 0)


def _in_time(ask: Ask) -> tuple[tuple[int, int, float | None], ...]:
    if not ask.has_traffic:
        return ()
    weeks = [1, 2, 3, 4] if ask.by is None else [max((ask.by - ask.today).days // 7, 1)]
    found = []
    for count in weeks:
        units = int(ask.units_by(7 * count))
        found.append((7 * count, units, _visible(ask.design, units)))
    return tuple(found)


def _visible(design: Design, units: int) -> float | None:
    if units < 1:
        return None
    try:
        return minimum_effect(design, units)
    except InputError:
        return None


def _prospects(ask: Ask, total: int) -> tuple[Prospect, ...]:
    planned = ask.design.effect
    truths = (-planned, 0.0, planned / 2, planned, 2 * planned)
    return tuple(
        Prospect(
            effect=truth,
            chances=chances(
                replace(ask.design, effect=truth),
                total,
                planned,
                ask.ship_threshold,
                (),
                _first_look(ask.design),
            ),
        )
        for truth in truths
    )


def _first_look(design: Design) -> int:
    """Looks of the first week decide nothing."""
    return 1 if design.monitoring == "fixed" else min(7, design.looks)


def _remarks(units: Sequence[int]) -> list[str]:
    least = min(units)
    if least >= 2 * FLOOR:
        return [f"the floor of {FLOOR:,} units a variant is far from enough here: {least:,} are needed"]
    if least <= FLOOR:
        return [
            f"{least:,} would do for the statistics; the standard asks for {FLOOR:,} a variant all the same"
        ]
    return []


def _ways_out(ask: Ask, days: int | None) -> tuple[str, ...]:
    if not ask.has_traffic or (days is not None and days <= MOST_DAYS):
        return ()
    units = int(ask.units_by(MOST_DAYS))
    effect, margin = (
        _visible(ask.design, units),
        _visible(replace(ask.design, effect=0.0, margin=0.05), units),
    )
    baseline = _nearer(ask.design, units)
    bold = "no effect at all" if effect is None else f"{100 * effect:.3g}%"
    near = (
        f"a step before this one in the funnel, of which at least {100 * baseline:.3g}% of units do it"
        if baseline is not None
        else "one that varies less or that more units reach"
    )
    harmless = "a margin" if margin is None else f"a margin of {100 * margin:.3g}%, which 4 weeks can prove"
    return (
        f"a bolder change: 4 weeks of this traffic see {bold} and more",
        f"a nearer metric: {near}",
        f"policy do_no_harm with {harmless}: ship if it is not worse by more",
        "a guarded rollout without a test: grow it in steps, with guardrails that turn it off",
    )


def _nearer(design: Design, units: int) -> float | None:
    """The baseline share at which this effect would be seen with these units."""
    if not design.is_share:
        return None
    low, high = design.baseline, 1 / (1 + design.effect) - 1e-6
    if low >= high or sum(sample_size(replace(design, baseline=high)).units) > units:
        return None
    for _ in range(40):
        middle = (low + high) / 2
        enough = sum(sample_size(replace(design, baseline=middle)).units) <= units
        low, high = (low, middle) if enough else (middle, high)
    return high


def plan_of(ask: Ask, answer: Answer, metric: Metric) -> Plan:
    """The plan that goes with an answer, ready to be written down."""
    days = answer.days if answer.days is not None else MOST_DAYS
    return Plan(
        metrics=(metric,),
        control=ask.names[0],
        split=dict(zip(ask.names, ask.design.weights, strict=True)),
        minimum_effect=ask.design.effect,
        ship_threshold=ask.ship_threshold,
        alpha=ask.design.alpha,
        power=ask.design.power,
        monitoring=ask.design.monitoring,
        spending=ask.design.spending,
        looks=1 if ask.design.monitoring == "fixed" else days,
        maximum_days=days,
        minimum_days=min(7, days),
        planned_units=max(answer.units.values()),
        maximum_units=max(answer.units.values()),
        family=ask.design.family,
    )
