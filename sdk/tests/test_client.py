import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from faults import FAULTS, certified, faulty, never_answers, refused, slow_body

from upshot_sdk import Client
from upshot_sdk.bucketing import SPACE

KEY = "server-key"
SLACK = 3.0  # how often a bound that we promise may be missed by a machine that is busy
HALF = SPACE // 2


def payload(revision="r1", **changes):
    experiment = {
        "id": "EXP-2026-001",
        "phase": 1,
        "salt": "s",
        "unit": "targetingKey",
        "traffic": [[0, SPACE]],
        "split": {"control": [[0, HALF]], "treatment": [[HALF, SPACE]]},
    }
    flag = {
        "type": "string",
        "enabled": True,
        "variants": {"control": "a", "treatment": "b"},
        "default_variant": "control",
        "rules": [
            {"id": "qa", "when": {"attr": "qa", "op": "eq", "value": True}, "variant": "treatment"},
            {"id": "exp", "experiment": experiment},
        ],
    }
    return {"format": 1, "revision": revision, "hash": "md5/1", "flags": {"checkout": flag | changes}}


@pytest.fixture
def connect(tmp_path):
    """Start a client; all are closed at the end."""
    started = []

    def start(url, key=KEY, **options):
        started.append(Client(url, key, **{"directory": tmp_path, **options}))
        return started[-1]

    yield start
    for client in started:
        client.close(0.2)


@contextmanager
def fault(behave):
    with faulty(behave) as url:
        yield url, {}


@contextmanager
def refusal(_):
    yield refused(), {}


@contextmanager
def distrust(_):
    server, _ = certified()
    with faulty(slow_body, server) as url:
        yield url, {}


@contextmanager
def drip(_):
    server, client = certified()
    with faulty(slow_body, server) as url:
        yield url, {"ssl_context": client}


MODES = {behave.__name__: (fault, behave) for behave in FAULTS} | {
    "refused": (refusal, None),
    "tls_error": (distrust, None),
    "tls_slow": (drip, None),
}


@pytest.mark.parametrize("mode", MODES)
def test_a_faulty_server_delays_the_start_by_a_second_at_most(mode, connect, tmp_path):
    open_, behave = MODES[mode]
    with open_(behave) as (url, options):
        began = time.monotonic()
        client = connect(url, **options)
        took = time.monotonic() - began
        assert took < 1.0 * SLACK
        answer = client.evaluate("checkout", {"targetingKey": "u1"}, default="mine")
        assert (answer.value, answer.reason, answer.error_code) == ("mine", "ERROR", "PROVIDER_NOT_READY")
        assert client.state == "not_ready"


@pytest.mark.parametrize("mode", MODES)
def test_the_last_good_flags_serve_from_disk_in_every_fault(mode, serve, tmp_path):
    open_, behave = MODES[mode]
    with open_(behave) as (url, options):
        keep_for(url, tmp_path)
        began = time.monotonic()
        client = Client(url, KEY, directory=tmp_path, start_timeout=0.2, **options)
        assert time.monotonic() - began < 1.0 * SLACK
        assert client.evaluate("checkout", {"targetingKey": "u1", "qa": True}).value == "b"
        assert client.state == "stale"
        client.close(0.1)


def keep_for(url, directory):
    """Leave on disk what a client of this server would have left."""
    from upshot_sdk.directory import open_directory
    from upshot_sdk.freshness import _to_disk
    from upshot_sdk.transport import Answer

    body = json.dumps(payload()).encode()
    _to_disk(open_directory(directory, url, KEY) / "ruleset", Answer(status=200, body=body, etag='"e"'))


def test_flags_survive_a_restart_without_the_server(serve, connect):
    server = serve(payload())
    assert connect(server.url).close()
    server.stop()
    client = connect(server.url)
    assert client.evaluate("checkout", {"targetingKey": "u1", "qa": True}).value == "b"
    assert client.state == "stale"
    assert "refused" in client.error
    server.start()
    assert server.wait_for(lambda: client.state == "ready")
    assert client.error is None


@pytest.mark.parametrize("damage", [b"", b"{}", b"not json\n{}", b'{"sha256": "0", "etag": null}\n{}'])
def test_a_damaged_file_is_not_served(damage, connect, tmp_path):
    url = refused()
    keep_for(url, tmp_path)
    (file,) = tmp_path.rglob("ruleset")
    file.write_bytes(damage)
    assert connect(url).state == "not_ready"


def test_an_exposure_is_sent_once_and_an_override_never(serve, connect):
    server = serve(payload())
    client = connect(server.url)
    for _ in range(5):
        client.evaluate("checkout", {"targetingKey": "u1"})
        client.evaluate("checkout", {"targetingKey": "u2", "qa": True})
        client.peek("checkout", {"targetingKey": "u3"})
    assert client.flush()
    assert [found["properties"]["unit_id"] for found in server.tracked("Experiment Viewed")] == ["u1"]


def rolled_out(watched=1):
    """A payload with a flag that is on for all, but for one who is given it by hand, and is watched."""
    changed = payload(f"r{watched}")
    every = [[0, 2**32]]
    changed["flags"]["nav"] = {
        "type": "boolean",
        "variants": {"on": True, "off": False},
        "default_variant": "off",
        "monitored": watched,
        "rules": [
            {
                "id": "override-on",
                "when": {"attr": "targetingKey", "op": "eq", "value": "qa"},
                "variant": "on",
            },
            {
                "id": "some",
                "when": {"attr": "beta", "op": "eq", "value": True},
                "rollout": {"salt": "s", "traffic": every, "split": {"on": every}},
            },
        ],
    }
    return changed


def test_units_of_a_watched_rollout_are_told_of_once(serve, connect):
    server = serve(rolled_out())
    client = connect(server.url)
    for context in ({"targetingKey": "u1", "beta": True}, {"targetingKey": "u2"}, {"targetingKey": "qa"}, {}):
        for _ in range(3):
            client.evaluate("nav", context)
    assert client.flush()
    found = server.tracked("Flag Viewed")
    assert [(one["userId"], one["properties"]) for one in found] == [
        ("u1", {"flag": "nav", "variant": "on", "reason": "SPLIT", "round": 1, "revision": "r1"}),
        ("u2", {"flag": "nav", "variant": "off", "reason": "DEFAULT", "round": 1, "revision": "r1"}),
    ]


def test_a_rollout_that_is_watched_anew_is_told_of_anew(serve, connect):
    server = serve(rolled_out())
    client = connect(server.url)
    client.evaluate("nav", {"targetingKey": "u1"})
    server.publish(rolled_out(2))
    assert server.wait_for(lambda: client.ruleset.revision == "r2")
    client.evaluate("nav", {"targetingKey": "u1"})
    assert client.flush()
    assert [one["properties"]["round"] for one in server.tracked("Flag Viewed")] == [1, 2]


def test_a_new_phase_is_a_new_exposure(serve, connect):
    server = serve(payload())
    client = connect(server.url)
    client.evaluate("checkout", {"targetingKey": "u1"})
    changed = payload("r2")
    changed["flags"]["checkout"]["rules"][1]["experiment"]["phase"] = 2
    server.publish(changed)
    assert server.wait_for(lambda: client.ruleset.revision == "r2")
    client.evaluate("checkout", {"targetingKey": "u1"})
    assert client.flush()
    assert [found["properties"]["phase"] for found in server.tracked("Experiment Viewed")] == [1, 2]


def test_an_exposure_that_found_no_room_is_sent_the_next_time(serve, connect, monkeypatch):
    server = serve(payload())
    client = connect(server.url)
    with monkeypatch.context() as full:
        full.setattr("upshot_sdk.delivery.MAX_QUEUED", 0)
        client.evaluate("checkout", {"targetingKey": "u1"})
    for _ in range(3):
        client.evaluate("checkout", {"targetingKey": "u1"})
    assert client.flush()
    assert [found["properties"]["unit_id"] for found in server.tracked("Experiment Viewed")] == ["u1"]


def test_what_is_peeked_can_be_exposed_later(serve, connect):
    server = serve(payload())
    client = connect(server.url)
    context = {"targetingKey": "u1"}
    client.expose(client.peek("checkout", context), context)
    client.expose(client.peek("absent", context), context)
    assert client.flush()
    assert len(server.messages) == 1


def test_events_and_rules_go_by_the_clock_that_was_given(serve, connect):
    """What a simulation needs: nothing that is sent or answered tells the system's time."""
    at = datetime(2026, 3, 2, 12, tzinfo=UTC)
    rules = [{"id": "later", "from": "2026-03-02T13:00:00Z", "variant": "treatment"}]
    server = serve(payload(rules=rules))
    now = [at.timestamp()]
    client = connect(server.url, clock=lambda: now[0])
    assert client.evaluate("checkout", {"targetingKey": "u1"}).variant == "control"
    now[0] += 3600
    assert client.evaluate("checkout", {"targetingKey": "u1"}).variant == "treatment"
    client.track("Purchase", {"targetingKey": "u1"})
    assert client.flush()
    (batch,) = server.batches
    assert batch["sentAt"] == batch["batch"][0]["timestamp"] == "2026-03-02T13:00:00.000+00:00"


def test_numbers_have_no_gap_where_nothing_is_lost(serve, connect):
    server = serve(payload())
    client = connect(server.url)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: client.track("Click", {"userId": f"u{number}"}), range(2000)))
    assert client.flush()
    assert sorted(found["context"]["seq"] for found in server.messages) == list(range(1, 2001))
    assert {found["context"]["instance"] for found in server.messages} == {client.instance}


def test_a_change_is_heard_by_the_stream_at_once(serve, connect):
    server = serve(payload())
    client = connect(server.url, poll_interval=3600)
    heard = []
    client.subscribe(heard.append)
    assert server.wait_for(lambda: server.streams == 1)
    server.publish(payload("r2", enabled=False))
    assert server.wait_for(lambda: client.ruleset.revision == "r2", 2)
    assert client.flags_changed == ("checkout",)
    assert heard == ["changed"]
    assert client.evaluate("checkout", {"targetingKey": "u1"}, "mine").reason == "DISABLED"


def test_without_the_stream_it_asks_now_and_then_and_spares_the_body(serve, connect):
    server = serve(payload())
    client = connect(server.url, stream=False, poll_interval=0.1)
    assert server.wait_for(lambda: len(server.requests) > 5)
    assert [status for _, _, status in server.requests][:4] == [200, 304, 304, 304]
    server.publish(payload("r2"))
    assert server.wait_for(lambda: client.ruleset.revision == "r2", 2)
    assert server.streams == 0


def test_a_stream_that_breaks_off_is_opened_again(serve, connect):
    server = serve(payload())
    client = connect(server.url, poll_interval=3600)
    assert server.wait_for(lambda: server.streams == 1)
    server.stop()
    assert server.wait_for(lambda: client.state == "stale", 10)
    server.publish(payload("r2"))
    server.start()
    assert server.wait_for(lambda: client.ruleset.revision == "r2", 10)


def test_a_server_that_only_says_that_there_is_news_is_not_asked_in_a_circle(serve, connect):
    server = serve(payload())
    server._revision = "another name than the payload's"
    client = connect(server.url, poll_interval=3600)
    assert server.wait_for(lambda: server.streams == 1)
    time.sleep(0.5)
    assert len([path for _, path, _ in server.requests if path == "/v1/ruleset"]) <= 3
    assert client.state == "ready"


def test_a_bad_ruleset_leaves_the_last_good_one(serve, connect):
    server = serve(payload())
    client = connect(server.url, stream=False, poll_interval=0.1)
    for bad in ("", "[]", '{"format": 2}', "<html>"):
        server.publish(bad)
        assert server.wait_for(lambda: client.state == "stale", 5)
        assert client.evaluate("checkout", {"targetingKey": "u1", "qa": True}).value == "b"
        server.publish(payload())
        assert server.wait_for(lambda: client.state == "ready", 5)


def test_one_bad_flag_does_not_silence_the_others(serve, connect, caplog):
    bad = payload()
    bad["flags"]["broken"] = {"type": "colour"}
    client = connect(serve(bad).url)
    assert client.evaluate("checkout", {"targetingKey": "u1", "qa": True}).value == "b"
    assert client.evaluate("broken", {"targetingKey": "u1"}, 1).error_code == "PARSE_ERROR"
    assert "flags.broken" in caplog.text


def test_listeners_hear_of_a_key_that_is_refused(serve, connect):
    server = serve(payload())
    client = connect(server.url, stream=False, poll_interval=0.1)
    heard = []
    end = client.subscribe(heard.append)
    client.subscribe(lambda _: 1 / 0)  # a listener that fails disturbs nobody
    server.fail(401)
    assert server.wait_for(lambda: heard == ["error"])
    assert "needs" in client.error or "key" in client.error
    server.mend()
    assert server.wait_for(lambda: heard == ["error", "ready"])
    end()
    server.fail(500)
    assert server.wait_for(lambda: client.state == "stale")
    assert heard == ["error", "ready"]


@pytest.mark.parametrize("behave", [never_answers, slow_body], ids=lambda behave: behave.__name__)
def test_no_call_waits_for_the_server(behave, connect):
    with faulty(behave) as url:
        client = connect(url, start_timeout=0)
        slowest = 0.0
        for number in range(500):
            began = time.perf_counter()
            client.evaluate("checkout", {"targetingKey": f"u{number}"}, "mine")
            client.track("Click", {"userId": f"u{number}"})
            slowest = max(slowest, time.perf_counter() - began)
        assert slowest < 0.1 * SLACK


def test_asyncio_goes_on_while_a_client_waits(connect):
    async def run(url):
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        client = connect(url, start_timeout=0)
        assert not await asyncio.to_thread(client.wait, 0.3)
        client.track("Click", {"userId": "u"})
        await asyncio.to_thread(client.close, 0.3)
        ticking.cancel()
        return ticks

    with faulty(never_answers) as url:
        assert asyncio.run(run(url)) > 10


def test_what_cannot_be_sent_is_told_and_does_not_raise(serve, connect, caplog):
    client = connect(serve(payload()).url)
    client.track("", {"userId": "u"})
    client.track("Click", {})
    client.track("Click", {"userId": "u"}, {"x": object()})
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 3
    assert "the context has no targetingKey" in caplog.text


def test_a_closed_client_still_answers(serve, connect, caplog):
    client = connect(serve(payload()).url)
    assert client.close()
    assert client.close()
    assert client.state == "closed"
    assert client.evaluate("checkout", {"targetingKey": "u1", "qa": True}).value == "b"
    client.track("Click", {"userId": "u"})
    assert "the client is closed" in caplog.text


def test_leaving_its_block_closes_it(serve, tmp_path):
    server = serve(payload())
    with Client(server.url, KEY, directory=tmp_path) as client:
        client.track("Click", {"userId": "u"})
    assert client.state == "closed"
    assert len(server.messages) == 1


@pytest.mark.parametrize(
    ("option", "value"),
    [("start_timeout", -1), ("poll_interval", 0), ("request_timeout", "5"), ("poll_interval", float("nan"))],
)
def test_seconds_that_cannot_be_are_refused(option, value):
    with pytest.raises(ValueError, match=f"{option} is"):
        Client("http://localhost:1", KEY, **{option: value})


LEAVE = """
import sys
from upshot_sdk import Client
client = Client(sys.argv[1], "server-key", directory=sys.argv[2], start_timeout=0.1)
for number in range(1000):
    client.track("Click", {"userId": f"u{number}"}, {"n": number})
"""


def run_and_time(url, directory, script=LEAVE):
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", script, url, str(directory)], check=True, stderr=subprocess.DEVNULL)
    return time.monotonic() - began


@pytest.mark.parametrize("mode", ["refused", "never_answers"])
def test_a_process_ends_in_time_with_the_server_down_and_loses_nothing(mode, serve, connect, tmp_path):
    open_, behave = MODES[mode]
    server = serve(payload())
    server.stop()
    with open_(behave) as (url, _):
        assert run_and_time(url, tmp_path) < 5.0 * SLACK
        (left,) = tmp_path.iterdir()
    from upshot_sdk.directory import open_directory

    left.rename(open_directory(tmp_path, server.url, KEY).with_suffix(".old"))
    target = open_directory(tmp_path, server.url, KEY)
    target.rmdir()
    target.with_suffix(".old").rename(target)
    server.start()
    connect(server.url)
    assert server.wait_for(lambda: len(server.messages) >= 1000, 10)
    assert sorted({found["properties"]["n"] for found in server.messages}) == list(range(1000))


KILLED = """
import os, sys, time
from upshot_sdk import Client
client = Client(sys.argv[1], "server-key", directory=sys.argv[2], start_timeout=0.1)
for number in range(1000):
    client.track("Click", {"userId": f"u{number}"}, {"n": number})
time.sleep(0.5)
os.kill(os.getpid(), 9)
"""


def test_a_killed_process_loses_only_its_last_moment(serve, connect, tmp_path):
    server = serve(payload())
    server.fail(503)
    subprocess.run(
        [sys.executable, "-c", KILLED, server.url, str(tmp_path)], check=False, stderr=subprocess.DEVNULL
    )
    server.mend()
    connect(server.url)
    assert server.wait_for(lambda: len(server.messages) == 1000, 10)


def outage(server, client, seconds, rate=1500):
    """Events at a steady rate, with the server away in the middle; how many there were."""
    began, sent = time.monotonic(), 0
    while (elapsed := time.monotonic() - began) < seconds + 1:
        if 0.5 < elapsed < 0.5 + seconds:
            server.stop()
        elif elapsed >= 0.5 + seconds and server._http is None:
            server.start()
        while sent < elapsed * rate:
            client.track("Click", {"userId": f"u{sent}"}, {"n": sent})
            sent += 1
        time.sleep(0.005)
    if server._http is None:
        server.start()
    return sent


def test_an_outage_of_ten_seconds_at_1500_events_a_second_loses_none(serve, connect):
    server = serve(payload())
    client = connect(server.url)
    sent = outage(server, client, seconds=10.0)
    assert sent > 15_000
    assert server.wait_for(lambda: len(server.messages) >= sent, 30)
    assert sorted({found["properties"]["n"] for found in server.messages}) == list(range(sent))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_goes_on_by_itself(serve, connect):
    server = serve(payload())
    client = connect(server.url)
    client.track("Click", {"userId": "parent"})
    child = os.fork()
    if child == 0:
        code = 1
        try:
            client.track("Click", {"userId": "child"})
            served = client.evaluate("checkout", {"targetingKey": "u1", "qa": True}).value == "b"
            code = 0 if client.flush(5.0) and served and client.close(2.0) else 1
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert client.flush()
    by_user = {found["userId"]: found["context"] for found in server.messages}
    assert len(server.messages) == 2
    assert by_user["parent"]["instance"] != by_user["child"]["instance"]
    assert by_user["child"]["seq"] == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_that_sends_nothing_leaves_the_parents_events_alone(serve, connect, monkeypatch):
    monkeypatch.setattr("upshot_sdk.delivery.WRITE_EVERY", 60.0)
    server = serve(payload())
    client = connect(server.url)
    client.track("Click", {"userId": "parent"})  # waits in memory, of which the child has a copy
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if client.flush(1.0) and client.close(1.0) and client.state == "closed" else 1
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert server.messages == []
    assert client.flush()
    assert [found["userId"] for found in server.messages] == ["parent"]


APPLICATION = """
import os
from upshot_sdk import Client
client = Client(os.environ["URL"], "server-key", directory=os.environ["DIR"])

def application(environ, start_response):
    unit = environ["QUERY_STRING"]
    answer = client.evaluate("checkout", {"targetingKey": unit}, default="none")
    client.track("Click", {"targetingKey": unit}, {"pid": os.getpid()})
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{answer.value} {os.getpid()}".encode()]
"""


def test_gunicorn_that_loads_the_application_before_it_forks(serve, tmp_path):
    import socket
    import urllib.request

    server = serve(payload())
    (tmp_path / "shop.py").write_text(APPLICATION)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "--preload",
        "-w",
        "3",
        "-b",
        f"127.0.0.1:{port}",
        "shop:application",
    ]
    environment = os.environ | {"URL": server.url, "DIR": str(tmp_path / "state"), "PYTHONWARNINGS": "ignore"}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    answers = []

    def ask(unit):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/?{unit}", timeout=5) as response:
            return response.read().decode().split()

    def up():
        try:
            return ask("first")
        except OSError:
            return None

    try:
        assert server.wait_for(up, 15)
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(ask, [f"u{number}" for number in range(120)]))
        server.publish(payload("r2", enabled=False))
        assert server.wait_for(lambda: ask("u0")[0] == "none", 10)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
    assert {value for value, _ in answers} == {"a", "b"}
    clicks = server.tracked("Click")
    assert server.wait_for(lambda: len({found["userId"] for found in server.tracked("Click")}) >= 121)
    workers = {found["properties"]["pid"] for found in clicks}
    assert workers >= {int(pid) for _, pid in answers}
    instances = {found["context"]["instance"] for found in clicks}
    assert len(instances) == len(workers)
