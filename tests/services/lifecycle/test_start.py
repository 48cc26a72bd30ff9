"""From an idea to an experiment that runs."""

import json
from dataclasses import replace
from datetime import date

import pytest

from upshot.errors import ConflictError, InputError, NotFoundError, PlanError
from upshot.formats.canonical import content_hash
from upshot.formats.flags import flags_from_yaml
from upshot.services.checklist import checklist
from upshot.services.experiments import edit, extend, found, implement, start, stop
from upshot.services.flag_switch import switch
from upshot.store import flags
from upshot.store.kill_file import Switching


def metric_of(lab):
    return found(lab.workspace, lab.proposed()).plan.metrics[0]


def items(lab, name):
    return {item.name: item for item in checklist(lab.workspace, name)}


def test_what_is_whole_passes_and_starts(lab):
    name = lab.proposed()
    assert {item.name: item.status for item in checklist(lab.workspace, name) if item.status != "pass"} == {}
    assert lab.given() == {"control": 200}
    started = start(lab.workspace, name, "ann", "all is there")
    assert (started.state, started.phase) == ("running", 1)
    assert (started.plan.start, started.plan.end) == (date(2026, 3, 2), date(2026, 3, 16))
    assert min(lab.given().values()) > 60


def test_the_plan_its_hash_and_its_salt_are_one_row(any_lab):
    lab = any_lab
    name = lab.proposed()
    started = start(lab.workspace, name, "ann", "all is there")
    (row,) = [row for row in lab.rows(f"experiment/{name}") if row.action == "experiment.running"]
    after = json.loads(row.after)
    assert after["plan_hash"] == started.plan_hash == content_hash(started.plan)
    ((place, salt),) = after["salts"].items()
    assert place == f"experiment/{name}/phase-1"
    assert salt == lab.workspace.flags.read().ledger.salts[place]
    assert after["design"]["plan"]["end"] == "2026-03-16"
    assert (row.actor, row.reason) == ("ann", "all is there")


def test_what_fails_is_named_at_once_and_nothing_starts(lab):
    name = lab.proposed(rollback="", plan={"hypothesis": "more", "owner": ""})
    rows = len(lab.rows())
    with pytest.raises(PlanError) as refused:
        start(lab.workspace, name, "ann")
    assert [one.partition(":")[0] for one in refused.value.problems] == ["hypothesis", "owner", "rollback"]
    assert found(lab.workspace, name).state == "planned"
    assert (lab.given(), len(lab.rows())) == ({"control": 200}, rows)


def test_what_fails_can_be_accepted_with_a_reason(lab):
    name = lab.proposed(rollback="")
    with pytest.raises(PlanError, match="rollback"):
        start(lab.workspace, name, "ann", accepted={"rollback": " "})
    with pytest.raises(PlanError, match="rolback is not on the checklist: did you mean rollback"):
        start(lab.workspace, name, "ann", accepted={"rolback": "it is harmless"})
    started = start(lab.workspace, name, "ann", accepted={"rollback": "it is harmless"})
    assert started.course.accepted == {"rollback": "it is harmless"}


@pytest.mark.parametrize(
    ("changed", "item", "said"),
    [
        ({"flag": ""}, "flag", "names no flag"),
        ({"flag": "chekout"}, "flag", "did you mean checkout"),
        ({"plan": {"split": {"control": 1.0, "tiny": 1.0}}, "variants": {}}, "flag", "no variant tiny"),
    ],
)
def test_no_reason_helps_where_there_is_no_flag(lab, changed, item, said):
    name = lab.proposed(**changed)
    with pytest.raises(PlanError, match=said):
        start(lab.workspace, name, "ann", accepted={item: "we want it"})
    assert items(lab, name)[item].binding


def test_no_reason_helps_where_a_metric_is_not_defined(lab):
    metric = replace(metric_of(lab), name="sold", column="sold")
    name = lab.proposed(plan={"metrics": (metric,)})
    with pytest.raises(PlanError, match="there is no metric sold"):
        start(lab.workspace, name, "ann", accepted={"metrics": "we want it", "guardrails": "none"})


def test_a_sample_that_does_not_come_in_time_is_refused(lab):
    name = lab.proposed(plan={"minimum_effect": 0.05})
    item = items(lab, name)["sample_size"]
    assert item.status == "fail"
    assert "bought needs" in item.detail
    assert "a bolder change" in item.mend


def test_a_metric_of_which_nothing_comes_is_refused(lab):
    crashed = replace(metric_of(lab), name="returned", column="returned", better="lower")
    found_items = items(lab, lab.proposed(plan={"metrics": (crashed,)}))
    assert found_items["metric_data"].status == "fail"
    assert "nobody sent Returned (for returned)" in found_items["metric_data"].detail
    assert found_items["sample_size"].status == "warn"
    assert found_items["guardrails"].status == "fail"


def test_a_workspace_to_which_nothing_comes_is_told(lab, tmp_path):
    silent = replace(lab.workspace, data=tmp_path / "none")
    found_items = {item.name: item for item in checklist(silent, lab.proposed())}
    assert found_items["events"].status == "fail"
    lab.pass_time(days=30)
    assert items(lab, lab.proposed())["events"].status == "fail"


def test_standards_bind_unless_a_reason_says_why_not(lab):
    weak = {"alpha": 0.1, "power": 0.7, "minimum_days": 3, "maximum_days": 40, "floor": 10}
    found_items = items(lab, lab.proposed(plan=weak))
    failing = {name for name, item in found_items.items() if item.status == "fail"}
    assert failing == {
        "confidence", "power", "minimum_runtime", "maximum_runtime", "whole_weeks", "units_per_variant",
    }  # fmt: skip
    excepted = items(lab, lab.proposed(plan=weak, exceptions=dict.fromkeys(failing, "the fair is soon")))
    assert {name for name, item in excepted.items() if item.status == "fail"} == set()
    assert excepted["power"].detail.endswith("excepted: the fair is soon")


def test_another_on_the_same_flag_is_in_the_way(lab):
    first = lab.started()
    name = lab.proposed()
    item = items(lab, name)["conflicts"]
    assert (item.status, first in item.detail, "same flag" in item.detail) == ("fail", True, True)


def test_another_with_the_same_metric_is_told(lab):
    first = lab.started()
    item = items(lab, lab.proposed(flag="banner"))["conflicts"]
    assert (item.status, first in item.detail) == ("warn", True)
    assert "judged by bought" in item.detail


def test_a_flag_that_is_off_serves_nobody(lab):
    name = lab.proposed()
    entry = Switching(flag="checkout", action="kill", at=lab.now, actor="bob", reason="it burns")
    switch(lab.workspace.flags, entry)
    item = items(lab, name)["serving"]
    assert (item.status, item.detail) == ("fail", "it was turned off: it burns")


def test_what_was_met_before_the_start_is_not_counted(lab):
    name = lab.started()
    lab.visits(20)
    again = lab.proposed(plan={"id": "EXP-2026-009"}, flag="banner")
    rule = "{id: exp, experiment: {id: EXP-2026-009, split: {control: 1, treatment: 1}}}"
    with lab.store.changing("bob") as change:
        flags.put(
            change,
            flags_from_yaml(
                f"flags: {{banner: {{variants: {{control: a, treatment: b}}, default: control, rules: [{rule}]}}}}"
            ),
        )
    lab.visits(20, flag="banner")
    started = start(lab.workspace, again, "ann")
    assert started.phase == 2
    assert found(lab.workspace, name).phase == 1
    lab.pass_time(hours=1)
    lab.visits(20, flag="banner")
    assert lab.look(again).phase == 2


def test_only_what_is_planned_starts_and_only_once(lab):
    name = lab.started()
    with pytest.raises(ConflictError, match="is running and cannot start"):
        start(lab.workspace, name, "ann")
    with pytest.raises(NotFoundError):
        start(lab.workspace, "EXP-1", "ann")


def test_the_second_of_two_who_start_is_told(lab):
    name = lab.proposed()
    before = found(lab.workspace, name)
    edit(lab.workspace, name, replace(before.design, tags=("a",)), "bob")
    with pytest.raises(ConflictError, match="changed meanwhile"):
        start(lab.workspace, name, "ann", expected=before.version)
    assert lab.given() == {"control": 200}


def test_implemented_is_said_once_the_flag_has_every_variant(lab):
    name = lab.proposed()
    assert implement(lab.workspace, name, "bob").state == "implemented"
    assert start(lab.workspace, name, "ann").state == "running"
    other = lab.proposed(plan={"split": {"control": 1.0, "tiny": 1.0}}, variants={})
    with pytest.raises(InputError, match="has no variant tiny"):
        implement(lab.workspace, other, "bob")
    with pytest.raises(NotFoundError, match="no flag none"):
        implement(lab.workspace, lab.proposed(flag="none"), "bob")


def test_to_end_early_needs_a_reason(lab):
    name = lab.started()
    with pytest.raises(InputError, match="it is to be decided on 2026-03-16"):
        stop(lab.workspace, name, "ann", "")
    assert stop(lab.workspace, name, "ann", "the fair is over").state == "analyzing"


def test_the_day_is_moved_with_a_reason_within_the_maximum(lab):
    name = lab.started(plan={"end": date(2026, 3, 9)})
    with pytest.raises(InputError, match="no reason"):
        extend(lab.workspace, name, date(2026, 3, 16), "ann", " ")
    for day, said in (
        (date(2026, 3, 14), "nobody works: take 2026-03-16"),
        (date(2026, 3, 11), "no whole weeks after 2026-03-02: take 2026-03-09"),
        (date(2026, 3, 30), "after 2026-03-16"),
        (date(2026, 3, 2), "not after 2026-03-02"),
    ):
        with pytest.raises(InputError, match=said):
            extend(lab.workspace, name, day, "ann", "a slow week")
    assert extend(lab.workspace, name, date(2026, 3, 16), "ann", "a slow week").plan.end == date(2026, 3, 16)
    stop(lab.workspace, name, "ann", "ill")
    with pytest.raises(InputError, match="after 2026-03-16"):
        extend(lab.workspace, name, date(2026, 3, 23), "ann", "well again")
    assert found(lab.workspace, name).course.exploratory == ()


def test_a_plan_that_is_judged_once_is_not_extended(lab):
    name = lab.started(plan={"monitoring": "fixed", "end": date(2026, 3, 9)})
    with pytest.raises(ConflictError, match="cannot be extended"):
        extend(lab.workspace, name, date(2026, 3, 16), "ann", "a slow week")


def test_what_binds_can_be_changed_knowingly_and_then_all_is_exploratory(lab):
    name = lab.started()
    before = found(lab.workspace, name)
    other = replace(before.design, plan=replace(before.plan, minimum_effect=0.3))
    with pytest.raises(ConflictError, match="its plan binds"):
        edit(lab.workspace, name, other, "ann", "we were wrong")
    with pytest.raises(InputError, match="no reason"):
        edit(lab.workspace, name, other, "ann", knowingly=True)
    changed = edit(lab.workspace, name, other, "ann", "we were wrong", knowingly=True)
    assert changed.plan.minimum_effect == 0.3
    assert changed.course.exploratory == (
        "minimum_effect goes from 0.5 to 0.3, which moves the bar, after data were seen",
    )


def test_what_is_added_after_the_start_is_exploratory(lab):
    name = lab.started()
    before = found(lab.workspace, name)
    added = replace(
        before.plan.metrics[0], name="returned", column="returned", role="secondary", better="lower"
    )
    plan = replace(before.plan, metrics=(*before.plan.metrics, added))
    changed = edit(lab.workspace, name, replace(before.design, plan=plan, segments=("country",)), "ann")
    assert changed.course.exploratory == (
        "secondary metric returned was added after the start",
        "segment country was added after the start",
    )
