"""Cohort views against pandas and scipy over the same random events."""

import json
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from upshot.analysis.cohort_table import cohort_cells
from upshot.analysis.cohorts import cohorts_of, cohorts_to_dict
from upshot.analysis.event_evidence import event_evidence
from upshot.model.plan import Plan

METRICS = """
metrics:
  bought: {kind: proportion, event: Buy, window: 10d}
  silent: {kind: proportion, event: Buy, absent: true, window: 10d}
  spent: {kind: mean, event: Buy, value: usd, window: 5d, covariate: 2d}
  n: {kind: count, event: Buy}
  share: {kind: ratio, event: Buy, value: usd, denominator: View}
  back: {kind: retention, event: View, day: 1}
  slow: {kind: quantile, event: View, value: ms, quantile: 50%, window: 3d}
"""
HOURS = 24 * 9


def world(seed=4, units=900):
    """Exposures over six days, events over eleven: some before their exposure, some of strangers. Seed 4."""
    rng = np.random.default_rng(seed)
    variants = rng.choice(["control", "treatment"], units)
    at = rng.uniform(0, 24 * 6, units).round(3)
    exposures = [(f"u{i}", variants[i], at[i], {}) for i in range(units)]
    exposures += [(f"u{i}", "treatment", at[i] + 3.0, {}) for i in range(20)]  # some met both
    who = rng.integers(0, units + 50, 6000)
    hours = rng.uniform(-10, 24 * 11, 6000).round(3)
    events = []
    for place in range(6000):
        lucky = who[place] < units and variants[who[place]] == "treatment" and place % 3 == 0
        name = "Buy" if lucky or place % 5 == 0 else "View"
        about = {"usd": round(float(rng.gamma(2, 5)), 2)} if name == "Buy" else {"ms": place % 97}
        events.append((f"u{who[place]}", name, hours[place], about))
    return exposures, events


@pytest.fixture(scope="module")
def asked(event_tables, event_question):
    exposures, events = event_tables(*world())
    return exposures, events, event_question(METRICS, HOURS, segments=())


@pytest.fixture(scope="module")
def cells(asked):
    return cohort_cells(*asked)


@pytest.fixture(scope="module")
def views(asked, cells):
    plan = Plan(metrics=asked[2].metrics, split={"control": 1, "treatment": 1}, alpha=0.1)
    return cohorts_of(plan, event_evidence(*asked), cells, asked[2].as_of)


@pytest.fixture(scope="module")
def frames():
    """Units with the day of their exposure and the days that are over; what they did after it with its day."""
    exposures, events = world()
    seen = pd.DataFrame(exposures, columns=["unit", "variant", "hour", "_"])
    units = seen.groupby("unit").agg(
        variant=("variant", "min"), met=("variant", "nunique"), begun=("hour", "min")
    )
    units = units[units.met == 1].copy()
    units["day"] = (units.begun // 24).astype(int)
    units["over"] = ((HOURS - units.begun) // 24).astype(int)
    done = pd.DataFrame(events, columns=["unit", "event", "hour", "about"]).join(
        units, on="unit", how="inner"
    )
    done["age"] = np.floor((done.hour - done.begun) / 24).astype(int)
    done = done[(done.hour >= done.begun) & (done.hour < HOURS) & (done.age < done.over)]
    done["usd"] = [about.get("usd", 0.0) for about in done.about]
    return units, done


def day(number):
    return (pd.Timestamp("2026-01-01") + timedelta(days=int(number))).date()


def values(frames, variant, age, column="usd", event="Buy"):
    """What each unit of a variant gave on a day that it has behind it."""
    units, done = frames
    mine = units[(units.variant == variant) & (units.over > age)]
    told = done[(done.event == event) & (done.age == age)]
    found = told.groupby("unit")[column].sum() if column == "usd" else told.groupby("unit").size()
    return found.reindex(mine.index).fillna(0.0).to_numpy()


def trend(views, metric, by):
    return next(one for one in views.trends if (one.metric, one.by) == (metric, by))


def test_cells_are_those_that_pandas_counts(cells, frames):
    units, done = frames
    assert cells.units == {(day(d), v): n for (d, v), n in units.groupby(["day", "variant"]).size().items()}
    for (cohort, variant, age), count in cells.over.items():
        mine = units[(units.day.map(day) == cohort) & (units.variant == variant)]
        assert count == (mine.over > age).sum()
        viewed = done[(done.event == "View") & (done.age == age) & done.unit.isin(mine.index)].unit.nunique()
        assert cells.returns["View"][cohort, variant, age] == viewed
    assert max(age for _, _, age in cells.over) == 7


@pytest.mark.parametrize(("metric", "column", "length"), [("spent", "usd", 5), ("n", "size", 8)])
def test_days_since_exposure_are_welch_tests_of_what_units_gave_on_them(
    views, frames, metric, column, length
):
    points = trend(views, metric, "days_since").points
    assert [point.at for point in points] == list(range(length))
    for point in points:
        control, treatment = (values(frames, name, point.at, column) for name in ("control", "treatment"))
        assert point.units == {"control": len(control), "treatment": len(treatment)}
        test = stats.ttest_ind(treatment, control, equal_var=False)
        interval = test.confidence_interval(0.9)
        assert point.control == pytest.approx(control.mean())
        assert point.effect == pytest.approx(treatment.mean() - control.mean())
        assert point.lift == pytest.approx(treatment.mean() / control.mean() - 1)
        assert point.interval == pytest.approx((interval.low, interval.high))
        assert (point.lift_interval[0] > 0) == (interval.low > 0)


def test_shares_by_day_are_two_proportions(views, frames):
    absent = {point.at: point for point in trend(views, "silent", "days_since").points}
    for point in trend(views, "bought", "days_since").points:
        control, treatment = (values(frames, name, point.at) > 0 for name in ("control", "treatment"))
        assert (point.control, point.value) == pytest.approx((control.mean(), treatment.mean()))
        assert absent[point.at].effect == pytest.approx(-point.effect)
        assert point.interval[0] < point.effect < point.interval[1]


def test_a_ratio_by_day_is_of_the_sums_and_its_error_by_the_delta_method(views, frames):
    for point in trend(views, "share", "days_since").points:
        arms = []
        for name in ("control", "treatment"):
            y, d = values(frames, name, point.at), values(frames, name, point.at, "size", "View")
            ratio = y.sum() / d.sum()
            arms.append((ratio, (y - ratio * d).var(ddof=1) / len(y) / d.mean() ** 2))
        (control, variance), (value, other) = arms
        assert (point.control, point.value) == pytest.approx((control, value))
        middle, half = value - control, (point.interval[1] - point.interval[0]) / 2
        assert half == pytest.approx(stats.norm.isf(0.05) * (variance + other) ** 0.5, rel=0.02)
        assert sum(point.interval) / 2 == pytest.approx(middle)


def test_days_of_first_exposure_are_the_cohorts_of_the_evidence(views, frames):
    units, done = frames
    points = trend(views, "spent", "exposure_day").points
    assert [point.at for point in points] == [
        day(number) for number in range(4)
    ]  # later ones are not mature yet
    inside = done[(done.event == "Buy") & (done.age < 5)]
    for number, point in enumerate(points):
        samples = []
        for name in ("control", "treatment"):
            mine = units[(units.day == number) & (units.variant == name) & (units.over >= 5)]
            samples.append(inside.groupby("unit").usd.sum().reindex(mine.index).fillna(0.0))
        control, treatment = samples
        found = stats.ttest_ind(treatment, control, equal_var=False).confidence_interval(0.9)
        assert point.effect == pytest.approx(treatment.mean() - control.mean())
        assert point.interval == pytest.approx((found.low, found.high))


def test_the_triangle_has_the_days_that_are_over_for_a_whole_cohort(views, frames):
    units, done = frames
    (triangle,) = views.returns
    assert triangle.of == "View"
    for row in triangle.rows:
        cohort = units[units.day.map(day) == row.day]
        mine = cohort[cohort.variant == row.variant]
        assert (row.units, len(row.shares)) == (len(mine), cohort.over.min())
        for age, share in enumerate(row.shares):
            back = done[
                (done.event == "View") & (done.age == age) & done.unit.isin(mine.index)
            ].unit.nunique()
            assert share == pytest.approx(back / len(mine))
    assert [len(row.shares) for row in triangle.rows if row.variant == "control"] == [8, 7, 6, 5, 4, 3]


def test_what_is_no_part_of_a_day_has_no_view_by_days_since(views):
    by_age = {one.metric for one in views.trends if one.by == "days_since"}
    assert by_age == {"bought", "silent", "spent", "n", "share"}
    assert "slow" in {one.metric for one in views.trends if one.by == "exposure_day"}


def test_without_a_retention_metric_anything_is_coming_back(event_tables, event_question):
    tables = event_tables(
        [(unit, variant, 0, {}) for unit, variant in (("u", "a"), ("v", "b"))],
        [("u", "Buy", 25, {}), ("u", "Experiment Viewed", 50, {}), ("v", "View", 49, {})],
    )
    found = cohort_cells(*tables, event_question("metrics: {n: {kind: count, event: Buy}}", 24 * 4))
    begun = day(0)
    assert [found.returns["any event"][begun, "a", age] for age in range(4)] == [0, 1, 0, 0]
    assert [found.returns["any event"][begun, "b", age] for age in range(4)] == [0, 0, 1, 0]


def test_json_has_a_reason_for_whatever_is_not_there(views, event_tables, event_question):
    assert json.loads(json.dumps(cohorts_to_dict(views), allow_nan=False))["alpha"] == 0.1
    tables = event_tables(
        [(f"u{i}", "control" if i % 2 else "treatment", 24 * (i % 2 + i // 4), {}) for i in range(12)],
        [("u0", "Buy", 1, {}), ("u4", "Buy", 25, {})],
    )
    question = event_question("metrics: {n: {kind: count, event: Buy, window: 2d}}", 24 * 9)
    plan = Plan(metrics=question.metrics, split={"control": 1, "treatment": 1})
    plain = cohorts_to_dict(
        cohorts_of(plan, event_evidence(*tables, question), cohort_cells(*tables, question), question.as_of)
    )
    points = [point for one in plain["trends"] for point in one["points"]]
    assert points
    for point in points:
        assert (point["lift"] is None) == ("lift" in point["reasons"])
        for field in ("interval", "lift_interval"):
            assert (None in point[field]) == (field in point["reasons"])
