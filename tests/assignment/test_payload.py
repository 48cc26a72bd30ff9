from dataclasses import replace
from datetime import UTC, datetime
from itertools import count, pairwise

import pytest

from upshot.assignment.ledger import Ledger
from upshot.assignment.payload import compile_flags
from upshot.assignment.ranges import SPACE, overlap, size
from upshot.model.flag import Flag, FlagSet, Holdout, Layer, Rollout, Rule, Segment, Step, Trial
from upshot_sdk import Ruleset


def salts():
    numbers = count()
    return lambda: f"salt-{next(numbers)}"


def flag_with(*rules, **more):
    return FlagSet(
        flags={"checkout": Flag(key="checkout", type="string", variants={"control": "a", "treatment": "b"},
                                default="control", rules=rules, **more)},
        segments={"early": Segment(name="early", when={"attr": "beta", "op": "eq", "value": True})},
        layers={"page": Layer(name="page")},
        holdouts={"all": Holdout(name="all", percentage=5)},
    )  # fmt: skip


def trial(**more):
    return Rule(id="exp", experiment=Trial(id="EXP-1", split={"control": 1, "treatment": 1}, **more))


def experiment_of(payload):
    return payload["flags"]["checkout"]["rules"][-1]["experiment"]


def test_more_traffic_keeps_salt_split_and_everybody_enrolled():
    first, ledger = compile_flags(flag_with(trial(traffic=10)), Ledger(), salts())
    second, _ = compile_flags(flag_with(trial(traffic=50)), ledger, salts())
    before, after = experiment_of(first), experiment_of(second)
    assert (before["salt"], before["split"]) == (after["salt"], after["split"])
    assert size(overlap(before["traffic"], after["traffic"])) == size(before["traffic"])
    assert abs(size(after["traffic"]) - SPACE / 2) <= 1


def test_a_new_phase_draws_afresh():
    first, ledger = compile_flags(flag_with(trial()), Ledger(), salts())
    numbers = count(100)
    second, _ = compile_flags(flag_with(trial(phase=2)), ledger, lambda: f"salt-{next(numbers)}")
    assert experiment_of(first)["salt"] != experiment_of(second)["salt"]


def test_an_imported_salt_is_kept():
    payload, _ = compile_flags(flag_with(trial(salt="from-elsewhere")), Ledger(), salts())
    assert experiment_of(payload)["salt"] == "from-elsewhere"


def test_metadata_come_with_every_answer():
    given = {"ticket": "CHK-7", "tier": 2}
    payload, _ = compile_flags(flag_with(trial(), metadata=given), Ledger(), salts())
    ruleset = Ruleset.from_dict(payload | {"revision": "r1"})
    for context in ({"targetingKey": "user-1"}, {}):
        assert given.items() <= ruleset.evaluate("checkout", context).metadata.items()
    plain, _ = compile_flags(flag_with(trial()), Ledger(), salts())
    assert "metadata" not in plain["flags"]["checkout"]


def test_a_schedule_is_steps_on_one_salt_that_only_grow():
    at = [datetime(2026, 12, day, tzinfo=UTC) for day in (1, 8, 15)]
    steps = tuple(Step(at=moment, percentage=share) for moment, share in zip(at, (10, 50, 100), strict=True))
    rule = Rule(id="ramp", rollout=Rollout(variant="treatment", percentage=1, schedule=steps))
    payload, _ = compile_flags(flag_with(rule), Ledger(), salts())
    rules = payload["flags"]["checkout"]["rules"]
    assert [(r["id"], r.get("from"), r.get("until")) for r in rules] == [
        ("ramp", None, "2026-12-01T00:00:00Z"),
        ("ramp.2", "2026-12-01T00:00:00Z", "2026-12-08T00:00:00Z"),
        ("ramp.3", "2026-12-08T00:00:00Z", "2026-12-15T00:00:00Z"),
        ("ramp.4", "2026-12-15T00:00:00Z", None),
    ]
    traffic = [r["rollout"]["traffic"] for r in rules]
    assert len({r["rollout"]["salt"] for r in rules}) == 1
    assert [round(size(t) / SPACE, 6) for t in traffic] == [0.01, 0.1, 0.5, 1.0]
    assert all(size(overlap(a, b)) == size(a) for a, b in pairwise(traffic))


def test_taking_a_scheduled_step_by_hand_moves_nobody():
    step = Step(at=datetime(2026, 12, 1, tzinfo=UTC), percentage=10)
    ramp = Rule(id="ramp", rollout=Rollout(variant="treatment", percentage=1, schedule=(step,)))
    first, ledger = compile_flags(flag_with(ramp), Ledger(), salts())
    by_hand = Rule(id="ramp", rollout=Rollout(variant="treatment", percentage=10))
    second, _ = compile_flags(flag_with(by_hand), ledger, salts())
    scheduled = first["flags"]["checkout"]["rules"][-1]["rollout"]["traffic"]
    assert second["flags"]["checkout"]["rules"][-1]["rollout"]["traffic"] == scheduled


def test_overrides_come_first_and_segments_mean_any_of_them():
    rule = Rule(
        id="qa", segments=("early",), when={"attr": "country", "op": "eq", "value": "CA"}, variant="treatment"
    )
    payload, _ = compile_flags(flag_with(rule, overrides={"u1": "treatment"}), Ledger(), salts())
    first, second = payload["flags"]["checkout"]["rules"]
    assert first["when"] == {"attr": "targetingKey", "op": "in", "value": ["u1"]}
    assert second["when"] == {"all": [{"segment": "early"}, {"attr": "country", "op": "eq", "value": "CA"}]}


def test_layer_holdout_and_attributes_reach_the_payload():
    rule = trial(layer="page", layer_share=25, holdout="all", attributes=("country",))
    payload, ledger = compile_flags(flag_with(rule), Ledger(), salts())
    experiment = experiment_of(payload)
    assert experiment["holdout"] == "all"
    assert experiment["attributes"] == ["country"]
    assert size(experiment["layer"]["ranges"]) == SPACE // 4
    assert size(payload["holdouts"]["all"]["ranges"]) == round(SPACE * 0.05)
    again, unchanged = compile_flags(flag_with(rule), ledger, salts())
    assert (again, unchanged) == (payload, ledger)


def test_what_returns_has_its_draws_again():
    first, ledger = compile_flags(flag_with(trial(traffic=10)), Ledger(), salts())
    _, without = compile_flags(flag_with(), ledger, salts())
    again, _ = compile_flags(flag_with(trial(traffic=10)), without, salts())
    assert experiment_of(again) == experiment_of(first)


def test_a_renamed_rule_keeps_the_draws_of_its_experiment_and_another_experiment_has_its_own():
    first, ledger = compile_flags(flag_with(trial()), Ledger(), salts())
    renamed = replace(trial(), id="other")
    second, _ = compile_flags(flag_with(renamed), ledger, salts())
    assert experiment_of(second) == experiment_of(first)
    numbers = count(100)
    next_one = replace(trial(), experiment=replace(trial().experiment, id="EXP-2"))
    third, _ = compile_flags(flag_with(next_one), ledger, lambda: f"salt-{next(numbers)}")
    assert experiment_of(third)["salt"] != experiment_of(first)["salt"]


def test_a_flag_may_be_called_as_the_ledger_calls_other_things():
    ramp = Rule(id="all", rollout=Rollout(variant="treatment"))
    flags = flag_with(trial(holdout="all"))
    called = replace(flags.flags["checkout"], key="holdout", rules=(ramp,))
    payload, _ = compile_flags(replace(flags, flags={**flags.flags, "holdout": called}), Ledger(), salts())
    assert payload["flags"]["holdout"]["rules"][0]["rollout"]["salt"] != payload["holdouts"]["all"]["salt"]


def test_one_experiment_in_two_rules_is_refused():
    with pytest.raises(
        ValueError, match=r"EXP-1 is in flag checkout, rule exp and in flag checkout, rule again"
    ):
        compile_flags(flag_with(trial(), replace(trial(), id="again")), Ledger(), salts())
