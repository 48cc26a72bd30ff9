from upshot.stats.interval import Interval, undefined


def test_open_ends_exclude_only_on_the_closed_side():
    assert Interval(None, 1.0, "open").excludes(2.0)
    assert not Interval(None, 1.0, "open").excludes(-1e9)
    assert not undefined("why").excludes(0.0)


def test_a_negative_factor_swaps_the_ends():
    assert Interval(1.0, None, "open").scaled(-2.0, 1.0) == Interval(None, -1.0, "open")
