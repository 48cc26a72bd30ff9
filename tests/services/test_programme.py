from dataclasses import replace

import pytest
from tests.support.past import Past, design

from upshot.model.course import LaggingCheck
from upshot.report.paper import markdown
from upshot.services.programme import gathered, programme
from upshot.store import experiments, learnings

SEQUENTIAL = design(monitoring="group_sequential")


@pytest.fixture
def past(sqlite_store, tmp_path):
    made = Past(sqlite_store, tmp_path)
    yield made
    made.close()


def figures(past):
    with past.store.reading() as connection:
        return gathered(connection)


def test_nothing_yet_is_told_without_a_rate(past):
    text = markdown(programme(past.store))
    assert "> Nothing was decided yet." in text
    assert "Completion rate**: none that ended" in text


def test_rates_and_velocity_count_what_happened(past):
    past.decide(past.run(SEQUENTIAL, 0.15), "SHIP", variant="treatment")
    past.decide(past.run(SEQUENTIAL, 0.0, seed=2), "KILL", variant="control")
    past.decide(past.run(SEQUENTIAL, 0.0, seed=3), "KILL", variant="control", state="killed")
    past.run(design(kind="pricing"), days=1)
    with past.store.changing("ann") as change:
        experiments.create(change, SEQUENTIAL)
    found = figures(past)
    assert (found.proposed, found.started, found.running, found.killed) == (5, 4, 1, 1)
    assert found.decided == {"KILL": 2, "SHIP": 1}
    assert found.by_type == {"onboarding": (3, 1)}
    assert [month for month, *_ in found.months] == ["2026-03"]
    assert sum(decided for *_, decided in found.months) == 3
    assert found.against >= 1
    text = markdown(programme(past.store))
    assert "2 of 3 (67%) that ended came to their decision; 1 killed on the way" in text
    assert "1 of 3 (33%) that were decided shipped" in text


def test_what_winners_bring_is_less_than_was_measured_and_multiplies(past):
    for seed in (1, 2):
        past.decide(past.run(SEQUENTIAL, 0.15, seed=seed), "SHIP", variant="treatment")
    past.decide(past.run(SEQUENTIAL, 0.15, seed=3), "KILL", variant="control")
    (gain,) = figures(past).gains
    with past.store.reading() as connection:
        shipped = [one for one in learnings.listed(connection) if one.verdict == "SHIP"]
    first, second = (next(one for one in of.effects if one.role == "primary") for of in shipped)
    assert gain.winners == 2
    assert gain.measured == pytest.approx((1 + first.lift) * (1 + second.lift) - 1)
    assert gain.expected == pytest.approx((1 + first.expected) * (1 + second.expected) - 1)
    assert 0 < gain.expected < gain.measured
    assert "| activation | 2 | +" in markdown(programme(past.store))


def test_lagging_checks_and_discipline_are_counted(past):
    experiment = past.run(SEQUENTIAL, 0.15)
    past.decide(experiment, "SHIP", variant="treatment")
    with past.store.changing("upshot") as change:
        course = experiments.find(change.connection, experiment).course
        check = LaggingCheck(metric="retention_d30", due=past.now.date(), held="held")
        course = replace(course, lagging=(check,), exploratory=("the bar was moved",))
        experiments.save_course(change, experiment, "experiment.lagging", course)
    found = figures(past)
    assert (found.held, found.exploratory, found.unsealed) == ({"held": 1}, 1, 0)
    assert "**held**: 1" in markdown(programme(past.store))
