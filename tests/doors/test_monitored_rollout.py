"""A rollout that harms, from the first error to the alert, over real sockets and through real processes."""

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from upshot_sdk import Client

FLAGS = "flags: {nav: {percentage: 50, monitoring: {errorThreshold: 0.02, latencyThreshold: 200, autoKill: true}}}"
KEYS = {"UPSHOT_SERVER_KEY": "server-key-0123456789", "UPSHOT_CLIENT_KEY": "client-key-0123456789"}
SECRET = "a-secret-of-my-shop"
WITHIN = 10.0
"""Seconds in which a rollout that harms must be off at the client, where the machine is not overloaded."""
PATIENCE = 60.0


@contextmanager
def serving(place, **extra):
    """The server as people start it; gives its process and its address."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("UPSHOT_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "upshot", "serve", "--flags", place / "flags", "--data", place / "data", "--port", "0",
         "--json", "--compact-every", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**clean, **KEYS, **extra},
    )  # fmt: skip
    try:
        yield process, json.loads(process.stdout.readline())["url"]
    finally:
        process.kill()
        process.communicate()


@contextmanager
def receiving():
    """Where alerts arrive."""
    arrived = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            arrived.append(Webhook(SECRET.encode()).verify(body, dict(self.headers)))
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


def wait_for(condition, seconds):
    """Seconds until it holds."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it did not come"
        time.sleep(0.05)
    return time.monotonic() - began


def send_errors(url, units):
    batch = [
        {"type": "track", "userId": unit, "event": "Error", "messageId": f"{unit}-failed"} for unit in units
    ]
    headers = {"Authorization": f"Bearer {KEYS['UPSHOT_SERVER_KEY']}"}
    answer = httpx.post(f"{url}/v1/batch", json={"batch": batch}, headers=headers, timeout=30)
    assert answer.status_code == 200


@pytest.fixture
def place(tmp_path):
    (tmp_path / "flags").mkdir()
    (tmp_path / "flags" / "flags.yaml").write_text(FLAGS, encoding="utf-8")
    return tmp_path


def off(client):
    return client.evaluate("nav", {"targetingKey": "u1"}, default=False).reason == "DISABLED"


def test_it_is_off_at_the_client_within_ten_seconds_and_people_are_told(place):
    with receiving() as (hook, arrived):
        alerts = {"UPSHOT_ALERTS": hook, "UPSHOT_ALERT_SECRET": SECRET, "UPSHOT_ALERTS_ALLOW": "127.0.0.1"}
        with serving(place, **alerts) as (process, url):
            with Client(url, KEYS["UPSHOT_SERVER_KEY"], start_timeout=10, directory=place / "sdk") as client:
                units = [f"u{number}" for number in range(400)]
                got = [
                    unit
                    for unit in units
                    if client.evaluate("nav", {"targetingKey": unit}, default=False).value
                ]
                assert 120 < len(got) < 280
                assert client.flush(10)
                send_errors(url, got[:3])
                time.sleep(3)
                assert not off(client)
                send_errors(url, got[:60])
                took = wait_for(lambda: off(client), PATIENCE)
                print(f"{took:.1f} s from the last error's answer to the client")
                if os.getloadavg()[0] < 2 * (os.cpu_count() or 1):
                    assert took < WITHIN
                wait_for(lambda: arrived, PATIENCE)
            process.kill()  # as it comes: what was turned off stays so
        with (
            serving(place, **alerts) as (_, url),
            Client(url, KEYS["UPSHOT_SERVER_KEY"], start_timeout=10, directory=place / "sdk2") as client,
        ):
            assert off(client)
            done = subprocess.run(
                [sys.executable, "-m", "upshot", "flag", "revive", "nav", place / "flags", "--reason", "mended"],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
            assert done.stdout == "nav is as it is written again\n"
            wait_for(lambda: not off(client), PATIENCE)
            time.sleep(3)
            assert not off(client), "what it was killed for does not count again"
    assert [(one["type"], one["data"]["what"]) for one in arrived] == [
        ("alert.opened", "flag nav was turned off: its rollout did harm")
    ]
    assert "errors: harmed:" in arrived[0]["data"]["evidence"]["said"]
