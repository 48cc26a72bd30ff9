"""The jobs by cron: run once, told, and left alone where a server runs them."""

import json
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from upshot.bootstrap import open_log, open_store
from upshot.events.frame import Frame, Source
from upshot.formats.plans import plan_from_mapping
from upshot.services.lease import Lease
from upshot.store import alerts, definitions, experiments, looks

METRICS = "metrics: {bought: {kind: proportion, event: Bought, window: 1h}}"
FLAGS = """
flags:
  checkout:
    variants: {control: a, treatment: b}
    default: control
    rules: [{id: exp, experiment: {id: EXP-2026-001, split: {control: 50, treatment: 50}}}]
"""
NAMES = [
    "guardrails",
    "looks",
    "anomalies",
    "stale flags",
    "new flags",
    "weekly report",
    "decisions",
    "alerts",
]


def upshot(place, *options, code=0):
    run = [sys.executable, "-m", "upshot", "tick", "--flags", "flags", "--data", "data", *options]
    done = subprocess.run(run, cwd=place, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done.stdout


@pytest.fixture
def place(tmp_path):
    """A workspace with an experiment that runs for two days."""
    for name, text in (("metrics/m.yaml", METRICS), ("flags/f.yaml", FLAGS)):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    begin = datetime.now(UTC) - timedelta(days=2)
    with closing(open_log(tmp_path / "data")) as log:
        for number in range(200):
            said = {"experiment_id": "EXP-2026-001", "variant": ("control", "treatment")[number % 2]}
            sent = {"type": "track", "event": "Experiment Viewed", "userId": f"u{number}", "properties": said,
                    "messageId": f"m{number}", "timestamp": begin.isoformat()}  # fmt: skip
            received = round(begin.timestamp() * 1_000_000)
            log.append(Frame(Source("web"), received, json.dumps({"batch": [sent]}).encode())).result(10)
    with opened(tmp_path, lambda: begin) as store, store.changing("ann") as change:
        plan = plan_from_mapping({"metrics": {"primary": ["bought"]}, "monitoring": "always_valid"})
        experiments.create(change, replace(plan, id="EXP-2026-001"))
        experiments.move(change, "EXP-2026-001", "running")
    return tmp_path


def opened(place, clock=lambda: datetime.now(UTC)):
    return closing(open_store(place / "data", made=True, clock=clock))


def kept(place):
    with opened(place) as store, store.reading() as connection:
        return [one.number for one in looks.listed(connection, "EXP-2026-001")]


def test_it_runs_what_is_due_once_and_ends(place):
    assert upshot(place) == "".join(f"{name}: done\n" for name in NAMES)
    assert kept(place) == [1]
    assert json.loads(upshot(place, "--json"))["ran"] == ["guardrails", "alerts"]
    assert kept(place) == [1]
    told = json.loads(upshot(place, "--list", "--json"))
    assert sorted(run["name"] for run in told["jobs"]) == sorted(NAMES)
    assert told["held_by"] is None
    assert "looks: last run 20" in upshot(place, "--list")


def test_what_cannot_be_looked_at_is_an_alert_and_no_fault_of_the_job(place):
    (place / "metrics" / "m.yaml").write_text("metrics: {bought: {kind: proportion}}")
    upshot(place)
    assert kept(place) == []
    with opened(place) as store, store.reading() as connection:
        found = {alert.finding.key: alert.finding.what for alert in alerts.lasting(connection)}
    assert "experiment EXP-2026-001 cannot be looked at" in found["look/EXP-2026-001"]


def test_a_job_that_fails_is_told_and_the_others_run(place):
    (place / "data" / "manifest.db").write_bytes(b"no database" * 100)
    told = upshot(place, code=1)
    assert told.startswith("guardrails: done\n")
    assert "anomalies: a fault of ours" in told
    assert "alerts: done" in told
    assert "; failed: a fault of ours" in upshot(place, "--list")


def test_while_a_server_runs_them_it_runs_none(place):
    with opened(place) as store, Lease(store) as lease:
        assert upshot(place) == f"the jobs are run by {lease.holder}: nothing was run here\n"
        assert json.loads(upshot(place, "--json"))["held_by"] == lease.holder
        assert f"the jobs are run by {lease.holder}" in upshot(place, "--list")
    assert kept(place) == []
    upshot(place)
    assert kept(place) == [1]


def test_an_address_that_cannot_be_one_hinders_no_watch(place):
    with opened(place) as store, store.changing("ann") as change:
        definitions.put(change, "alerts", "ops", {"to": "$NOWHERE"})
    assert "guardrails: done" in upshot(place)
    assert kept(place) == [1]


def test_without_a_store_it_says_so(tmp_path):
    (tmp_path / "flags").mkdir()
    upshot(tmp_path, code=2)
