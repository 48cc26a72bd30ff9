"""Running totals against the log read afresh, over histories in which whatever can happen happens."""

import json
import random
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from upshot.events.compaction import compact
from upshot.events.deletion import delete_unit
from upshot.events.frame import Frame, Source
from upshot.events.log import EventLog, Limits
from upshot.events.merge import merge
from upshot.formats.event_metrics import metrics_from_yaml
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.services import totals
from upshot.services.live_evidence import live_evidence, met
from upshot.services.totals_file import held

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
METRICS = metrics_from_yaml(
    """
    metrics:
      bought: {kind: proportion, event: Order, window: 3d, covariate: 2d}
      churned: {kind: proportion, event: Order, absent: true, window: 3d}
      spent: {kind: mean, event: Order, value: usd, window: 3d, covariate: 2d, cap: 95%}
      orders: {kind: count, event: Order, where: {attr: plan, op: eq, value: pro}, window: 3d}
      rate: {kind: ratio, event: Click, denominator: {event: View}, window: 3d, covariate: 2d}
      slow: {kind: quantile, event: View, value: ms, quantile: 90%, window: 3d, better: lower}
      back: {kind: retention, day: 1}
      steps: {kind: funnel, steps: [{event: View}, {event: Click}, {event: Order}], window: 3d}
      soon: {kind: time_to_event, event: Order, window: 3d}
      ever: {kind: count, event: "*"}
    """
)
PLAN = Plan(
    metrics=tuple(
        Metric(name=name, column=name, role="primary" if name == "bought" else "secondary")
        for name in METRICS
    ),
    split={"a": 1.0, "b": 1.0},
    control="a",
)


class Shop:
    """A data directory and what happens in it."""

    def __init__(self, path, seed):
        self.path, self.chance, self.sent = path, random.Random(seed), 0
        self.now = BEGIN

    def who(self):
        """A user, a visitor, or both at once, which links them."""
        number = self.chance.randrange(25)
        ids = {"userId": f"u{number}"} if self.chance.random() < 0.7 else {"anonymousId": f"v{number}"}
        return ids | ({"anonymousId": f"v{self.chance.randrange(40)}"} if self.chance.random() < 0.05 else {})

    def message(self):
        """An exposure, now and then in the other variant, or an event; some come late."""
        at = self.now - timedelta(
            hours=self.chance.choice((0, 0, 0, 1, 30, 90)), minutes=self.chance.randrange(60)
        )
        ids = self.who()
        if self.chance.random() < 0.2:
            unit = ids.get("userId") or ids["anonymousId"]
            variant = "ab"[(int(unit[1:]) + (self.chance.random() < 0.03)) % 2]
            told = {"experiment_id": "EXP-1", "phase": 1, "variant": variant, "unit": "targetingKey", "unit_id": unit,
                    "attributes": {"country": self.chance.choice(("DE", "FR"))}}  # fmt: skip
            return {"event": "Experiment Viewed", "timestamp": at.isoformat(), "properties": told, **ids}
        about = {
            "usd": self.chance.randrange(1, 50),
            "ms": self.chance.randrange(900),
            "plan": self.chance.choice(("pro", "free")),
        }
        name = self.chance.choice(("Order", "Click", "View", "View"))
        return {"event": name, "timestamp": at.isoformat(), "properties": about, **ids}

    def send(self, count):
        log = EventLog.open(self.path, Limits(free_bytes=0))
        answers = []
        for _ in range(count):
            self.now += timedelta(minutes=self.chance.randrange(20))
            self.sent += 1
            message = {"type": "track", "messageId": f"m{self.sent}", **self.message()}
            received = int(self.now.timestamp() * 1e6)
            answers.append(
                log.append(Frame(Source("web"), received, json.dumps({"batch": [message]}).encode()))
            )
        for answer in answers:
            answer.result(30)
        log.close()

    def evidence(self, as_of=None, *, afresh=False, plan=PLAN, segments=("country",)):
        moment = as_of or self.now + timedelta(hours=1)
        with met(self.path, "EXP-1", moment, afresh=afresh) as found:
            return live_evidence(found, plan, METRICS, found.newest, segments=segments)


def same(one, other):
    """The same evidence; sums of integers here, so to the last digit but for quotients."""
    assert one.total.units == other.total.units
    assert (one.conflicts, one.rows, one.understood) == (other.conflicts, other.rows, other.understood)
    assert one.segments.keys() == other.segments.keys()
    assert one.days.keys() == other.days.keys()
    slices = [(one.total, other.total), *((one.days[day], other.days[day]) for day in one.days)]
    slices += [
        (one.segments[name][value], other.segments[name][value])
        for name in one.segments
        for value in one.segments[name]
    ]
    for left, right in slices:
        assert left.units == right.units
        for name, samples in left.samples.items():
            for variant, sample in samples.items():
                twin = right.samples[name][variant]
                assert sample.moments.n == twin.moments.n
                assert sample.moments.means == pytest.approx(twin.moments.means, rel=1e-9, abs=1e-12)
                assert sample.moments.cross == pytest.approx(twin.moments.cross, rel=1e-9, abs=1e-9)
                if sample.quantile is not None:
                    assert sample.quantile.design == pytest.approx(twin.quantile.design, rel=1e-9)
                    sample = replace(sample, quantile=replace(sample.quantile, design=twin.quantile.design))
                assert replace(sample, moments=twin.moments) == twin


@pytest.mark.parametrize("seed", range(2))
def test_they_are_what_the_log_says(tmp_path, seed, caplog):
    """Six stretches each: sent, compacted or not, merged or not, looked at twice."""
    shop = Shop(tmp_path, seed)
    for stretch in range(6):
        shop.send(60)
        if shop.chance.random() < 0.7:
            compact(tmp_path)
        if shop.chance.random() < 0.3:
            merge(tmp_path, after=0)
        if stretch == 4:
            delete_unit(tmp_path, "u3", until=int(shop.now.timestamp() * 1e6))
        moment = shop.now + timedelta(hours=shop.chance.choice((-20, 1, 200)))
        same(shop.evidence(moment), shop.evidence(moment, afresh=True))
    same(
        shop.evidence(shop.now + timedelta(days=30)),
        shop.evidence(shop.now + timedelta(days=30), afresh=True),
    )


def test_nothing_that_is_known_is_read_again(tmp_path, monkeypatch):
    shop = Shop(tmp_path, 11)
    shop.send(150)
    compact(tmp_path)
    shop.evidence()
    before = shop.evidence(shop.now + timedelta(days=3))
    opened = totals.connect

    def connect(*arguments, **fields):
        """Views in which the content of compacted events must not be asked for."""
        database = opened(*arguments, **fields)
        database.execute("ALTER VIEW events RENAME TO whole")
        content = "CASE WHEN arrival IS NULL THEN properties ELSE error('it was read again')::VARCHAR END"
        database.execute(f"CREATE VIEW events AS SELECT * REPLACE ({content} AS properties) FROM whole")
        return database

    monkeypatch.setattr(totals, "connect", connect)
    same(before, shop.evidence(shop.now + timedelta(days=3)))
    shop.send(5)
    assert shop.evidence(shop.now + timedelta(days=4)).rows >= before.rows


def test_what_cannot_be_read_in_the_middle_is_read_from_the_log(tmp_path, monkeypatch, caplog):
    shop = Shop(tmp_path, 12)
    shop.send(100)
    compact(tmp_path)
    whole = shop.evidence()

    def fail(*_):
        raise duckdb.IOException("a block is damaged")

    monkeypatch.setattr(totals.Totals, "units", fail)
    same(shop.evidence(), whole)
    assert "a block is damaged" in caplog.text
    assert not list((tmp_path / "derived").glob("*.duckdb"))


def test_others_metrics_an_earlier_moment_and_another_unit_are_answered_too(tmp_path):
    shop = Shop(tmp_path, 5)
    shop.send(200)
    compact(tmp_path)
    shop.evidence()
    fewer = replace(PLAN, metrics=PLAN.metrics[:3])
    same(shop.evidence(plan=fewer), shop.evidence(plan=fewer, afresh=True))
    earlier = BEGIN + timedelta(hours=20)
    same(shop.evidence(earlier), shop.evidence(earlier, afresh=True))
    same(shop.evidence(segments=()), shop.evidence(segments=(), afresh=True))


def test_a_damaged_file_is_made_again_and_a_held_one_is_left_alone(tmp_path, caplog):
    shop = Shop(tmp_path, 6)
    shop.send(150)
    compact(tmp_path)
    whole = shop.evidence()
    [path] = (tmp_path / "derived").glob("*.duckdb")
    path.write_bytes(b"nothing of the kind" * 1000)
    same(shop.evidence(), whole)
    assert "cannot be read, and are made again" in caplog.text
    with held(tmp_path, "EXP-1") as mine:
        assert mine == path
        with held(tmp_path, "EXP-1") as other:
            assert other is None
        same(shop.evidence(), whole)
    with duckdb.connect(str(path)) as database:
        assert database.execute("SELECT count(*) FROM marks").fetchone()[0] > 100


def test_who_was_deleted_is_in_no_file(tmp_path):
    shop = Shop(tmp_path, 7)
    shop.send(200)
    compact(tmp_path)
    shop.evidence()
    delete_unit(tmp_path, "u3", until=int(shop.now.timestamp() * 1e6) + 1)
    assert not list((tmp_path / "derived").glob("*.duckdb*")), "what is made of events goes with them"
    same(shop.evidence(), shop.evidence(afresh=True))


_LOOKING = """
import runpy, sys
from datetime import datetime
from pathlib import Path
shop = runpy.run_path(sys.argv[1])["Shop"](Path(sys.argv[2]), 0)
print("looking", flush=True)
while True:
    shop.evidence(datetime.fromisoformat(sys.argv[3]))
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_who_is_killed_while_looking_leaves_nothing_wrong_and_two_look_at_once(tmp_path):
    """Four kills at moments drawn with seed 8, each while totals are brought forward by new events."""
    shop = Shop(tmp_path, 8)
    for _ in range(4):
        shop.send(60)
        compact(tmp_path)
        moment = shop.now + timedelta(hours=1)
        arguments = [__file__, str(tmp_path), moment.isoformat()]
        with subprocess.Popen([sys.executable, "-c", _LOOKING, *arguments], stdout=subprocess.PIPE) as other:
            assert other.stdout.readline() == b"looking\n"
            if shop.chance.random() < 0.5:
                same(shop.evidence(moment), shop.evidence(moment, afresh=True))
            else:
                time.sleep(shop.chance.random())
            other.kill()
        same(shop.evidence(moment), shop.evidence(moment, afresh=True))
