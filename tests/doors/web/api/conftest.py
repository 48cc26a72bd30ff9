"""The API at a real server on a real socket, over a real store in a temporary directory."""

import socket
import threading
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

import httpx
import pytest
from argon2 import PasswordHasher

from upshot.bootstrap import open_flag_store, open_flags, open_log, open_store, workspace_over
from upshot.doors.web.api.app import create_api
from upshot.doors.web.api.parts import Parts
from upshot.doors.web.app import create_app
from upshot.doors.web.server import listen, server_of
from upshot.model.access import ROLES
from upshot.services import keys, passwords, users
from upshot.services.defined import read_defined
from upshot.services.key_ring import KeyRing
from upshot.settings import Settings

PASSWORD = "correct horse battery"
METRICS = "metrics: {activation: {kind: proportion, event: Activated, window: 1s}}\n"
FLAG = {
    "type": "boolean",
    "variants": {"control": False, "treatment": True},
    "default": "control",
    "enabled": True,
}
DESIGN = {
    "name": "Shorter onboarding",
    "flag": "onboarding",
    "owner": "ann@example.org",
    "hypothesis": "If onboarding is shorter, then more finish it, because they lose patience.",
    "variants": {"control": "five steps", "treatment": "two steps"},
    "rollback": "kill the flag",
    "plan": {"metrics": ["activation"], "minimum_effect": 0.05},
}


class Served:
    """A running server, with a key of each role."""

    url = ""

    def __init__(self, directory, store):
        self.directory, self.store = directory, store
        self.keys = {role: keys.create(store, role, role, actor="root")[1] for role in ROLES}
        self.users = {
            name: users.create(store, name, name, PASSWORD, actor="root")[0].name
            for name in ("admin", "editor", "analyst", "viewer")
        }

    def client(self, role=None, **options):
        headers = {"Authorization": f"Bearer {self.keys[role]}"} if role else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False, **options)

    def browser(self, name="editor"):
        """A client that came in by password, as a browser does."""
        client = self.client()
        come = client.post("/api/session", json={"name": name, "password": PASSWORD})
        assert come.status_code == 200, come.text
        return client


@contextmanager
def serving_api(directory, flags=None):
    hasher = passwords._HASHER
    passwords._HASHER = PasswordHasher(time_cost=1, memory_cost=64)
    passwords._nobodys.cache_clear()

    metrics = directory / "metrics"
    metrics.mkdir(parents=True, exist_ok=True)
    (metrics / "metrics.yaml").write_text(METRICS, encoding="utf-8")

    def clock():
        return datetime.now(UTC)

    try:
        with (
            closing(open_log(directory)) as log,
            closing(open_store(directory, made=True, clock=clock)) as store,
        ):
            served = Served(directory, store)
            kept = open_flag_store(flags, store)
            api = create_api(
                Parts(
                    store=store,
                    workspace=lambda: workspace_over(store, kept, directory, metrics, clock),
                    defined=lambda: read_defined(metrics),
                )
            )
            settings = Settings(server_key="server-key-0123456789", client_key="client-key-0123456789")
            app = create_app(open_flags(kept, clock), log, settings, ring=KeyRing(store), api=api)
            with _listening(app) as url:
                served.url = url
                yield SimpleNamespace(app=app, api=api, served=served)
    finally:
        passwords._HASHER = hasher
        passwords._nobodys.cache_clear()


@contextmanager
def _listening(app):
    server, listening = server_of(app), listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
        port = listening.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with serving_api(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture(scope="module")
def served(running):
    return running.served


@pytest.fixture
def own(tmp_path):
    """A server that the test may change as it likes."""
    with serving_api(tmp_path) as running:
        yield running.served


@pytest.fixture
def as_files():
    """A server whose flags are files: ``with as_files(directory, flags) as served``."""

    @contextmanager
    def started(directory, flags):
        with serving_api(directory, flags) as running:
            yield running.served

    return started


@pytest.fixture
def flag():
    return dict(FLAG)


@pytest.fixture
def design():
    return {**DESIGN, "plan": dict(DESIGN["plan"])}


@pytest.fixture
def password():
    return PASSWORD
