from hypothesis import given
from hypothesis import strategies as st

from upshot.doors.web.rates import Rates


@given(
    st.floats(0.1, 1_000),
    st.lists(st.tuples(st.floats(0, 5), st.integers(1, 200)), min_size=1, max_size=50),
)
def test_no_source_gets_more_than_its_rate_in_the_long_run(per_second, sent):
    now, taken = 0.0, []
    rates = Rates(per_second, lambda: now)
    for pause, events in sent:
        now += pause
        if not rates.take("shop", events):
            taken.append(events)
    assert sum(taken[:-1]) <= max(per_second, 1) + now * per_second + 1e-6


@given(st.floats(0.1, 1_000), st.integers(1, 10_000))
def test_after_the_seconds_that_were_told_there_is_room(per_second, events):
    now = 0.0
    rates = Rates(per_second, lambda: now)
    assert rates.take("shop", events) == 0
    while not (seconds := rates.take("shop", 1)):
        assert events < max(per_second, 1), "the first batch left room"
    assert seconds >= 1
    now += seconds
    assert rates.take("shop", 1) == 0


def test_without_a_rate_everything_passes():
    rates = Rates(None, lambda: 0.0)
    assert not any(rates.take("shop", 1_000_000) for _ in range(100))
