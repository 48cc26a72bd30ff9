"""Whether plans keep to the standards of their organisation."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot.decide.standards import _RULES, breaches, decision_date
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.model.standards import STANDARDS, Standards

MONDAY = date(2026, 11, 30)
PLAN = Plan(metrics=(Metric(name="a", column="a"),))


def names(plan, standards=None):
    return [one.standard for one in breaches(plan, standards or Standards(), MONDAY)]


def test_the_default_plan_keeps_the_default_standards():
    assert names(PLAN) == []


@pytest.mark.parametrize(
    ("changed", "standard"),
    [
        ({"floor": 999}, "units_per_variant"),
        ({"planned_units": 500}, "units_per_variant"),
        ({"alpha": 0.051}, "confidence"),
        ({"power": 0.79}, "power"),
        ({"minimum_effect": 0.049}, "minimum_effect"),
        ({"minimum_days": 6, "maximum_days": 28}, "minimum_runtime"),
        ({"maximum_days": 35}, "maximum_runtime"),
        ({"end": MONDAY + timedelta(days=35)}, "maximum_runtime"),
        ({"maximum_days": 27}, "whole_weeks"),
        ({"end": MONDAY + timedelta(days=10)}, "whole_weeks"),
        ({"end": MONDAY + timedelta(days=5)}, "working_day"),
    ],
)
def test_each_is_found_with_its_mend(changed, standard):
    found = {one.standard: one for one in breaches(replace(PLAN, **changed), Standards(), MONDAY)}
    assert standard in found
    assert found[standard].mend.startswith("set ")


def test_what_is_mended_as_told_keeps_it():
    plan = replace(PLAN, end=MONDAY + timedelta(days=10))
    (found,) = breaches(plan, Standards(), MONDAY)
    assert found.mend == "set end to 2026-12-07"
    assert names(replace(plan, end=date(2026, 12, 7))) == []


def test_accounts_are_few_and_methods_may_be_chosen():
    assert names(replace(PLAN, floor=50, unit_kind="account")) == []
    assert names(replace(PLAN, monitoring="fixed"), Standards(monitoring=("always_valid",))) == ["monitoring"]


@given(
    st.dates(date(2026, 1, 1), date(2027, 12, 31)),
    st.integers(1, 60),
    st.sets(st.dates(date(2026, 12, 20), date(2027, 1, 6))),
)
def test_the_decision_date_keeps_every_standard_of_time(start, days, holidays):
    standards = Standards(holidays=tuple(sorted(holidays)))
    plan = replace(PLAN, start=start, minimum_days=7, maximum_days=max(7 * (days // 7), 7))
    end = decision_date(plan, standards, start)
    kept = replace(plan, end=end)
    told = {one.standard for one in breaches(kept, standards, start)}
    assert told <= ({"maximum_runtime"} if plan.maximum_days > 28 else set())
    assert standards.is_working(end)
    assert start < end


def test_every_rule_has_a_name_that_can_be_excepted():
    assert tuple(_RULES) == STANDARDS
