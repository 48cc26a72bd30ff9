"""The chance to conclude, against simulation, and the day on which the maximum is reached."""

import math
from datetime import date

import numpy as np
import pytest

from upshot.analysis.result import Analysis, Comparison, Look, MetricResult, Progress
from upshot.decide.outlook import chance_to_conclude, last_day
from upshot.decide.reading import read
from upshot.model.metric import Metric
from upshot.model.plan import Plan

PLAN = Plan(metrics=(Metric(name="m", column="m"),), monitoring="group_sequential", planned_units=1000)


def reading(z: float, better: str = "higher"):
    one = Comparison(
        variant="t", effect=z, std_error=1.0, interval=(z - 2, z + 2), interval_unadjusted=(z - 2, z + 2), lift=z,
        lift_interval=(z - 2, z + 2), p_value=0.1, p_value_adjusted=0.1, tests=1, significant=False, method="z",
    )  # fmt: skip
    return read(
        MetricResult(name="m", kind="mean", role="primary", better=better, variants={}, comparisons=(one,)),
        one,
    )


@pytest.mark.parametrize(("z", "information"), [(1.0, 0.5), (1.8, 0.8), (-0.5, 0.3)])
def test_chance_to_conclude_is_that_of_the_rest_of_the_data(z: float, information: float) -> None:
    rng = np.random.default_rng(20260501)
    drift = z / math.sqrt(information) + rng.standard_normal(200_000) / math.sqrt(information)  # flat prior
    left = 1 - information
    final = math.sqrt(information) * z + drift * left + math.sqrt(left) * rng.standard_normal(200_000)
    expected = (final > 1.959964).mean()
    assert chance_to_conclude(reading(z), PLAN, information) == pytest.approx(expected, abs=0.005)


def test_the_wanted_direction_counts() -> None:
    assert chance_to_conclude(reading(-1.5, "lower"), PLAN, 0.5) == chance_to_conclude(
        reading(1.5), PLAN, 0.5
    )
    assert chance_to_conclude(reading(1.5), PLAN, 1.0) is None


def analysis(day: date | None, days: int | None, information: float) -> Analysis:
    look = Look(number=1, information=information, comparisons={}, units={}, day=day)
    progress = Progress(units={}, information=information, days=days)
    return Analysis(
        unit="u",
        control="c",
        monitoring="fixed",
        alpha=0.05,
        look=look,
        progress=progress,
        checks=(),
        metrics=(),
    )


def test_last_day() -> None:
    started = Plan(metrics=PLAN.metrics, start=date(2026, 1, 5), maximum_days=28)
    assert last_day(started, analysis(None, None, 0.5)) == date(2026, 2, 1)
    assert last_day(PLAN, analysis(date(2026, 1, 18), 14, 0.5)) == date(2026, 2, 1)
    assert last_day(PLAN, analysis(None, 14, 0.5)) is None
