"""Every edit of a running experiment's plan has a class; the reasons are in docs/decisions/edits.md."""

from dataclasses import fields, replace
from datetime import date

import pytest

from upshot.assignment.plan_edits import PLAN, classify_plan
from upshot.model.metric import Metric
from upshot.model.plan import Plan

SALES = Metric(name="sales", column="sales", kind="proportion")
VISITS = Metric(name="visits", column="visits", kind="mean", role="secondary")
CRASHES = Metric(name="crashes", column="crashes", kind="proportion", role="guardrail", maximum=0.001)
BEFORE = Plan(
    metrics=(SALES, VISITS, CRASHES),
    split={"control": 1, "treatment": 1},
    monitoring="group_sequential",
    start=date(2026, 1, 5),
    end=date(2026, 1, 18),
)

TABLE = [
    ({"metrics": (SALES, VISITS)}, "blocked", "guardrail metric crashes is gone"),
    ({"metrics": (SALES, CRASHES)}, "blocked", "secondary metric visits is gone"),
    ({"metrics": (VISITS, CRASHES)}, "blocked", "primary metric sales is gone"),
    ({"metrics": (replace(SALES, better="lower"), VISITS, CRASHES)}, "blocked", "otherwise (better)"),
    ({"metrics": (SALES, replace(VISITS, role="primary"), CRASHES)}, "blocked", "otherwise (role)"),
    ({"metrics": (SALES, VISITS, replace(CRASHES, maximum=0.1))}, "blocked", "otherwise (maximum)"),
    ({"metrics": (*BEFORE.metrics, replace(SALES, name="more"))}, "blocked", "another way to win"),
    ({"metrics": (*BEFORE.metrics, replace(VISITS, name="more"))}, "safe", "secondary metric more is new"),
    ({"metrics": (*BEFORE.metrics, replace(CRASHES, name="more"))}, "safe", "guardrail metric more is new"),
    ({"metrics": (CRASHES, SALES, VISITS)}, "safe", "another order"),
    ({"control": "treatment"}, "blocked", "control goes from control to treatment, which asks another question"),
    ({"split": {"control": 9, "treatment": 1}}, "new_phase", "raise the phase"),
    ({"split": {"control": 2, "treatment": 2}}, "safe", "the same shares"),
    ({"id": "EXP-2"}, "blocked", "id goes from none to EXP-2"),
    ({"name": "Checkout"}, "safe", "name goes from none to Checkout"),
    ({"hypothesis": "It sells"}, "safe", "hypothesis goes from none"),
    ({"owner": "ann"}, "safe", "no number depends on"),
    ({"unit": "account_id"}, "blocked", "asks another question"),
    ({"unit_kind": "account"}, "blocked", "the floor binds"),
    ({"purpose": "aa"}, "blocked", "asks another question"),
    ({"minimum_effect": 0.01}, "blocked", "moves the bar"),
    ({"ship_threshold": 0.0}, "blocked", "ship_threshold goes from none to 0.0"),
    ({"alpha": 0.1}, "blocked", "alpha goes from 0.05 to 0.1"),
    ({"power": 0.9}, "blocked", "chance of a false answer"),
    ({"monitoring": "fixed"}, "blocked", "chance of a false answer"),
    ({"spending": "pocock"}, "blocked", "chance of a false answer"),
    ({"futility": True}, "blocked", "may stop"),
    ({"looks": 7}, "blocked", "chance of a false answer"),
    ({"minimum_days": 1}, "blocked", "may stop"),
    ({"maximum_days": 60}, "blocked", "may stop"),
    ({"planned_units": 10}, "blocked", "may stop"),
    ({"maximum_units": 10}, "blocked", "may stop"),
    ({"floor": 10}, "blocked", "may stop"),
    ({"family": "dunnett"}, "blocked", "chance of a false answer"),
    ({"harm_alpha": 0.1}, "blocked", "chance of a false answer"),
    ({"policy": "do_no_harm"}, "blocked", "by another table"),
    ({"tie_break": "sales"}, "blocked", "chooses the winner"),
    ({"start": date(2026, 1, 12)}, "blocked", "from another day"),
    ({"end": date(2026, 2, 1)}, "safe", "their share of alpha"),
    ({"final": True}, "blocked", "may stop"),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "kind", "sentence"), TABLE)
def test_the_table_of_edits(changed, kind, sentence):
    (edit,) = classify_plan(BEFORE, replace(BEFORE, **changed))
    assert (edit.field, edit.kind) == (next(iter(changed)), kind)
    assert sentence in edit.sentence


def test_no_field_is_without_a_class_and_a_row():
    names = {field.name for field in fields(Plan)}
    assert names == set(PLAN)
    assert names == {name for changed, _, _ in TABLE for name in changed}


def test_an_unchanged_plan_has_no_edits():
    assert classify_plan(BEFORE, replace(BEFORE)) == ()


def test_a_fixed_plan_is_read_at_the_end_that_it_named():
    fixed = replace(BEFORE, monitoring="fixed")
    (edit,) = classify_plan(fixed, replace(fixed, end=date(2026, 2, 1)))
    assert edit.kind == "blocked"


def test_a_start_can_be_written_once():
    (edit,) = classify_plan(replace(BEFORE, start=None), BEFORE)
    assert edit.kind == "safe"
