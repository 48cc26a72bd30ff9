"""The past of a metric: against counting by hand, and against what a live experiment would have seen."""

from datetime import UTC, date, datetime, timedelta

import ibis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upshot.analysis.identity import persons_of
from upshot.analysis.past import Arrivals, arrivals, came, past_units
from upshot.errors import DataError

FIRST = date(2026, 1, 1)


def visits_of(pairs):
    times = [datetime(2026, 1, 1, 13, tzinfo=UTC) + timedelta(days=day) for _, day in pairs]
    table = pa.table(
        {
            "unit": pa.array([f"u{unit}" for unit, _ in pairs]),
            "time": pa.array(times, pa.timestamp("us", "UTC")),
        }
    )
    return ibis.memtable(table)


def by_hand(pairs, length):
    """For each stretch length the mean over all starts of how many different units came."""
    curve = []
    for days in range(1, length + 1):
        counts = [
            len({unit for unit, day in pairs if start <= day < start + days})
            for start in range(length - days + 1)
        ]
        curve.append(sum(counts) / len(counts))
    return np.maximum.accumulate(curve)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), min_size=1, max_size=40), st.integers(1, 10))
def test_the_curve_counts_different_units_over_all_starts(pairs, length):
    inside = [(unit, day) for unit, day in pairs if day < length]
    last = FIRST + timedelta(days=length - 1)
    if not inside:
        with pytest.raises(DataError, match="nobody came between 2026-01-01 and"):
            arrivals(visits_of(pairs), FIRST, last)
        return
    found = arrivals(visits_of(pairs), FIRST, last)
    assert found.days == length
    assert found.curve == pytest.approx(tuple(by_hand(inside, length)))


def test_beyond_the_past_new_units_come_as_in_its_last_week():
    found = Arrivals(days=14, curve=tuple(float(10 * day) for day in range(1, 15)))
    assert found.units(0) == 0
    assert found.units(28) == 280
    assert found.days_for(280) == 28
    assert found.days_for(281) == 29
    assert Arrivals(days=1, curve=(5.0,)).units(3) == 15
    assert Arrivals(days=2, curve=(5.0, 5.0)).days_for(6) is None


def test_a_stretch_without_a_whole_day_is_told():
    with pytest.raises(DataError, match="no whole day yet"):
        arrivals(visits_of([(1, 0)]), FIRST, FIRST - timedelta(days=1))


def test_whoever_came_is_exposed_from_then_on(event_tables, event_question):
    day = 24.0
    _, events = event_tables(
        [],
        [
            ("u", "Visit", 10 * day, {}),
            ("u", "Buy", 9 * day, {"usd": 3}),  # before
            ("u", "Buy", 11 * day, {"usd": 5}),
            ("u", "Buy", 18 * day, {"usd": 7}),  # after the window
            ("v", "Visit", 12 * day, {}),
            ("w", "Visit", 27 * day, {}),  # its window is not over
            ("x", "Buy", 12 * day, {"usd": 99}),  # not of the audience
            ("y", "Experiment Viewed", 12 * day, {}),
        ],
    )
    question = event_question(
        "metrics: {spent: {kind: mean, event: Buy, value: usd, window: 7d, covariate: 7d}}", hours=28 * day
    )
    metric = question.definitions["spent"]
    visits = came(events, question, "Visit")
    assert sorted(visits["unit"].to_pyarrow().to_pylist()) == ["u", "v", "w"]
    past = past_units(events, visits, question, metric, 28)
    assert past.names == ("outcome", "spent before")
    assert sorted(past.values.T.tolist()) == [[0.0, 0.0], [5.0, 3.0]]
    assert past.until == question.as_of - timedelta(days=7)
    everybody = came(events, question)
    assert set(everybody["unit"].to_pyarrow().to_pylist()) == {"u", "v", "w", "x"}


def test_a_person_of_two_ids_comes_once(event_tables, event_question):
    _, events = event_tables([], [("phone", "Visit", 1, {}), ("ann", "Visit", 30, {})])
    question = event_question(
        "metrics: {n: {kind: count, event: Visit, window: 1h}}",
        hours=240,
        persons=persons_of([("phone", "ann")]),
    )
    visits = came(events, question)
    assert arrivals(visits, FIRST, FIRST + timedelta(days=3)).curve[-1] == 1
    past = past_units(events, visits, question, question.definitions["n"], 20)
    assert past.values.tolist() == [[1.0]]


def test_a_cap_winsorises_as_evidence_does(event_tables, event_question):
    rows = [(f"u{i}", "Buy", 1.0, {"usd": 1000 if i == 0 else i}) for i in range(100)]
    _, events = event_tables([], rows)
    question = event_question(
        "metrics: {spent: {kind: mean, event: Buy, value: usd, window: 1d, cap: 99%}}", hours=240
    )
    past = past_units(events, came(events, question), question, question.definitions["spent"], 30)
    assert past.values.max() == 99


def test_a_ratio_has_its_denominator_and_a_quantile_is_refused(event_tables, event_question):
    _, events = event_tables([], [("u", "Click", 1, {}), ("u", "View", 1, {}), ("u", "View", 2, {})])
    text = """
    metrics:
      ctr: {kind: ratio, event: Click, denominator: {event: View}, window: 1d, covariate: 1d}
      slow: {kind: quantile, event: View, value: ms, quantile: 90%, window: 1d}
    """
    question = event_question(text, hours=240)
    visits = came(events, question)
    past = past_units(events, visits, question, question.definitions["ctr"], 30)
    assert past.names == ("outcome", "denominator", "ctr before", "ctr per before")
    assert past.values.T.tolist() == [[1.0, 2.0, 0.0, 0.0]]
    with pytest.raises(DataError, match="spread of a quantile"):
        past_units(events, visits, question, question.definitions["slow"], 30)


def test_a_past_shorter_than_the_window_is_told(event_tables, event_question):
    _, events = event_tables([], [("u", "Buy", 1, {})])
    question = event_question("metrics: {n: {kind: count, event: Buy, window: 30d}}", hours=48)
    with pytest.raises(DataError, match="metric n: no unit of the past has its whole window behind it"):
        past_units(events, came(events, question), question, question.definitions["n"], 28)
