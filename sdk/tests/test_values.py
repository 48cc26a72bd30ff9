"""Values: of the flag's type, given as the type of the caller's default, and never shared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot_sdk.node import Node
from upshot_sdk.values import as_float, copied, given_as, natural_types, read_variants

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
defaults = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=2) | st.just({}) | st.just([])
)


@given(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    defaults,
)
def test_what_is_given_has_the_type_of_the_default_and_the_same_value(value, default):
    found, fits = given_as(value, default)
    if not fits:
        return
    assert found == value
    assert type(found) is (type(value) if default is None else type(default))


@given(st.booleans(), st.integers() | st.floats())
def test_a_boolean_is_no_number(value, number):
    assert given_as(value, number) == (None, False)
    assert given_as(number, value) == (None, False)


@pytest.mark.parametrize(
    ("value", "default"), [(0.5, 1), (2**53 + 1, 0.5), (10**400, 0.5), ("1", 1), (1, "1"), ([], "x")]
)
def test_what_would_lose_something_does_not_fit(value, default):
    assert given_as(value, default) == (None, False)


@given(json_values)
def test_a_copy_is_equal_and_shares_nothing_that_can_change(value):
    copy = copied(value)
    assert copy == value
    if isinstance(value, dict | list) and value:
        copy.clear()
        assert value


def test_one_decimal_point_makes_all_numbers_floats():
    node = Node({"one": 1, "half": 0.5}, [])
    values = read_variants(node, "number")
    assert {name: type(value) for name, value in values.items()} == {"one": float, "half": float}
    assert natural_types("number", values) == {float, type(None)}


def test_an_integer_that_no_float_holds_is_refused_beside_floats():
    node = Node({"big": 2**53 + 1, "half": 0.5}, [])
    read_variants(node, "number")
    assert [problem.path for problem in node.problems] == ["big"]


@given(st.integers() | st.floats(allow_nan=False))
def test_as_float_is_exact_or_nothing(value):
    found = as_float(value)
    assert found is None or (isinstance(found, float) and found == value)
