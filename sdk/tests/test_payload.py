"""A payload whole: every mistake at once, one bad part apart from the others, any input without a crash."""

import copy
import gc
import json
import weakref
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upshot_sdk import Ruleset, RulesetError
from upshot_sdk.payload import read_payload

VECTORS = json.loads(files("upshot_sdk").joinpath("vectors.json").read_text("utf-8"))
PAYLOADS = [vector["payload"] for vector in VECTORS["rulesets"]]
words = st.sampled_from(["all", "not", "segment", "attr", "op", "value", "flags", "rules", "experiment", "f"])
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | words,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | words, inner, max_size=4)
    ),
    max_leaves=10,
)


def places(value, path=()):
    """Every place in a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def replaced(payload, path, value):
    if not path:
        return value
    changed = copy.deepcopy(payload)
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return changed


@given(junk)
def test_any_value_is_read(value):
    read = read_payload(value)
    assert read.usable or read.problems


@settings(max_examples=300)
@given(st.data())
def test_a_payload_with_junk_at_any_place_is_refused_or_works(data):
    payload = data.draw(st.sampled_from(PAYLOADS))
    path = data.draw(st.sampled_from(list(places(payload))))
    changed = replaced(payload, path, data.draw(junk))
    read = read_payload(changed)
    assert set(read.flags) | set(read.unusable) == (set(changed["flags"]) if read.usable else set())
    if read.usable:
        ruleset = Ruleset.from_dict(changed, strict=False)
        for key in ruleset.flag_keys:
            answer = ruleset.evaluate(key, {"targetingKey": "u", "account": "a"}, None, 0)
            assert (answer.error_code == "PARSE_ERROR") == (key in read.unusable)


def broken():
    payload = copy.deepcopy(PAYLOADS[0])
    payload["flags"]["bad"] = {"type": "string", "variants": {"a": 1}}
    payload["flags"]["needs-bad"] = {"type": "string", "variants": {"a": "1"},
                                     "prerequisites": [{"flag": "bad", "variants": ["a"]}]}  # fmt: skip
    return payload


def test_one_bad_flag_does_not_silence_the_others():
    with pytest.raises(RulesetError, match=r"flags\.bad\.variants\.a: 1 is not a value of type string"):
        Ruleset.from_dict(broken())
    ruleset = Ruleset.from_dict(broken(), strict=False)
    assert ruleset.evaluate("checkout", {"targetingKey": "u"}).reason == "SPLIT"
    bad = ruleset.evaluate("bad", {}, "z")
    assert (bad.value, bad.reason, bad.error_code) == ("z", "ERROR", "PARSE_ERROR")
    assert "flags.bad.variants.a" in bad.error_message
    assert ruleset.evaluate("needs-bad", {}).error_code == "PARSE_ERROR"
    assert {problem.path for problem in ruleset.problems} == {
        "flags.bad.variants.a",
        "flags.needs-bad.prerequisites[0].flag",
    }


def test_a_bad_segment_stops_only_the_flags_that_name_it():
    payload = copy.deepcopy(PAYLOADS[0])
    payload["segments"] = {"s": {"when": {"attr": "a", "op": "??"}}}
    payload["flags"]["named"] = {"type": "boolean", "variants": {"on": True},
                                 "rules": [{"id": "r", "when": {"segment": "s"}, "variant": "on"}]}  # fmt: skip
    ruleset = Ruleset.from_dict(payload, strict=False)
    assert ruleset.evaluate("named", {}).error_code == "PARSE_ERROR"
    assert ruleset.evaluate("checkout", {"targetingKey": "u"}).reason == "SPLIT"


class Watched(dict):
    """An object that can be watched going away."""


def test_a_ruleset_does_not_keep_its_payload_in_memory():
    layered = next(payload for payload in PAYLOADS if payload.get("layers"))
    payload = Watched(copy.deepcopy(layered))
    watched = weakref.ref(payload)
    ruleset = Ruleset.from_dict(payload)
    del payload
    gc.collect()
    assert watched() is None
    assert ruleset.flag_keys == tuple(layered["flags"])


@pytest.mark.parametrize("envelope", [{"format": 2}, {"format": True}, {"hash": "sha256/1"}, {"flags": []}])
def test_what_is_no_ruleset_of_this_format_is_refused_even_so(envelope):
    with pytest.raises(RulesetError):
        Ruleset.from_dict({**PAYLOADS[0], **envelope}, strict=False)
