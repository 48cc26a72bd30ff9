"""Everybody is told once, whatever fails in between, and again only of what is new."""

import json
import logging
import smtplib
import socket
import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from standardwebhooks.webhooks import Webhook

from upshot.errors import InputError, UnavailableError
from upshot.services.addresses import ForbiddenAddressError, read_allowed
from upshot.services.alerts import GIVEN_UP, SETTLED, STALE, Alerts
from upshot.services.channels import Message, Notice, read_channels
from upshot.store import alerts as kept
from upshot.store.alerts import Alert, Finding
from upshot.store.control import ControlStore
from upshot.store.engine import sqlite_url

SECRET = "a-secret-of-my-shop"
LOCAL = read_allowed(["127.0.0.1"])
BEGAN = datetime(2026, 11, 24, 13, tzinfo=UTC)


def finding(key="flag/nav/errors", what="new-nav fails"):
    evidence = {"since": BEGAN.isoformat(), "said": "3% of 900 units <failed>", "units": 900}
    return Finding(
        key=key,
        subject="flag/nav",
        severity="critical",
        what=what,
        evidence=evidence,
        advice="mend it & revive it",
    )


class Clock:
    def __init__(self):
        self.now = BEGAN

    def __call__(self):
        return self.now

    def go(self, **by):
        self.now += timedelta(**by)


class Recording:
    """A channel that fails as often as it is told to."""

    def __init__(self, name="hook"):
        self.name, self.failing, self.told = name, [], []

    def send(self, message):
        if self.failing:
            raise self.failing.pop(0)
        self.told.append((message.news, message.alert.finding.key))


@pytest.fixture
def world(tmp_path):
    """Alerts with a channel, and how to start them anew."""

    clock = Clock()
    store = ControlStore.open(sqlite_url(tmp_path / "upshot.db"), clock)

    class World:
        channel = Recording()

        def start(self, *more):
            self.alerts = Alerts(store, [self.channel, *more], clock)

        def standing(self):
            with store.reading() as connection:
                return kept.lasting(connection)

        def pass_by(self, standing, **by):
            self.clock.go(**by)
            self.alerts.report("flag/", standing)
            self.alerts.deliver()

    world = World()
    world.clock, world.store = clock, store
    world.start()
    yield world
    store.close()


def test_it_is_told_once_and_its_end_once(world):
    for _ in range(5):
        world.pass_by([finding()], seconds=2)
    assert world.channel.told == [("opened", "flag/nav/errors")]
    world.pass_by([], seconds=2)
    assert len(world.standing()) == 1
    for _ in range(3):
        world.pass_by([], seconds=SETTLED.total_seconds())
    assert world.channel.told[1:] == [("ended", "flag/nav/errors")]
    assert world.standing() == ()


def test_what_comes_and_goes_is_one_trouble(world):
    for _ in range(20):
        world.pass_by([finding()], minutes=4)
        world.pass_by([], minutes=4)
    assert world.channel.told == [("opened", "flag/nav/errors")]


def test_what_comes_again_after_its_end_is_told_again(world):
    world.pass_by([finding()], seconds=2)
    world.pass_by([], seconds=SETTLED.total_seconds())
    world.pass_by([finding()], seconds=2)
    assert [news for news, _ in world.channel.told] == ["opened", "ended", "opened"]


def test_watchers_end_only_what_is_theirs(world):
    world.pass_by([finding(), finding("flag/pay/errors")], seconds=2)
    world.clock.go(days=1)
    world.alerts.report("experiment/", [])
    assert len(world.standing()) == 2


def test_nobody_is_told_again_after_a_restart(world):
    world.pass_by([finding()], seconds=2)
    world.start()
    world.pass_by([finding()], seconds=2)
    assert len(world.channel.told) == 1
    world.pass_by([], seconds=2)
    assert len(world.standing()) == 1, "a restart is no sign that it is over"


def test_a_channel_that_fails_is_tried_with_growing_pauses(world):
    world.channel.failing = [UnavailableError("down")] * 4
    tried = []
    world.alerts.report("flag/", [finding()])
    for second in range(400):
        left = len(world.channel.failing)
        world.alerts.deliver()
        if len(world.channel.failing) < left or (world.channel.told and tried[-1] < 400 and not left):
            tried.append(second if not world.channel.told else 400 + second)
        world.clock.go(seconds=1)
    assert tried[:4] == [0, 2, 12, 72]
    assert world.channel.told == [("opened", "flag/nav/errors")]


def test_one_channel_waits_for_no_other(world):
    other = Recording("other")
    world.start(other)
    world.channel.failing = [UnavailableError("down")]
    world.pass_by([finding()], seconds=2)
    assert (world.channel.told, len(other.told)) == ([], 1)
    world.pass_by([finding()], seconds=10)
    assert (len(world.channel.told), len(other.told)) == (1, 1)


def test_a_channel_that_never_answers_is_given_up(world, caplog):
    world.channel.failing = [UnavailableError("down")] * 1000
    world.pass_by([finding()], seconds=2)
    for _ in range(60):
        world.pass_by([finding()], hours=1)
    left = len(world.channel.failing)
    assert 900 < left < 1000
    assert "and will not be: down" in caplog.text
    world.pass_by([finding()], seconds=GIVEN_UP.total_seconds())
    assert len(world.channel.failing) == left


def test_what_cannot_help_is_not_tried_again(world, caplog):
    world.channel.failing = [InputError("no such address")]
    world.pass_by([finding()], seconds=2)
    world.pass_by([finding()], hours=1)
    assert world.channel.told == []
    assert "will not be told of flag/nav/errors: no such address" in caplog.text


def test_a_fault_of_a_library_is_kept_in_the_log_and_tried_again(world, caplog):
    world.channel.failing = [ZeroDivisionError()]
    world.pass_by([finding()], seconds=2)
    world.pass_by([finding()], seconds=2)
    assert len(world.channel.told) == 1
    assert "could not be told" in caplog.text


def test_what_was_over_before_a_channel_came_is_not_told_there(world):
    world.pass_by([finding()], seconds=2)
    world.pass_by([], seconds=SETTLED.total_seconds())
    world.clock.go(seconds=STALE.total_seconds())
    new = Recording("new")
    world.start(new)
    world.alerts.deliver()
    assert new.told == []


def test_a_store_that_takes_nothing_now_takes_it_later(world, caplog, monkeypatch):
    def locked(*_):
        raise UnavailableError("the store is locked")

    with monkeypatch.context() as patched:
        patched.setattr(ControlStore, "changing", locked)
        world.pass_by([finding()], seconds=2)
        patched.setattr(ControlStore, "reading", locked)
        world.pass_by([finding()], seconds=2)
    assert caplog.text.count("the store is locked") == 3
    world.pass_by([finding()], seconds=2)
    assert len(world.channel.told) == 1


# Channels, over real sockets


@contextmanager
def receiving():
    """A web server; gives its address and the requests that it got."""
    requests = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            requests.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/hook", requests
        server.shutdown()
        thread.join()


def message(news="opened"):
    seen = {"first_seen": BEGAN, "last_seen": BEGAN, "times": 1, "delivered": {}, "ended_at": None}
    return Message(
        id="alert_1", news=news, alert=Alert(id=1, finding=finding(), **seen), at=BEGAN + timedelta(minutes=5)
    )


def test_a_webhook_gets_signed_json():
    with receiving() as (url, requests):
        (channel,) = read_channels([url], SECRET, LOCAL)
        channel.send(message())
    ((headers, body),) = requests
    found = Webhook(SECRET.encode()).verify(body, headers)
    assert (found["type"], headers["webhook-id"]) == ("alert.opened", "alert_1")
    assert found["data"] == {
        "key": "flag/nav/errors", "subject": "flag/nav", "severity": "critical", "what": "new-nav fails",
        "since": "2026-11-24T13:00:00+00:00", "advice": "mend it & revive it",
        "evidence": {"since": "2026-11-24T13:00:00+00:00", "said": "3% of 900 units <failed>", "units": 900},
    }  # fmt: skip


def test_slack_gets_text():
    with receiving() as (url, requests):
        (channel,) = read_channels([f"slack+{url}"], None, LOCAL)
        channel.send(message())
        channel.send(message("ended"))
    assert json.loads(requests[0][1]) == {
        "text": "*Critical: new-nav fails*\nSince 2026-11-24 13:00 UTC. 3% of 900 units &lt;failed&gt;\n"
        "What to do: mend it &amp; revive it"
    }
    assert json.loads(requests[1][1])["text"].startswith(
        "*Over: new-nav fails*\nIt began 2026-11-24 13:00 UTC"
    )


def test_a_channel_of_an_inner_address_gets_nothing():
    with receiving() as (url, requests):
        for channel in read_channels([url, f"slack+{url}"], SECRET, read_allowed([])):
            with pytest.raises(ForbiddenAddressError):
                channel.send(message())
    assert requests == []


@contextmanager
def mail_server():
    """A mail server that takes everything; gives its port and the mails that it got."""
    mails = []

    def serve(listening):
        connection, _ = listening.accept()
        with connection, connection.makefile("rwb", buffering=0) as lines:
            lines.write(b"220 here\r\n")
            while line := lines.readline():
                command = line.strip().upper()
                if command == b"DATA":
                    lines.write(b"354 go on\r\n")
                    mails.append(b"".join(iter(lines.readline, b".\r\n")))
                lines.write(b"221 bye\r\n" if command == b"QUIT" else b"250 yes\r\n")
                if command == b"QUIT":
                    return

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=[listening])
        thread.start()
        yield listening.getsockname()[1], mails
        with (
            suppress(OSError, smtplib.SMTPException),
            smtplib.SMTP("127.0.0.1", listening.getsockname()[1], timeout=1),
        ):
            pass  # where nobody called, so that the server ends
        thread.join()


def test_mail_goes_by_apprise():
    pytest.importorskip("apprise")
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    with mail_server() as (port, mails):
        url = f"mailto://127.0.0.1:{port}?from=upshot@shop.example&to=team@shop.example&mode=insecure&format=text"
        (channel,) = read_channels([url], None, LOCAL)
        channel.send(message())
    text = mails[0].decode()
    assert "Critical: new-nav fails" in text
    assert "mend it & revive it" in text
    (inner,) = read_channels([url], None, read_allowed([]))
    with pytest.raises(ForbiddenAddressError):
        inner.send(message())


def test_names_of_channels_tell_them_apart_and_no_secret():
    pytest.importorskip("apprise")
    urls = ["slack+https://hooks.example/T0/secret", "slack+https://hooks.example/T1/secret",
            "mailtos://ann:secret@shop.example?to=team@shop.example"]  # fmt: skip
    names = [channel.name for channel in read_channels(urls, None, LOCAL)]
    assert len(set(names)) == 3
    assert not any("secret" in name for name in names)


@pytest.mark.parametrize(
    ("url", "secret", "told"),
    [
        ("https://hooks.example/", None, "UPSHOT_ALERT_SECRET is not set"),
        ("https://hooks.example/", "short", "UPSHOT_ALERT_SECRET has 5 bytes"),
        ("jsons://hooks.example/", SECRET, "would be an unsigned post to any address"),
        ("nothing://hooks.example/secret", SECRET, "nothing://hooks.example/… is none that alerts can go to"),
        ("words", SECRET, "is none that alerts can go to"),
    ],
)
def test_what_is_no_channel(url, secret, told):
    pytest.importorskip("apprise")
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    with pytest.raises(InputError, match=told):
        read_channels([url], secret, LOCAL)


def test_a_report_goes_by_mail_as_its_reader_shows_it():
    pytest.importorskip("apprise")
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    report = Notice(
        id="report_weekly_20260309", kind="report.weekly", title="Experiments, 2–8 March 2026", text="*Running*\n• One",
        markdown="## Running\n\n| Experiment | Owner |\n| :-- | :-- |\n| One | ann |\n", data={}, at=BEGAN,
    )  # fmt: skip
    with mail_server() as (port, mails):
        url = f"mailto://127.0.0.1:{port}?from=upshot@shop.example&to=team@shop.example&mode=insecure&format=html"
        (channel,) = read_channels([url], None, LOCAL)
        channel.send(report)
    whole = message_from_bytes(mails[0])
    pages = [part for part in whole.walk() if part.get_content_type() == "text/html"]
    page = pages[0].get_payload(decode=True).decode()
    assert "<h2>Running</h2>" in page
    assert "<td" in page
