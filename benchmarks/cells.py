"""The cells of the calibration: which plan is followed on which world, and what it must keep."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from upshot.formats.metric_text import parse_metric
from upshot.model.metric import Metric
from upshot.model.plan import Monitoring, Plan
from upshot.simulate.units import KINDS, Shape, Truth
from upshot.simulate.world import START, World
from upshot.stats.design import Design
from upshot.stats.power import sample_size

SEED = 20260201
DAYS = 28

Bound = tuple[str, float | None, float | None]  # a rate, the most and the least that it may be


@dataclass(frozen=True, slots=True)
class Cell:
    """One plan on one world.

    Attributes:
        group: the table it stands in. seed: of its chance.
        whole: every look of the course is needed, not only those until the decision.
        promises: what its rates must keep.
    """

    name: str
    group: str
    plan: Plan
    world: World
    seed: int
    whole: bool = False
    promises: tuple[Bound, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """A metric and the effect it is to find.

    Attributes:
        effect: the minimum effect. std: of one unit, halfway between both variants (None: a share).
        r_squared: share of the variance that the covariate explains. Both were measured on 4 million units.
    """

    shape: Shape
    baseline: float
    effect: float
    std: float | None
    r_squared: float

    def design(self, monitoring: Monitoring, covariate: bool) -> Design:
        """What planning is told."""
        return Design(
            kind=KINDS[self.shape],
            baseline=self.baseline,
            std=self.std,
            effect=self.effect,
            monitoring=monitoring,
            looks=DAYS,
            r_squared=self.r_squared if covariate else 0.0,
        )


QUESTIONS = {
    "share": Question("binary", 0.2, 0.10, None, 0.042),
    "normal": Question("normal", 10.0, 0.06, 10.0, 0.36),
    "revenue": Question("revenue", 8.0, 0.15, 30.45, 0.038),
    "count": Question("count", 3.0, 0.06, 2.805, 0.364),
    "ratio": Question("ratio", 0.3, 0.06, 0.2988, 0.043),
}
METHODS: tuple[Monitoring, ...] = ("fixed", "group_sequential", "always_valid")


def all_cells() -> tuple[Cell, ...]:
    """Every cell. A cell's seed is that of its name, so that a new cell changes no other."""
    cells = (*_methods(), *_families(), *_guardrails(), *_margins(), *_truths())
    return tuple(replace(cell, seed=SEED + zlib.crc32(cell.name.encode())) for cell in cells)


def _methods() -> Iterator[Cell]:
    """Each method and metric kind, with and without a covariate: nothing, the effect planned for, a loss."""
    for monitoring in METHODS:
        for kind, question in QUESTIONS.items():
            for covariate in (False, True):
                name = f"{monitoring}, {kind}{' with covariate' if covariate else ''}"
                plan, world = _asked(question, monitoring, covariate)
                yield from _lifted(name, plan, world)


def _lifted(name: str, plan: Plan, world: World) -> Iterator[Cell]:
    """Promises: errors of the plan's level, no ship of a loss, no kill of a win, the power that was planned."""
    always = plan.monitoring == "always_valid"
    nothing: list[Bound] = [("significant", 0.05, None), ("shipped", 0.05, None), ("covered", None, 0.95)]
    if always:
        nothing.append(("always_covered", None, 0.95))
    gain: list[Bound] = [("shipped", None, 0.8), ("killed_as_bad", 0.001, None), ("covered", None, 0.95)]
    effect = plan.minimum_effect
    yield Cell(f"{name}: no effect", "no effect", plan, world, 0, always, tuple(nothing))
    yield Cell(
        f"{name}: the effect", "the effect planned for", plan, world.lifted(effect), 0, False, tuple(gain)
    )
    loss: tuple[Bound, ...] = (("shipped", 0.001, None),)
    yield Cell(
        f"{name}: a loss", "a loss of half the effect", plan, world.lifted(-effect / 2), 0, False, loss
    )


def _asked(question: Question, monitoring: Monitoring, covariate: bool) -> tuple[Plan, World]:
    """A plan of the size that planning gives, and a world that brings just so many units in 28 days."""
    units = sample_size(question.design(monitoring, covariate)).units[0]
    metric = Metric(name="m", column="m", covariates=("before",) if covariate else ())
    plan = _plan((metric,), units, minimum_effect=question.effect, monitoring=monitoring)
    truth = Truth(shape=question.shape, baseline=question.baseline, covariate=covariate)
    return plan, World(truths={"m": truth}, daily_units=2 * units / DAYS)


def _plan(metrics: tuple[Metric, ...], units: int, **changes: object) -> Plan:
    fields: dict[str, object] = {
        "metrics": metrics,
        "split": {"control": 1.0, "treatment": 1.0},
        "monitoring": "group_sequential",
        "planned_units": units,
        "maximum_units": units,
        "looks": DAYS,
        "maximum_days": DAYS,
        "start": START,
        **changes,
    }
    return Plan(**fields)  # type: ignore[arg-type]


def _guardrails() -> Iterator[Cell]:
    """Guardrails of which none is harmed, each at the edge of its margin, where a wrong call is likeliest."""
    truths = {
        "m": Truth(shape="binary", baseline=0.2),
        "crashed": Truth(shape="binary", baseline=0.002),
        "load": Truth(shape="normal", baseline=1400.0, std=0.35),
        "revenue": Truth(shape="revenue", baseline=8.0),
        "returned": Truth(shape="binary", baseline=0.05),
    }
    kinds = {
        "a rare share, margin 0": ("crashed,proportion,lower",),
        "a rare share at its limit": ("crashed,proportion,max=0.2%",),
        "a mean, margin 0": ("load,mean,lower",),
        "a skewed mean, margin 0": ("revenue,mean",),
        "three at once, margin 0": ("load,mean,lower", "revenue,mean", "returned,proportion,lower"),
    }
    for name, texts in kinds.items():
        metrics = (parse_metric("m"), *(parse_metric(text, "guardrail") for text in texts))
        plan = _plan(metrics, 6827, minimum_effect=0.1)
        world = World(
            truths={metric.name: truths[metric.name] for metric in metrics}, daily_units=2 * 6827 / DAYS
        )
        bound: tuple[Bound, ...] = (("guardrail_harmed", 0.01, None),)
        yield Cell(f"guardrail: {name}", "guardrails without harm", plan, world, 0, True, bound)


def _families() -> Iterator[Cell]:
    """Two primaries of two variants: four tests, of which none may be called at more than 5% in all."""
    weights = {"control": 1.0, "b": 1.0, "c": 1.0}
    world = World(
        truths={"m": Truth(shape="binary", baseline=0.2), "spend": Truth(shape="normal", baseline=10.0)},
        daily_units=3 * 6827 / DAYS,
        weights=weights,
    )
    bound: tuple[Bound, ...] = (("significant", 0.05, None), ("covered", None, 0.95))
    for monitoring in METHODS:
        metrics = (parse_metric("m"), parse_metric("spend,mean"))
        plan = _plan(metrics, 6827, minimum_effect=0.1, monitoring=monitoring, split=weights)
        yield Cell(
            f"{monitoring}, two primaries of two variants: no effect",
            "no effect",
            plan,
            world,
            0,
            False,
            bound,
        )


def _margins() -> Iterator[Cell]:
    """A sure win beside a guardrail that loses exactly its margin: to call it held is an error."""
    truths = {
        "load": Truth(shape="normal", baseline=1400.0, std=0.35, lifts={"treatment": 0.02}),
        "returned": Truth(shape="binary", baseline=0.05, lifts={"treatment": 0.1}),
    }
    win = Truth(shape="binary", baseline=0.2, lifts={"treatment": 0.2})
    bound: tuple[Bound, ...] = (("shipped", 0.025, None),)
    for monitoring in METHODS:
        for text in ("load,mean,lower,margin=2%", "returned,proportion,lower,margin=10%"):
            rail = parse_metric(text, "guardrail")
            plan = _plan((parse_metric("m"), rail), 6827, minimum_effect=0.1, monitoring=monitoring)
            world = World(truths={"m": win, rail.name: truths[rail.name]}, daily_units=2 * 6827 / DAYS)
            name = f"{monitoring}, {rail.name} loses its margin"
            yield Cell(name, "guardrails at their margin", plan, world, 0, False, bound)


def _truths() -> Iterator[Cell]:
    """One plan, group sequential for a 5% effect on a share of 20%, and what may be true of its worlds."""
    units = sample_size(Design(baseline=0.2, effect=0.05, monitoring="group_sequential", looks=DAYS)).units[0]
    plan = _plan((parse_metric("converted"),), units)
    world = World(truths={"converted": Truth(shape="binary", baseline=0.2)}, daily_units=2 * units / DAYS)
    for lift in (-0.1, -0.05, -0.025, 0.0, 0.01, 0.025, 0.05, 0.1):
        yield Cell(f"truth: a lift of {lift:+.1%}", "truths", plan, world.lifted(lift), 0)
    yield Cell("truth: +20% that halves every 4 days", "truths", plan, _fading(world), 0)
    yield from _special(plan, world)


def _fading(world: World) -> World:
    truth = Truth(shape="binary", baseline=0.2, lifts={"treatment": 0.2}, half_life=4.0)
    return replace(world, truths={"converted": truth}, cohorts=True)


def _special(plan: Plan, world: World) -> Iterator[Cell]:
    gain = world.lifted(0.05)
    rail = replace(
        plan, metrics=(*plan.metrics, parse_metric("crashed,proportion,lower,margin=10%", "guardrail"))
    )
    for name, lift in (("a guardrail without power", 0.0), ("crashes doubled", 1.0)):
        truths = {**gain.truths, "crashed": Truth(shape="binary", baseline=0.004, lifts={"treatment": lift})}
        yield Cell(f"truth: +5% and {name}", "truths", rail, replace(gain, truths=truths), 0)
    broken = replace(gain, weights={"control": 1.0, "treatment": 0.95})
    yield Cell("truth: +5% but 5% of treatment lost", "truths", plan, broken, 0)
    few = replace(plan, planned_units=150, maximum_units=150, unit_kind="account", minimum_effect=0.2)
    yield Cell(
        "truth: +20%, 300 accounts", "truths", few, replace(world.lifted(0.2), daily_units=300 / DAYS), 0
    )
    many = replace(plan, planned_units=5_000_000, maximum_units=5_000_000)
    for lift in (0.0, 0.005, 0.05):
        name = f"truth: {lift:+.1%}, 10 million users"
        yield Cell(name, "truths", many, replace(world.lifted(lift), daily_units=10_000_000 / DAYS), 0)
