from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from upshot_sdk.exposures import Exposures


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(1, 2), st.sampled_from("uvw"), st.sampled_from("xy"))
    )
)
def test_each_is_first_once(met):
    exposures = Exposures()
    assert [exposures.first(*one) for one in met] == [one not in met[:index] for index, one in enumerate(met)]


def test_memory_is_bounded_and_what_is_met_often_is_kept():
    exposures = Exposures(kept=100)
    assert exposures.first("e", 1, "regular", "a")
    for number in range(10_000):
        exposures.first("e", 1, f"u{number}", "a")
        if number % 50 == 0:
            assert not exposures.first("e", 1, "regular", "a")
        assert len(exposures) <= 200
    assert exposures.first("e", 1, "u0", "a")  # forgotten, so sent again


def test_what_could_not_be_sent_is_first_again():
    exposures = Exposures(kept=3)
    for unit in "uvwx":  # all but x are of the old generation by now
        assert exposures.first("e", 1, unit, "a")
    for unit in "ux":
        exposures.forget("e", 1, unit, "a")
        assert exposures.first("e", 1, unit, "a")
    assert not exposures.first("e", 1, "v", "a")
    exposures.forget("e", 1, "nobody", "a")


def test_threads_that_meet_it_at_once_send_it_once():
    exposures = Exposures()
    with ThreadPoolExecutor(8) as pool:
        firsts = list(
            pool.map(lambda number: exposures.first("e", 1, f"u{number % 500}", "a"), range(20_000))
        )
    assert sum(firsts) == 500
