"""Places in a payload: their paths, their readings, and problems that cannot fail themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot_sdk.node import Node, RulesetError, shortened


class Rude:
    def __repr__(self):
        raise RuntimeError("no")


def test_paths_read_like_code():
    top = Node({}, [])
    flag = top.child("flags", {}).child("new checkout", {})
    assert top.path == "ruleset"
    assert top.child("flags", {}).path == "flags"
    assert (
        flag.child("rules", []).child(0, {}).child("when", {}).path == "flags['new checkout'].rules[0].when"
    )


def test_fields_report_unknown_and_missing_at_once():
    node = Node({"salt": "s", "slat": 1, "more": 2}, [])
    assert node.fields(("salt", "traffic", "split"), ("unit",)) is None
    assert sorted(problem.path for problem in node.problems) == ["more", "ruleset", "ruleset", "slat"]
    assert "salt, traffic, split, unit" in node.problems[0].message


def test_null_is_an_absent_optional_field_but_not_a_required_one():
    fields = Node({"id": None, "when": None}, []).fields(("id",), ("when",))
    assert set(fields) == {"id"}
    assert fields["id"].text() is None
    assert "None is not text" in fields["id"].problems[0].message


@pytest.mark.parametrize("value", ["", "\ud800", 1, None, b"a"])
def test_text_is_not_empty_and_has_a_utf_8_form(value):
    node = Node(value, [])
    assert node.text() is None
    assert len(node.problems) == 1


@given(st.integers() | st.booleans() | st.floats() | st.text())
def test_whole_numbers_are_no_booleans(value):
    node = Node(value, [])
    assert (node.whole("a number") is None) == (type(value) is not int)
    assert (node.flag() is None) == (type(value) is not bool)


@pytest.mark.parametrize(
    "value", ["x" * 10_000, list(range(10_000)), 10**4000, Rude(), {"a": {"b": {"c": {}}}}]
)
def test_messages_stay_short_whatever_the_value(value):
    assert len(shortened(value)) < 300


def test_an_error_lists_its_problems_one_a_line():
    node = Node({}, [])
    node.problem("first")
    node.child("flags", 1).expected("an object")
    error = RulesetError(tuple(node.problems))
    assert str(error) == "ruleset: first\nflags: 1 is not an object"
