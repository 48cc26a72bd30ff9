"""Rules: exactly one thing each, in force for a time, and every mistake by its path."""

from datetime import UTC, datetime, timedelta

import pytest

from upshot_sdk import Ruleset, RulesetError, draws
from upshot_sdk.bucketing import SPACE

ALL = [[0, SPACE]]
START = datetime(2026, 12, 1, tzinfo=UTC)


def flag(*rules, **more):
    return {"type": "string", "variants": {"control": "a", "treatment": "b"}, "default_variant": "control",
            "rules": list(rules), **more}  # fmt: skip


def payload(**flags):
    return {"format": 1, "revision": "r", "hash": "md5/1", "flags": flags}


def problems(value):
    with pytest.raises(RulesetError) as caught:
        Ruleset.from_dict(value)
    return {problem.path: problem.message for problem in caught.value.problems}


def ramp(percentages):
    """1 -> 10 -> 50 -> 100%, a day apart, on one salt."""
    rules = []
    for day, percentage in enumerate(percentages):
        rollout = {"salt": "ramp", "traffic": [[0, SPACE * percentage // 100]], "split": {"treatment": ALL}}
        rule = {"id": f"step-{day}", "from": (START + timedelta(days=day)).isoformat(), "rollout": rollout}
        if day + 1 < len(percentages):
            rule["until"] = (START + timedelta(days=day + 1)).isoformat()
        rules.append(rule)
    return rules


def test_a_ramp_follows_its_schedule_and_takes_nobody_back():
    ruleset = Ruleset.from_dict(payload(f=flag(*ramp([1, 10, 50, 100]))))
    units = [f"user-{number}" for number in range(1_000)]
    before = set()
    for day, percentage in ((-1, 0), (0, 1), (1, 10), (2, 50), (3, 100), (300, 100)):
        now = START + timedelta(days=day)
        served = {
            unit for unit in units if ruleset.evaluate("f", {"targetingKey": unit}, "z", now).value == "b"
        }
        assert served == {unit for unit in units if draws("ramp", unit)[1] < SPACE * percentage // 100}
        assert before <= served
        before = served


def test_now_may_be_seconds_and_defaults_to_the_clock():
    ruleset = Ruleset.from_dict(payload(f=flag({"id": "r", "from": "2000-01-01", "variant": "treatment"})))
    assert ruleset.evaluate("f", {}).value == "b"
    assert ruleset.evaluate("f", {}, now=0).value == "a"


def test_a_naive_now_is_answered_with_what_is_wrong():
    ruleset = Ruleset.from_dict(payload(f=flag({"id": "r", "from": "2000-01-01", "variant": "treatment"})))
    answer = ruleset.evaluate("f", {}, "z", START.replace(tzinfo=None))
    assert (answer.value, answer.error_code) == ("z", "GENERAL")
    assert "no time zone" in answer.error_message


@pytest.mark.parametrize(("rule", "said"), [
    ({}, "here is none"),
    ({"variant": "control", "rollout": {}}, "here is variant and rollout"),
])  # fmt: skip
def test_a_rule_does_exactly_one_thing(rule, said):
    assert said in problems(payload(f=flag({"id": "r", **rule})))["flags.f.rules[0]"]


def test_all_mistakes_of_all_rules_are_told_at_once():
    found = problems(payload(
        f=flag({"id": "a", "when": {"attr": "x", "op": "=="}, "variant": "nope"},
               {"id": "b", "rollout": {"salt": "", "traffic": [[5, 1]], "split": {"control": "all"}}}),
        g=flag({"id": "c", "experiment": {"id": "E", "phase": "1", "salt": "s", "traffic": ALL, "split": {"x": ALL}}}),
    ))  # fmt: skip
    assert set(found) == {
        "flags.f.rules[0].when.op", "flags.f.rules[0].variant", "flags.f.rules[1].rollout.salt",
        "flags.f.rules[1].rollout.traffic[0]", "flags.f.rules[1].rollout.split.control",
        "flags.g.rules[0].experiment.phase", "flags.g.rules[0].experiment.split.x",
    }  # fmt: skip


def test_a_flag_changes_at_a_bounded_number_of_times():
    hours = [(START + timedelta(hours=hour)).isoformat() for hour in range(102)]
    rules = [{"id": start, "from": start, "variant": "treatment"} for start in hours]
    assert Ruleset.from_dict(payload(f=flag(*rules[:100]))).problems == ()
    assert "at 101 different times" in problems(payload(f=flag(*rules[:101])))["flags.f"]


def test_an_experiment_may_sit_in_several_rules_of_its_layer_ranges():
    experiment = {"id": "E", "phase": 1, "salt": "s", "traffic": ALL, "split": {"control": ALL},
                  "layer": {"name": "l", "ranges": [[0, 100]]}}  # fmt: skip
    both = payload(f=flag(*({"id": name, "experiment": experiment} for name in ("one", "two"))))
    assert Ruleset.from_dict({**both, "layers": {"l": {"salt": "x"}}}).problems == ()
