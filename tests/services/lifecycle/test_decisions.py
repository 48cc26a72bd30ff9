"""Decisions, and the flags that follow them."""

import json
from dataclasses import replace
from datetime import date

import pytest

from upshot.errors import ConflictError, InputError, NotFoundError
from upshot.formats.flags import flags_from_yaml
from upshot.model.metric import Metric
from upshot.services.decisions import Choice, decide, recommendation
from upshot.services.experiments import found, stop
from upshot.services.live import Asked, live_look
from upshot.store import flags

WON = {"buy": (0.1, 0.3)}
SHIP, KILL, ITERATE = (Choice(verdict=verdict) for verdict in ("SHIP", "KILL", "ITERATE"))


def ran(lab, units=270, days=9, **changed):
    """An experiment that ran for some days, and was looked at once then."""
    visits = changed.pop("visits", WON)
    name = lab.started(**changed)
    for _ in range(days):
        lab.visits(units, **visits)
        lab.pass_time(days=1)
    lab.look(name)
    return name


def because(choice, reason="we think so", **changed):
    return replace(choice, reason=reason, **changed)


def test_a_winner_goes_to_everybody_in_steps_and_nobody_loses_it(any_lab):
    lab = any_lab
    execution = replace(found(lab.workspace, lab.proposed()).design.execution, rollout=(0.1, 0.75, 1.0))
    name = ran(lab, execution=execution)
    assert recommendation(lab.workspace, name).verdict == "SHIP"
    had = {
        unit
        for unit in map(str, range(300))
        if lab.served.current.ruleset.evaluate("checkout", {"targetingKey": unit}).variant == "treatment"
    }
    decided = decide(lab.workspace, name, SHIP, "ann")
    assert (decided.state, decided.course.decision.variant) == ("decided", "treatment")
    shares = []
    for _ in range(2):
        lab.served.refresh()
        evaluate = lab.served.current.ruleset.evaluate
        now = {
            unit
            for unit in map(str, range(300))
            if evaluate("checkout", {"targetingKey": unit}, now=lab.now.timestamp()).variant == "treatment"
        }
        assert had <= now
        shares.append(len(now) / 300)
        lab.pass_time(days=1)
    assert shares[0] <= shares[1] == 1
    assert lab.told()[f"decision/{name}"].severity == "info"
    (row,) = [row for row in lab.rows(f"experiment/{name}") if row.action == "experiment.decided"]
    assert json.loads(row.after)["course"]["decision"]["verdict"] == "SHIP"


def test_all_at_once_with_a_holdback(lab):
    execution = replace(found(lab.workspace, lab.proposed()).design.execution, rollout=(), holdback=0.2)
    name = ran(lab, execution=execution)
    decided = decide(lab.workspace, name, SHIP, "ann")
    assert decided.state == "completed"
    given = lab.given(units=1000)
    assert 150 < given["control"] < 250


def test_the_end_of_the_old_experiment_takes_its_rule_out(lab):
    execution = replace(found(lab.workspace, lab.proposed()).design.execution, rollout=())
    name = ran(lab, execution=execution)
    decide(lab.workspace, name, SHIP, "ann")
    assert lab.given() == {"treatment": 200}
    (rule,) = lab.workspace.flags.read().flags.flags["checkout"].rules
    assert (rule.experiment, rule.variant) == (None, "treatment")


def test_killing_gives_control_to_everybody(any_lab):
    lab = any_lab
    name = ran(lab, visits={"buy": (0.3, 0.1)})
    advice = recommendation(lab.workspace, name)
    assert advice.verdict == "KILL"
    decided = decide(lab.workspace, name, KILL, "ann")
    assert (decided.state, decided.course.decision.variant) == ("completed", "control")
    assert lab.given() == {"control": 200}


def test_trying_again_ends_with_control(lab):
    name = ran(lab, days=2)
    decided = decide(lab.workspace, name, because(ITERATE, "people want it otherwise"), "ann")
    assert decided.state == "iterated"
    assert lab.given() == {"control": 200}


def test_against_the_recommendation_a_reason_is_needed(lab):
    name = ran(lab)
    with pytest.raises(InputError, match="KILL is decided without a reason, and SHIP is recommended"):
        decide(lab.workspace, name, KILL, "ann")
    decided = decide(lab.workspace, name, because(KILL, "the law changed"), "ann")
    decision = decided.course.decision
    assert (decision.recommended, decision.reason, decision.look) == ("SHIP", "the law changed", 1)


def test_before_any_look_nothing_is_shipped(lab):
    name = lab.started()
    assert recommendation(lab.workspace, name).verdict is None
    with pytest.raises(ConflictError, match="look before anything is shipped"):
        decide(lab.workspace, name, because(SHIP), "ann")
    assert decide(lab.workspace, name, because(KILL, "a mistake"), "ann").state == "completed"


def test_a_variant_that_is_none_is_refused(lab):
    name = ran(lab)
    for variant in ("control", "tiny"):
        with pytest.raises(InputError, match="no variant that can be shipped: name one of treatment"):
            decide(lab.workspace, name, because(SHIP, variant=variant), "ann")


def test_what_got_worse_must_be_acknowledged(lab):
    metrics = found(lab.workspace, lab.proposed()).plan.metrics
    worse = Metric(name="returned", column="returned", role="secondary", better="lower")
    visits = {"buy": (0.1, 0.3), "returned": (0.05, 0.2)}
    name = ran(lab, plan={"metrics": (*metrics, worse)}, visits=visits)
    advice = recommendation(lab.workspace, name)
    assert (advice.verdict, advice.cause, list(advice.losses)) == ("SHIP", "acknowledge", ["returned"])
    with pytest.raises(InputError, match=r"something got worse .*acknowledge returned with a reason"):
        decide(lab.workspace, name, because(SHIP), "ann")
    with pytest.raises(InputError, match="returned is acknowledged without a reason"):
        decide(lab.workspace, name, replace(SHIP, acknowledged={"returned": " "}), "ann")
    accepted = {"returned": "returns cost less than they bring"}
    decided = decide(lab.workspace, name, replace(SHIP, acknowledged=accepted), "ann")
    assert decided.course.decision.acknowledged == accepted


def test_what_harms_is_not_shipped(lab):
    name = ran(lab, visits={"buy": (0.1, 0.3), "crash": (0.0, 0.3)})
    assert recommendation(lab.workspace, name).cause == "harm"
    with pytest.raises(ConflictError, match="does harm and is not shipped"):
        decide(lab.workspace, name, because(SHIP, "it sells"), "ann")


def test_what_is_sealed_is_not_shipped_and_can_be_given_up(lab):
    name = ran(lab, days=2, plan={"monitoring": "fixed"})
    assert recommendation(lab.workspace, name).is_sealed
    with pytest.raises(ConflictError, match="sealed until its decision point"):
        decide(lab.workspace, name, because(SHIP), "ann")
    assert decide(lab.workspace, name, because(KILL, "the law changed"), "ann").state == "completed"


def test_what_a_look_took_up_is_not_decided_on_the_data_that_it_saw(lab):
    """Its plan may have been written after the data were seen."""
    rule = "{id: exp, experiment: {id: shop-1, phase: PHASE, split: {control: 1, treatment: 1}}}"
    plan = replace(found(lab.workspace, lab.proposed()).plan, id="shop-1")

    def served(phase):
        text = f"flags: {{banner: {{variants: {{control: a, treatment: b}}, rules: [{rule.replace('PHASE', phase)}]}}}}"
        with lab.store.changing("bob") as change:
            flags.put(change, flags_from_yaml(text))
        lab.visits(200, flag="banner")
        lab.pass_time(days=1)
        asked = Asked(data=lab.data, experiment="shop-1", as_of=lab.now, definitions=lab.workspace.definitions,
                      plan=plan)  # fmt: skip
        live_look(lab.store, asked, "ann")

    served("1")
    with pytest.raises(ConflictError, match="before its plan was fixed"):
        decide(lab.workspace, "shop-1", because(KILL), "ann")
    served("2")
    assert decide(lab.workspace, "shop-1", because(KILL), "ann").state == "completed"


def test_what_is_planned_or_over_is_not_decided(lab):
    name = lab.proposed()
    with pytest.raises(ConflictError, match="is planned"):
        decide(lab.workspace, name, because(KILL), "ann")
    with pytest.raises(NotFoundError):
        decide(lab.workspace, "EXP-1", because(KILL), "ann")
    running = lab.started()
    decide(lab.workspace, running, because(KILL), "ann")
    with pytest.raises(ConflictError, match="is completed"):
        decide(lab.workspace, running, because(KILL), "ann")


def test_the_second_of_two_who_decide_is_told(lab):
    name = ran(lab)
    before = found(lab.workspace, name)
    stop(lab.workspace, name, "bob", "enough")
    with pytest.raises(ConflictError, match="changed meanwhile"):
        decide(lab.workspace, name, SHIP, "ann", expected=before.version)
    assert set(lab.given()) == {"control", "treatment"}


def test_extending_moves_the_day_by_a_week(lab):
    name = ran(lab, days=2, plan={"end": date(2026, 3, 9)})
    with pytest.raises(InputError, match="no reason"):
        decide(lab.workspace, name, Choice(verdict="EXTEND"), "ann")
    extended = decide(lab.workspace, name, Choice(verdict="EXTEND", reason="a slow week"), "ann")
    assert (extended.state, extended.plan.end) == ("running", date(2026, 3, 16))
