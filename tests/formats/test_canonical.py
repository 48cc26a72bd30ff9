import json
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot.formats.canonical import canonical_json, content_hash
from upshot.model.metric import Metric
from upshot.model.plan import Plan

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_reading_back_gives_the_same_bytes(value: object) -> None:
    text = canonical_json(value)
    assert canonical_json(json.loads(text)) == text


@given(st.dictionaries(st.text(max_size=5), st.integers(), max_size=6))
def test_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    assert content_hash(dict(reversed(value.items()))) == content_hash(value)


def test_numbers_that_are_equal_have_one_hash() -> None:
    assert content_hash({"n": np.float64(3), "m": np.arange(2)}) == content_hash({"n": 3, "m": [0.0, 1]})


def test_a_plan_changes_its_hash_with_any_field() -> None:
    plan = Plan(metrics=(Metric(name="a", column="a"),), start=date(2026, 12, 1))
    other = Plan(metrics=(Metric(name="a", column="a"),), start=date(2026, 12, 2))
    assert content_hash(plan) != content_hash(other)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_without_a_value_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(value)


def test_things_without_a_word_in_json_are_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        canonical_json(object())
