"""Looks held to hand-written SQL over the same events: `benchmarks.live`, small."""

import pytest
from benchmarks.live import WHAT, make, one_round
from benchmarks.live_shop import Shop


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_way_to_look_gives_the_numbers_of_plain_sql(tmp_path):
    """20,000 events of 1,000 units: afresh, from nothing, after one more day, and again; means, covariances, counts."""
    place, before = make(Shop(20_000, 1_000), tmp_path)
    assert one_round(place, before).keys() == WHAT.keys()
