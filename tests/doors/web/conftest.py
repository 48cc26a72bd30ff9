"""A real server on a real socket, over flags that tests edit, at a time that tests set."""

import socket
import tempfile
import threading
import time
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from unittest.mock import patch

import httpx
import pytest

from upshot.assignment.ledger import Ledger
from upshot.doors.web.app import create_app
from upshot.doors.web.server import listen, server_of
from upshot.events.frame import Frame, decode
from upshot.events.log import EventLog
from upshot.events.message import read_batch
from upshot.model.flag import Flag, FlagSet, Rollout, Rule, Trial
from upshot.services.flags import Flags
from upshot.settings import Settings
from upshot.store.flag_store import Stored

SERVER_KEY, CLIENT_KEY = "server-key-0123456789", "client-key-0123456789"
AS_SERVER = {"Authorization": f"Bearer {SERVER_KEY}"}
AS_CLIENT = {"Authorization": f"Bearer {CLIENT_KEY}"}

FLAGS = (
    Flag(key="plain", type="boolean", variants={"on": True, "off": False}, default="on"),
    Flag(key="price", type="number", variants={"low": 1.0, "high": 2.5}, default="low"),
    Flag(key="count", type="number", variants={"few": 3}, default="few"),
    Flag(key="theme", type="object", variants={"dark": {"colour": "#000", "ratio": 2.0}}, default="dark"),
    Flag(key="off", type="boolean", variants={"on": True}, default="on", enabled=False),
    Flag(key="no-default", type="string", variants={"a": "A"}),
    Flag(
        key="team/checkout",
        type="string",
        variants={"control": "one-page", "treatment": "three-steps"},
        default="control",
        rules=(
            Rule(
                id="canada",
                when={"attr": "country", "op": "eq", "value": "CA"},
                variant="treatment",
            ),
            Rule(
                id="exp",
                experiment=Trial(
                    id="EXP-2026-001", split={"control": 1, "treatment": 1}, attributes=("country",)
                ),
            ),
        ),
    ),
    Flag(
        key="sessions",
        type="boolean",
        variants={"on": True, "off": False},
        rules=(Rule(id="half", rollout=Rollout(variant="on", percentage=50, unit="session")),),
    ),
)


class MemoryStore:
    """A store that tests edit."""

    name = "memory"

    def __init__(self, flags):
        self.stored = Stored(flags=FlagSet(flags={flag.key: flag for flag in flags}))
        self.edits = 0

    def version(self):
        return self.edits

    def read(self):
        return self.stored

    def write(self, ledger: Ledger, applied: FlagSet):
        self.stored = Stored(flags=self.stored.flags, ledger=ledger, applied=applied)

    def alone(self):
        return nullcontext()

    def edit(self, *flags, problems=()):
        """Write flags over those of the same key, or spoil the store."""
        merged = dict(self.stored.flags.flags) | {flag.key: flag for flag in flags}
        self.stored = Stored(
            flags=FlagSet(flags=merged),
            ledger=self.stored.ledger,
            applied=self.stored.applied,
            problems=problems,
        )
        self.edits += 1


class Clock:
    """The time, until a test sets it."""

    def __init__(self):
        self.ahead = 0.0

    def __call__(self):
        return time.time() + self.ahead

    def to_start_of_period(self, seconds):
        """Go to just after a whole multiple of so many seconds, so that no period ends within a test."""
        self.ahead += seconds - self() % seconds + 1


class Running:
    """A running server with its parts in reach."""

    def __init__(self, app, store, clock):
        self.app, self.store, self.clock = app, store, clock
        self.live = app.state.live
        self._server = server_of(app)
        self._listening = listen("127.0.0.1", 0)
        self.address = self._listening.getsockname()
        self.url = f"http://127.0.0.1:{self.address[1]}"
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listening]})

    def start(self):
        self._thread.start()
        wait_until(lambda: self._server.started)

    def stop(self):
        """Stop it as a signal would, and give the seconds that took."""
        began = time.monotonic()
        self._server.should_exit = True
        self._thread.join(10)
        assert not self._thread.is_alive()
        return time.monotonic() - began

    def soon(self, holds):
        """Whether something comes soon."""
        wait_until(holds)
        return True

    def frames(self):
        """What the log holds, in the order in which it came."""
        found = [item for path in sorted((self.data / "log").iterdir()) for item in decode(path.read_bytes())]
        assert all(isinstance(item, Frame) for item in found)
        return found

    def events(self):
        """The events in the log, and what was sent and is none."""
        pairs = [read_batch(frame) for frame in self.frames()]
        return [event for events, _ in pairs for event in events], [
            one for _, rejections in pairs for one in rejections
        ]

    def forgot_all_requests(self):
        """Whether no request is being answered, soon."""
        wait_until(lambda: not self._server.server_state.tasks)
        return True

    def answers_soon(self, client, key, **expected):
        """Whether a flag soon gives an answer with these members."""

        def given():
            body = client.post(
                f"/ofrep/v1/evaluate/flags/{key}", json={"context": {"targetingKey": "user-1"}}
            ).json()
            return expected.items() <= body.items()

        wait_until(given, patience=3.0)
        return True

    def client(self, headers=AS_SERVER, **options):
        return httpx.Client(base_url=self.url, headers=headers, timeout=10, trust_env=False, **options)

    def connect(self):
        return socket.create_connection(self.address, timeout=10)


@contextmanager
def serving(flags=FLAGS, limits=None, **settings):
    """A server with a data directory of its own."""
    with (
        tempfile.TemporaryDirectory() as directory,
        closing(EventLog.open(Path(directory), limits)) as log,
        _serving(flags, log, settings) as running,
    ):
        running.data = Path(directory)
        yield running


@contextmanager
def _serving(flags, log, settings):
    store, clock = MemoryStore(flags), Clock()
    clock.to_start_of_period(300)
    salts = iter(f"salt-{number}" for number in range(10_000))
    options = Settings(server_key=SERVER_KEY, client_key=CLIENT_KEY, **settings)
    with patch("upshot.doors.web.live.EVERY", 0.05):
        running = Running(create_app(Flags(store, lambda: next(salts)), log, options, clock), store, clock)
        running.log = log
        running.start()
        try:
            yield running
        finally:
            running.stop()


def wait_until(holds, patience=10.0):
    """Wait for something that comes soon."""
    until = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def shared():
    """A server that no test edits."""
    with serving() as running:
        yield running


@pytest.fixture
def own():
    """A server that the test may edit."""
    with serving() as running:
        yield running


@pytest.fixture
def start():
    """The server with other flags or settings: ``with start(flags) as running``."""
    return serving
