"""A made-up world: who arrives, what is true, and the evidence that an analysis sees at the end of each day."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import numpy as np

from upshot.analysis.evidence import Evidence, Sample, Slice
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.simulate.course import Course, IntArray, course_of_counts, course_of_units
from upshot.simulate.units import KINDS, FloatArray, Truth, draw_units
from upshot.stats.moments import Moments

START = date(2026, 1, 5)  # a Monday
WEEK = np.array([1.1, 1.1, 1.1, 1.1, 1.1, 0.75, 0.75])  # fewer units come at the weekend

Courses = Mapping[tuple[str, str], Course]
Arrivals = Mapping[str, IntArray]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What is true, and how units come.

    Attributes:
        truths: metric name -> what is true of it.
        daily_units: units that arrive on an average day, over all variants.
        days: how long the world lasts.
        weights: share of each variant as it really happens, control first; it differs from the plan's
            split where assignment is broken.
        cohorts: whether the evidence also has a slice for each day of first exposure.
    """

    truths: Mapping[str, Truth]
    daily_units: float
    days: int = 28
    weights: Mapping[str, float] = field(default_factory=lambda: {"control": 1.0, "treatment": 1.0})
    cohorts: bool = False

    def lifted(self, lift: float, metric: str | None = None) -> "World":
        """The same world with this lift in every variant but control, of one metric or of all."""
        names = list(self.weights)[1:]
        truths = {
            name: replace(truth, lifts=dict.fromkeys(names, lift)) if metric in (None, name) else truth
            for name, truth in self.truths.items()
        }
        return replace(self, truths=truths)


def evidences(world: World, plan: Plan, rng: np.random.Generator) -> Iterator[tuple[date, Evidence]]:
    """One course of the world: at the end of each day, the evidence of all units so far.

    A unit counts on the day it arrives with its whole, fixed window: only matured units are looked at.
    """
    metrics = plan_metrics(plan, world)
    arrivals = _arrivals(world, rng)
    courses = {
        (metric.name, variant): _course(world.truths[metric.name], metric, variant, arrivals[variant], rng)
        for metric in metrics
        for variant in world.weights
    }
    days: dict[date, Slice] = {}
    for day in range(world.days):
        today = (plan.start or START) + timedelta(days=day)
        if world.cohorts:
            days[today] = _slice(
                {key: course.on(day) for key, course in courses.items()}, arrivals, day, day + 1
            )
        total = _slice({key: course.until(day) for key, course in courses.items()}, arrivals, 0, day + 1)
        yield today, _evidence(plan, metrics, total, dict(days))


def plan_metrics(plan: Plan, world: World) -> tuple[Metric, ...]:
    """The plan's metrics with the kinds that the world gives them."""
    return tuple(replace(metric, kind=KINDS[world.truths[metric.name].shape]) for metric in plan.metrics)


def _arrivals(world: World, rng: np.random.Generator) -> dict[str, IntArray]:
    """Units per variant and day: traffic is given, as inference takes it; which variant a unit meets is chance."""
    traffic = np.rint(world.daily_units * WEEK[np.arange(world.days) % 7]).astype(np.int64)
    weights = np.array(list(world.weights.values()))
    split = rng.multinomial(traffic, weights / weights.sum())
    return {variant: split[:, place] for place, variant in enumerate(world.weights)}


def _course(
    truth: Truth, metric: Metric, variant: str, arrivals: IntArray, rng: np.random.Generator
) -> Course:
    lift = truth.lifts.get(variant, 0.0)
    if truth.shape == "binary" and not truth.covariate and truth.half_life is None:
        return course_of_counts(rng.binomial(arrivals, truth.baseline * (1 + lift)), arrivals)
    names: tuple[str, ...] = ("outcome", "denominator") if truth.shape == "ratio" else ("outcome",)
    names += metric.covariates if truth.covariate else ()
    columns = draw_units(truth, _lift_by_unit(truth, lift, arrivals), int(arrivals.sum()), rng)
    return course_of_units(names, columns, arrivals)


def _lift_by_unit(truth: Truth, lift: float, arrivals: IntArray) -> FloatArray | float:
    """Where the gain is one of novelty, those who come later show less of it."""
    if truth.half_life is None:
        return lift
    return np.repeat(lift * 0.5 ** (np.arange(len(arrivals)) / truth.half_life), arrivals)


def _slice(found: Mapping[tuple[str, str], Sample], arrivals: Arrivals, start: int, end: int) -> Slice:
    samples: dict[str, dict[str, Sample]] = {}
    for (metric, variant), sample in found.items():
        samples.setdefault(metric, {})[variant] = sample
    return Slice(units={variant: int(n[start:end].sum()) for variant, n in arrivals.items()}, samples=samples)


def _evidence(plan: Plan, metrics: tuple[Metric, ...], total: Slice, days: Mapping[date, Slice]) -> Evidence:
    variants = (plan.control, *(name for name in total.units if name != plan.control))
    return Evidence(
        unit=plan.unit,
        control=plan.control,
        variants=variants,
        metrics=metrics,
        total=total,
        days=days,
        rows=sum(total.units.values()),
        pre_period=_pre_period(metrics, total),
    )


def _pre_period(metrics: tuple[Metric, ...], total: Slice) -> dict[str, dict[str, Moments]]:
    return {
        name: {
            variant: _alone(sample.moments, name) for variant, sample in total.samples[metric.name].items()
        }
        for metric in metrics
        for name in metric.covariates
        if all(name in sample.moments.names for sample in total.samples[metric.name].values())
    }


def _alone(moments: Moments, covariate: str) -> Moments:
    """A covariate as an outcome of its own."""
    one = moments.select((covariate,))
    return Moments(("outcome",), one.n, one.means, one.cross)
