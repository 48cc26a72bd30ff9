"""Jobs: due by the clock that they are given, done once, tried again, and by one process only."""

import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from upshot.bootstrap import open_store
from upshot.errors import InputError, UnavailableError
from upshot.services import jobs
from upshot.services.jobs import DAY, WEEK, Job, Jobs
from upshot.services.lease import Lease
from upshot.store import jobs as kept

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)  # a Tuesday


class World:
    def __init__(self, store):
        self.store, self.now = store, NOON
        self.lease = Lease(store)
        self.lease.renew()
        self.done = []

    def job(self, name="daily", every=DAY, **fields):
        return Job(name=name, work=lambda now: self.done.append((name, now)), every=every, **fields)

    def jobs(self, *found, lease=None):
        return Jobs(self.store, lease or self.lease, found or (self.job(),), lambda: self.now)

    def runs(self):
        with self.store.reading() as connection:
            return {run.name: run for run in kept.listed(connection)}


@pytest.fixture
def world(sqlite_store, tmp_path):
    with closing(open_store(tmp_path, sqlite_store)) as store:
        yield World(store)


def test_a_job_of_each_day_runs_once_a_day_and_once_for_days_that_were_missed(world):
    found = world.jobs()
    for hours in (0, 1, 11.9, 12, 13, 36.1, 120, 121):
        world.now = NOON + timedelta(hours=hours)
        found.run_due()
    days = [now.day for _, now in world.done]
    assert days == [3, 4, 5, 8]
    assert world.runs()["daily"].due == datetime(2026, 3, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("every", "after", "due"),
    [
        (DAY, timedelta(0), "2026-03-04T00:00"),
        (DAY, timedelta(hours=13), "2026-03-03T13:00"),
        (WEEK, timedelta(0), "2026-03-09T00:00"),
        (WEEK, timedelta(days=1, hours=6), "2026-03-10T06:00"),
        (timedelta(minutes=5), timedelta(0), "2026-03-03T12:05"),
        (timedelta(seconds=2), timedelta(0), "2026-03-03T12:00:02"),
    ],
)
def test_periods_begin_at_midnight_and_on_mondays(world, every, after, due):
    assert world.job(every=every, after=after).next(NOON) == datetime.fromisoformat(due).replace(tzinfo=UTC)


def test_another_process_knows_what_was_done(world):
    world.jobs().run_due()
    world.jobs().run_due()
    assert len(world.done) == 1


def test_without_the_lease_nothing_runs(world):
    idle = world.jobs(lease=Lease(world.store))
    assert idle.run_due() == ()
    assert world.done == []


def test_a_fault_is_kept_and_the_job_tried_again_until_it_is_done(world):
    faults = [InputError("there is no folder metrics"), ZeroDivisionError("once")]

    def work(now):
        if faults:
            raise faults.pop(0)
        world.done.append(now)

    found = world.jobs(Job(name="looks", work=work, every=DAY, pause=5.0))
    found.run("looks")
    assert world.runs()["looks"].fault == "there is no folder metrics"
    assert found.run("looks") is None  # a moment later
    (run,) = found.run_due()
    assert run.fault.startswith("a fault of ours (ZeroDivisionError: once)")
    with world.store.reading() as connection:
        assert not jobs.all_done(kept.listed(connection), world.now)
    found.run_due()
    assert (world.runs()["looks"].fault, world.done) == ("", [NOON])


def test_one_that_fails_hinders_no_other(world):
    def work(now):
        raise UnavailableError("the disk is full")

    found = world.jobs(Job(name="first", work=work, every=DAY), world.job("second"))
    found.run_due()
    assert world.done == [("second", NOON)]


def test_what_is_done_each_second_is_kept_each_minute_and_when_it_fails(world):
    fault = []

    def work(now):
        if fault:
            raise InputError(fault[0])

    found = world.jobs(Job(name="often", work=work, every=timedelta(seconds=1), pause=0.0))
    began = []
    for seconds in range(180):
        world.now = NOON + timedelta(seconds=seconds)
        if seconds == 100:
            fault.append("gone")
        if seconds == 103:
            fault.clear()
        found.run_due()
        began.append(world.runs()["often"].began)
    told = [(moment - NOON).total_seconds() for moment in dict.fromkeys(began)]
    assert told == [0, 60, 100, 103, 163]


def test_what_takes_long_rests_for_half_as_long_unless_all_is_asked_for(world, monkeypatch):
    seconds, began = [100.0], []
    monkeypatch.setattr(jobs, "monotonic", lambda: seconds[0])

    def slow(now):
        began.append(seconds[0])
        seconds[0] += 5.0

    found = world.jobs(Job(name="slow", work=slow, every=timedelta(seconds=1)))
    monkeypatch.setattr("upshot.services.lease.monotonic", lambda: 0.0)
    for _ in range(6):
        found.run("slow")
        seconds[0] += 1.0
        world.now += timedelta(seconds=1)
    assert began == [100.0, 108.0]
    found.run_due()
    assert len(began) == 3


def test_a_job_does_not_run_twice_at_once(world):
    begun, go_on = threading.Event(), threading.Event()

    def work(now):
        begun.set()
        assert go_on.wait(10)
        world.done.append(now)

    found = world.jobs(Job(name="slow", work=work, every=DAY))
    threads = [threading.Thread(target=found.run_due) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert begun.wait(10)
    go_on.set()
    for thread in threads:
        thread.join()
    assert world.done == [NOON]


def test_it_can_be_asked_from_outside_whether_all_is_done(world):
    found = world.jobs(world.job(), world.job("often", timedelta(seconds=2)))

    def done():
        with world.store.reading() as connection:
            return jobs.all_done(kept.listed(connection), world.now)

    assert not done()
    found.run_due()
    assert done()
    world.now += timedelta(hours=12)
    assert not done()
    found.run("often")
    assert not done()
    found.run("daily")
    assert done()


def test_last_runs_as_plain_values(world):
    world.jobs().run_due()
    (plain,) = jobs.told(list(world.runs().values()))
    assert plain == {
        "name": "daily", "every_seconds": 86400, "began": NOON.isoformat(), "ended": NOON.isoformat(),
        "due": "2026-03-04T00:00:00+00:00", "fault": None, "holder": world.lease.holder,
    }  # fmt: skip
