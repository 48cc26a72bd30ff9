"""What several tests of services share: a shop with one experiment that runs, in real files, on a clock of its own."""

import json
import random
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from upshot.bootstrap import open_log, open_store
from upshot.events.frame import Frame, Source
from upshot.formats.event_metrics import metrics_from_yaml
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.services.alerts import Alerts
from upshot.services.flags import publish
from upshot.store import alerts, experiments, looks
from upshot.store.flag_files import FlagDirectory

FLAGS = """
flags:
  checkout:
    variants: {control: a, treatment: b}
    default: control
    rules: [{id: exp, experiment: {id: EXP-2026-001, split: {control: 50, treatment: 50}}}]
"""
METRICS = metrics_from_yaml("""
metrics:
  bought: {kind: proportion, event: Bought, window: 1d}
  crashed: {kind: proportion, event: Crashed, window: 1h, better: lower}
""")
PLAN = Plan(
    id="EXP-2026-001",
    metrics=(
        Metric(name="bought", column="bought"),
        Metric(name="crashed", column="crashed", role="guardrail", maximum=0.01, better="lower"),
    ),
    split={"control": 1.0, "treatment": 1.0},
    monitoring="always_valid",
    planned_units=5000,
)
BEGIN = datetime(2026, 3, 2, 9, tzinfo=UTC)


class RunningShop:
    """A shop whose checkout is an experiment; what its visitors do is received when it happens."""

    def __init__(self, path, plan=PLAN):
        (path / "flags").mkdir()
        self.flags, self.data, self.now = FlagDirectory(path / "flags"), path / "data", BEGIN
        (path / "flags" / "flags.yaml").write_text(FLAGS)
        publish(self.flags, lambda: "salt")
        self.log = open_log(self.data)
        self.store = open_store(self.data, made=True, clock=lambda: self.now)
        self.alerts = Alerts(self.store, (), lambda: self.now)
        self.definitions = dict(METRICS)
        self.chance, self.numbers = random.Random(1), count()
        self.plan(plan)

    def plan(self, plan):
        with self.store.changing("ann") as change:
            known = experiments.create(change, plan)
            experiments.move(change, known.id, "running")

    def visits(self, units, crash=(0.002, 0.002), buy=(0.1, 0.1), experiment="EXP-2026-001", **exposure):
        """So many units come within a second from now; what they do comes with them."""
        batch = []
        for _ in range(units):
            unit, arm = f"u{next(self.numbers)}", self.chance.randrange(2)
            variant = ("control", "treatment")[arm]
            said = {"experiment_id": experiment, "variant": variant, "flag": "checkout", **exposure}
            batch.append(self.event(unit, "Experiment Viewed", 0.0, **said))
            for name, share in (("Crashed", crash), ("Bought", buy)):
                if self.chance.random() < share[arm]:
                    batch.append(self.event(unit, name, 0.5))
        self.now += timedelta(seconds=1)
        received = round(self.now.timestamp() * 1_000_000)
        for first in range(0, len(batch), 400):
            body = json.dumps({"batch": batch[first : first + 400]}).encode()
            self.log.append(Frame(Source("web"), received, body)).result(30)

    def event(self, unit, name, after, **properties):
        at = self.now + timedelta(seconds=after)
        return {"type": "track", "messageId": f"m{next(self.numbers)}", "userId": unit, "event": name,
                "timestamp": at.isoformat(), "properties": properties}  # fmt: skip

    def pass_time(self, **span):
        self.now += timedelta(**span)

    def state(self, experiment="EXP-2026-001"):
        with self.store.reading() as connection:
            return experiments.find(connection, experiment).state

    def looks(self, experiment="EXP-2026-001"):
        with self.store.reading() as connection:
            return looks.listed(connection, experiment)

    def told(self):
        with self.store.reading() as connection:
            return {alert.finding.key: alert.finding for alert in alerts.lasting(connection)}

    def off(self):
        return self.flags.read().kills.off

    def close(self):
        self.store.close()
        self.log.close()


@pytest.fixture
def shop(tmp_path):
    made = RunningShop(tmp_path)
    yield made
    made.close()
