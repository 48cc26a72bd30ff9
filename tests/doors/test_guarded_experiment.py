"""An experiment that harms, from the first crash to the alert, over real sockets and through real processes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from upshot.bootstrap import open_store
from upshot.formats.plans import plan_from_mapping
from upshot.store import experiments, jobs, looks
from upshot_sdk import Client

FLAGS = """
flags:
  checkout:
    variants: {control: a, treatment: b}
    default: control
    rules: [{id: exp, experiment: {id: EXP-2026-001, split: {control: 50, treatment: 50}}}]
"""
METRICS = """
metrics:
  bought: {kind: proportion, event: Bought, window: 1d}
  crashed: {kind: proportion, event: Crashed, window: 7d, better: lower}
"""
PLAN = {
    "metrics": {"primary": ["bought"], "guardrail": ["crashed,max=1%"]},
    "monitoring": "fixed",
    "planned_units": 5000,
}
KEYS = {"UPSHOT_SERVER_KEY": "server-key-0123456789", "UPSHOT_CLIENT_KEY": "client-key-0123456789"}
WITHIN = 10.0
"""Seconds in which it must be off at the client, where the machine is not overloaded."""
PATIENCE = 60.0
ENDED = ("killed", "decided")
"""The job of decisions closes what was killed for harm."""


@contextmanager
def serving(place, **extra):
    """The server as people start it, in a group of its own; gives its process and its address."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("UPSHOT_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "upshot", "serve", "--flags", "flags", "--data", "data", "--port", "0", "--json",
         "--metrics", "metrics", "--compact-every", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**clean, **KEYS, **extra}, cwd=place,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield process, json.loads(process.stdout.readline())["url"]
    finally:
        kill(process)


def kill(process):
    """Of all its processes at once, as when the machine fails."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@contextmanager
def receiving():
    """Where alerts arrive."""
    arrived = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            arrived.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/alerts", arrived
        server.shutdown()
        thread.join()


def wait_for(condition, seconds=PATIENCE):
    """Seconds until it holds."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it did not come"
        time.sleep(0.05)
    return time.monotonic() - began


def crash(url, units):
    batch = [
        {"type": "track", "userId": unit, "event": "Crashed", "messageId": f"{unit}-crashed"}
        for unit in units
    ]
    headers = {"Authorization": f"Bearer {KEYS['UPSHOT_SERVER_KEY']}"}
    assert (
        httpx.post(f"{url}/v1/batch", json={"batch": batch}, headers=headers, timeout=30).status_code == 200
    )


@pytest.fixture
def place(tmp_path):
    for name, text in (("flags/f.yaml", FLAGS), ("metrics/m.yaml", METRICS)):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def start(place, at=None):
    """The experiment runs since then."""
    opened = closing(open_store(place / "data", made=True, clock=lambda: at or datetime.now(UTC)))
    with opened as store, store.changing("ann") as change:
        experiments.create(change, replace(plan_from_mapping(PLAN), id="EXP-2026-001"))
        experiments.move(change, "EXP-2026-001", "running")


def asked(place, question):
    with closing(open_store(place / "data")) as store, store.reading() as connection:
        return question(connection)


def state(place):
    return asked(place, lambda connection: experiments.find(connection, "EXP-2026-001").state)


def off(client):
    return client.evaluate("checkout", {"targetingKey": "u1"}, default="a").reason == "DISABLED"


def visit(client):
    """400 visitors; those who got the treatment."""
    got = {
        f"u{number}": client.evaluate("checkout", {"targetingKey": f"u{number}"}, default="a").value
        for number in range(400)
    }
    assert client.flush(10)
    return [unit for unit, value in got.items() if value == "b"]


def test_it_is_off_at_the_client_within_ten_seconds_killed_and_told(place):
    start(place)
    with receiving() as (hook, arrived):
        extra = {
            "UPSHOT_ALERTS": hook,
            "UPSHOT_ALERT_SECRET": "a-secret-of-my-shop",
            "UPSHOT_ALERTS_ALLOW": "127.0.0.1",
        }
        with (
            serving(place, **extra) as (_, url),
            Client(url, KEYS["UPSHOT_SERVER_KEY"], start_timeout=10, directory=place / "sdk") as client,
        ):
            treated = visit(client)
            assert 120 < len(treated) < 280
            crash(url, treated[:3])
            time.sleep(5)
            assert (off(client), state(place)) == (False, "running")
            crash(url, treated[:60])
            took = wait_for(lambda: off(client))
            print(f"{took:.1f} s from the last crash's answer to the client")
            if os.getloadavg()[0] < 2 * (os.cpu_count() or 1):
                assert took < WITHIN
            wait_for(lambda: state(place) in ENDED)
            wait_for(lambda: turned_off(arrived))
    (look,) = asked(place, lambda connection: looks.listed(connection, "EXP-2026-001"))
    assert (look.verdict.verdict, look.verdict.cause) == ("KILL", "harm")
    assert turned_off(arrived) == ["experiment EXP-2026-001 was turned off: it is proven to harm"]


def turned_off(arrived):
    """Of the alerts those that something was turned off."""
    return [one["data"]["what"] for one in arrived if "turned off" in one["data"]["what"]]


def test_kill_9_of_everything_when_it_is_turned_off_leaves_it_to_the_next_server(place):
    start(place)
    with (
        serving(place) as (process, url),
        Client(url, KEYS["UPSHOT_SERVER_KEY"], start_timeout=10, directory=place / "sdk") as client,
    ):
        crash(url, visit(client)[:60])
        kills = place / "flags" / "kills.json"
        wait_for(lambda: kills.exists() and '"checkout"' in kills.read_text())
        kill(process)
    with serving(place) as (_, url):
        wait_for(lambda: state(place) in ENDED)
        (look,) = asked(place, lambda connection: looks.listed(connection, "EXP-2026-001"))
        assert look.verdict.cause == "harm"


def test_a_day_that_is_over_is_looked_at_when_the_server_comes_back(place):
    before = datetime.now(UTC) - timedelta(days=3)
    start(place, before)
    with serving(place) as (_, url):
        batch = [
            {"type": "track", "event": "Experiment Viewed", "userId": f"u{number}", "messageId": f"m{number}",
             "timestamp": before.isoformat(),
             "properties": {"experiment_id": "EXP-2026-001", "variant": ("control", "treatment")[number % 2]}}
            for number in range(100)
        ]  # fmt: skip
        headers = {"Authorization": f"Bearer {KEYS['UPSHOT_SERVER_KEY']}"}
        body = {"batch": batch, "sentAt": datetime.now(UTC).isoformat()}
        assert httpx.post(f"{url}/v1/batch", json=body, headers=headers, timeout=30).status_code == 200

    def kept(connection):
        return [one.look.day for one in looks.listed(connection, "EXP-2026-001")]

    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    for _ in range(2):
        with serving(place):
            wait_for(lambda: asked(place, kept) == [yesterday])
            wait_for(lambda: not asked(place, due))


def due(connection):
    """The jobs that are due, as it is kept."""
    now = datetime.now(UTC) - timedelta(minutes=2)
    return [run.name for run in jobs.listed(connection) if run.is_due(now)] or not jobs.listed(connection)
