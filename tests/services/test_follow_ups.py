from dataclasses import replace

import pytest
from tests.support.past import Past, design

from upshot.formats.catalogue import catalogue
from upshot.formats.experiments import design_from_yaml
from upshot.model.decision import Note, Situation
from upshot.services.follow_ups import draft_text, follow_ups
from upshot.services.live_plan import check_plan
from upshot.store import experiments

SEQUENTIAL = design(monitoring="group_sequential")


@pytest.fixture
def past(sqlite_store, tmp_path):
    made = Past(sqlite_store, tmp_path)
    yield made
    made.close()


def found(past, kind):
    return [one for one in follow_ups(past.store) if one.kind == kind]


def test_nothing_decided_suggests_nothing(past):
    past.run(SEQUENTIAL, 0.15)
    assert follow_ups(past.store) == ()


def test_a_near_miss_is_asked_again_with_enough_units(past):
    near = next(one for one in tried(past) if one is not None)
    assert near.evidence.startswith("activation of treatment: +")
    assert "10% is still possible." in near.evidence
    plan = near.draft.plan
    assert plan.planned_units >= SEQUENTIAL.plan.planned_units
    assert plan.maximum_days == 28
    assert f"{plan.planned_units:,} units a variant" in near.idea


def tried(past):
    """Courses in which chance left a true effect unseen."""
    for seed in range(1, 12):
        experiment = past.run(SEQUENTIAL, 0.05, seed=seed, daily=300)
        past.decide(experiment, "KILL", variant="control")
        yield next((one for one in found(past, "near miss") if one.experiment == experiment), None)


def test_what_failed_clearly_is_no_near_miss(past):
    past.decide(past.run(SEQUENTIAL, -0.15), "KILL", variant="control")
    past.decide(past.run(SEQUENTIAL, 0.15, seed=2), "SHIP", variant="treatment")
    assert found(past, "near miss") == []


def test_an_iteration_is_drafted_from_what_people_said(past):
    experiment = past.run(SEQUENTIAL, 0.02)
    with past.store.changing("ann") as change:
        course = experiments.find(change.connection, experiment).course
        note = Note(sign="positive", text="six of eight liked the idea")
        experiments.save_course(
            change, experiment, "experiment.noted", replace(course, situation=Situation(notes=(note,)))
        )
    past.decide(experiment, "ITERATE")
    (one,) = found(past, "iterate")
    assert "positive: six of eight liked the idea." in one.evidence
    assert one.draft.hypothesis == SEQUENTIAL.hypothesis
    assert "six of eight liked the idea" in one.draft.background


def test_segments_that_differ_are_asked_of_by_themselves(past):
    past.decide(
        past.run(SEQUENTIAL, 0.05, segments={"DE": 0.3, "FR": -0.1, "US": 0.25}), "KILL", variant="control"
    )
    (one,) = found(past, "segment")
    assert "where country is DE" in one.evidence
    assert "where it is FR" in one.evidence
    assert "condition in the rule" in one.idea


def test_segments_that_do_not_differ_are_not(past):
    past.decide(past.run(SEQUENTIAL, 0.1, segments={"DE": 0.1, "FR": 0.1}), "KILL", variant="control")
    assert found(past, "segment") == []


@pytest.mark.parametrize(("lift", "word"), [(0.4, "better"), (-0.4, "worse")])
def test_a_metric_that_moved_unasked_becomes_the_goal(past, lift, word):
    past.decide(past.run(SEQUENTIAL, 0.15, share_rate=lift), "SHIP", variant="treatment")
    (one,) = found(past, "surprise")
    assert one.evidence.startswith(f"share_rate of treatment became {word}, which nobody asked for")
    plan = one.draft.plan
    assert [metric.name for metric in plan.of_role("primary")] == ["share_rate"]
    assert {metric.name for metric in plan.of_role("guardrail")} == {"activation", "crash_rate"}


def test_every_draft_is_an_experiment_that_can_be_proposed(past):
    past.decide(
        past.run(SEQUENTIAL, 0.05, segments={"DE": 0.3, "FR": -0.1}, share_rate=0.4, seed=3), "ITERATE"
    )
    past.decide(
        past.run(replace(SEQUENTIAL, plan=do_no_harm()), share_rate=-0.4, seed=4), "KILL", variant="control"
    )
    made = follow_ups(past.store)
    assert {one.kind for one in made} >= {"iterate", "segment", "surprise"}
    assert len({one.file for one in made}) == len(made)
    for one in made:
        read = design_from_yaml(draft_text(one))
        assert read == one.draft
        assert read.plan.metrics
        check_plan(read.plan, catalogue())
        with past.store.changing("ann") as change:
            kept = experiments.create(change, read)
        assert kept.design.flag == ""


def do_no_harm():
    plan = SEQUENTIAL.plan
    metrics = tuple(replace(one, margin=0.05) if one.role == "primary" else one for one in plan.metrics)
    return replace(plan, metrics=metrics, policy="do_no_harm")


def test_what_is_followed_already_is_left_out(past):
    past.decide(past.run(SEQUENTIAL, 0.15, share_rate=0.4), "SHIP", variant="treatment")
    (one,) = follow_ups(past.store)
    with past.store.changing("ann") as change:
        experiments.create(change, one.draft)
    assert follow_ups(past.store) == ()


def test_nothing_is_taken_of_what_is_sealed(past):
    past.decide(
        past.run(design(), 0.15, days=5, share_rate=0.4, segments={"DE": 0.3, "FR": -0.1}),
        "KILL",
        variant="control",
    )
    assert follow_ups(past.store) == ()
