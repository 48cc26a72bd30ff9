"""A team's workspace in real files: its flags in the control store, four weeks of a shop's past, a clock of its own."""

import json
import random
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from upshot.bootstrap import new_salt, open_log
from upshot.events.frame import Frame, Source
from upshot.formats.event_metrics import metrics_from_yaml
from upshot.formats.experiments import design_from_yaml
from upshot.formats.flags import flags_from_yaml
from upshot.model.standards import Standards
from upshot.services.experiments import propose, start
from upshot.services.flags import Flags
from upshot.services.live import Asked, live_look
from upshot.services.workspace import Workspace
from upshot.store import alerts, flags, looks
from upshot.store.audit import entries, verify
from upshot.store.control import ControlStore
from upshot.store.engine import sqlite_url
from upshot.store.flags import StoredFlags

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
METRICS = metrics_from_yaml("""
metrics:
  bought: {kind: proportion, event: Bought, window: 1d}
  crashed: {kind: proportion, event: Crashed, window: 1h, better: lower}
  returned: {kind: proportion, event: Returned, window: 1d, better: lower}
""")
FLAGS = """
flags:
  checkout: {variants: {control: long, treatment: short}, default: control}
  banner: {variants: {control: none, treatment: large}, default: control}
"""
DESIGN = design_from_yaml("""
name: Shorter checkout
type: ui
flag: checkout
owner: ann@example.org
hypothesis: If we ask for less, more people buy, because each field loses some
variants: {control: all fields, treatment: those that we need}
plan:
  metrics: {primary: [bought], guardrail: ["crashed,max=5%"]}
  split: {control: 1, treatment: 1}
  minimum_effect: 50%
  monitoring: group_sequential
  planned_units: 1500
  minimum_days: 7
  maximum_days: 14
rollback: kill the flag checkout; orders need no mending
execution: {rollout: [10%, 50%, 100%], every: 1d}
""")


class Lab:
    """A workspace, and visitors that come when they are let in."""

    def __init__(self, data, url, now=MONDAY):
        self.data, self.now = data, now
        self.log = open_log(data)
        self.chance, self.numbers = random.Random(2), count()
        store = ControlStore.open(url, lambda: self.now)
        self.workspace = Workspace(
            store=store,
            flags=StoredFlags(store, "upshot"),
            data=data,
            definitions=METRICS,
            standards=Standards(),
            clock=lambda: self.now,
            new_salt=new_salt,
        )
        with store.changing("ann") as change:
            flags.put(change, flags_from_yaml(FLAGS))
        self.served = Flags(self.workspace.flags, new_salt, lambda: self.now)

    @property
    def store(self):
        return self.workspace.store

    def proposed(self, **changed):
        plan = changed.pop("plan", {})
        return propose(
            self.workspace, replace(DESIGN, plan=replace(DESIGN.plan, **plan), **changed), "ann"
        ).id

    def started(self, **changed):
        name = self.proposed(**changed)
        start(self.workspace, name, "ann", "all is there")
        return name

    def pass_time(self, **span):
        self.now += timedelta(**span)

    def visits(self, units, buy=(0.1, 0.1), crash=(0.0, 0.0), returned=(0.0, 0.0), flag="checkout"):
        """So many units come now, are given what the flag in force gives, and do what they do."""
        self.served.refresh()
        batch = []
        for _ in range(units):
            unit = f"u{next(self.numbers)}"
            met = self.served.current.ruleset.evaluate(flag, {"targetingKey": unit})
            arm = ("control", "treatment").index(met.variant or "control")
            if met.metadata.get("experiment_id"):
                said = {"experiment_id": met.metadata["experiment_id"], "phase": met.metadata["phase"],
                        "variant": met.variant, "flag": flag}  # fmt: skip
                batch.append(self._event(unit, "Experiment Viewed", 0.0, said))
            for name, shares in (("Bought", buy), ("Crashed", crash), ("Returned", returned)):
                if self.chance.random() < shares[arm]:
                    batch.append(self._event(unit, name, 0.5, {}))
        self.now += timedelta(seconds=1)
        self.send(batch)

    def send(self, batch):
        received = round(self.now.timestamp() * 1_000_000)
        for first in range(0, len(batch), 400):
            body = json.dumps({"batch": batch[first : first + 400]}).encode()
            self.log.append(Frame(Source("web"), received, body)).result(30)

    def _event(self, unit, name, after, properties):
        at = self.now + timedelta(seconds=after)
        return {"type": "track", "messageId": f"m{next(self.numbers)}-{self.now.timestamp()}", "userId": unit,
                "event": name, "timestamp": at.isoformat(), "properties": properties}  # fmt: skip

    def look(self, name):
        return live_look(
            self.store,
            Asked(data=self.data, experiment=name, as_of=self.now, definitions=METRICS),
            "ann",
        )

    def store_look(self, name):
        with self.store.reading() as connection:
            return looks.last(connection, name)

    def given(self, flag="checkout", units=200):
        """Variant -> how many of some units are given it by what is in force."""
        self.served.refresh()
        found = [self.served.current.ruleset.evaluate(flag, {"targetingKey": f"x{n}"}) for n in range(units)]
        values = [one.variant for one in found]
        return {name: values.count(name) for name in sorted(set(values), key=str)}

    def rows(self, subject=None):
        with self.store.reading() as connection:
            assert verify(connection).broken is None
            return entries(connection, subject=subject, limit=1000)

    def told(self):
        with self.store.reading() as connection:
            return {alert.finding.key: alert.finding for alert in alerts.lasting(connection)}

    def close(self):
        self.workspace.close()
        self.log.close()


@pytest.fixture(scope="session")
def past(tmp_path_factory):
    """Four weeks in which 150 people came each day, of whom a tenth bought."""
    path = tmp_path_factory.mktemp("past") / "data"
    lab = Lab(path, sqlite_url(tmp_path_factory.mktemp("none") / "upshot.db"), MONDAY - timedelta(days=28))
    for _ in range(28):
        lab.send(
            [lab._event(f"p{next(lab.numbers)}", "Page Viewed", 0, {}) for _ in range(135)]
            + [lab._event(f"p{next(lab.numbers)}", "Bought", 0, {}) for _ in range(15)]
        )
        lab.pass_time(days=1)
    lab.close()
    return path


@pytest.fixture(scope="session")
def lab_of(past):
    """Makes a workspace below a folder, with the shop's past."""

    def made(place):
        shutil.copytree(past, place / "data")
        return Lab(place / "data", sqlite_url(place / "data" / "upshot.db"))

    return made


@pytest.fixture
def lab(lab_of, tmp_path):
    made = lab_of(tmp_path)
    yield made
    made.close()


@pytest.fixture
def any_lab(past, store_url, tmp_path):
    """Over each kind of store in turn."""
    shutil.copytree(past, tmp_path / "data")
    made = Lab(tmp_path / "data", store_url)
    yield made
    made.close()
