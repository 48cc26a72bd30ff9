import numpy as np
import pytest

from upshot.formats.metric_text import parse_metric
from upshot.model.plan import Plan
from upshot.simulate.planned import planned_world
from upshot.simulate.rule import run
from upshot.simulate.world import evidences
from upshot.stats.design import Design
from upshot.stats.power import sample_size

PLAN = Plan(
    metrics=(
        parse_metric("converted"),
        parse_metric("load_ms,mean,lower"),
        parse_metric("spend,mean", "secondary"),
    ),
    control="old",
    split={"new": 2.0, "old": 1.0},
    planned_units=3000,
)
DESIGNS = {
    "converted": Design(baseline=0.2),
    "load_ms": Design(kind="mean", baseline=1400.0, std=500.0, r_squared=0.36),
    "spend": Design(kind="mean", baseline=8.0, std=20.0),
}


def test_metrics_behave_as_their_designs_say() -> None:
    world = planned_world(PLAN, DESIGNS, weekly=21_000, lift=0.1)
    _, last = list(evidences(world, PLAN, np.random.default_rng(1)))[-1]
    assert last.total.units["new"] / last.total.units["old"] == pytest.approx(2.0, rel=0.03)
    assert last.rows == pytest.approx(84_000, rel=0.01)
    found = {name: last.total.samples[name]["new"].moments for name in DESIGNS}
    assert found["converted"].mean() == pytest.approx(0.22, rel=0.03)
    assert found["load_ms"].mean() == pytest.approx(1260.0, rel=0.01)
    assert found["load_ms"].var() ** 0.5 == pytest.approx(400.0, rel=0.02)
    assert found["spend"].mean() == pytest.approx(8.0, rel=0.05)


def test_the_chance_to_ship_is_that_of_planning() -> None:
    design = Design(kind="mean", baseline=10.0, std=10.0, effect=0.1)
    units = sample_size(design).units[0]
    plan = Plan(metrics=(parse_metric("m,mean"),), minimum_effect=0.1, planned_units=units)
    outcomes = run(
        plan, planned_world(plan, {"m": design}, weekly=units / 2, lift=0.1), worlds=300, seed=20260401
    )
    assert outcomes.shipped.share == pytest.approx(0.8, abs=3.5 * (0.16 / 300) ** 0.5)
