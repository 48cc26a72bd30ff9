"""What becomes of experiments by themselves: decisions left to the rule, rollouts that end, outcomes that come late."""

from dataclasses import replace
from datetime import date, timedelta

from upshot.model.experiment import LaggingMetric
from upshot.services.automatic import advance, complete, decide_automatically
from upshot.services.decisions import Choice, decide
from upshot.services.experiments import found
from upshot.store import experiments

LATER = (LaggingMetric(metric="returned", after=timedelta(days=30)),)


def ran(lab, execution=None, buy=(0.1, 0.3), crash=(0.0, 0.0), returned=(0.0, 0.0), **changed):
    base = found(lab.workspace, lab.proposed()).design.execution
    name = lab.started(execution=replace(base, rollout=(), **(execution or {})), **changed)
    for _ in range(9):
        lab.visits(270, buy=buy, crash=crash, returned=returned)
        lab.pass_time(days=1)
    lab.look(name)
    return name


def test_people_are_asked_unless_the_design_leaves_it_to_the_rule(lab):
    name = ran(lab)
    assert decide_automatically(lab.workspace, name) is None
    before = found(lab.workspace, name)
    design = replace(before.design, execution=replace(before.design.execution, automatic=("SHIP",)))
    with lab.store.changing("ann") as change:
        experiments.save_design(change, name, design)
    decided = decide_automatically(lab.workspace, name)
    assert (decided.state, decided.course.decision.automatic) == ("completed", True)
    assert lab.given() == {"treatment": 200}
    assert "by itself, as its plan says" in lab.told()[f"decision/{name}"].what


def test_harm_is_decided_where_the_design_leaves_it_to_the_rule(lab):
    name = ran(lab, crash=(0.0, 0.3), execution={"automatic": ("KILL",)})
    assert advance(lab.workspace) == ()
    decided = found(lab.workspace, name)
    assert (decided.state, decided.course.decision.verdict) == ("completed", "KILL")
    assert lab.given() == {"control": 200}


def test_what_a_guardrail_killed_waits_for_people(lab):
    name = ran(lab, crash=(0.0, 0.3))
    with lab.store.changing("upshot guardrails") as change:
        experiments.move(change, name, "killed")
    assert decide_automatically(lab.workspace, name) is None
    assert decide(lab.workspace, name, Choice(verdict="KILL"), "ann").state == "completed"


def test_a_rollout_is_completed_after_its_last_step_and_leaves_one_rule(lab):
    name = ran(lab)
    before = found(lab.workspace, name)
    design = replace(before.design, execution=replace(before.design.execution, rollout=(0.7, 0.9, 1.0)))
    with lab.store.changing("ann") as change:
        experiments.save_design(change, name, design)
    decide(lab.workspace, name, Choice(verdict="SHIP"), "ann")
    assert decide_automatically(lab.workspace, name) is None
    lab.pass_time(days=2, seconds=1)
    assert lab.given() == {"treatment": 200}
    assert advance(lab.workspace) == ()
    assert found(lab.workspace, name).state == "completed"
    assert len(lab.workspace.flags.read().flags.flags["checkout"].rules) == 1
    assert lab.given() == {"treatment": 200}
    lab.pass_time(days=8)
    advance(lab.workspace)
    assert f"decision/{name}" not in lab.told()


def test_a_lagging_outcome_reopens_what_it_contradicts(lab):
    name = ran(lab, returned=(0.05, 0.3), lagging=LATER)
    decided = decide(lab.workspace, name, Choice(verdict="SHIP"), "ann")
    (check,) = decided.course.lagging
    assert (check.held, check.due) == ("waiting", date(2026, 4, 10))
    advance(lab.workspace)
    assert found(lab.workspace, name).state == "completed"
    lab.pass_time(days=30)
    advance(lab.workspace)
    reopened = found(lab.workspace, name)
    (check,) = reopened.course.lagging
    assert (reopened.state, check.held) == ("analyzing", "reversed")
    assert "it turned" in lab.told()[f"lagging/{name}"].what
    again = decide(lab.workspace, name, Choice(verdict="KILL", reason="it did not last"), "ann")
    assert (again.state, lab.given()) == ("completed", {"control": 200})


def test_a_lagging_outcome_that_holds_closes_it_again(lab):
    name = ran(lab, returned=(0.3, 0.05), lagging=LATER)
    decide(lab.workspace, name, Choice(verdict="SHIP"), "ann")
    lab.pass_time(days=30)
    advance(lab.workspace)
    closed = found(lab.workspace, name)
    assert (closed.state, closed.course.lagging[0].held) == ("completed", "held")
    rows = [row.action for row in lab.rows(f"experiment/{name}")]
    assert rows[-3:] == ["experiment.analyzing", "experiment.decided", "experiment.completed"]
    assert advance(lab.workspace) == ()


def test_it_can_be_said_that_a_decision_is_carried_out(lab):
    name = ran(lab)
    with lab.store.changing("ann") as change:
        experiments.move(change, name, "analyzing")
        experiments.move(change, name, "decided")
    assert complete(lab.workspace, name, "ann", "edited by hand").state == "completed"
