"""Keys of the store, at a server that is started as people start it."""

import json
import os
import subprocess
import sys
import time

import httpx
import pytest

FLAGS = "flags: {checkout: {type: boolean, enabled: true}}\n"
ASKED = {"context": {"targetingKey": "user-1"}}
SERVER_KEY = "server-key-0123456789"


def upshot(directory, *arguments):
    command = [sys.executable, "-m", "upshot", *arguments, "--data", str(directory / "data"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    made = tmp_path_factory.mktemp("served")
    (made / "flags").mkdir()
    (made / "flags" / "flags.yaml").write_text(FLAGS, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def url(directory):
    keys = {"UPSHOT_SERVER_KEY": SERVER_KEY, "UPSHOT_CLIENT_KEY": "client-key-0123456789"}
    process = subprocess.Popen(
        [sys.executable, "-m", "upshot", "serve", "--flags", str(directory / "flags"), "--port", "0",
         "--data", str(directory / "data"), "--compact-every", "0", "--json"],
        stdout=subprocess.PIPE, text=True, env={**os.environ, **keys},
    )  # fmt: skip
    yield json.loads(process.stdout.readline())["url"]
    process.terminate()
    process.communicate()


def status(url, path, key, body=None):
    headers = {"Authorization": f"Bearer {key}"}
    if body is None:
        return httpx.get(url + path, headers=headers, timeout=20).status_code
    return httpx.post(url + path, headers=headers, json=body, timeout=20).status_code


def becomes(wanted, ask):
    until = time.monotonic() + 20
    while ask() != wanted:
        assert time.monotonic() < until, "it never came"
        time.sleep(0.1)


def test_a_server_key_opens_everything_until_it_is_revoked(url, directory):
    key = upshot(directory, "key", "create", "--kind", "server", "--source", "shop")
    becomes(200, lambda: status(url, "/v1/ruleset", key["key"]))
    assert status(url, "/ofrep/v1/evaluate/flags/checkout", key["key"], ASKED) == 200
    upshot(directory, "key", "revoke", key["id"])
    becomes(401, lambda: status(url, "/v1/ruleset", key["key"]))
    assert status(url, "/v1/ruleset", SERVER_KEY) == 200


def test_a_client_key_opens_evaluated_values_and_no_rules(url, directory):
    key = upshot(directory, "key", "create", "--kind", "client", "--source", "page")
    becomes(200, lambda: status(url, "/ofrep/v1/evaluate/flags", key["key"], ASKED))
    assert status(url, "/v1/ruleset", key["key"]) == 403


def test_events_carry_the_source_of_the_key_that_they_came_with(url, directory):
    from upshot.events.reader import connect

    key = upshot(directory, "key", "create", "--kind", "client", "--source", "my page")
    event = {"type": "track", "event": "Bought", "userId": "user-1", "messageId": "m-1"}
    becomes(200, lambda: status(url, "/v1/batch", key["key"], {"batch": [event]}))
    rows = connect(directory / "data").execute("SELECT DISTINCT source FROM events WHERE message_id = 'm-1'")
    assert rows.fetchall() == [("my page",)]
