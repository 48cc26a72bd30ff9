"""Cohort views in words and as charts, from views made by hand."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from upshot.analysis.cohorts import CohortPoint, Cohorts, CohortTrend, ReturnRow, Returns
from upshot.report import charts, cohort_views, figures

MET = date(2026, 3, 2)


def point(at, lift=0.1, low=-0.05, high=0.25, **fields):
    units = {"control": 1000, "treatment": 1200}
    known = {
        "at": at, "units": units, "control": 0.2, "value": 0.22, "effect": 0.02, "interval": (-0.01, 0.05),
        "lift": lift, "lift_interval": (low, high),
    }  # fmt: skip
    return CohortPoint(**known | fields)


def cohorts(**fields):
    trends = (
        CohortTrend(metric="revenue", kind="mean", variant="treatment", by="days_since",
                    points=(point(0), point(1, lift=None, low=None, high=None))),
        CohortTrend(metric="converted", kind="proportion", variant="treatment", by="exposure_day",
                    points=(point(MET), point(date(2026, 3, 3), high=None))),
    )  # fmt: skip
    rows = (
        ReturnRow(day=MET, variant="control", units=100, shares=(0.5, 0.25)),
        ReturnRow(day=date(2026, 3, 3), variant="control", units=300, shares=(0.1,)),
        ReturnRow(day=MET, variant="treatment", units=100, shares=(0.6, 0.3)),
    )
    known = {"trends": trends, "returns": (Returns(of="any event", rows=rows),)}
    return Cohorts(as_of=datetime(2026, 3, 9, tzinfo=UTC), alpha=0.05, **known | fields)


@pytest.fixture
def findings(won):
    return replace(won, cohorts=cohorts())


def test_courses_of_primaries_come_first_and_say_what_they_are(findings):
    first, second = cohort_views.trends(findings)
    assert first.title == "converted by day of first exposure"
    assert first.lines[0] == cohort_views.CohortLine(
        at="2 March 2026", units="1,000 + 1,200", control="20.00%", value="22.00%", lift="+10.0%",
        interval="[−5.0%, +25.0%]", estimate=0.1, bounds=(-0.05, 0.25),
    )  # fmt: skip
    assert (first.lines[1].interval, second.lines[1].lift) == ("above −5.0%, no upper end", "–")


def test_a_triangle_has_a_row_for_each_cohort_and_room_for_the_longest(findings):
    ((title, table),) = cohort_views.returns(findings)
    assert title == "Who came back: any event, by days since exposure"
    assert table.header == ("first exposed", "variant", "units", "0", "1")
    assert table.rows[1] == ("3 March 2026", "control", "300", "10%", "")


def test_curves_weigh_cohorts_by_their_units():
    (one,) = cohorts().returns
    assert one.curve("control") == [(0, pytest.approx(0.2)), (1, 0.25)]
    assert one.curve("nobody") == []


def test_figures_are_drawn_and_say_each_point(findings):
    drawn = [
        figure
        for figure in figures.figures(findings)
        if "came back" in figure.title or " by day of" in figure.title
    ]
    assert [figure.title for figure in drawn] == [
        "Lift of converted by day of first exposure",
        "Who came back: any event",
    ]
    svg = charts.to_svg(drawn[0].spec)
    assert "first exposed 2 March 2026: +10.0% [−5.0%, +25.0%], 1,000 + 1,200 units" in svg
    assert "day 1: 25.0% of control" in charts.to_svg(drawn[1].spec)


def test_what_is_hidden_or_not_there_says_so(won):
    assert list(cohort_views.remarks(won)) == []
    hidden = replace(won, cohorts=cohorts(trends=(), returns=(), hidden="it is sealed"))
    assert list(cohort_views.remarks(hidden)) == ["Cohort views: it is sealed."]
    nothing = replace(won, cohorts=cohorts(trends=(), returns=()))
    assert list(cohort_views.remarks(nothing)) == ["Cohort views: no two days are over yet in both variants."]
