"""The first look: gaps, shifts, floors and what is common, from the first rows of a table."""

import ibis
import numpy as np

from upshot.analysis.profile import COMMON, TOP, profile_of
from upshot.analysis.units import VARIANT, Fields

RNG = np.random.default_rng(1)
N = 2 * COMMON


def _table(**columns):
    names = ["a", "b"] * N
    return ibis.memtable(
        {VARIANT: names, **columns}, schema={VARIANT: "string"} | dict.fromkeys(columns, "float64")
    )


def _seen(*names, **columns):
    return profile_of(_table(**columns), [Fields(name, None, ()) for name in names or columns])


def test_only_what_is_far_from_zero_is_shifted():
    near, far = RNG.normal(1, 1, 2 * N).tolist(), RNG.normal(1e9, 1, 2 * N).tolist()
    seen = _seen(near=near, far=far)
    assert seen.shifts["near"] == 0.0
    assert abs(seen.shifts["far"] - 1e9) < 1


def test_gaps_are_found_and_a_field_without_values_is_not_shifted():
    seen = _seen(whole=[1.0] * (2 * N), gap=[None, 1.0] * N, none=[None] * (2 * N))
    assert seen.gaps == {"gap", "none"}
    assert seen.shifts["none"] == 0.0


def test_common_is_a_hundred_in_every_variant():
    enough = [1.0, 1.0] * COMMON + [0.0, 0.0] * (N - COMMON)
    short = [1.0, 1.0] * (COMMON - 1) + [1.0, 0.0] * (N - COMMON + 1)
    assert _seen(enough=enough, short=short).common == {"enough"}


def test_ten_units_of_every_variant_reach_the_floor():
    values = RNG.normal(0, 1, 2 * N)
    floor = _seen(y=values.tolist()).floors["y"]
    tenths = [np.sort(values[i::2])[-TOP] for i in (0, 1)]
    assert floor == min(tenths)
    assert _seen(y=[1.0, None] * N).floors["y"] is None


def test_no_field_no_query():
    assert profile_of(_table(), []).shifts == {}
