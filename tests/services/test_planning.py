from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.power import zt_ind_solve_power

from upshot.errors import InputError
from upshot.formats.metric_text import parse_metric
from upshot.formats.plans import plan_from_mapping, plan_to_mapping
from upshot.services.planning import Ask, plan_experiment, plan_of, working_day
from upshot.stats.design import Design
from upshot.stats.power import sample_size

MONDAY = date(2026, 1, 5)


def ask(weekly=None, by=None, names=("control", "treatment"), **fields):
    design = Design(**{"baseline": 0.1, "effect": 0.05, "weights": (1.0,) * len(names)} | fields)
    return Ask(
        design=design, ship_threshold=design.effect / 2, names=names, today=MONDAY, weekly=weekly, by=by
    )


def test_means_agree_with_statsmodels():
    answer = plan_experiment(ask(kind="mean", baseline=50.0, std=20.0))
    theirs = zt_ind_solve_power(effect_size=2.5 / 20, alpha=0.05, power=0.8)
    assert answer.units["control"] == pytest.approx(theirs, rel=0.01)


@given(st.dates(date(2026, 1, 1), date(2030, 1, 1)))
def test_nobody_decides_on_a_weekend(day):
    moved = working_day(day)
    assert moved.weekday() < 5
    assert 0 <= (moved - day).days <= 2


def test_days_are_whole_weeks_and_bring_the_units():
    answer = plan_experiment(ask(weekly=20_000))
    assert answer.days % 7 == 0
    assert answer.days / 7 * 20_000 >= answer.total > (answer.days / 7 - 1) * 20_000
    assert answer.end.weekday() < 5


def test_every_row_of_chances_is_a_whole():
    answer = plan_experiment(ask())
    for one in answer.prospects:
        found = one.chances
        whole = found.ship + found.small + found.unproven + found.no_effect + found.worse + found.inconclusive
        assert whole == pytest.approx(1, abs=1e-6)
    ships = [one.chances.ship for one in answer.prospects]
    assert ships == sorted(ships)
    assert ships[3] == pytest.approx(0.8, abs=0.005)


def test_the_curve_passes_through_the_power_asked_for():
    answer = plan_experiment(ask(power=0.9))
    assert dict(answer.curve)[0.05] == pytest.approx(0.9, abs=0.001)
    assert [power for _, power in answer.curve] == sorted(power for _, power in answer.curve)


@pytest.mark.parametrize("weekly", [20_000, 1_000])
def test_ways_out_can_be_walked(weekly):
    """The bolder change that is offered needs no more than four weeks of this traffic."""
    answer = plan_experiment(ask(weekly=weekly))
    assert len(answer.ways_out) == 4
    seen = float(answer.ways_out[0].split(" see ")[1].split("%")[0]) / 100
    needed = sum(sample_size(ask(effect=seen * 1.005).design).units)
    assert needed <= 4 * weekly
    assert sum(sample_size(ask(effect=seen * 0.97).design).units) > 4 * weekly


def test_enough_traffic_needs_no_way_out():
    assert plan_experiment(ask(weekly=50_000)).ways_out == ()


@pytest.mark.parametrize(
    ("effect", "says"), [(0.05, "far from enough"), (0.9, "would do for the statistics"), (0.3, None)]
)
def test_the_floor_is_compared_with_what_is_needed(effect, says):
    remarks = plan_experiment(ask(effect=effect)).remarks
    assert (remarks == ()) if says is None else (says in remarks[0])


def test_by_a_date_says_what_can_be_seen_then():
    (days, units, effect), *more = plan_experiment(ask(weekly=20_000, by=date(2026, 1, 26))).in_time
    assert (days, units, more) == (21, 60_000, [])
    assert sum(sample_size(ask(effect=effect * 1.001).design).units) <= units


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"by": date(2026, 2, 1)}, "needs the traffic"),
        ({"by": MONDAY, "weekly": 5000.0}, "is not after"),
        ({"weekly": -5.0}, "weekly"),
    ],
)
def test_bad_questions_are_one_sentence(fields, says):
    with pytest.raises(InputError, match=says):
        plan_experiment(ask(**fields))


@pytest.mark.parametrize("monitoring", ["fixed", "group_sequential", "always_valid"])
def test_the_plan_of_an_answer_can_be_written_down(monitoring):
    asked = ask(weekly=20_000, monitoring=monitoring, names=("control", "b", "c"))
    answer = plan_experiment(asked)
    plan = plan_of(asked, answer, parse_metric("converted,proportion"))
    assert plan_from_mapping(plan_to_mapping(plan), "plan") == plan
    assert plan.planned_units == max(answer.units.values())
    assert plan.maximum_days == answer.days
