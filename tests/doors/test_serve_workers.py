"""`upshot serve --workers 2`: two processes on one socket; one may be killed under load, and nothing is lost."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from upshot.events.reader import connect

KEYS = {"UPSHOT_SERVER_KEY": "server-key-0123456789", "UPSHOT_CLIENT_KEY": "client-key-0123456789"}
AS_SERVER = {"X-API-Key": KEYS["UPSHOT_SERVER_KEY"]}
FLAGS = """\
flags:
  checkout:
    type: boolean
    variants: {on: true, off: false}
    default: "%s"
"""


@contextmanager
def started(directory, *arguments):
    """A server process of two workers, and what it said about itself."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("UPSHOT_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "upshot", "serve", "--flags", str(directory), "--data", f"{directory}-data",
         "--port", "0", "--json", "--workers", "2", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean | KEYS,
    )  # fmt: skip
    try:
        yield process, json.loads(process.stdout.readline() or process.communicate()[1])
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def flags(tmp_path):
    directory = tmp_path / "flags"
    directory.mkdir()
    (directory / "flags.yaml").write_text(FLAGS % "on", encoding="utf-8")
    return directory


def workers(data):
    """The processes that have a segment open."""
    return {int(path.name.split("-")[1]) for path in (data / "log").glob("*.open")}


def soon(holds, patience=30.0):
    until = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


class Sender(threading.Thread):
    """A client that sends batches of ten, again until each is answered, over connections of its own."""

    def __init__(self, url, name):
        super().__init__()
        self.url, self.name = url, name
        self.accepted, self.again, self.ending = [], 0, threading.Event()

    def run(self):
        number = 0
        while not self.ending.is_set():
            ids = [f"{self.name}-{number}-{index}" for index in range(10)]
            batch = [{"type": "track", "event": "Bought", "userId": "u", "messageId": one} for one in ids]
            self.send(batch)
            self.accepted += ids
            number += 1

    def send(self, batch):
        while True:
            try:
                assert posted(self.url, {"batch": batch})["accepted"] == len(batch)
            except (OSError, http.client.HTTPException):  # its worker was killed: it may have been accepted
                self.again += 1
            else:
                return


def posted(url, body):
    """The answer to a batch, over a connection of its own, which any worker may take."""
    with closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)) as connection:
        connection.request("POST", "/v1/batch", json.dumps(body), AS_SERVER)
        return json.loads(connection.getresponse().read())


def test_a_worker_that_is_killed_under_load_loses_nothing_and_is_replaced(flags):
    with started(flags, "--compact-every", "0.2") as (process, about):
        data = Path(about["data"])
        senders = [Sender(about["url"], f"s{number}") for number in range(4)]
        for sender in senders:
            sender.start()
        soon(lambda: len(workers(data)) == 2)
        killed = set()
        for _ in range(2):
            time.sleep(0.3)
            victim = (workers(data) - killed).pop()
            os.kill(victim, signal.SIGKILL)
            killed.add(victim)
            soon(lambda: len(workers(data) - killed) == 2)
        for sender in senders:
            sender.ending.set()
        for sender in senders:
            sender.join(30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    accepted = sorted(one for sender in senders for one in sender.accepted)
    with connect(data) as database:
        found = [one for (one,) in database.execute("SELECT message_id FROM events ORDER BY 1").fetchall()]
    assert len(found) == len(set(found)), "none is there twice"
    assert not set(accepted) - set(found), "none is lost"
    assert len(accepted) > 100


def test_an_edit_reaches_the_streams_of_all_workers_and_the_end_is_prompt(flags):
    with started(flags, "--compact-every", "0") as (process, about):
        heard = []

        def listen():
            with httpx.stream(
                "GET", f"{about['url']}/v1/ruleset/stream", headers=AS_SERVER, trust_env=False, timeout=30
            ) as stream:
                revisions = []
                heard.append(revisions)
                lines = stream.iter_lines()
                revisions.extend((line, time.monotonic()) for line in lines if line.startswith("data:"))

        threads = [threading.Thread(target=listen) for _ in range(8)]
        for thread in threads:
            thread.start()
        soon(lambda: len(heard) == 8 and all(heard))
        assert {revisions[0][0] for revisions in heard} == {f'data: {{"revision":"{about["revision"]}"}}'}
        (flags / "flags.yaml").write_text(FLAGS % "off", encoding="utf-8")
        soon(lambda: all(len(revisions) == 2 for revisions in heard))
        moments = [revisions[1][1] for revisions in heard]
        assert max(moments) - min(moments) < 2.5, "no worker is behind another by more than its look"
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert time.monotonic() - began < 10
        for thread in threads:
            thread.join(10)


def test_workers_end_with_the_process_that_keeps_them(flags):
    with started(flags, "--compact-every", "0") as (process, about):
        data = Path(about["data"])
        event = {"type": "track", "event": "Bought", "userId": "u1"}
        assert posted(about["url"], {"batch": [event]})["accepted"] == 1
        (worker,) = workers(data)
        process.kill()
        process.wait(10)
        soon(lambda: not Path(f"/proc/{worker}").exists())
        soon(lambda: list((data / "log").glob("*.seg")), 5)  # it ended in order: its segment is sealed


def test_what_cannot_be_served_is_told_as_by_one_process(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "upshot", "serve", "--flags", str(tmp_path / "nothing"), "--data",
         str(tmp_path / "data"), "--port", "0", "--workers", "2"],
        capture_output=True, text=True, check=False, timeout=60, env=os.environ | KEYS,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    assert "there is no directory" in done.stderr.splitlines()[-1]
