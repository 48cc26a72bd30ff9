"""Allocations: who is enrolled, what an exposure needs to know, and that nobody moves."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot_sdk import draws
from upshot_sdk.bucketing import SPACE
from upshot_sdk.evaluation import SPLIT, Allocation, Evaluation, allocate, holdout_gate, layer_gate

ALL = ((0, SPACE),)
HALVES = {"control": ((0, SPACE // 2),), "treatment": ((SPACE // 2, SPACE),)}
ANSWERS = {name: Evaluation(name, name, SPLIT, metadata={"flag": "f"}) for name in HALVES}
UNITS = [f"user-{number}" for number in range(2_000)]


def chooser(exposed=(), **changes):
    base = {"salt": "s", "unit": "targetingKey", "traffic": ALL, "split": HALVES}
    return allocate(Allocation(**(base | changes)), ANSWERS, exposed)


def variants(choose):
    return {unit: answer.variant for unit in UNITS if (answer := choose({"targetingKey": unit}))}


@given(st.integers(1, SPACE), st.integers(1, SPACE))
def test_more_traffic_moves_nobody(first, second):
    less, more = (variants(chooser(traffic=((0, end),))) for end in sorted((first, second)))
    assert less.items() <= more.items()


def test_traffic_and_split_are_the_two_draws():
    found = variants(chooser(traffic=((SPACE // 4, SPACE // 2),)))
    for unit in UNITS:
        split, traffic = draws("s", unit)
        inside = SPACE // 4 <= traffic < SPACE // 2
        assert found.get(unit) == (("control" if split < SPACE // 2 else "treatment") if inside else None)
    assert 400 < len(found) < 600


def test_layers_never_overlap_and_together_hold_everybody():
    cuts = [0, SPACE // 3, SPACE // 2, SPACE]
    owned = [
        set(variants(chooser(salt=f"e{number}", gates=(layer_gate("layer", (piece,)),))))
        for number, piece in enumerate(itertools.pairwise(cuts))
    ]
    assert set().union(*owned) == set(UNITS)
    assert sum(map(len, owned)) == len(UNITS)


def test_a_holdout_is_held_in_every_experiment_that_names_it():
    gate = holdout_gate("hold", "targetingKey", ((0, SPACE // 10),))
    held = {unit for unit in UNITS if draws("hold", unit)[0] < SPACE // 10}
    for salt in ("e1", "e2"):
        assert set(variants(chooser(salt=salt, gates=(gate,)))) == set(UNITS) - held


def test_a_holdout_of_another_unit_needs_that_unit():
    choose = chooser(gates=(holdout_gate("hold", "account", ((0, SPACE // 2),)),))
    accounts = {f"acct-{number}": draws("hold", f"acct-{number}")[0] < SPACE // 2 for number in range(8)}
    assert {
        choose({"targetingKey": "u", "account": account}) is None for account in accounts if accounts[account]
    } == {True}
    assert choose({"targetingKey": "u"}).error_code == "TARGETING_KEY_MISSING"


def test_what_an_exposure_needs():
    answer = chooser(exposed=("country", "plan.tier", "absent"))(
        {"targetingKey": 7, "country": "CA", "plan": {"tier": 1}}
    )
    assert answer.metadata == {
        "flag": "f", "unit": "targetingKey", "unit_id": "7", "attributes": {"country": "CA", "plan.tier": 1},
    }  # fmt: skip
    assert ANSWERS[answer.variant].metadata == {"flag": "f"}


def test_a_rollout_names_no_unit():
    assert chooser(exposed=None)({"targetingKey": "u"}) in ANSWERS.values()


@pytest.mark.parametrize("unit_id", [None, 1.5, True, "\ud800", ["u"], b"u"])
def test_without_a_unit_the_rule_is_passed_over_with_a_reason(unit_id):
    answer = chooser()({"targetingKey": unit_id})
    assert answer.error_code == "TARGETING_KEY_MISSING"
    assert "targetingKey" in answer.error_message


def test_a_unit_may_lie_along_a_path():
    assert chooser(unit="account.id")({"account": {"id": 9}}).metadata["unit_id"] == "9"
    assert chooser(unit="account.id")({"account": {}}).error_code == "TARGETING_KEY_MISSING"
