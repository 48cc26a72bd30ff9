"""From an experiment's draws to the winner for everybody."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot.assignment.ramp import SPACE, ramp
from upshot.assignment.ranges import overlap, recut, resize, size, without


def winners(stage, name="b"):
    """Units that get the winner: two independent draws must both fall right."""
    return stage.ranges, stage.split.get(name, ())


@given(
    weights=st.lists(st.integers(1, 9), min_size=2, max_size=4),
    traffic=st.integers(1, 100),
    steps=st.sets(st.integers(1, 99)),
    holdback=st.integers(0, 30),
)
def test_nobody_who_has_the_winner_loses_it_on_the_way(weights, traffic, steps, holdback):
    split = recut(dict(zip("abcd", map(float, weights), strict=False)))
    drawn = resize(traffic / 100)
    shares = [*(step / 100 for step in sorted(steps)), 1.0]
    stages = ramp(split, drawn, winner="b", control="a", steps=shares, holdback=holdback / 100)
    has = size(split["b"]) / SPACE
    if has > 1 - holdback / 100:  # control must grow again
        return
    chain = [(drawn, split["b"]), *map(winners, stages)]
    for before, after in pairwise(chain):
        for old, new in zip(before, after, strict=True):
            assert size(without(old, new)) <= 2  # a draw of 2**32 may be lost to rounding
    for stage in stages:
        assert size(stage.ranges) / SPACE * size(stage.split["b"]) / SPACE == pytest.approx(
            stage.share, abs=1e-8
        )
        assert set(stage.split) <= {"a", "b"}
        assert size(overlap(stage.split.get("a", ()), stage.split["b"])) == 0
    assert stages[-1].share == 1 - holdback / 100
    assert stages[-1].traffic == 1
    assert [one.share for one in stages] == sorted({one.share for one in stages})


def test_without_steps_it_goes_to_all_at_once():
    (only,) = ramp(recut({"a": 1, "b": 1}), resize(1.0), winner="b", control="a")
    assert (only.share, size(only.split["b"])) == (1.0, SPACE)


def test_a_holdback_larger_than_what_control_has_takes_it_back_from_some():
    (only,) = ramp(recut({"a": 1, "b": 9}), resize(1.0), winner="b", control="a", holdback=0.5)
    assert size(only.split["a"]) == SPACE // 2
