"""`upshot serve` as people start it: a process of its own, with files that are edited meanwhile."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from upshot.bootstrap import open_store
from upshot.events.frame import decode
from upshot.events.message import read_batch
from upshot.events.reader import connect
from upshot.store import audit
from upshot.store.flag_files import FlagDirectory
from upshot.store.kill_file import Switching

FLAGS = """\
flags:
  checkout:
    type: boolean
    variants: {on: true, off: false}
    default: "on"
"""
KEYS = {"UPSHOT_SERVER_KEY": "server-key-0123456789", "UPSHOT_CLIENT_KEY": "client-key-0123456789"}
CHECKOUT = "/ofrep/v1/evaluate/flags/checkout"
ASKED = {"context": {"targetingKey": "user-1"}}


def environment(**extra):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("UPSHOT_")}
    return clean | extra


def refused(*arguments, **extra):
    """What a server says that does not start."""
    done = subprocess.run(
        [sys.executable, "-m", "upshot", "serve", *arguments],
        capture_output=True, text=True, env=environment(**extra), check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    return done.stderr


@contextmanager
def started(directory, *arguments, **extra):
    """A server process, and what it said about itself; with arguments that name flags elsewhere, of those."""
    written = [] if "--store" in arguments else ["--flags", str(directory)]
    process = subprocess.Popen(
        [sys.executable, "-m", "upshot", "serve", *written, "--data", f"{directory}-data",
         "--port", "0", "--json", "--compact-every", "0", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(**extra),
    )  # fmt: skip
    try:
        yield process, json.loads(process.stdout.readline() or process.communicate()[1])
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def children(pid):
    """Processes of Upshot that a process has started."""
    found = [one for path in Path(f"/proc/{pid}/task").glob("*/children") for one in path.read_text().split()]
    return [child for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


@pytest.fixture
def flags(tmp_path):
    (tmp_path / "flags.yaml").write_text(FLAGS, encoding="utf-8")
    return tmp_path


def test_from_files_to_answers_to_an_edit_to_the_end(flags):
    with started(flags, **KEYS) as (process, about):
        assert about["flags"] == 1
        assert not {"server_key", "client_key"} & set(about), "keys that were given are not printed"
        client = httpx.Client(
            base_url=about["url"], headers={"X-API-Key": KEYS["UPSHOT_CLIENT_KEY"]}, trust_env=False
        )
        with client:
            body = client.post(CHECKOUT, json=ASKED).json()
            assert (body["value"], body["metadata"]["version"]) == (True, about["revision"])
            (flags / "flags.yaml").write_text(
                FLAGS.replace('default: "on"', 'default: "off"'), encoding="utf-8"
            )
            began = time.monotonic()
            while client.post(CHECKOUT, json=ASKED).json()["value"]:
                assert time.monotonic() - began < 5
                time.sleep(0.05)
            (flags / "flags.yaml").write_text("flags: [spoilt", encoding="utf-8")
            time.sleep(1.5)
            assert client.post(CHECKOUT, json=ASKED).json()["value"] is False
            stream = client.post("/ofrep/v1/evaluate/flags", json=ASKED).json()["eventStreams"][0]
            with client.stream("GET", stream["endpoint"]["requestUri"]) as listening:
                lines = listening.iter_lines()
                assert next(lines).startswith("retry")
                process.send_signal(signal.SIGTERM)
                began = time.monotonic()
                assert not any("refetch" in line for line in lines)
                assert process.wait(15) == 0
                assert time.monotonic() - began < 8, (
                    "streams are ended, not waited for (heartbeats come each 15 s)"
                )
        logged = process.stderr.read()
        assert "flags.yaml" in logged, "what is wrong with the edit"
        assert "token=" not in logged
        assert "Traceback" not in logged


def test_the_sdk_hears_of_an_edit_by_the_stream(flags, tmp_path_factory):
    from upshot_sdk import Client

    with started(flags, **KEYS) as (_, about):
        heard = []
        cache = tmp_path_factory.mktemp("cache")
        with Client(
            about["url"], KEYS["UPSHOT_SERVER_KEY"], poll_interval=600, start_timeout=5, directory=cache
        ) as client:
            assert client.wait(5)
            assert client.evaluate("checkout", {"targetingKey": "user-1"}, False).value is True
            client.subscribe(heard.append)
            (flags / "flags.yaml").write_text(
                FLAGS.replace('default: "on"', 'default: "off"'), encoding="utf-8"
            )
            began = time.monotonic()
            while client.evaluate("checkout", {"targetingKey": "user-1"}, True).value:
                assert time.monotonic() - began < 5
                time.sleep(0.02)
        assert "changed" in heard


def test_without_keys_it_makes_some_that_work_and_differ_each_time(flags):
    made = []
    for _ in range(2):
        with started(flags) as (_, about):
            headers = {"Authorization": f"Bearer {about['server_key']}"}
            assert (
                httpx.get(f"{about['url']}/v1/ruleset", headers=headers, trust_env=False).status_code == 200
            )
            assert len(about["server_key"]) >= 32
            made += [about["server_key"], about["client_key"]]
    assert len(set(made)) == 4


def test_people_are_told_where_it_is_and_what_opens_it(flags):
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "upshot", "serve", "--flags", str(flags), "--data", f"{flags}-data",
         "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment(),
    )  # fmt: skip
    try:
        lines = [process.stdout.readline() for _ in range(4)]
    finally:
        process.kill()
        process.communicate()
    assert lines[0].startswith("Serving 1 flag (revision ")
    assert " at http://127.0.0.1:" in lines[0]
    assert lines[1] == f"  events go to {flags}-data\n"
    assert lines[2].startswith("  server key, made for this run: ")
    assert lines[3].startswith("  client key, made for this run: ")


def test_ctrl_c_stops_it_without_a_traceback(flags):
    with started(flags) as (process, about):
        assert httpx.get(f"{about['url']}/readyz", trust_env=False).status_code == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(15) in (0, 130)
        assert "Traceback" not in process.stderr.read()


def test_the_draws_outlive_the_server(tmp_path):
    split = FLAGS + ('    rules:\n      - id: ramp\n        rollout: {variant: "off", percentage: 50}\n')
    (tmp_path / "flags.yaml").write_text(split, encoding="utf-8")
    seen = []
    for _ in range(2):
        with started(tmp_path, **KEYS) as (_, about):
            headers = {"X-API-Key": KEYS["UPSHOT_SERVER_KEY"]}
            with httpx.Client(base_url=about["url"], headers=headers, trust_env=False) as client:
                contexts = [{"context": {"targetingKey": f"user-{number}"}} for number in range(50)]
                seen.append([client.post(CHECKOUT, json=context).json()["variant"] for context in contexts])
    assert seen[0] == seen[1]
    assert set(seen[0]) == {"on", "off"}


def test_server_and_sdk_share_the_clock_of_a_simulation(flags, tmp_path_factory):
    """Rules, receipt times and the SDK's times go by it, so what happened needs no correction."""
    from upshot.simulate.clock import SharedClock
    from upshot_sdk import Client

    at, place = datetime(2026, 3, 2, 12, tzinfo=UTC), tmp_path_factory.mktemp("clock")
    clock = SharedClock.create(place / "clock", at)
    rule = "\n    rules: [{id: later, starts: 2026-03-02T13:00:00Z, variant: off}]\n"
    (flags / "flags.yaml").write_text(FLAGS.rstrip() + rule, encoding="utf-8")
    key = KEYS["UPSHOT_SERVER_KEY"]
    with (
        started(flags, **KEYS, UPSHOT_CLOCK=str(place / "clock")) as (_, about),
        Client(about["url"], key, start_timeout=9, directory=place, clock=clock.seconds) as client,
    ):
        headers = {"X-API-Key": key}
        values = []
        for hour in range(2):
            clock.move(at + timedelta(hours=hour))
            values.append(httpx.post(about["url"] + CHECKOUT, json=ASKED, headers=headers).json()["value"])
            client.track("Purchase", {"targetingKey": "user-1"})
            assert client.flush(9)
    assert values == [True, False]
    with connect(Path(f"{flags}-data")) as database:
        found = database.execute("SELECT time, received_at FROM events ORDER BY time").fetchall()
    naive = at.replace(tzinfo=None)
    assert found == [(naive + timedelta(hours=hour),) * 2 for hour in range(2)]


def test_what_was_answered_is_there_after_kill_9_and_a_restart(flags):
    """The segment of the killed process is sealed by the next one; both take events under one directory."""
    event = {"type": "track", "event": "Bought", "userId": "u1"}
    for attempt in range(2):
        with started(flags, **KEYS) as (process, about):
            headers = {"X-API-Key": KEYS["UPSHOT_CLIENT_KEY"]}
            for number in range(5):
                body = {"batch": [event | {"messageId": f"{attempt}-{number}"}]}
                answer = httpx.post(f"{about['url']}/v1/batch", json=body, headers=headers, trust_env=False)
                assert answer.json() == {"success": True, "accepted": 1, "rejected": []}
            if attempt:
                process.send_signal(signal.SIGTERM)
                assert process.wait(10) == 0
            else:
                process.kill()
    segments = sorted(Path(about["data"], "log").iterdir())
    assert [path.suffix for path in segments] == [".seg", ".seg"]
    frames = [frame for path in segments for frame in decode(path.read_bytes())]
    found = [event.message_id for frame in frames for event in read_batch(frame)[0]]
    assert found == [f"{attempt}-{number}" for attempt in range(2) for number in range(5)]


def test_events_of_a_server_that_was_killed_come_into_files_by_the_next(flags):
    event = {"type": "track", "event": "Bought", "userId": "u1", "messageId": "m1"}
    headers = {"X-API-Key": KEYS["UPSHOT_CLIENT_KEY"]}
    with started(flags, **KEYS) as (process, about):
        answer = httpx.post(
            f"{about['url']}/v1/batch", json={"batch": [event]}, headers=headers, trust_env=False
        )
        assert answer.json()["accepted"] == 1
        process.kill()
    data = Path(about["data"])
    with started(flags, "--compact-every", "0.1", **KEYS) as (process, _):
        began = time.monotonic()
        while not list((data / "events").glob("*.parquet")):
            assert time.monotonic() - began < 60
            time.sleep(0.1)
        with connect(data) as database:
            assert database.sql("SELECT message_id FROM events").fetchall() == [("m1",)]
        (child,) = children(process.pid)
        process.kill()  # not even then does its compaction stay behind
        began = time.monotonic()
        while Path(f"/proc/{child}").exists():
            assert time.monotonic() - began < 30
            time.sleep(0.1)


def test_a_place_where_no_events_can_be_kept(flags, tmp_path_factory):
    file = tmp_path_factory.mktemp("data") / "file"
    file.touch()
    said = refused("--flags", str(flags), "--data", str(file), "--port", "0")
    assert said.count("\n") == 1
    assert f"events cannot be kept in {file}" in said


def test_what_answers_loads_nothing_that_analyses():
    """Or the first answer would wait for it, and others for what is loaded beside them."""
    code = (
        "import sys, upshot.bootstrap, upshot.doors.web.app, upshot.doors.web.server, upshot.doors.web.api.app\n"
        "print([one for one in ('numpy', 'scipy', 'pyarrow', 'duckdb', 'ibis') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_flags_of_the_store_are_served_and_killed(flags):
    """No files at all: what `upshot flag apply` brings into the store is in force a second later, and so is a kill."""
    url = f"sqlite:///{flags}-data/upshot.db"

    def upshot(*arguments):
        command = [sys.executable, "-m", "upshot", "flag", *arguments, "--data", f"{flags}-data"]
        subprocess.run(command, check=True, capture_output=True, env=environment())

    with started(flags, "--store", url, **KEYS) as (_, about):
        assert about["flags"] == 0
        headers = {"X-API-Key": KEYS["UPSHOT_SERVER_KEY"]}

        def answer():
            return httpx.post(about["url"] + CHECKOUT, json=ASKED, headers=headers, trust_env=False).json()

        assert answer()["errorCode"] == "FLAG_NOT_FOUND"
        upshot("apply", str(flags))
        soon(lambda: answer().get("value") is True)
        upshot("kill", "checkout", "--reason", "it fails")
        soon(lambda: answer()["reason"] == "DISABLED")
        upshot("revive", "checkout", "--reason", "mended")
        soon(lambda: answer().get("value") is True)


def test_a_kill_whose_process_died_before_its_row_is_recorded_at_the_next_start(flags):
    entry = Switching(flag="checkout", action="kill", at=datetime.now(UTC), actor="ann", reason="it fails")
    FlagDirectory(flags).switch(entry)  # as `upshot flag kill` is when it is killed in between
    with started(flags, **KEYS) as (_, about), closing(open_store(Path(about["data"]))) as store:

        def recorded():
            with store.reading() as connection:
                rows = audit.entries(connection, subject="flag/checkout")
            return [(row.action, row.actor, row.reason) for row in rows]

        soon(lambda: recorded() == [("flag.killed", "ann", "it fails")], 60)


def soon(holds, patience=5.0):
    until = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.05)


def test_a_directory_that_is_not_there(tmp_path):
    said = refused("--flags", str(tmp_path / "nothing"))
    assert said.count("\n") == 1
    assert "nothing" in said


def test_every_mistake_of_the_files_is_told(tmp_path):
    (tmp_path / "a.yaml").write_text("flags: {x: {type: colour, variants: {a: 1}}}", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("flags: {y: {type: size, variants: {a: 1}}}", encoding="utf-8")
    said = refused("--flags", str(tmp_path))
    assert "a.yaml" in said
    assert "b.yaml" in said
    assert "Traceback" not in said


def test_a_port_that_is_taken(flags):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = refused("--flags", str(flags), "--port", str(taken.getsockname()[1]))
    assert said.count("\n") == 1
    assert "give another --host or --port" in said


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"UPSHOT_SERVER_KEY": "short"}, "UPSHOT_SERVER_KEY has 5 characters"),
        ({"UPSHOT_ALLOWED_ORIGINS": "shop"}, "UPSHOT_ALLOWED_ORIGINS holds 'shop'"),
        ({"UPSHOT_ALERTS": "https://shop.example/alerts"}, "UPSHOT_ALERT_SECRET is not set"),
        (
            {"UPSHOT_CLOCK": "nowhere/clock"},
            "nowhere/clock is no clock of a simulation: leave UPSHOT_CLOCK out",
        ),
    ],
)
def test_settings_that_cannot_be_used(flags, extra, said):
    assert said in refused("--flags", str(flags), **extra)


def test_where_others_can_reach_it_keys_must_be_given(flags):
    assert "UPSHOT_SERVER_KEY is not set" in refused("--flags", str(flags), "--host", "0.0.0.0")
    given = {"UPSHOT_SERVER_KEY": KEYS["UPSHOT_SERVER_KEY"]}
    assert "UPSHOT_CLIENT_KEY is not set" in refused("--flags", str(flags), "--host", "0.0.0.0", **given)


def test_it_serves_on_ipv6(flags):
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with started(flags, "--host", "::1") as (_, about):
        assert about["url"].startswith("http://[::1]:")
        assert httpx.get(f"{about['url']}/healthz", trust_env=False).status_code == 200
