import hashlib
import json
import threading
from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import text

from upshot.errors import ConflictError, InputError, NotFoundError
from upshot.formats.canonical import content_hash
from upshot.formats.experiments import design_from_mapping, design_from_yaml
from upshot.formats.plans import plan_from_yaml
from upshot.model.course import Course, LaggingCheck, Unsealing
from upshot.model.decision import Situation
from upshot.model.experiment import Design
from upshot.model.lifecycle import FOLLOWERS
from upshot.store import experiments
from upshot.store.audit import entries, verify

PLAN = plan_from_yaml("""
name: a shorter checkout
hypothesis: fewer fields, more orders
owner: ann
metrics:
  primary: [ordered]
  secondary: ["revenue,mean,covariate=revenue_before,cap=99.9%"]
  guardrail: ["crashed,max=0.1%", "load_ms,p95,max=3000"]
split: {control: 1, shorter: 1}
monitoring: group_sequential
looks: 14
planned_units: 20000
minimum_effect: 3%
start: 2026-12-01
""")
PATHS = {  # the shortest way to each state
    "planned": [],
    "implemented": ["implemented"],
    "running": ["running"],
    "analyzing": ["running", "analyzing"],
    "killed": ["running", "killed"],
    "decided": ["running", "analyzing", "decided"],
    "completed": ["running", "analyzing", "decided", "completed"],
    "iterated": ["running", "analyzing", "decided", "iterated"],
}


def change(store, work, *arguments, **named):
    with store.changing("ann", "it is time") as one:
        return work(one, *arguments, **named)


def create(store, plan=PLAN):
    return change(store, experiments.create, plan)


def find(store, experiment_id):
    with store.reading() as connection:
        return experiments.find(connection, experiment_id)


def chain(store):
    with store.reading() as connection:
        assert verify(connection).broken is None
        return entries(connection)


def test_an_experiment_is_read_as_it_was_planned(store):
    made = create(store)
    assert (made.id, made.state, made.phase, made.started_at, made.version) == (
        "EXP-2026-001", "planned", 1, None, 1,
    )  # fmt: skip
    assert made.plan == replace(PLAN, id="EXP-2026-001")
    assert made.plan_hash == content_hash(made.plan)
    assert find(store, made.id) == made


def test_a_plan_is_kept_as_the_text_that_its_hash_is_of(store):
    made = create(store)
    with store.reading() as connection:
        (row,) = connection.execute(text("SELECT hash, body FROM plans")).all()
    assert row.hash == made.plan_hash == "sha256:" + hashlib.sha256(row.body.encode()).hexdigest()


def test_ids_count_on_within_the_year(store, clock):
    create(store)
    create(store, replace(PLAN, id="EXP-2026-007"))
    create(store, replace(PLAN, id="shop-checkout"))
    assert create(store).id == "EXP-2026-008"
    clock.now = clock.now.replace(year=2027)
    assert create(store).id == "EXP-2027-001"
    with store.reading() as connection:
        found = [one.id for one in experiments.listed(connection)]
    assert found == ["EXP-2026-001", "EXP-2026-007", "shop-checkout", "EXP-2026-008", "EXP-2027-001"]


def test_an_id_is_given_once(store):
    create(store, replace(PLAN, id="EXP-2026-007"))
    with pytest.raises(ConflictError, match="there is an experiment EXP-2026-007"):
        create(store, replace(PLAN, id="EXP-2026-007"))


def test_several_who_plan_at_once_get_ids_of_their_own(store):
    made = []
    threads = [threading.Thread(target=lambda: made.append(create(store).id)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [f"EXP-2026-00{n}" for n in range(1, 6)]


@pytest.mark.parametrize("state", FOLLOWERS)
def test_only_what_may_follow_does(store, state):
    made = create(store)
    for to in PATHS[state]:
        change(store, experiments.move, made.id, to)
    rows = len(chain(store))
    for to in FOLLOWERS:
        if to not in FOLLOWERS[state]:
            with pytest.raises(ConflictError, match=f"is {state} and cannot be {to}"):
                change(store, experiments.move, made.id, to)
    assert find(store, made.id).state == state
    assert len(chain(store)) == rows
    for to in FOLLOWERS[state]:
        assert to in FOLLOWERS


def test_the_start_is_remembered_with_the_plan_in_one_row_of_the_chain(store):
    made = create(store)
    started = change(store, experiments.move, made.id, "running")
    assert started.started_at == started.started_at.replace(microsecond=0)
    last = chain(store)[-1]
    assert (last.action, last.subject) == ("experiment.running", f"experiment/{made.id}")
    after = json.loads(last.after)
    assert after["plan_hash"] == made.plan_hash
    assert after["started_at"] == last.at
    change(store, experiments.move, made.id, "analyzing")
    assert change(store, experiments.move, made.id, "running").started_at == started.started_at


def test_another_plan_leaves_the_earlier_one_to_be_found(store):
    made = create(store)
    saved = change(store, experiments.save_plan, made.id, replace(PLAN, looks=21))
    assert saved.plan.looks == 21
    assert saved.version == 2
    with store.reading() as connection:
        assert experiments.plan_of(connection, made.plan_hash) == made.plan
        assert experiments.plan_of(connection, saved.plan_hash) == saved.plan
    last = chain(store)[-1]
    assert tuple(json.loads(side)["design"]["plan"]["looks"] for side in (last.before, last.after)) == (
        14,
        21,
    )


DESIGN = design_from_yaml("""
name: a shorter checkout
type: ui
flag: checkout
owner: ann
hypothesis: fewer fields, more orders
background: support hears of it each day
variants: {control: all fields, shorter: those that we need}
plan: {metrics: [ordered], split: {shorter: 1, control: 1}, monitoring: fixed, planned_units: 9}
segments: [country]
rollback: turn the flag off
execution: {automatic: [KILL], rollout: [10%, 100%], every: 12h, holdback: 5%}
lagging: [{metric: d30_retention, after: 30d}]
tags: [checkout]
exceptions: {minimum_runtime: it is december}
""")


def test_a_design_is_read_as_it_was_proposed(store):
    made = create(store, DESIGN)
    assert find(store, made.id).design == replace(DESIGN, plan=replace(DESIGN.plan, id=made.id))
    assert list(made.design.variants) == ["control", "shorter"]
    assert design_from_mapping(json.loads(chain(store)[-1].after)["design"]) == made.design


def test_a_plan_alone_is_a_design_that_says_no_more(store):
    made = create(store)
    assert made.design == Design(plan=made.plan)
    assert change(store, experiments.save_plan, made.id, replace(PLAN, looks=3)).design.flag == ""


def test_a_plan_that_changes_leaves_the_rest_of_the_design(store):
    made = create(store, DESIGN)
    saved = change(store, experiments.save_plan, made.id, replace(DESIGN.plan, name="another"))
    assert (saved.design.name, saved.design.flag) == ("another", "checkout")
    again = change(store, experiments.save_design, made.id, replace(saved.design, tags=("b",)))
    assert (again.version, again.plan_hash, again.design.tags) == (3, saved.plan_hash, ("b",))
    assert change(store, experiments.save_design, made.id, again.design) == again


def test_what_happened_is_kept_with_its_row(store):
    made = create(store)
    seen = Unsealing(at=made.created_at, actor="bob", reason="the news")
    check = LaggingCheck(metric="d30_retention", due=date(2027, 1, 5))
    course = Course(situation=Situation(acknowledged={"outliers": "known"}), unsealed=seen, lagging=(check,))
    saved = change(store, experiments.save_course, made.id, "experiment.unsealed", course)
    assert find(store, made.id).course == saved.course == course
    last = chain(store)[-1]
    assert (last.action, json.loads(last.after)["course"]["unsealed"]["actor"]) == (
        "experiment.unsealed",
        "bob",
    )
    assert "design" not in json.loads(last.after)
    assert change(store, experiments.save_course, made.id, "experiment.unsealed", course) == saved


def test_a_text_that_no_database_keeps_is_refused(store):
    with pytest.raises(InputError, match="the design"):
        create(store, replace(DESIGN, background="half a \ud83d pair"))


def test_the_same_plan_again_is_no_change(store):
    made = create(store)
    assert change(store, experiments.save_plan, made.id, PLAN) == made
    assert len(chain(store)) == 1


def test_the_second_of_two_editors_is_told(store):
    made = create(store)
    change(store, experiments.save_plan, made.id, replace(PLAN, looks=21), expected=made.version)
    for work, argument in ((experiments.save_plan, replace(PLAN, looks=7)), (experiments.move, "running")):
        with pytest.raises(ConflictError, match=r"changed meanwhile \(version 2, you saw 1\)"):
            change(store, work, made.id, argument, expected=made.version)
    found = find(store, made.id)
    assert (found.plan.looks, found.state) == (21, "planned")


def test_a_new_phase_is_of_what_runs(store):
    made = create(store)
    with pytest.raises(ConflictError, match="is planned: only a running"):
        change(store, experiments.begin_phase, made.id)
    change(store, experiments.move, made.id, "running")
    assert change(store, experiments.begin_phase, made.id).phase == 2
    assert chain(store)[-1].action == "experiment.phase"


def test_those_in_one_state(store):
    first, second = create(store), create(store)
    change(store, experiments.move, second.id, "running")
    with store.reading() as connection:
        assert [one.id for one in experiments.listed(connection, "running")] == [second.id]
        assert [one.id for one in experiments.listed(connection, "planned")] == [first.id]


def test_what_is_not_there_or_is_anothers_is_refused(store):
    made = create(store)
    with pytest.raises(NotFoundError, match="no experiment EXP-1"):
        find(store, "EXP-1")
    with pytest.raises(NotFoundError, match="no experiment EXP-1"):
        change(store, experiments.move, "EXP-1", "running")
    with pytest.raises(InputError, match="the plan's id is EXP-1"):
        change(store, experiments.save_plan, made.id, replace(PLAN, id="EXP-1"))
    with store.reading() as connection, pytest.raises(NotFoundError, match="no plan sha256:0"):
        experiments.plan_of(connection, "sha256:0")


def test_a_plan_that_an_experiment_has_cannot_be_taken_away(store):
    from sqlalchemy.exc import IntegrityError

    create(store)
    with pytest.raises(IntegrityError), store.changing("mallory") as one:
        one.connection.execute(text("DELETE FROM plans"))
