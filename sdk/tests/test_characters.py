"""Sets of characters, against Python's own sets."""

from hypothesis import given
from hypothesis import strategies as st

from upshot_sdk.characters import LAST, both_cases, complement, meet, union

SMALL = 200  # code points that are compared one by one
pieces = st.tuples(st.integers(0, SMALL), st.integers(0, 40)).map(lambda pair: (pair[0], pair[0] + pair[1]))
sets = st.lists(pieces, max_size=6).map(union)


def listed(characters):
    return {point for low, high in characters for point in range(low, min(high, SMALL * 2) + 1)}


@given(sets, sets)
def test_union_complement_and_meeting(first, second):
    assert listed(union(first, second)) == listed(first) | listed(second)
    assert listed(complement(first)) == set(range(SMALL * 2 + 1)) - listed(first)
    assert complement(complement(first)) == first
    assert meet(first, second) == bool(listed(first) & listed(second))


@given(sets)
def test_both_cases_adds_the_other_case_of_ascii_letters_only(characters):
    swapped = {ord(chr(point).swapcase()) for point in listed(characters) if point < 128}
    assert listed(both_cases(characters)) == listed(characters) | swapped


def test_the_ends_of_unicode():
    assert complement(()) == ((0, LAST),)
    assert complement(((0, LAST),)) == ()
