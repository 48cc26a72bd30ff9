from dataclasses import replace

import pytest
from tests.support.past import Past, design

from upshot.errors import InputError, NotFoundError
from upshot.model.decision import Note, Situation
from upshot.services import learnings
from upshot.store import experiments

SEQUENTIAL = design(monitoring="group_sequential")


@pytest.fixture
def past(store_url, tmp_path):
    made = Past(store_url, tmp_path)
    yield made
    made.close()


def test_a_decision_leaves_what_was_learnt_with_its_effect_as_it_is_to_be_expected(past):
    experiment = past.run(SEQUENTIAL, 0.15)
    kept = past.decide(experiment, "SHIP", variant="treatment", reason="twice as clear as asked")
    assert (kept.experiment, kept.type, kept.tags, kept.verdict) == (
        experiment,
        "onboarding",
        ("forms",),
        "SHIP",
    )
    goal = next(effect for effect in kept.effects if effect.metric == "activation")
    assert (goal.moved, goal.role, goal.variant) == ("better", "primary", "treatment")
    assert goal.low > 0
    assert 0 < goal.expected < goal.lift  # winners are overestimated
    assert "Decided: SHIP, because twice as clear as asked." in kept.text
    assert "treatment improved activation from " in kept.text
    (found,) = learnings.search(past.workspace, "patience forms")
    assert found.learning == kept


def test_of_a_sealed_experiment_no_effect_is_learnt(past):
    experiment = past.run(design(), 0.15, days=5)
    kept = past.decide(experiment, "KILL", reason="the company has other plans", variant="control")
    assert {effect.metric for effect in kept.effects} <= {"crash_rate"}
    assert "improved" not in kept.text
    assert "%" not in kept.text.replace("20%", "").partition("activation")[2].partition("\n")[0]


def test_after_its_decision_point_a_fixed_plan_tells_all(past):
    kept = past.decide(past.run(design(), 0.15), "SHIP", variant="treatment")
    assert {effect.metric for effect in kept.effects} == {"activation", "share_rate", "crash_rate"}


def test_one_that_nobody_looked_at_teaches_that(past):
    kept = past.decide(past.run(SEQUENTIAL, days=0), "KILL", variant="control")
    assert kept.effects == ()
    assert "before anybody looked" in kept.text


def test_notes_and_doubts_are_told(past):
    note = Situation(notes=(Note(sign="negative", text="two of eight did not find the button"),))
    experiment = past.run(SEQUENTIAL, 0.0)
    with past.store.changing("ann") as change:
        course = experiments.find(change.connection, experiment).course
        course = replace(course, situation=note, exploratory=("minimum_effect goes from 5% to 10%",))
        experiments.save_course(change, experiment, "experiment.exploratory", course)
    kept = past.decide(experiment, "KILL", variant="control")
    assert "negative signal: two of eight did not find the button." in kept.text
    assert "exploratory" in kept.text


def test_experiments_of_one_type_support_and_contradict_each_other(past):
    first = past.decide(past.run(SEQUENTIAL, 0.15), "SHIP", variant="treatment")
    past.decide(past.run(SEQUENTIAL, 0.15, seed=2), "SHIP", variant="treatment")
    past.decide(past.run(SEQUENTIAL, -0.15, seed=3), "KILL", variant="control")
    past.decide(past.run(design(kind="pricing", monitoring="group_sequential"), 0.15, seed=4), "SHIP")
    found = {one.learning.id: one for one in learnings.listed(past.workspace)}
    told = {(link.learning.id, link.metric, link.supports) for link in found[first.id].links}
    assert told == {(2, "activation", True), (3, "activation", False)}
    assert found[4].links == ()


def test_people_add_what_they_learnt_elsewhere(past):
    experiment = past.run(SEQUENTIAL, days=0)
    made = learnings.add(past.workspace, " People ask for invoices. ", "eve", tags=("billing",))
    assert (made.text, made.actor, made.experiment, made.tags) == (
        "People ask for invoices.",
        "eve",
        "",
        ("billing",),
    )
    of = learnings.add(past.workspace, "The form was translated badly.", "eve", experiment_id=experiment)
    assert (of.type, of.tags) == ("onboarding", ("forms",))
    assert [one.learning for one in learnings.listed(past.workspace, experiment)] == [of]
    with pytest.raises(NotFoundError, match="EXP-1"):
        learnings.add(past.workspace, "What?", "eve", experiment_id="EXP-1")
    with pytest.raises(InputError, match="says nothing"):
        learnings.add(past.workspace, " ", "eve")
