"""Weeks of events in a real log, with one thing wrong at a time, and a sound one."""

import json
import random
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from upshot.events.frame import Frame, Source
from upshot.events.log import EventLog, Limits
from upshot.services.alerts import Alerts
from upshot.services.anomalies import AnomalyWatch
from upshot.services.flags import publish
from upshot.store import alerts as kept
from upshot.store.control import ControlStore
from upshot.store.engine import sqlite_url
from upshot.store.flag_files import FlagDirectory

FLAGS = """
flags:
  checkout:
    variants: {control: a, treatment: b}
    default: control
    rules: [{id: exp, experiment: {id: EXP-1, phase: 2, split: {control: 50, treatment: 50}}}]
"""
BANNER = """
  banner:
    variants: {control: a, treatment: b}
    default: control
    rules: [{id: exp, experiment: {id: EXP-2, split: {control: 50, treatment: 50}}}]
"""
NOW = datetime(2026, 11, 24, 13, 30, tzinfo=UTC)


class Shop:
    """Visitors of ten days, each on a page of its own whose messages are numbered."""

    def __init__(self, path):
        (path / "flags").mkdir()
        (path / "flags" / "flags.yaml").write_text(FLAGS)
        self.flags, self.data = FlagDirectory(path / "flags"), path / "data"
        publish(self.flags, lambda: "salt")
        self.log = EventLog.open(self.data, Limits(free_bytes=0))
        self.store = ControlStore.open(sqlite_url(self.data / "upshot.db"), lambda: NOW)
        self.chance, self.numbers, self.batch = random.Random(1), count(), []

    def event(self, at, unit, name, number=None, agent="", **properties):
        message = {"type": "track", "messageId": f"m{next(self.numbers)}", "userId": unit, "event": name,
                   "timestamp": at.isoformat(), "properties": properties,
                   "context": {"userAgent": agent, "instance": f"page-{unit}", "seq": number}}  # fmt: skip
        self.batch.append((at, message))

    def visit(self, at, unit, variant, events=3, lost=0.0, agent=""):
        """A unit meets the experiment, then does a few things; each message may get lost."""
        if self.chance.random() >= lost:
            self.event(at, unit, "Experiment Viewed", 1, agent, experiment_id="EXP-1", phase=2, variant=variant,
                       flag="checkout", unit_id=unit, instance=f"page-{unit}", seq=1)  # fmt: skip
        for number in range(events):
            if self.chance.random() >= lost:
                after = timedelta(seconds=20 * (number + 1) + self.chance.uniform(-9, 9))
                self.event(at + after, unit, "Clicked", number + 2, agent)

    def days(self, hours=240, an_hour=12, until=NOW, share=0.5, quiet="", **visit):
        """Visitors hour by hour."""
        for hour in range(hours, 0, -1):
            for _ in range(an_hour):
                at = until - timedelta(hours=hour) + timedelta(minutes=self.chance.uniform(0, 59))
                variant = "treatment" if self.chance.random() < share else "control"
                more = {"events": 0} if variant == quiet else {}
                self.visit(at, f"u{next(self.numbers)}", variant, **{**visit, **more})

    def found(self):
        """What is told, by key."""
        for at, message in sorted(self.batch, key=lambda one: one[0]):
            received = round(at.timestamp() * 1_000_000)
            last = self.log.append(Frame(Source("web"), received, json.dumps({"batch": [message]}).encode()))
        last.result(30)
        AnomalyWatch(self.flags, self.data, Alerts(self.store, (), lambda: NOW), lambda: NOW).look()
        with self.store.reading() as connection:
            return {alert.finding.key: alert.finding for alert in kept.lasting(connection)}

    def close(self):
        self.store.close()
        self.log.close()


@pytest.fixture
def shop(tmp_path):
    shop = Shop(tmp_path)
    yield shop
    shop.close()


def test_a_sound_experiment_is_left_alone(shop):
    shop.days()
    assert shop.found() == {}


def test_nothing_at_all_is_left_alone(shop):
    shop.event(NOW, "u1", "Clicked")
    assert shop.found() == {}


def test_a_split_that_is_off_is_told_with_its_day(shop):
    shop.days(share=0.4)
    (finding,) = [one for key, one in shop.found().items() if key == "anomaly/sample_ratio/experiment/EXP-1"]
    assert finding.what == "experiment/EXP-1: the variants do not get the shares that were planned"
    assert "planned: control 50%, treatment 50%" in finding.evidence["said"]
    assert datetime.fromisoformat(finding.evidence["since"]) > NOW - timedelta(days=10)


def test_other_phases_and_units_in_two_variants_do_not_count(shop):
    shop.days()
    for number in range(2000):
        unit = f"old{number}"
        at = NOW - timedelta(hours=number / 10)
        shop.event(
            at, unit, "Experiment Viewed", experiment_id="EXP-1", phase=1, variant="treatment", unit_id=unit
        )
        if number < 300:
            for variant in ("control", "treatment"):
                shop.event(at, f"both{number}", "Experiment Viewed", experiment_id="EXP-1", phase=2, variant=variant,
                           unit_id=f"both{number}")  # fmt: skip
    assert not [key for key in shop.found() if "sample_ratio" in key]


def test_exposures_that_stopped_are_told(shop):
    shop.days(until=NOW - timedelta(hours=5))
    found = shop.found()
    assert "anomaly/exposures_stopped/experiment/EXP-1" in found
    since = datetime.fromisoformat(found["anomaly/exposures_stopped/experiment/EXP-1"].evidence["since"])
    assert NOW - timedelta(hours=6) < since < NOW - timedelta(hours=5)


def test_a_variant_of_which_nothing_is_heard_is_told(shop):
    shop.days(quiet="treatment")
    assert shop.found()["anomaly/silent_variant/experiment/EXP-1"].what.endswith("units that got treatment")


def test_an_event_that_comes_twice_as_often_is_told(shop):
    shop.days()
    for number in range(400):
        shop.event(NOW - timedelta(minutes=31 + number % 58), f"v{number}", "Clicked")
    found = shop.found()
    assert found["anomaly/volume/event/Clicked"].what == "event/Clicked: there are far more of it than usual"


def test_messages_that_one_variant_loses_are_told(shop):
    shop.days(hours=20, an_hour=30)
    for number in range(300):
        shop.visit(NOW - timedelta(minutes=30 + 2 * number), f"w{number}", "treatment", events=12, lost=0.15)
        shop.visit(NOW - timedelta(minutes=30 + 2 * number), f"x{number}", "control", events=12)
    finding = shop.found()["anomaly/telemetry_loss/experiment/EXP-1"]
    assert "more of treatment's messages are lost than of control's" in finding.what
    assert "control 0%" in finding.evidence["said"]


def test_programs_are_told(shop):
    shop.days(hours=20)
    for number in range(30):
        shop.visit(NOW - timedelta(minutes=30 + number), f"bot{number}", "control", agent="Googlebot/2.1")
    finding = shop.found()["anomaly/bots/experiment/EXP-1"]
    assert "30 of 270 units, such as one for which: its browser says so" in finding.evidence["said"]


@pytest.mark.parametrize("depends", [False, True])
def test_a_draw_that_depends_on_anothers_is_told(shop, depends):
    """Two experiments on the same visitors; the second gives its treatment mostly within the first's."""
    (shop.flags._path / "flags.yaml").write_text(FLAGS + BANNER)
    publish(shop.flags, iter(("salt", "other")).__next__)
    shop.days()
    for at, message in list(shop.batch):
        told = message["properties"]
        if message["event"] == "Experiment Viewed":
            follows = depends and shop.chance.random() < 0.6
            variant = told["variant"] if follows else shop.chance.choice(("control", "treatment"))
            shop.event(at, told["unit_id"], "Experiment Viewed", None, "", experiment_id="EXP-2", phase=1,
                       variant=variant, flag="banner", unit_id=told["unit_id"])  # fmt: skip
    found = {key: one for key, one in shop.found().items() if "dependence" in key}
    assert bool(found) == depends
    if depends:
        [said] = found.values()
        assert "not spread evenly over those of EXP-2" in said.what
        assert "2,880 units met both" in said.evidence["said"]
