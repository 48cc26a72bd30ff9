"""A ruleset: the same after JSON, never raising, small and large, and light to import."""

import collections
import json
import subprocess
import sys
import time
import timeit
from importlib.resources import files
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upshot_sdk import Evaluation, Ruleset, RulesetError, draws
from upshot_sdk.bucketing import SPACE
from upshot_sdk.operators import as_instant

VECTORS = json.loads(files("upshot_sdk").joinpath("vectors.json").read_text("utf-8"))
PAYLOADS = [vector["payload"] for vector in VECTORS["rulesets"]]
RULESETS = [Ruleset.from_dict(payload) for payload in PAYLOADS]
CODES = {
    "FLAG_NOT_FOUND",
    "PARSE_ERROR",
    "TYPE_MISMATCH",
    "TARGETING_KEY_MISSING",
    "INVALID_CONTEXT",
    "GENERAL",
    None,
}
HALVES = {"control": [[0, SPACE // 2]], "treatment": [[SPACE // 2, SPACE]]}

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.binary(max_size=2)
    | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(["targetingKey", "account", "country", "beta", "plan", "a"]) | st.text(max_size=4)
contexts = st.dictionaries(names, values, max_size=5)


class Rude(collections.abc.Mapping):
    """A context whose every use raises."""

    def __getitem__(self, key):
        raise KeyError(key)

    def __iter__(self):
        raise RuntimeError("no")

    def __len__(self):
        raise RuntimeError("no")

    def get(self, key, default=None):
        raise RuntimeError("no")

    def __repr__(self):
        raise RuntimeError("no")


@settings(max_examples=300)
@given(st.sampled_from(RULESETS), contexts | values, values, st.floats() | st.datetimes() | st.none())
def test_evaluation_never_raises(ruleset, context, default, now):
    for key in (*ruleset.flag_keys, "absent"):
        answer = ruleset.evaluate(key, context, default, now)
        assert isinstance(answer, Evaluation)
        assert answer.error_code in CODES
        assert (
            (answer.reason == "ERROR")
            == (answer.error_code is not None)
            == (answer.error_message is not None)
        )
        if answer.variant is None:
            assert answer.value is default


@pytest.mark.parametrize(
    "context", [Rude(), [], "x", 7, {"targetingKey": Rude()}, MappingProxyType({"targetingKey": "u"})]
)
@pytest.mark.parametrize("key", ["checkout", None, [], Rude(), 5])
def test_rude_callers_get_their_default(context, key):
    answer = RULESETS[0].evaluate(key, context, "z")
    assert answer.value in ("z", "a", "b")
    assert (answer.error_code is None) == (key == "checkout" and isinstance(context, MappingProxyType))


@pytest.mark.parametrize("vector", VECTORS["rulesets"], ids=lambda vector: vector["name"])
def test_the_same_answers_after_a_round_trip_through_json(vector):
    first = Ruleset.from_dict(vector["payload"])
    again = Ruleset.from_json(json.dumps(vector["payload"], sort_keys=True).encode())
    for wanted in vector["evaluations"]:
        asked = (wanted["flag"], wanted["context"], wanted.get("default"), as_instant(wanted.get("now")))
        assert first.evaluate(*asked) == again.evaluate(*asked)
        assert json.loads(json.dumps(wanted["context"])) == wanted["context"]


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, '{"a": NaN}', "null", b"\xff\xfe\x00", '{"format": 1e999}', "9" * 5_000]
)
def test_text_that_is_no_ruleset_is_refused(text):
    with pytest.raises(RulesetError):
        Ruleset.from_json(text)


def test_an_object_value_is_the_callers_own():
    ruleset = next(ruleset for ruleset in RULESETS if "object" in ruleset.flag_keys)
    ruleset.evaluate("object", {}, {}).value["sizes"].append(3)
    assert ruleset.evaluate("object", {}, {}).value == {"color": "red", "sizes": [1, 2]}


def test_an_answer_that_is_shared_cannot_be_changed():
    shared = next(ruleset for ruleset in RULESETS if "text" in ruleset.flag_keys).evaluate("text", {})
    with pytest.raises(TypeError):
        shared.metadata["flag"] = "other"
    with pytest.raises(AttributeError):
        shared.value = "other"


def large(flags, list_length):
    testers = [f"user-{n}@example.com" for n in range(list_length)]
    rules = [
        {"id": "qa", "when": {"attr": "email", "op": "in", "value": testers}, "variant": "treatment"},
        {"id": "exp", "when": {"all": [{"attr": "country", "op": "in", "value": ["CA", "US"]},
                                       {"attr": "age", "op": "gte", "value": 18}]},
         "experiment": {"id": "E", "phase": 1, "salt": "s", "traffic": [[0, SPACE]], "split": HALVES}},
    ]  # fmt: skip
    flag = {"type": "string", "variants": {"control": "a", "treatment": "b"}, "rules": rules}
    return json.dumps(
        {"format": 1, "revision": "r", "hash": "md5/1", "flags": {f"f{n}": flag for n in range(flags)}}
    )


def test_a_ruleset_of_ten_megabytes_loads():
    text = large(flags=1_000, list_length=420)
    assert len(text) > 10_000_000
    start = time.thread_time()
    ruleset = Ruleset.from_json(text)
    assert time.thread_time() - start < 10
    context = {"targetingKey": "u", "country": "CA", "age": 30, "email": "user-419@example.com"}
    assert ruleset.evaluate("f999", context, "z").metadata["rule"] == "qa"
    assert ruleset.evaluate("f999", {**context, "email": None}, "z").reason == "SPLIT"


def evaluated(when, context):
    flag = {
        "type": "boolean",
        "variants": {"on": True},
        "rules": [{"id": "r", "when": when, "variant": "on"}],
    }
    payload = {"format": 1, "revision": "r", "hash": "md5/1", "flags": {"f": flag}}
    return Ruleset.from_dict(payload), context


def test_a_list_of_10_000_entries_is_answered_under_a_millisecond():
    ruleset, context = evaluated(
        {"attr": "a", "op": "not_in", "value": [f"v{n}" for n in range(10_000)]}, {"a": "w"}
    )
    networks, _ = evaluated(
        {"attr": "a", "op": "in_cidr", "value": [f"10.{n // 250}.{n % 250}.0/24" for n in range(10_000)]}, {}
    )
    for asked, given_context in ((ruleset, context), (networks, {"a": "10.200.3.4"})):
        best = 1.0
        for _ in range(5):
            start = time.thread_time()
            asked.evaluate("f", given_context)
            best = min(best, time.thread_time() - start)
        assert best < 1e-3


def test_conditions_nested_a_thousand_deep_are_refused():
    when = {"attr": "a", "op": "exists"}
    for _ in range(1_000):
        when = {"not": when}
    with pytest.raises(RulesetError, match="nested deeper than 32"):
        evaluated(when, {})


def test_an_answer_costs_no_more_than_a_few_draws():
    """1.7 where it was written: microseconds differ between machines, this ratio little."""
    evaluate, context = RULESETS[0].evaluate, {"targetingKey": "user-12345"}
    hashing = min(timeit.repeat(lambda: draws("salt", "user-12345"), number=2_000, repeat=15))
    answering = min(timeit.repeat(lambda: evaluate("checkout", context, "z"), number=2_000, repeat=15))
    assert answering < 4 * hashing


def test_flag_types_are_told():
    ruleset = next(ruleset for ruleset in RULESETS if "object" in ruleset.flag_keys)
    kinds = {key: ruleset.flag_type(key) for key in ("bool", "int", "float", "text", "object", "absent")}
    assert kinds == {
        "bool": "boolean",
        "int": "number",
        "float": "number",
        "text": "string",
        "object": "object",
        "absent": None,
    }


def test_importing_the_evaluator_loads_no_sockets_threads_or_logging():
    heavy = {"ssl", "socket", "threading", "asyncio", "logging"}
    code = f"import sys, upshot_sdk; upshot_sdk.Ruleset; print(sorted({heavy} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"
