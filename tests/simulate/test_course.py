import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from upshot.analysis.evidence import Sample
from upshot.simulate.course import course_of_counts, course_of_units
from upshot.stats.moments import Moments


def close(sample: Sample, right: Moments) -> bool:
    left = sample.moments
    same = left.names == right.names and left.n == right.n
    return same and np.allclose(left.means, right.means) and np.allclose(left.cross, right.cross, atol=1e-6)


@given(
    st.lists(st.integers(0, 20), min_size=1, max_size=8), st.integers(0, 2**32), st.sampled_from([0.0, 1e9])
)
def test_days_are_moments_of_their_units(arrivals: list[int], seed: int, centre: float) -> None:
    rng = np.random.default_rng(seed)
    columns = centre + rng.standard_normal((sum(arrivals), 2)) * rng.integers(0, 2, (sum(arrivals), 2))
    course = course_of_units(("outcome", "before"), columns, np.array(arrivals))
    ends = np.cumsum(arrivals)
    for day, end in enumerate(ends):
        so_far, today = columns[:end], columns[end - arrivals[day] : end]
        for found, rows in ((course.until(day), so_far), (course.on(day), today)):
            assert close(found, Moments.from_arrays(rows[:, 0], covariates={"before": rows[:, 1]}))
            assert found.zeros == (rows[:, 0] == 0).sum()


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 1)), min_size=1, max_size=8))
def test_counts_are_moments_of_noughts_and_ones(days: list[tuple[int, float]]) -> None:
    arrivals = np.array([n for n, _ in days])
    successes = np.array([int(n * share) for n, share in days])
    course = course_of_counts(successes, arrivals)
    for day in range(len(days)):
        found = course.until(day)
        expected = Moments.from_counts(int(successes[: day + 1].sum()), int(arrivals[: day + 1].sum()))
        assert close(found, expected)
