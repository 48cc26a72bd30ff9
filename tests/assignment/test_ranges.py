import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot.assignment.ranges import SPACE, merged, overlap, recut, resize, shares, size, take, without

NAMES = ["control", "b", "c", "d"]
weights = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 1000), min_size=1).filter(
    lambda given: sum(given.values()) > 0
)
pieces = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 200)).map(lambda p: (min(p), max(p))), max_size=6
)


def points(ranges):
    return {x for start, end in ranges for x in range(start, end)}


@given(pieces, pieces)
def test_set_operations_agree_with_sets(a, b):
    assert points(merged(a)) == points(a)
    assert points(without(a, b)) == points(a) - points(b)
    assert points(overlap(a, b)) == points(a) & points(b)


@given(pieces, st.integers(0, 300))
def test_take_splits_without_loss(a, wanted):
    taken, rest = take(a, wanted)
    assert points(taken) | points(rest) == points(a)
    assert not points(taken) & points(rest)
    assert size(taken) == min(wanted, size(merged(a)))


@given(weights)
def test_shares_sum_to_the_space_and_are_within_one_of_exact(given_weights):
    result = shares(given_weights)
    assert sum(result.values()) == SPACE
    total = sum(given_weights.values())
    assert all(abs(result[name] * total - weight * SPACE) < total for name, weight in given_weights.items())


def test_decimal_weights_are_read_as_written():
    assert shares({"a": 33.3, "b": 33.3, "c": 33.3}, 300) == {"a": 100, "b": 100, "c": 100}


@given(st.lists(weights, min_size=1, max_size=5))
def test_recutting_fills_the_space_and_moves_the_fewest(history):
    held = {}
    for step in history:
        after = recut(step, held)
        every = [piece for ranges in after.values() for piece in ranges]
        assert size(every) == SPACE
        assert merged(every) == ((0, SPACE),)
        if held:
            target = shares(step)
            least = sum(max(0, size(ranges) - target.get(name, 0)) for name, ranges in held.items())
            stayed = sum(size(overlap(held.get(name, ()), after[name])) for name in after)
            assert SPACE - stayed == least
        held = after


@given(st.floats(0, 1), st.floats(0, 1))
def test_growing_traffic_moves_nobody_and_shrinking_only_lets_out(first, second):
    before = resize(first)
    after = resize(second, before)
    assert size(after) == pytest.approx(second * SPACE, abs=1)
    if second >= first:
        assert size(overlap(before, after)) == size(before)
    else:
        assert size(overlap(before, after)) == size(after)


def test_resize_stays_inside_its_space_and_says_when_it_is_full():
    space = ((0, SPACE // 4),)
    assert resize(0.25, space=space) == space
    with pytest.raises(ValueError, match=r"share is 0\.5 but only 0\.25 is free"):
        resize(0.5, space=space)


@pytest.mark.parametrize("bad", [{"a": -1}, {"a": float("nan")}, {"a": 0.0}])
def test_bad_weights_are_named(bad):
    with pytest.raises(ValueError, match="weight"):
        shares(bad)
