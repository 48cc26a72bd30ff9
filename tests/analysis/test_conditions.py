"""Conditions over events are those of flags: the evaluator of the SDK is the reference."""

import json
from pathlib import Path

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import upshot_sdk
from upshot.analysis.conditions import OPERATORS, attributes_of, met
from upshot.analysis.properties import Properties
from upshot.errors import DataError
from upshot_sdk.node import Node
from upshot_sdk.operators import OPERATORS as OF_FLAGS
from upshot_sdk.targeting import read_condition

VECTORS = json.loads((Path(upshot_sdk.__file__).parent / "vectors.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def duckdb():
    return ibis.duckdb.connect()


def asked(connection, engine, contexts, conditions):
    """Whether each context meets each condition, by SQL: one list a condition."""
    rows = pa.table({"i": range(len(contexts)), "properties": [json.dumps(one) for one in contexts]})
    table = connection.create_table("contexts", rows, overwrite=True)
    tests = {f"c{i}": met(one, Properties(table.properties, engine)) for i, one in enumerate(conditions)}
    found = table.order_by("i").select(**tests).to_pyarrow()
    return [found[name].to_pylist() for name in tests]


def by_the_evaluator(contexts, conditions):
    tests = [read_condition(Node(one, []), {}).test for one in conditions]
    return [[test(context) for context in contexts] for test in tests]


def leaves(condition):
    for form in ("all", "any"):
        if form in condition:
            return [leaf for part in condition[form] for leaf in leaves(part)]
    return leaves(condition["not"]) if "not" in condition else [condition]


def test_every_operator_of_flags_is_there_but_networks():
    assert set(OF_FLAGS) - set(OPERATORS) == {"in_cidr"}


def test_the_published_vectors_hold_in_sql(duckdb):
    vectors = [
        one
        for one in VECTORS["conditions"]
        if not any("segment" in leaf or leaf["op"] == "in_cidr" for leaf in leaves(one["when"]))
    ]
    assert len(vectors) > 40
    contexts = [context for one in vectors for context in (*one["met_by"], *one["not_met_by"])]
    conditions = [one["when"] for one in vectors]
    found = asked(duckdb, "duckdb", contexts, conditions)
    wanted = by_the_evaluator(contexts, conditions)
    assert wrong(contexts, conditions, found, wanted) == []


def wrong(contexts, conditions, found, wanted):
    """Condition, context and what SQL says of it, where the evaluator says otherwise."""
    return [
        (condition, context, by_sql)
        for condition, sql, evaluator in zip(conditions, found, wanted, strict=True)
        for context, by_sql, met_by in zip(contexts, sql, evaluator, strict=True)
        if by_sql is not met_by
    ]


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from([0.5, 1.0, 2.5, -0.25, 1e-7]),
    st.sampled_from(["", "a", "A", "ab", "1", "1.0", "6", " 6", "true", "2026-01-31", "2026-01-31T10:00:00+02:00"]),
    st.sampled_from(["1.2.3", "v1.2", "1.0.0-rc.2", "1.0.0-rc.10", "1.0.0-01", "2026-02-31", "Ä"]),
)  # fmt: skip
CONTEXTS = st.dictionaries(
    st.sampled_from(["a", "b", "a.b"]),
    st.one_of(VALUES, st.lists(VALUES, max_size=3), st.dictionaries(st.sampled_from(["b", "c"]), VALUES)),
)
SCALARS = st.sampled_from(["a", "ab", "1", 1, 0.5, True, "1.0.0-rc.10", "Ä"])
OPERANDS = {
    **dict.fromkeys(("eq", "ne"), SCALARS),
    **dict.fromkeys(("in", "not_in", "in_ci", "not_in_ci"), st.lists(SCALARS, min_size=1, max_size=3)),
    **dict.fromkeys(("gt", "gte", "lt", "lte"), st.sampled_from([0, 1, 2.5, -1])),
    **dict.fromkeys(
        ("contains", "contains_ci", "starts_with", "starts_with_ci", "ends_with", "ends_with_ci"),
        st.sampled_from(["a", "B", "1", "."]),
    ),
    **dict.fromkeys(("regex", "regex_ci"), st.sampled_from(["^a", "B$", r"\d", "1|x"])),
    "exists": st.just(True),
    **dict.fromkeys(("before", "after"), st.sampled_from(["2026-01-31", "2026-01-31T08:00:00Z"])),
    **{name: st.sampled_from(["1.2.0", "1.0.0-rc.10", "1.0.0"]) for name in OPERATORS if name[:3] == "sem"},
}
LEAVES = st.sampled_from(sorted(OPERANDS)).flatmap(
    lambda op: st.builds(
        lambda attr, value: {"attr": attr, "op": op, "value": value},
        st.sampled_from(["a", "a.b", "b"]),
        OPERANDS[op],
    )
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda part: {"not": part}, inner)
    ),
    max_leaves=3,
)


@settings(max_examples=5)
@given(
    contexts=st.lists(CONTEXTS, min_size=10, max_size=25),
    conditions=st.lists(CONDITIONS, min_size=3, max_size=6),
)
def test_any_condition_says_of_any_context_what_the_evaluator_says(duckdb, contexts, conditions):
    found = asked(duckdb, "duckdb", contexts, conditions)
    assert wrong(contexts, conditions, found, by_the_evaluator(contexts, conditions)) == []


def test_sqlite_says_the_same_of_values_that_are_no_lists():
    contexts = [
        {"a": 1},
        {"a": 1.0},
        {"a": "1"},
        {"a": True},
        {"a": None},
        {},
        {"a": {"b": "x"}},
        {"a.b": "y"},
    ]
    conditions = [
        {"attr": "a", "op": "eq", "value": 1},
        {"attr": "a", "op": "ne", "value": True},
        {"attr": "a.b", "op": "in", "value": ["x"]},
        {"attr": "a", "op": "gt", "value": 0},
        {"not": {"attr": "a", "op": "exists"}},
        {"attr": "a", "op": "contains", "value": "ru"},
    ]
    found = [
        [bool(one) for one in row] for row in asked(ibis.sqlite.connect(), "sqlite", contexts, conditions)
    ]
    assert wrong(contexts, conditions, found, by_the_evaluator(contexts, conditions)) == []


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ({"attr": "a", "op": "like", "value": 1}, "no condition over events"),
        ({"segment": "beta"}, "no condition over events"),
        ({"all": []}, "all is []: give a list of conditions"),
        ({"not": 3}, "3 is no condition"),
        ({"attr": "a", "op": "gt", "value": "x"}, "gt cannot compare with 'x' (a number is needed)"),
        ({"attr": "a", "op": "semver_gt", "value": "x"}, "a version such as 1.4.0 is needed"),
        ({"attr": "a", "op": "before", "value": "soon"}, "before cannot compare with 'soon'"),
    ],
)
def test_what_is_no_condition_is_refused_with_its_reason(duckdb, condition, said):
    with pytest.raises(DataError) as refused:
        asked(duckdb, "duckdb", [{}], [condition])
    assert said in str(refused.value)


def test_an_engine_whose_json_is_unknown_is_named(duckdb):
    table = duckdb.create_table("any", pa.table({"properties": ["{}"]}), overwrite=True)
    with pytest.raises(DataError, match="cannot be read in mysql: it is known of duckdb and sqlite"):
        Properties(table.properties, "mysql").at("a")


def test_conditions_name_what_they_ask_for():
    leaf = {"attr": "a", "op": "exists"}
    inner = {"any": [{"attr": "c.d", "op": "exists"}]}
    condition = {"all": [leaf, {"not": {"attr": "b", "op": "eq", "value": 1}}, inner]}
    assert list(attributes_of(condition)) == ["a", "b", "c.d"]
    assert list(attributes_of({"all": 3, "attr": 4})) == list(attributes_of(None)) == []
