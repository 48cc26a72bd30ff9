"""Watching real files through a real log: harm is turned off in one look, and nothing else is."""

import json
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from upshot.errors import InputError
from upshot.events.compaction import compact
from upshot.events.frame import Frame, Source
from upshot.events.log import EventLog, Limits
from upshot.services import monitoring
from upshot.services.alerts import ACTOR, SETTLED, Alerts
from upshot.services.flag_switch import switch
from upshot.services.flags import publish
from upshot.services.monitoring import Monitor
from upshot.services.rollout_tally import Signals
from upshot.store import alerts as kept
from upshot.store.control import ControlStore
from upshot.store.engine import sqlite_url
from upshot.store.flag_files import FlagDirectory
from upshot.store.kill_file import Switching

FLAGS = """
flags:
  nav: {percentage: 50, monitoring: {errorThreshold: 0.02, latencyThreshold: 200, autoKill: true}}
  pay: {percentage: 50, monitoring: {errorThreshold: 0.02}}
  plain: {percentage: 50}
"""


class World:
    """A directory of flags, a data directory with a log, and a monitor of both."""

    def __init__(self, path):
        (path / "flags").mkdir()
        self.data = path / "data"
        self.flags = FlagDirectory(path / "flags")
        self.write(FLAGS)
        self.now = datetime.now(UTC)
        self.log = EventLog.open(self.data, Limits(free_bytes=0, segment_bytes=20_000))
        self.store = ControlStore.open(sqlite_url(self.data / "upshot.db"), lambda: self.now)
        self.numbers = count()
        self.start()

    def write(self, text):
        (self.flags._path / "flags.yaml").write_text(text, encoding="utf-8")
        publish(self.flags, lambda: "salt")

    def start(self, **options):
        self.monitor = Monitor(
            self.flags, self.data, Alerts(self.store, (), lambda: self.now), lambda: self.now, **options
        )

    def send(self, *events):
        for first in range(0, len(events), 500):
            received = round(self.now.timestamp() * 1_000_000)
            body = json.dumps({"batch": events[first : first + 500]}).encode()
            self.log.append(Frame(Source("web"), received, body)).result(10)

    def event(self, unit, name, **properties):
        return {"type": "track", "messageId": f"m{next(self.numbers)}", "userId": unit, "event": name,
                "properties": properties}  # fmt: skip

    def viewed(self, units, variant, flag="nav", number=1):
        return [
            self.event(unit, "Flag Viewed", flag=flag, variant=variant, round=number, reason="SPLIT")
            for unit in units
        ]

    def errors(self, units, name="Error"):
        return [self.event(unit, name) for unit in units]

    def lasting(self):
        with self.store.reading() as connection:
            return {alert.finding.key: alert.finding for alert in kept.lasting(connection)}

    def off(self):
        return self.flags.read().kills.off

    def close(self):
        self.monitor.close()
        self.store.close()
        self.log.close()


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.close()


def people(kind, number):
    return [f"{kind}{index}" for index in range(number)]


def test_a_rollout_that_harms_is_off_after_one_look(world):
    world.monitor.look()
    world.send(*world.viewed(people("a", 500), "on"), *world.viewed(people("b", 500), "off"))
    world.monitor.look()
    assert (world.off(), world.lasting()) == ({}, {})
    world.send(*world.errors(people("a", 60)), *world.errors(people("b", 5)))
    world.monitor.look()
    entry = world.off()["nav"]
    assert (entry.actor, entry.action) == (ACTOR, "kill")
    assert entry.reason.startswith("errors: harmed: 12% of 500 units failed with on")
    assert (
        publish(world.flags, lambda: "salt").ruleset.evaluate("nav", {"targetingKey": "a1"}).reason
        == "DISABLED"
    )
    ((key, finding),) = world.lasting().items()
    assert key.startswith("rollout/nav/killed/")
    assert (finding.severity, finding.what) == ("critical", "flag nav was turned off: its rollout did harm")
    assert finding.evidence == {"since": entry.at.isoformat(), "said": entry.reason}
    assert "upshot flag revive nav" in finding.advice


def test_slow_requests_turn_it_off(world):
    world.send(*world.viewed(people("a", 300), "on"), *world.viewed(people("b", 300), "off"))
    world.send(*(world.event(unit, "Page", latency_ms=900) for unit in people("a", 60)))
    world.send(*(world.event(unit, "Page", latency_ms=30) for unit in [*people("a", 300), *people("b", 300)]))
    world.monitor.look()
    assert world.off()["nav"].reason.startswith(
        "latency: harmed: 17% of 360 requests took longer than 200 ms"
    )


def test_an_outage_of_both_is_told_and_kills_nothing(world):
    world.send(*world.viewed(people("a", 500), "on"), *world.viewed(people("b", 500), "off"))
    world.send(*world.errors([*people("a", 100), *people("b", 100)]))
    world.monitor.look()
    assert world.off() == {}
    ((key, finding),) = world.lasting().items()
    assert key == "rollout/nav/1/errors/on/control"
    assert (finding.severity, finding.what) == ("warning", "flag nav: its control is beyond the limit, too")
    assert "off itself is at 20% of 500 units" in finding.evidence["said"]


def test_without_auto_kill_people_are_told(world):
    world.send(*world.viewed(people("a", 500), "on", "pay"), *world.viewed(people("b", 500), "off", "pay"))
    world.send(*world.errors(people("a", 60)))
    for _ in range(3):
        world.monitor.look()
    assert world.off() == {}
    assert [(one.subject, one.severity) for one in world.lasting().values()] == [("flag/pay", "critical")]
    assert "flag pay harms with on, and is on: it has no autoKill" in {
        one.what for one in world.lasting().values()
    }


def test_a_monitor_that_starts_later_finds_the_same_in_files_and_segments(world):
    """Counted by one that was there all the time, and by one that reads files, segments, and what is in both."""
    seen = world.monitor
    seen.look()
    for number in range(6):
        ids = people(f"a{number}-", 40)
        world.send(*world.viewed(ids, "on"), *world.errors(ids[:1]))
        world.send(
            *(world.event(unit, "Page", latency_ms=10 + 400 * (unit == ids[0])) for unit in ids for _ in "ab")
        )
        seen.look()
        if number in (1, 3):
            compact(world.data)
    seen.close()
    world.start()
    world.monitor.look()
    assert world.monitor.standings == seen.standings
    assert world.monitor.standings["nav"][0].sentence.startswith("errors: unproven: 2.5% of 240 units")
    assert "of 480 requests" in world.monitor.standings["nav"][1].sentence


def test_an_edit_that_changes_what_is_counted_counts_anew_from_the_log(world):
    world.send(*world.viewed(people("a", 100), "on"), *world.errors(people("a", 60), "Crash"))
    world.monitor.look()
    assert "0% of 100 units" in world.monitor.standings["nav"][0].sentence
    world.monitor.close()
    world.start(signals=Signals(error_event="Crash"))
    world.monitor.look()
    assert world.off() == {}, "nobody of control was seen yet"
    world.write(FLAGS.replace("percentage: 50, monitoring: {errorThreshold: 0.02, l", "percentage: 50, "
                              "when: {attr: x, op: exists}, monitoring: {errorThreshold: 0.02, l"))  # fmt: skip
    world.monitor.look()
    assert world.off()["nav"].reason.startswith("errors: harmed: 60% of 100 units")


def test_a_revived_flag_is_not_killed_for_what_it_was_killed_for(world):
    world.monitor.look()
    world.send(*world.viewed(people("a", 500), "on"), *world.viewed(people("b", 500), "off"))
    world.send(*world.errors(people("a", 60)))
    world.monitor.look()
    assert "nav" in world.off()
    back = Switching(flag="nav", action="revive", at=world.now, actor="ann", reason="mended")
    switch(world.flags, back)
    world.send(*world.viewed(people("a", 500), "on"))
    world.monitor.look()
    assert world.off() == {}
    assert world.monitor.standings["nav"][0].sentence == "errors: no unit has on yet"
    world.send(
        *world.viewed(people("a", 500), "on", number=2), *world.viewed(people("b", 500), "off", number=2)
    )
    world.send(*world.errors(people("a", 60)))
    world.monitor.look()
    assert "nav" in world.off()


def test_the_alert_of_a_kill_is_over_when_the_flag_is_back(world):
    world.send(*world.viewed(people("a", 500), "on"), *world.viewed(people("b", 500), "off"))
    world.send(*world.errors(people("a", 60)))
    world.monitor.look()
    switch(world.flags, Switching(flag="nav", action="revive", at=world.now, actor="ann", reason="mended"))
    world.now += SETTLED + timedelta(seconds=1)
    world.monitor.look()
    assert world.lasting() == {}


def test_a_kill_that_cannot_be_written_is_told_and_tried_again(world, monkeypatch):
    def refuse(*_):
        raise InputError("kills.json cannot be written")

    world.send(*world.viewed(people("a", 500), "on"), *world.viewed(people("b", 500), "off"))
    world.send(*world.errors(people("a", 60)))
    with monkeypatch.context() as patched:
        patched.setattr(monitoring, "switch", refuse)
        world.monitor.look()
    assert [one.what for one in world.lasting().values()] == [
        "flag nav harms, and cannot be turned off: kills.json cannot be written"
    ]
    world.monitor.look()
    assert "nav" in world.off()


def test_one_process_watches(world):
    world.monitor.look()
    first = world.monitor
    world.start()
    world.send(*world.viewed(people("a", 50), "on"))
    world.monitor.look()
    assert world.monitor.standings == {}
    first.close()
    world.monitor.look()
    assert "of 50 units" in world.monitor.standings["nav"][0].sentence


def test_a_mistake_in_the_files_ends_no_watch(world):
    world.monitor.look()
    (world.flags._path / "flags.yaml").write_text("flags: {nav: {percentage: 900}}")
    world.send(*world.viewed(people("a", 500), "on"), *world.viewed(people("b", 500), "off"))
    world.send(*world.errors(people("a", 60)))
    world.monitor.look()
    assert "nav" in world.off()
