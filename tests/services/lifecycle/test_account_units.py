"""That an experiment on accounts draws on accounts: people who influence each other get the same."""

import pytest

from upshot.services.enrolment import rule_of


@pytest.mark.parametrize(
    ("plan", "unit"),
    [
        ({"unit": "account", "unit_kind": "account"}, "account"),
        ({"unit": "team", "unit_kind": "account"}, "team"),
        ({"unit_kind": "account"}, "account"),
        ({"unit": "user_id"}, "targetingKey"),
    ],
)
def test_the_rule_draws_on_what_the_plan_randomises(lab, plan, unit):
    name = lab.started(plan=plan)
    rule = rule_of(lab.workspace.flags.read().flags.flags["checkout"], name)
    assert rule.experiment.unit == unit
