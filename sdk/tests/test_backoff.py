from upshot_sdk.backoff import around, backoff


def test_pauses_grow_to_the_longest_and_differ():
    for failures, longest in [(1, 1.0), (2, 2.0), (5, 16.0), (6, 30.0), (1000, 30.0)]:
        drawn = [backoff(failures, 1.0, 30.0) for _ in range(200)]
        assert all(longest / 2 <= pause <= longest for pause in drawn)
        assert len(set(drawn)) > 100


def test_an_interval_is_met_on_average_and_never_by_all_at_once():
    drawn = [around(30.0) for _ in range(2000)]
    assert all(24 <= pause <= 36 for pause in drawn)
    assert 29.5 < sum(drawn) / len(drawn) < 30.5
