"""Each trouble is found where it is, and a sound month is left alone."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from scipy import stats

from upshot.analysis.anomalies import (
    LEVEL,
    exposures_stopped,
    jump,
    sample_ratio_drift,
    silent_variant,
    volume,
)

START = datetime(2026, 11, 1, tzinfo=UTC)
EVEN = {"control": 1.0, "treatment": 1.0}


def hours(counts, start=START):
    return [(start + timedelta(hours=hour), int(count)) for hour, count in enumerate(counts)]


def by_day(rng, share, days=28, units=400):
    """Cumulated units of two variants at the end of each day."""
    drawn = np.cumsum(rng.binomial(units, share, days))
    return [
        (START + timedelta(days=day), {"control": int(units * day - some), "treatment": int(some)})
        for day, some in enumerate(drawn, 1)
    ]


def test_a_drift_is_found_with_the_look_at_which_it_began():
    rng = np.random.default_rng(1)
    looks = by_day(rng, 0.5, 10)
    before = looks[-1][1]
    for day, found in by_day(rng, 0.35, 14):
        looks.append(
            (day + timedelta(days=10), {name: before[name] + count for name, count in found.items()})
        )
    anomaly = sample_ratio_drift("experiment/E", looks, EVEN)
    assert anomaly.kind == "sample_ratio"
    assert START + timedelta(days=11) <= anomaly.since <= START + timedelta(days=18)
    assert anomaly.numbers["p_value"] < 0.001
    assert "planned: control 50%, treatment 50%" in anomaly.said


def test_a_fair_split_never_drifts():
    """Seed 2; 200 experiments of 28 daily looks: at level 0.001 more than 2 alarms have a chance of 0.1%."""
    rng = np.random.default_rng(2)
    found = [sample_ratio_drift("experiment/E", by_day(rng, 0.5), EVEN) for _ in range(200)]
    assert stats.binom.sf(2, 200, 0.001) < 0.002
    assert sum(one is not None for one in found) <= 2
    assert sample_ratio_drift("experiment/E", [], EVEN) is None


def test_exposures_that_stop_are_missed_by_the_hour():
    past = hours([30] * 72)
    last = past[-1][0] + timedelta(minutes=50)
    assert exposures_stopped("experiment/E", past, last, last + timedelta(minutes=10)) is None
    anomaly = exposures_stopped("experiment/E", past, last, last + timedelta(minutes=25))
    assert (anomaly.kind, anomaly.since) == ("exposures_stopped", last)
    assert anomaly.numbers["expected"] == pytest.approx(12.5)


def test_a_quiet_night_is_no_stop():
    day = [0] * 8 + [60] * 16
    past = hours(day * 7)
    evening = past[-1][0] + timedelta(minutes=59)
    assert exposures_stopped("experiment/E", past, evening, evening + timedelta(hours=8)) is None
    assert exposures_stopped("experiment/E", past, evening, evening + timedelta(hours=9)) is not None


def test_without_a_past_nothing_is_said():
    assert exposures_stopped("experiment/E", [], START, START + timedelta(days=9)) is None


def test_a_silent_variant_is_found_by_chance_of_silence():
    seen = {"control": (1000, 50), "treatment": (400, 0)}
    anomaly = silent_variant("experiment/E", seen)
    assert anomaly.what == "nothing is heard of units that got treatment"
    chance = stats.betabinom.pmf(0, 400, 51, 951)
    assert anomaly.numbers["chance"] == pytest.approx(chance)
    assert chance < LEVEL
    assert silent_variant("experiment/E", {"control": (1000, 50), "treatment": (40, 0)}) is None
    assert silent_variant("experiment/E", {"control": (1000, 0), "treatment": (400, 0)}) is None
    assert silent_variant("experiment/E", {"control": (1000, 50), "treatment": (400, 1)}) is None
    assert silent_variant("experiment/E", {"control": (1000, 50)}) is None


@pytest.mark.parametrize(("count", "more"), [(3000, True), (10, False), (0, False)])
def test_a_count_far_out_of_its_range(count, more):
    anomaly = volume("event/Purchase", [980, 1010, 1040, 995, 1002, 960, 1015], count, START)
    assert anomaly.what == f"there are far {'more' if more else 'fewer'} of it than usual"
    assert anomaly.said.endswith("1,002 usually")


def test_counts_that_are_usual_or_only_somewhat_more():
    past = [980, 1010, 1040, 995, 1002, 960, 1015]
    assert all(volume("event/P", past, count, START) is None for count in (600, 900, 1100, 1900))
    assert volume("event/P", past[:4], 9000, START) is None
    assert volume("event/P", [0, 1, 0, 2, 0, 1, 0], 4, START) is None
    assert volume("event/P", [100, 2000, 300, 4000, 60, 900], 9000, START) is None


def test_poisson_counts_are_hardly_ever_out_of_range():
    """Seed 3; 5,000 hours against 14 like ones, of events from 1 to 10,000 an hour."""
    rng = np.random.default_rng(3)
    rates = np.exp(rng.uniform(0, np.log(10_000), 5000))
    found = [
        volume("event/P", rng.poisson(rate, 14).tolist(), int(rng.poisson(rate)), START) for rate in rates
    ]
    assert sum(one is not None for one in found) <= 2


def days(values, error=0.01):
    return [
        (date(2026, 11, 1) + timedelta(days=day), float(value), error) for day, value in enumerate(values)
    ]


def test_a_jump_is_found_on_its_day():
    anomaly = jump("metric/revenue", days([1.0, 1.02, 0.99, 1.01, 1.0, 0.98, 1.5]))
    assert (anomaly.what, anomaly.since) == ("it rose all at once", datetime(2026, 11, 7, tzinfo=UTC))
    assert jump("metric/revenue", days([1.0, 1.02, 0.99, 1.01, 1.0, 0.98, 0.5])).what == "it fell all at once"
    assert jump("metric/revenue", days([1.0, 1.02, 0.99, 1.01, 1.0, 0.98, 1.05])) is None
    assert jump("metric/revenue", days([1.0, 1.02, 0.99, 1.01, 1.0, 0.98, 1.5], error=0.2)) is None
    assert jump("metric/revenue", days([1.0, 1.02, 9.0])) is None
    assert jump("metric/revenue", days([1.0] * 7, error=0.0)) is None
