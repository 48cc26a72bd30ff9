"""Leases and runs of jobs, in both kinds of store."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from upshot.store import jobs
from upshot.store.audit import entries
from upshot.store.jobs import JobRun

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LASTS = timedelta(seconds=10)


def take(store, holder, seconds=0.0):
    with store.changing(holder) as change:
        return jobs.take(change, "jobs", holder, NOW + timedelta(seconds=seconds), LASTS)


def test_a_lease_is_held_by_one_and_goes_on_when_its_holder_dies(store):
    assert take(store, "a")
    assert not take(store, "b", 5)
    assert take(store, "a", 8)  # renewed until 18
    assert not take(store, "b", 17.9)
    assert take(store, "b", 18)  # a did not renew it
    assert not take(store, "a", 18.1)
    with store.reading() as connection:
        assert jobs.holder_of(connection, "jobs", NOW + timedelta(seconds=20)) == "b"
        assert jobs.holder_of(connection, "jobs", NOW + timedelta(seconds=28)) is None


def test_a_lease_is_given_back_by_its_holder_only(store):
    assert take(store, "a")
    with store.changing("b") as change:
        jobs.release(change, "jobs", "b")
    assert not take(store, "b", 1)
    with store.changing("a") as change:
        jobs.release(change, "jobs", "a")
    assert take(store, "b", 1)


def test_one_of_many_who_ask_at_once_gets_it(store):
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda name: take(store, name), "abcdefgh"))
    assert got.count(True) == 1


def test_the_last_run_of_each_job_is_kept_and_nothing_of_it_is_in_the_chain(store):
    first = JobRun(name="looks", every=timedelta(days=1), began=NOW, ended=NOW, due=NOW + LASTS, holder="a")
    second = JobRun(name="looks", every=timedelta(days=1), began=NOW + LASTS, fault="no plan", holder="b")
    with store.changing("a") as change:
        jobs.keep(change, first)
        jobs.keep(change, JobRun(name="alerts", every=timedelta(seconds=1)))
    with store.changing("a") as change:
        jobs.keep(change, second)
    with store.reading() as connection:
        assert jobs.find(connection, "looks") == second
        assert [run.name for run in jobs.listed(connection)] == ["alerts", "looks"]
        assert jobs.find(connection, "none") is None
        assert not list(entries(connection))


def test_a_job_is_due_when_it_never_ran_and_when_its_time_has_come():
    assert JobRun(name="looks", every=LASTS).is_due(NOW)
    run = JobRun(name="looks", every=LASTS, due=NOW)
    assert (run.is_due(NOW), run.is_due(NOW - timedelta(microseconds=1))) == (True, False)
