"""How far an experiment is, by days, units and precision; never by an effect."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from upshot.analysis.analyze import analyze

START = date(2026, 3, 2)


@pytest.fixture
def progress(plan, counted):
    def found(day=1, n=1000, share=0.1, **fields):
        known = {"final": False, "start": START, "planned_units": 4000, "maximum_units": 5000} | fields
        now = counted(control=(round(n * share), n), treatment=(round(n * share), n))
        return analyze(plan(**known), now, day=START + timedelta(day - 1)).progress

    return found


def test_information_is_units_over_units_at_the_maximum(progress):
    assert progress(n=1000).information == pytest.approx(0.2)
    assert progress(n=6000).information == 1.0
    assert progress(n=1000, planned_units=None, maximum_units=None, day=7).information == pytest.approx(
        7 / 28
    )


@pytest.mark.parametrize(
    ("day", "n", "minimum", "floor", "planned", "maximum"),
    [
        (6, 1000, False, True, False, False),
        (7, 999, True, False, False, False),
        (7, 1000, True, True, False, False),
        (7, 4000, True, True, True, False),
        (7, 5000, True, True, True, True),
        (28, 1200, True, True, True, True),
    ],
)
def test_each_condition_of_the_table(progress, day, n, minimum, floor, planned, maximum):
    found = progress(day=day, n=n, monitoring="group_sequential")
    assert found.minimum_reached == minimum
    assert found.floor_reached == floor
    assert found.planned_reached == planned
    assert found.maximum_reached == maximum
    assert found.decision_point == (maximum or (minimum and floor))


def test_a_fixed_plan_is_judged_at_its_planned_end_only(progress):
    assert not progress(day=20, n=3999).decision_point
    assert progress(day=20, n=4000).decision_point
    by_date = {"planned_units": None, "maximum_units": None, "end": START + timedelta(13)}
    assert not progress(day=13, **by_date).decision_point
    assert progress(day=14, **by_date).decision_point
    assert progress(day=13, **by_date).days_left == 1


def test_the_floor_only_warns_for_accounts_and_finished_data(progress):
    assert progress(n=100, unit_kind="account").floor_reached
    whole = progress(n=100, final=True)
    assert (whole.floor_reached, whole.maximum_reached, whole.days_left) == (True, True, None)


def test_precision_is_the_square_of_the_errors_ratio(progress):
    few, many = progress(n=1000), progress(n=2000)
    assert many.precision == pytest.approx(2 * few.precision, rel=1e-3)
    target = 0.05 * 0.1 / (1.959964 + 0.841621)
    assert few.precision == pytest.approx(target**2 / (2 * 0.1 * 0.9 / 999), rel=1e-6)
    assert progress(n=10**7).precision == 1.0


def test_progress_knows_no_effect(plan, counted):
    """Better, worse or alike: what is told of progress may not depend on it."""
    asked = plan(final=False, start=START, planned_units=4000)
    found = [
        analyze(asked, counted(control=(500, 1000), treatment=(500 + extra, 1000)), day=START).progress
        for extra in (-100, 0, 100)
    ]
    precision = [one.precision for one in found]
    assert len({replace(one, precision=None) for one in map(_hashable, found)}) == 1
    assert np.ptp(precision) < 0.03 * precision[0]


def _hashable(progress):
    return replace(progress, units=tuple(progress.units.items()))
