"""The whole rule on made-up worlds. Seeds are fixed; bounds allow 3.5 standard errors of the simulation.

`benchmarks/calibration.py` follows the same rule through 10,000 worlds of every kind.
"""

import math

import pytest

from upshot.formats.metric_text import parse_metric
from upshot.model.plan import Plan
from upshot.simulate.outcomes import Outcomes, Rate
from upshot.simulate.rule import run
from upshot.simulate.units import Truth
from upshot.simulate.world import World
from upshot.stats.chances import chances
from upshot.stats.design import Design
from upshot.stats.power import sample_size

SEED = 20260301
METHODS = ["fixed", "group_sequential", "always_valid"]


def setting(monitoring: str, *guardrails: str, **truths: Truth) -> tuple[Plan, World]:
    """A plan sized for a 12% effect on a share of 30%, with daily looks, and a world of just so many units."""
    design = Design(baseline=0.3, effect=0.12, monitoring=monitoring)
    units = sample_size(design).units[0]
    plan = Plan(
        metrics=(parse_metric("converted"), *(parse_metric(text, "guardrail") for text in guardrails)),
        split={"control": 1.0, "treatment": 1.0},
        monitoring=monitoring,
        minimum_effect=0.12,
        planned_units=units,
        floor=500,
    )
    return plan, World(
        truths={"converted": Truth(shape="binary", baseline=0.3), **truths}, daily_units=2 * units / 28
    )


def at_most(rate: Rate, bound: float) -> bool:
    return rate.share <= bound + 3.5 * math.sqrt(bound * (1 - bound) / rate.worlds)


def at_least(rate: Rate, bound: float) -> bool:
    return rate.share >= bound - 3.5 * math.sqrt(bound * (1 - bound) / rate.worlds)


@pytest.mark.parametrize("monitoring", METHODS)
def test_nothing_is_rarely_called_something(monitoring: str) -> None:
    plan, world = setting(monitoring)
    outcomes = run(plan, world, worlds=300, seed=SEED, whole=monitoring == "always_valid")
    assert at_most(outcomes.significant, 0.05)
    assert at_most(outcomes.shipped, 0.025)
    assert at_least(outcomes.covered, 0.95)
    if monitoring == "always_valid":
        assert at_least(outcomes.always_covered, 0.95)


@pytest.mark.parametrize("monitoring", METHODS)
def test_what_was_planned_for_is_shipped_as_often_as_planned(monitoring: str) -> None:
    plan, world = setting(monitoring)
    outcomes = run(plan, world.lifted(0.12), worlds=250, seed=SEED + 1)
    assert at_least(outcomes.shipped, 0.8)
    assert at_most(outcomes.killed_as_bad, 0.005)


@pytest.mark.parametrize("lift", [0.0, 0.06])
def test_verdicts_come_as_often_as_planning_says(lift: float) -> None:
    """`stats.chances` carries the law of z through the table; the simulation lives through it."""
    plan, world = setting("group_sequential")
    design = Design(baseline=0.3, effect=lift, monitoring="group_sequential")
    expected = chances(design, 2 * (plan.planned_units or 0), 0.12, 0.06, first_look=7)
    found = run(plan, world.lifted(lift), worlds=250, seed=SEED + 6).verdicts()
    for chance, verdict in (
        (expected.ship, ("SHIP", "better")),
        (expected.no_effect, ("KILL", "no_effect")),
        (expected.inconclusive, ("KILL", "inconclusive")),
    ):
        room = 3.5 * math.sqrt(max(chance * (1 - chance), 0.01) / 250) + 0.01
        assert found.get(verdict, 0.0) == pytest.approx(chance, abs=room)


@pytest.mark.parametrize("monitoring", METHODS)
def test_a_loss_is_never_shipped(monitoring: str) -> None:
    plan, world = setting(monitoring)
    outcomes = run(plan, world.lifted(-0.06), worlds=100, seed=SEED + 2)
    assert outcomes.shipped.share == 0
    assert not any(ending.winner for ending in outcomes.endings)


def test_guardrails_kill_what_harms_and_spare_what_does_not() -> None:
    crashes = Truth(shape="binary", baseline=0.01)
    plan, world = setting("group_sequential", "crashed,proportion,lower", crashed=crashes)
    spared = run(plan, world.lifted(0.12, "converted"), worlds=120, seed=SEED + 3)
    assert at_most(spared.guardrail_harmed, 0.01)
    harmful = run(plan, world.lifted(0.12, "converted").lifted(3.0, "crashed"), worlds=60, seed=SEED + 4)
    assert harmful.killed_as_bad.share > 0.9
    assert harmful.shipped.share == 0
    assert harmful.days < 20


def test_a_broken_split_is_investigated() -> None:
    plan, world = setting("fixed")
    broken = World(
        truths=world.lifted(0.12).truths,
        daily_units=world.daily_units,
        weights={"control": 1.0, "treatment": 0.8},
    )
    outcomes = run(plan, broken, worlds=60, seed=SEED + 5)
    assert outcomes.verdicts()["INVESTIGATE", "check"] > 0.95


def test_processes_share_the_work_without_changing_it() -> None:
    plan, world = setting("fixed")
    seen: list[int] = []
    alone = run(plan, world, worlds=60, seed=SEED, progress=seen.append)
    shared = run(plan, world, worlds=60, seed=SEED, processes=2)
    assert shared == alone
    assert seen == [25, 50, 60]
    assert run(plan, world, worlds=60, seed=SEED + 9) != alone


def test_a_plan_without_a_calendar_gets_one() -> None:
    plan, world = setting("group_sequential")
    assert plan.start is None
    first = run(plan, world.lifted(0.5), worlds=20, seed=SEED).endings
    assert min(ending.day for ending in first) == plan.minimum_days


def test_rates_say_how_sure_they_are() -> None:
    plan, world = setting("fixed")
    outcomes = run(plan, world, worlds=50, seed=SEED)
    rate = outcomes.rate(lambda ending: ending.day == 28)
    assert (rate.share, rate.std_error, rate.worlds) == (1.0, 0.0, 50)
    assert str(outcomes.rate(lambda _: None)) == "nan% ± nan%"
    assert sum(outcomes.verdicts().values()) == pytest.approx(1.0)
    assert math.isnan(Outcomes(tuple(e for e in outcomes.endings if e.verdict != "SHIP")).estimate)
