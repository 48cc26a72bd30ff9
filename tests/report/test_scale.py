"""One scale for all intervals."""

from hypothesis import given
from hypothesis import strategies as st

from upshot.report import scale

BOUNDED = st.tuples(st.floats(-2, 2), st.floats(1e-6, 1)).map(
    lambda t: (t[0], (t[0] - t[1], t[0] + 0.7 * t[1]))
)


@given(st.lists(BOUNDED, min_size=1, max_size=6))
def test_zero_lies_inside_and_ends_are_round(intervals: list[tuple[float, tuple[float, float]]]) -> None:
    ruler = scale.shared(intervals)
    assert ruler.low < 0 < ruler.high
    ticks = ruler.ticks()
    assert 2 <= len(ticks) <= 8
    assert abs(ticks[0] - ruler.low) < 1e-9
    assert abs(ticks[-1] - ruler.high) < 1e-9
    assert 0 in ticks


@given(st.lists(BOUNDED, min_size=1, max_size=1))
def test_a_single_interval_always_fits(intervals: list[tuple[float, tuple[float, float]]]) -> None:
    ruler = scale.shared(intervals)
    low, high = intervals[0][1]
    assert ruler.holds(low)
    assert ruler.holds(high)
    assert 0 <= ruler.position(low) < ruler.position(high) <= 1


def test_one_wide_interval_does_not_squeeze_the_others() -> None:
    ruler = scale.shared([(0.02, (0.01, 0.03))], [(0.015, (0.0, 0.04)), (0.1, (-3.0, 4.0))])
    assert ruler.holds(0.04)
    assert ruler.high < 0.1


@given(st.lists(BOUNDED, min_size=1, max_size=2), st.lists(BOUNDED, max_size=4))
def test_the_lead_fits_whatever_the_others_are(
    lead: list[tuple[float, tuple[float, float]]], others: list[tuple[float, tuple[float, float]]]
) -> None:
    ruler = scale.shared(lead, others)
    assert all(ruler.holds(end) for _, bounds in lead for end in bounds)


def test_one_absurd_interval_of_the_lead_is_cut() -> None:
    usual = [(0.5, (0.2, 0.9)), (0.4, (0.1, 0.8)), (0.6, (0.1, 1.1))]
    assert scale.shared([*usual, (1.9, (-0.2, 4821.0))]).high < 3


def test_ends_that_do_not_exist_set_nothing() -> None:
    ruler = scale.shared([(0.4, (0.02, None)), (None, (None, None))])
    assert ruler.holds(0.4)
    assert ruler.holds(0.02)


def test_a_threshold_far_off_does_not_set_the_scale() -> None:
    assert scale.shared([(0.001, (0.0005, 0.0015))], also=[0.5]).high < 0.01
    assert scale.shared([(0.02, (0.01, 0.03))], also=[0.05]).holds(0.05)
