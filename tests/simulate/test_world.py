import numpy as np
import pytest

from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.simulate.units import Truth
from upshot.simulate.world import START, World, evidences
from upshot.stats.moments import merge_all

PLAN = Plan(
    metrics=(
        Metric(name="converted", column="converted"),
        Metric(name="revenue", column="revenue", covariates=("revenue_before",)),
    )
)
WORLD = World(
    truths={
        "converted": Truth(shape="binary", baseline=0.1),
        "revenue": Truth(shape="revenue", baseline=8.0, covariate=True),
    },
    daily_units=300,
    cohorts=True,
)


def test_evidence_grows_day_by_day_and_days_add_up_to_the_whole() -> None:
    course = list(evidences(WORLD, PLAN, np.random.default_rng(1)))
    assert [day for day, _ in course][:2] == [START, START.replace(day=START.day + 1)]
    assert len(course) == 28
    _, last = course[-1]
    assert last.rows == sum(last.total.units.values()) == pytest.approx(300 * 28, rel=0.1)
    assert [metric.kind for metric in last.metrics] == ["proportion", "mean"]
    for name in ("converted", "revenue"):
        merged = merge_all([day.samples[name]["treatment"].moments for day in last.days.values()])
        whole = last.total.samples[name]["treatment"].moments
        assert merged.n == whole.n
        assert np.allclose(merged.means, whole.means)
        assert np.allclose(merged.cross, whole.cross)
    assert set(last.pre_period) == {"revenue_before"}


def test_the_same_seed_gives_the_same_world_and_another_seed_another() -> None:
    first, again, other = (list(evidences(WORLD, PLAN, np.random.default_rng(seed))) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_assignment_can_be_broken() -> None:
    broken = World(truths=WORLD.truths, daily_units=3000, weights={"control": 1.0, "treatment": 0.8})
    _, last = list(evidences(broken, PLAN, np.random.default_rng(3)))[-1]
    assert last.total.units["treatment"] / last.total.units["control"] == pytest.approx(0.8, abs=0.02)


def test_a_gain_of_novelty_is_smaller_for_those_who_come_later() -> None:
    truth = Truth(shape="normal", baseline=10.0, std=0.1, lifts={"treatment": 0.5}, half_life=5.0)
    plan = Plan(metrics=(Metric(name="m", column="m"),))
    world = World(truths={"m": truth}, daily_units=2000, cohorts=True)
    _, last = list(evidences(world, plan, np.random.default_rng(4)))[-1]
    means = [day.samples["m"]["treatment"].moments.mean() for day in last.days.values()]
    assert means[0] == pytest.approx(15.0, abs=0.2)
    assert means[-1] == pytest.approx(10.0 * (1 + 0.5 * 0.5 ** (27 / 5)), abs=0.2)


def test_lifting_a_world_changes_one_metric_or_all() -> None:
    assert {truth.lifts["treatment"] for truth in WORLD.lifted(0.1).truths.values()} == {0.1}
    one = WORLD.lifted(0.1, "revenue").truths
    assert one["revenue"].lifts == {"treatment": 0.1}
    assert one["converted"].lifts == {}
