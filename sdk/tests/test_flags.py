"""Flags: reasons, prerequisites, and what a missing unit means for the whole flag."""

import pytest

from upshot_sdk import Ruleset, RulesetError
from upshot_sdk.bucketing import SPACE
from upshot_sdk.flags import prerequisite_keys
from upshot_sdk.targeting import MAX_DEPTH


def payload(**flags):
    return {"format": 1, "revision": "r", "hash": "md5/1", "flags": flags}


def boolean(*rules, **more):
    return {
        "type": "boolean",
        "variants": {"on": True, "off": False},
        "default_variant": "off",
        "rules": list(rules),
        **more,
    }


def needing(key, *variants):
    return [{"flag": key, "variants": list(variants)}]


EXPERIMENT = {"id": "E", "phase": 1, "salt": "s", "traffic": [[0, SPACE]], "split": {"on": [[0, SPACE]]}}
FLAGS = payload(
    static=boolean(),
    off=boolean(enabled=False),
    target=boolean({"id": "r", "variant": "on"}),
    split=boolean({"id": "e", "experiment": EXPERIMENT}),
    default=boolean({"id": "r", "when": {"attr": "x", "op": "exists"}, "variant": "on"}),
)


@pytest.mark.parametrize(("key", "reason", "value"), [
    ("static", "STATIC", False), ("off", "DISABLED", None), ("target", "TARGETING_MATCH", True),
    ("split", "SPLIT", True), ("default", "DEFAULT", False), ("nothing", "ERROR", None),
])  # fmt: skip
def test_reasons(key, reason, value):
    answer = Ruleset.from_dict(FLAGS).evaluate(key, {"targetingKey": "u"})
    assert (answer.reason, answer.value) == (reason, value)


def test_a_rule_without_its_unit_is_an_error_only_if_no_other_decides():
    rest = {"id": "rest", "when": {"attr": "x", "op": "exists"}, "variant": "off"}
    ruleset = Ruleset.from_dict(payload(f=boolean({"id": "e", "experiment": EXPERIMENT}, rest)))
    assert ruleset.evaluate("f", {"x": 1}, True)[:3] == (False, "off", "TARGETING_MATCH")
    missing = ruleset.evaluate("f", {}, True)
    assert (missing.value, missing.variant, missing.error_code) == (True, None, "TARGETING_KEY_MISSING")
    assert dict(missing.metadata) == {"flag": "f", "revision": "r"}


def test_a_rule_that_does_not_apply_asks_for_no_unit():
    rule = {"id": "e", "when": {"attr": "x", "op": "exists"}, "experiment": EXPERIMENT}
    assert Ruleset.from_dict(payload(f=boolean(rule))).evaluate("f", {}, True).reason == "DEFAULT"


def chain(length):
    flags = {"f0": boolean({"id": "r", "variant": "on"})}
    for number in range(1, length):
        flags[f"f{number}"] = boolean(
            {"id": "r", "variant": "on"}, prerequisites=needing(f"f{number - 1}", "on")
        )
    return payload(**dict(reversed(flags.items())))


def test_prerequisites_may_be_a_chain_of_bounded_length():
    ruleset = Ruleset.from_dict(chain(MAX_DEPTH))
    assert ruleset.evaluate(f"f{MAX_DEPTH - 1}", {}).value is True
    assert ruleset.flag_keys[0] == f"f{MAX_DEPTH - 1}"
    with pytest.raises(RulesetError, match="a chain of"):
        Ruleset.from_dict(chain(MAX_DEPTH + 1))
    with pytest.raises(RulesetError, match="a chain of"):
        Ruleset.from_dict(chain(5_000))


def test_prerequisites_that_double_are_refused_before_they_are_dear():
    flags = {"f0": boolean({"id": "r", "variant": "on"})}
    for number in range(1, 20):
        twice = needing(f"f{number - 1}", "on") * 2
        flags[f"f{number}"] = boolean({"id": "r", "variant": "on"}, prerequisites=twice)
    with pytest.raises(RulesetError, match="prerequisites counted"):
        Ruleset.from_dict(payload(**flags))


def test_a_flag_that_needs_itself_is_a_circle():
    with pytest.raises(RulesetError, match="need each other in a circle: f -> f"):
        Ruleset.from_dict(payload(f=boolean(prerequisites=needing("f", "on"))))


def test_a_prerequisite_that_lacks_its_unit_is_not_met():
    flags = payload(base=boolean({"id": "e", "experiment": EXPERIMENT}),
                    f=boolean({"id": "r", "variant": "on"}, prerequisites=needing("base", "on")))  # fmt: skip
    ruleset = Ruleset.from_dict(flags)
    assert ruleset.evaluate("f", {}, True)[:3] == (False, "off", "DEFAULT")
    assert ruleset.evaluate("f", {"targetingKey": "u"}, False).value is True


@pytest.mark.parametrize("value", [None, [], {"prerequisites": 1}, {"prerequisites": [1, {"flag": []}, {}]}])
def test_prerequisites_that_cannot_be_read_name_no_flag(value):
    assert prerequisite_keys(value) == set()


@pytest.mark.parametrize("number", [0, -1, 1.0, True, "1"])
def test_the_number_of_the_time_that_a_flag_is_watched_is_one(number):
    with pytest.raises(RulesetError, match=r"flags.f.monitored: .* is not a whole number from 1"):
        Ruleset.from_dict(payload(f=boolean(monitored=number)))
    found = Ruleset.from_dict(payload(f=boolean(monitored=3))).evaluate("f").metadata
    assert found["monitored"] == 3
