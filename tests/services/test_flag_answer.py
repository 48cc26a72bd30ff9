from datetime import UTC, datetime

import pytest

from upshot.errors import NotFoundError
from upshot.services.flag_answer import answer
from upshot.services.flags import publish
from upshot.store.flag_files import FlagDirectory

NOW = datetime(2026, 12, 1, tzinfo=UTC)
FLAGS = """
segments: {staff: {when: {attr: email, op: ends_with, value: "@example.com"}}}
holdouts: {all: {percentage: 50}}
flags:
  checkout:
    variants: {control: one-page, treatment: three-steps}
    default: control
    overrides: {qa-1: treatment}
    rules:
    - {id: staff, segments: [staff], variant: treatment}
    - {id: later, starts: 2027-01-01T00:00:00Z, variant: treatment}
    - id: ramp.up
      when: {attr: plan, op: eq, value: pro}
      rollout: {variant: treatment, schedule: [{at: 2026-11-01T00:00:00Z, percentage: 100}]}
    - {id: account, rollout: {variant: treatment, unit: account}}
    - {id: exp, experiment: {id: EXP-1, split: {control: 1, treatment: 1}, traffic: 50, attributes: [plan]}}
  payments: {enabled: false}
  receipts: {prerequisites: [{flag: payments, variants: [on]}]}
"""


@pytest.fixture
def store(tmp_path):
    (tmp_path / "flags.yaml").write_text(FLAGS, encoding="utf-8")
    return FlagDirectory(tmp_path)


def ask(store, context, key="checkout"):
    return answer(store, key, context, lambda: "salt", NOW)


def test_a_rule_that_names_the_variant_is_said_in_words(store):
    found = ask(store, {"email": "a@example.com", "targetingKey": "u"})
    assert (found.evaluation.value, found.evaluation.reason) == ("three-steps", "TARGETING_MATCH")
    assert found.because == "staff get treatment"
    assert found.passed == {"override-treatment": "its condition is not met"}
    assert found.drawn


def test_an_override_is_by_hand(store):
    found = ask(store, {"targetingKey": "qa-1"})
    assert (found.because, found.passed) == ("the unit is given it by hand", {})


def test_a_step_of_a_schedule_is_its_rule(store):
    found = ask(store, {"targetingKey": "u", "plan": "pro"})
    assert found.evaluation.metadata["rule"] == "ramp.up.2"
    assert found.because.startswith("0% of those whose plan is pro get treatment, 100% from 2026-11-01")
    assert found.passed["ramp.up"] == "it is not in force at 2026-12-01 00:00 UTC"


def test_each_rule_that_did_not_decide_says_why(store):
    publish(store, lambda: "salt", NOW)
    by_rule = [ask(store, {"targetingKey": f"u{number}"}) for number in range(40)]
    drawn = next(one for one in by_rule if one.evaluation.reason == "SPLIT")
    assert drawn.passed == {
        "override-treatment": "its condition is not met",
        "staff": "its condition is not met",
        "later": "it is not in force at 2026-12-01 00:00 UTC",
        "ramp.up": "it is not in force at 2026-12-01 00:00 UTC",
        "ramp.up.2": "its condition is not met",
        "account": "the context has no account, which the rule draws on",
    }
    left_out = next(one for one in by_rule if one.evaluation.reason != "SPLIT")
    assert left_out.passed["exp"] == "its draw leaves this unit out"
    assert left_out.evaluation.error_code == "TARGETING_KEY_MISSING"


def test_a_draw_that_was_not_given_out_is_said(store):
    context = {"targetingKey": "u", "account": "a"}
    assert ask(store, context).drawn is False
    publish(store, lambda: "salt", NOW)
    assert ask(store, context).drawn is True


def test_an_unmet_prerequisite_is_the_reason(store):
    found = ask(store, {}, "receipts")
    assert found.passed == {"payments": "it gives no variant, and receipts needs on of it"}
    assert found.evaluation.reason == "DEFAULT"


def test_a_flag_that_is_off_needs_no_more_reason(store):
    found = ask(store, {}, "payments")
    assert (found.evaluation.reason, found.passed, found.because) == ("DISABLED", {}, None)


def test_a_flag_that_is_not_there_is_told_with_the_nearest(store):
    with pytest.raises(NotFoundError, match=r"there is no flag chekout in .*: did you mean checkout?"):
        ask(store, {}, "chekout")
    with pytest.raises(NotFoundError, match="there are checkout, payments, receipts"):
        ask(store, {}, "zzz")
