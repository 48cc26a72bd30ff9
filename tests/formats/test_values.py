import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Literal

import numpy as np
import pytest
from annotated_types import Gt
from hypothesis import given
from hypothesis import strategies as st

from upshot.analysis.evidence import Evidence
from upshot.analysis.result import Look
from upshot.decide.replay import differences
from upshot.formats.values import read_value, write_value
from upshot.model.decision import ExperimentVerdict, Situation, VariantVerdict
from upshot.stats.clusters import ClusterTotals
from upshot.stats.moments import Moments
from upshot.stats.quantiles import QuantileSample


@dataclass(frozen=True)
class Inner:
    level: Annotated[float, Gt(0)]
    pair: tuple[str, int] = ("a", 1)


@dataclass(frozen=True)
class Outer:
    name: str
    sign: Literal["positive", "negative"]
    inner: Inner
    days: Mapping[date, Inner] = field(default_factory=dict)
    compared: Mapping[tuple[str, str], float] = field(default_factory=dict)
    some: tuple[float, ...] = ()
    at: date | None = None
    flag: bool = False
    numbers: dict[str, int] | None = None


texts = st.text()
floats = st.floats(allow_nan=False)
inners = st.builds(Inner, floats, st.tuples(texts, st.integers()))
outers = st.builds(
    Outer,
    texts,
    st.sampled_from(["positive", "negative"]),
    inners,
    st.dictionaries(st.dates(), inners, max_size=3),
    st.dictionaries(st.tuples(texts, texts), floats, max_size=3),
    st.lists(floats, max_size=5).map(tuple),
    st.none() | st.dates(),
    st.booleans(),
    st.none() | st.dictionaries(texts, st.integers(), max_size=3),
)


@given(outers)
def test_every_value_comes_back_to_the_bit_and_in_its_order(value):
    again = read_value(Outer, write_value(value))
    assert repr(again) == repr(value)


@given(st.lists(floats, min_size=4, max_size=4))
def test_moments_come_back_to_the_bit(numbers):
    value = Moments(("outcome",), 3, np.array(numbers[:1]), np.array(numbers[1:2]).reshape(1, 1), True)
    again = read_value(Moments, write_value(value))
    assert (again.names, again.n, again.precision_lost) == (value.names, value.n, True)
    assert again.means.tobytes() == value.means.tobytes()
    assert again.cross.tobytes() == value.cross.tobytes()
    assert again.cross.shape == (1, 1)


def test_what_is_not_finite_comes_back():
    value = read_value(tuple[float, ...], write_value((math.inf, -math.inf, math.nan, -0.0)))
    assert value[:2] == (math.inf, -math.inf)
    assert math.isnan(value[2])
    assert math.copysign(1, value[3]) == -1


def test_no_moments_keep_their_shape():
    again = read_value(Moments, write_value(Moments.empty(("outcome", "before"))))
    assert (again.means.shape, again.cross.shape) == ((2,), (2, 2))


@pytest.mark.parametrize(
    "kind", [Evidence, Look, ExperimentVerdict, VariantVerdict, Situation, ClusterTotals, QuantileSample]
)
def test_all_fields_of_what_is_stored_can_be_read(kind):
    with pytest.raises(ValueError, match=f"this is no {kind.__name__}"):
        read_value(kind, '{"unknown":1}')


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Outer, "[]"),
        (Outer, "{}"),
        (Inner, '{"level":"high"}'),
        (Inner, '{"level":1,"pair":["a"]}'),
        (Inner, '{"level":1,"pair":["a",true]}'),
        (Inner, "not JSON"),
        (tuple[date, ...], '["tomorrow"]'),
        (Mapping[str, int], "3"),
    ],
)
def test_what_is_no_such_value_is_refused(kind, text):
    with pytest.raises(ValueError):  # noqa: PT011 - json's own and ours
        read_value(kind, text)


@pytest.mark.parametrize("kind", [int | str, set[int], object])
def test_types_that_a_text_cannot_tell_are_a_fault(kind):
    with pytest.raises(TypeError, match="cannot be"):
        read_value(kind, "1")


def test_what_has_no_json_is_a_fault():
    with pytest.raises(TypeError, match="object cannot be written"):
        write_value({"a": object()})


def test_differences_of_equal_verdicts_are_none():
    verdict = ExperimentVerdict(
        verdict="SHIP",
        cause="better",
        headline="ship",
        reasons=("a", "b"),
        would_change="c",
        winner=None,
        variants=(),
    )
    assert differences(verdict, read_value(ExperimentVerdict, write_value(verdict))) == ()
