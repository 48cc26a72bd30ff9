"""Operators, against other readings of the same values; the vectors have the table of single cases."""

import ipaddress
import json
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot_sdk.node import Node
from upshot_sdk.operators import OPERATORS, as_address, as_instant, as_number, as_text

OPERANDS = {
    "eq": "a", "ne": "a", "in": ["a", 1], "not_in": ["a", 1], "in_ci": ["a"], "not_in_ci": ["a"], "gt": 1, "gte": 1,
    "lt": 1, "lte": 1.5, "contains": "a", "contains_ci": "A", "starts_with": "a", "starts_with_ci": "A",
    "ends_with": "a", "ends_with_ci": "A", "regex": "^a", "regex_ci": "^a", "exists": True, "before": "2026-01-01",
    "after": "2026-01-01", "in_cidr": "10.0.0.0/8", "semver_eq": "1.0.0", "semver_ne": "1.0.0", "semver_gt": "1.0.0",
    "semver_gte": "1.0.0", "semver_lt": "1.0.0", "semver_lte": "1.0.0",
}  # fmt: skip
scalars = st.text(max_size=8) | st.integers() | st.floats() | st.booleans()
anything = st.recursive(
    scalars | st.none() | st.datetimes() | st.dates() | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def compiled(op, operand):
    node = Node(operand, [])
    test = OPERATORS[op](node)
    assert node.problems == []
    return test


def test_the_operands_here_cover_all_operators():
    assert set(OPERANDS) == set(OPERATORS)


@given(anything)
def test_every_operator_answers_every_value(value):
    assert {compiled(op, operand)(value) for op, operand in OPERANDS.items()} <= {True, False}


@given(st.sampled_from(sorted(OPERATORS)), anything)
def test_every_operand_is_compiled_or_refused(op, operand):
    node = Node(operand, [])
    test = OPERATORS[op](node)
    if test is None:
        assert node.problems
    else:
        assert test("a") in (True, False)


@pytest.mark.parametrize("op", sorted(OPERATORS))
def test_objects_meet_nothing_but_exists(op):
    assert compiled(op, OPERANDS[op])({"a": 1}) is (op == "exists")


@given(scalars, st.lists(scalars.filter(lambda value: as_text(value) is not None), min_size=1, max_size=4))
def test_in_is_by_text_and_not_in_its_complement_for_what_has_a_text(value, operands):
    member, stranger = compiled("in", operands)(value), compiled("not_in", operands)(value)
    text = as_text(value)
    assert member == (text is not None and text in {as_text(operand) for operand in operands})
    assert stranger == (text is not None and not member)


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False), st.integers(-(10**9), 10**9))
def test_numbers_compare_the_same_as_numbers_and_as_json_text(value, operand):
    for op, wanted in (
        ("gt", value > operand),
        ("gte", value >= operand),
        ("lt", value < operand),
        ("lte", value <= operand),
    ):
        test = compiled(op, operand)
        assert test(value) is wanted
        if len(json.dumps(value)) <= 64:
            assert test(json.dumps(value)) is wanted


@given(st.text("0123456789+-.eE xa", max_size=10))
def test_text_is_a_number_exactly_where_json_says_so(text):
    try:
        wanted = json.loads(text) if text == text.strip() else None
    except ValueError:
        wanted = None
    if wanted in (float("inf"), float("-inf")) or (wanted is not None and "e" in text.lower()):
        return  # exponents may have three digits, so that nothing overflows
    assert as_number(text) == wanted


@given(st.datetimes(timezones=st.timezones() | st.just(timezone(timedelta(hours=-3, minutes=-30)))))
def test_instants_are_read_as_they_are_written(moment):
    offset = moment.utcoffset()
    if offset is None or offset.total_seconds() % 60 or moment.year < 2:
        return  # RFC 3339 has offsets of whole minutes
    assert as_instant(moment.isoformat()).timestamp() == moment.timestamp()
    assert as_instant(moment) is moment


def test_a_date_is_its_midnight_in_utc_and_a_naive_time_is_none():
    midnight = datetime(2026, 11, 24, tzinfo=UTC)
    assert as_instant("2026-11-24") == as_instant(date(2026, 11, 24)) == midnight
    assert as_instant(midnight.replace(tzinfo=None)) is None
    assert as_instant("2026-11-24T24:00:00Z") is None


@given(st.ip_addresses(), st.lists(st.ip_addresses(network="10.0.0.0/8") | st.ip_addresses(v=6), min_size=1),
       st.integers(0, 32))  # fmt: skip
def test_networks_hold_what_ipaddress_says(address, others, prefix):
    networks = [ipaddress.ip_network(f"{other}/{prefix}", strict=False) for other in others]
    test = compiled("in_cidr", [str(network) for network in networks])
    for asked in [address, *others]:
        seen = as_address(str(asked))
        assert test(str(asked)) is any(
            seen in network for network in networks if network.version == seen.version
        )


def test_integers_beyond_a_float_stay_exact():
    assert compiled("lte", 2**53)(str(2**53 + 1)) is False


def test_a_list_of_10_000_values_is_taken_and_one_more_refused():
    test = compiled("in", list(range(10_000)))
    assert test("9999")
    node = Node(list(range(10_001)), [])
    assert OPERATORS["in"](node) is None
    assert "10,000" in node.problems[0].message
