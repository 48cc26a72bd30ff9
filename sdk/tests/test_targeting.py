"""Conditions: compiled ones answer as a plain reading of the tree does, and cannot be made dear."""

import time

from hypothesis import given
from hypothesis import strategies as st

from upshot_sdk import Ruleset
from upshot_sdk.node import Node
from upshot_sdk.targeting import MAX_COST, MAX_DEPTH, attribute, read_condition, segment_names

names = st.sampled_from(["a", "b", "p.q"])
leaves = (
    st.builds(lambda attr, value: {"attr": attr, "op": "eq", "value": value}, names, st.integers(0, 2))
    | st.builds(lambda attr: {"attr": attr, "op": "exists"}, names)
    | st.just({"segment": "s"})
)
trees = st.recursive(
    leaves,
    lambda inner: (
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=5))
        | st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=5))
        | st.builds(lambda part: {"not": part}, inner)
    ),
    max_leaves=12,
)
values = st.none() | st.integers(0, 2)
contexts = st.fixed_dictionaries(
    {}, optional={"a": values, "b": values, "p": values | st.fixed_dictionaries({"q": values})}
)
SEGMENT = {"attr": "a", "op": "eq", "value": 1}


def compiled(tree):
    node = Node(tree, [])
    segments = {"s": read_condition(Node(SEGMENT, []), {})}
    condition = read_condition(node, segments)
    return condition, node.problems


def plainly(tree, context):
    """The tree read as it is written."""
    if "all" in tree:
        return all(plainly(part, context) for part in tree["all"])
    if "any" in tree:
        return any(plainly(part, context) for part in tree["any"])
    if "not" in tree:
        return not plainly(tree["not"], context)
    if "segment" in tree:
        return plainly(SEGMENT, context)
    found = context
    for step in tree["attr"].split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return found is not None and (tree["op"] == "exists" or found == tree["value"])


@given(trees, contexts)
def test_compiled_is_as_written(tree, context):
    condition, problems = compiled(tree)
    assert problems == []
    assert condition.test(context) == plainly(tree, context)


@given(trees)
def test_segments_that_are_named_are_found(tree):
    assert segment_names(tree) == ({"s"} if "'segment'" in repr(tree) else set())


def nested(depth):
    tree = {"attr": "a", "op": "exists"}
    for level in range(depth):
        tree = {"all": [tree, tree]} if level < 2 else {"not": tree}
    return tree


def test_nesting_up_to_the_limit():
    assert compiled(nested(MAX_DEPTH - 1))[1] == []
    assert "nested deeper" in compiled(nested(MAX_DEPTH))[1][0].message
    assert "nested deeper" in compiled(nested(5_000))[1][0].message


def doubling(levels):
    """Each segment asks the one before it twice: 2 ** levels leaves."""
    segments = {"s0": {"when": {"all": [{"attr": "a", "op": "exists"}]}}}
    for level in range(1, levels + 1):
        before = {"segment": f"s{level - 1}"}
        segments[f"s{level}"] = {"when": {"all": [{"not": before}, {"not": before}]}}
    return segments


def ruleset(when, segments):
    flag = {
        "type": "boolean",
        "variants": {"on": True},
        "rules": [{"id": "r", "when": when, "variant": "on"}],
    }
    payload = {"format": 1, "revision": "r", "hash": "md5/1", "flags": {"f": flag}, "segments": segments}
    return Ruleset.from_dict(payload, strict=False)


def test_segments_that_double_cannot_make_a_condition_dear():
    refused = ruleset({"segment": "s14"}, doubling(14))
    assert any(f"{MAX_COST:,}" in problem.message for problem in refused.problems)
    assert refused.evaluate("f", {"a": 1}).error_code == "PARSE_ERROR"


def test_the_dearest_condition_that_is_taken_is_answered_within_milliseconds():
    """A condition of as many regular expressions, or leaves, as MAX_COST lets through."""
    unlucky = {"a": "ab" * 128}
    for leaf, times in (({"attr": "a", "op": "regex", "value": "a.*c"}, MAX_COST // 50 - 1),
                        ({"attr": "a", "op": "semver_eq", "value": "1.0.0"}, MAX_COST - 1)):  # fmt: skip
        taken = ruleset({"any": [leaf] * times}, {})
        assert taken.problems == ()
        start = time.thread_time()
        assert taken.evaluate("f", unlucky).reason == "DEFAULT"
        assert time.thread_time() - start < 0.02


def test_a_member_of_the_whole_name_comes_before_the_path():
    assert attribute("a.b")({"a.b": 1, "a": {"b": 2}}) == 1
    assert attribute("a.b")({"a.b": None, "a": {"b": 2}}) == 2
    assert attribute("a..b")({"a": {"": {"b": 3}}}) == 3
