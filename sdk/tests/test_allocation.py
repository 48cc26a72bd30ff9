"""Ranges that are read: in any order, apart, and within the space."""

from hypothesis import given
from hypothesis import strategies as st

from upshot_sdk.allocation import overlapping, read_ranges
from upshot_sdk.node import Node

ranges = st.tuples(st.integers(0, 30), st.integers(1, 8)).map(lambda piece: (piece[0], piece[0] + piece[1]))


@given(st.lists(st.tuples(st.sampled_from("abc"), ranges), max_size=7))
def test_overlaps_of_different_owners_are_found(held):
    owners = {}
    for owner, (start, end) in held:
        for draw in range(start, end):
            owners.setdefault(draw, set()).add(owner)
    shared = {draw for draw, names in owners.items() if len(names) > 1}
    clash = overlapping((owner, [piece]) for owner, piece in held)
    assert (clash is not None) == bool(shared)
    if clash:
        assert clash[2] in shared
        assert set(clash[:2]) <= owners[clash[2]]


@given(st.lists(ranges, max_size=6))
def test_ranges_may_come_in_any_order_but_not_twice(pieces):
    node = Node([list(piece) for piece in pieces], [])
    listed = [draw for start, end in pieces for draw in range(start, end)]
    assert read_ranges(node) == tuple(sorted(pieces))
    assert bool(node.problems) == (len(listed) != len(set(listed)))
