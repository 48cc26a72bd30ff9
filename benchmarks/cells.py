"""The cells of the calibration: which plan is followed on which world, and what it must keep."""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from upshot.formats.metric_text import parse_metric
from upshot.model.metric import Metric
from upshot.model.plan import Monitoring, Plan
from upshot.simulate.units import Shape, Truth
from upshot.simulate.world import START, World

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
class Sized:
    """A metric, its minimum effect, and the units per variant that find it in 80% of fixed tests.

    `adjusted` is with a covariate. Monitoring costs more: see `FACTORS`.
    """

    shape: Shape
    baseline: float
    effect: float
    units: int
    adjusted: int


METRICS = {
    "share": Sized("binary", 0.2, 0.10, 6500, 6250),
    "normal": Sized("normal", 10.0, 0.06, 4500, 2900),
    "revenue": Sized("revenue", 8.0, 0.15, 9900, 9500),
    "count": Sized("count", 3.0, 0.06, 3850, 2480),
    "ratio": Sized("ratio", 0.3, 0.06, 4400, 4200),
}
FACTORS: Mapping[Monitoring, float] = {"fixed": 1.0, "group_sequential": 1.03, "always_valid": 1.9}


def all_cells() -> tuple[Cell, ...]:
    """Every cell. A cell's seed is that of its name, so that a new cell changes no other."""
    cells = (*_methods(), *_guardrails(), *_truths())
    return tuple(replace(cell, seed=SEED + zlib.crc32(cell.name.encode())) for cell in cells)


def _methods() -> Iterator[Cell]:
    """Each method and metric kind, with and without a covariate: nothing, a loss, and the effect planned for."""
    for monitoring in FACTORS:
        for kind, sized in METRICS.items():
            for covariate in (False, True):
                plan, world = _sized(sized, monitoring, covariate)
                name = f"{monitoring}, {kind}{' with covariate' if covariate else ''}"
                valid: tuple[Bound, ...] = (
                    (("always_covered", None, 0.95),) if monitoring == "always_valid" else ()
                )
                aa = (("significant", 0.05, None), ("shipped", 0.05, None), ("covered", None, 0.95), *valid)
                yield Cell(f"{name}: no effect", "no effect", plan, world, 0, bool(valid), aa)
                loss = world.lifted(-sized.effect / 2)
                yield Cell(
                    f"{name}: a loss",
                    "a loss of half the effect",
                    plan,
                    loss,
                    0,
                    False,
                    (("shipped", 0.001, None),),
                )
                gain: tuple[Bound, ...] = (
                    ("shipped", None, 0.8),
                    ("killed_as_bad", 0.001, None),
                    ("covered", None, 0.95),
                )
                yield Cell(
                    f"{name}: the effect",
                    "the effect planned for",
                    plan,
                    world.lifted(sized.effect),
                    0,
                    False,
                    gain,
                )


def _sized(sized: Sized, monitoring: Monitoring, covariate: bool) -> tuple[Plan, World]:
    units = round((sized.adjusted if covariate else sized.units) * FACTORS[monitoring])
    metric = Metric(name="m", column="m", covariates=("before",) if covariate else ())
    plan = _plan((metric,), units, minimum_effect=sized.effect, monitoring=monitoring)
    truth = Truth(shape=sized.shape, baseline=sized.baseline, covariate=covariate)
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
        plan = _plan(metrics, 6700, minimum_effect=0.1)
        world = World(
            truths={metric.name: truths[metric.name] for metric in metrics}, daily_units=2 * 6700 / DAYS
        )
        bound: tuple[Bound, ...] = (("guardrail_harmed", 0.01, None),)
        yield Cell(f"guardrail: {name}", "guardrails without harm", plan, world, 0, True, bound)


def _truths() -> Iterator[Cell]:
    """One plan, group sequential for a 5% effect on a share of 20%, and what may be true of its worlds."""
    units = 26_700
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
