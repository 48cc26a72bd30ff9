"""Looks that a server takes by itself: one for each day, none twice, and one trouble hinders nobody else."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from upshot.errors import UnavailableError
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.services import daily
from upshot.services.anomalies import AnomalyWatch
from upshot.services.daily import DailyLooks
from upshot.services.defined import Defined
from upshot.services.live import Asked, live_look


@pytest.fixture
def looking(shop):
    found = DailyLooks(shop.store, shop.data, lambda: Defined(metrics=shop.definitions), shop.alerts)

    def look():
        found.take(shop.now)
        return [(one.number, one.look.day) for one in shop.looks()]

    return look


def test_each_day_is_looked_at_once_after_its_end(shop, looking):
    shop.visits(300)
    assert looking() == []  # its first day is not over
    shop.pass_time(days=1)
    first = looking()
    assert first == [(1, date(2026, 3, 2))]
    assert looking() == first
    shop.visits(300)
    shop.pass_time(hours=10)
    assert looking() == first
    shop.pass_time(days=1)
    assert looking() == [*first, (2, date(2026, 3, 3))]


def test_days_that_were_missed_are_one_look_as_of_the_last_midnight(shop, looking):
    shop.visits(300)
    shop.pass_time(days=5)
    assert looking() == [(1, date(2026, 3, 6))]
    (look,) = shop.looks()
    assert (
        look.evidence.understood[0]
        == "300 units by first exposure, and their events, as of 2026-03-07T00:00+00:00"
    )


def test_a_person_who_looked_that_day_looked_for_it(shop, looking):
    shop.visits(300)
    shop.pass_time(days=1, hours=3)
    asked = Asked(data=shop.data, experiment="EXP-2026-001", as_of=shop.now, definitions=shop.definitions)
    live_look(shop.store, asked, "ann")
    assert looking() == [(1, date(2026, 3, 3))]
    shop.pass_time(hours=12)
    assert len(looking()) == 1
    shop.pass_time(days=1)
    assert looking() == [(1, date(2026, 3, 3)), (2, date(2026, 3, 4))]


def test_what_cannot_be_looked_at_is_told_and_hinders_no_other(shop, looking):
    missing = shop.definitions.pop("bought")
    crashed = replace(shop.definitions["crashed"], name="other")
    shop.definitions["other"] = crashed
    metric = Metric(name="other", column="other", better="lower")
    shop.plan(Plan(id="EXP-2026-002", metrics=(metric,), monitoring="always_valid"))
    shop.visits(300)
    shop.visits(300, experiment="EXP-2026-002")
    shop.pass_time(days=1)
    assert looking() == []
    assert len(shop.looks("EXP-2026-002")) == 1
    finding = shop.told()["look/EXP-2026-001"]
    assert finding.severity == "warning"
    assert "experiment EXP-2026-001 cannot be looked at" in finding.what
    assert "bought" in finding.evidence["said"]
    shop.definitions["bought"] = missing
    shop.pass_time(days=1)
    assert len(looking()) == 1
    assert shop.told() == {}


def test_an_experiment_that_nobody_meets_is_told(shop, looking):
    shop.pass_time(days=2)
    assert looking() == []
    assert "nobody was exposed to EXP-2026-001" in shop.told()["look/EXP-2026-001"].what


def test_a_fault_of_ours_is_told_as_one(shop, looking, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("no units")

    monkeypatch.setattr(daily, "live_look", broken)
    shop.pass_time(days=2)
    looking()
    assert "a fault of ours (ZeroDivisionError: no units)" in shop.told()["look/EXP-2026-001"].what


def test_what_cannot_be_had_now_is_asked_for_again(shop, looking, monkeypatch):
    def busy(*_):
        raise UnavailableError("compaction is behind")

    shop.visits(100)
    shop.pass_time(days=2)
    with monkeypatch.context() as patched:
        patched.setattr(daily, "live_look", busy)
        with pytest.raises(UnavailableError):
            looking()
    assert shop.told() == {}
    assert len(looking()) == 1


def test_days_end_at_midnight_utc_wherever_the_clock_is(shop, looking):
    shop.visits(300)
    shop.now = datetime.fromisoformat("2026-03-03T01:30+02:00")
    assert looking() == []  # 23:30 in UTC
    shop.now += timedelta(minutes=30)
    assert looking() == [(1, date(2026, 3, 2))]
    assert shop.looks()[0].at == datetime(2026, 3, 3, tzinfo=UTC)


def test_a_metric_that_jumps_on_a_day_is_told_by_its_look(shop, looking):
    """A tenth of each day's visitors buys, until half of one day's do."""
    watch = AnomalyWatch(shop.flags, shop.data, shop.alerts, lambda: shop.now, shop.store)

    def told():
        watch.look()
        return {key: one for key, one in shop.told().items() if key.startswith("anomaly/jump/")}

    for _ in range(6):
        shop.visits(200)
        shop.pass_time(days=1)
        looking()
    assert told() == {}
    shop.visits(200, buy=(0.5, 0.5))
    shop.pass_time(days=2)
    looking()
    ((key, finding),) = told().items()
    assert key == "anomaly/jump/experiment/EXP-2026-001/bought"
    assert finding.what == "experiment/EXP-2026-001/bought: it rose all at once"
    assert finding.evidence["since"].startswith("2026-03-08")
    shop.pass_time(days=10)
    assert told() == {}  # an old look says nothing about now
